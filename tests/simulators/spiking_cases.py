"""Small networks for tests, written out as numbers."""

import numpy as np
from neurosbi_simulators.numerics.gaussian import lane_keys
from neurosbi_simulators.spiking.network import Hazard, SpikingNetwork
from neurosbi_simulators.spiking.run import NetworkRun, run

__all__ = ["keys", "network", "sharp", "spikes", "started", "stochastic"]


def network(size, **values):
    """Populations of the given sizes; a scalar is meant for all of them."""
    m = len(size)
    matrices = {name: values.pop(name, 0.0) for name in ("p", "w")}
    matrices = {
        k: np.broadcast_to(np.asarray(v, float), (m, m)).copy() for k, v in matrices.items()
    }
    everyone = values.pop("everyone", False)
    rows = {k: np.broadcast_to(np.asarray(v, float), (m,)).copy() for k, v in values.items()}
    names = tuple("ABCD"[:m])
    if "c" in rows:
        rows["hazard"] = Hazard(**{k: rows.pop(k) for k in ("c", "Delta_u", "J_th", "tau_th")})
    return SpikingNetwork(names=names, size=tuple(size), everyone=everyone, **matrices, **rows)


def sharp(size, **values):
    """LIF neurons: rest 0, threshold 20, reset 10 mV, 20 ms, refractory for 2 ms."""
    defaults = {"u_rest": 0.0, "u_th": 20.0, "u_r": 10.0, "tau_m": 20.0, "t_ref": 2.0}
    return network(size, **defaults | {"tau_s": 0.0, "delay": 1.5, "sigma": 0.0} | values)


def stochastic(size, **values):
    """GIF neurons without adaptation unless it is asked for."""
    defaults = {"u_rest": 20.0, "u_th": 15.0, "u_r": 0.0, "tau_m": 20.0, "t_ref": 4.0}
    defaults |= {"tau_s": 3.0, "delay": 1.0, "sigma": 0.0}
    defaults |= {"c": 10.0, "Delta_u": 5.0, "J_th": 0.0, "tau_th": 100.0}
    return network(size, **defaults | values)


def keys(index=0, seed=1):
    a, b = lane_keys(seed, np.array([2 * index, 2 * index + 1]))
    return {"connection_keys": a, "neuron_keys": b}


def started(net, *, dt=0.1, index=0, seed=1):
    return NetworkRun(net, dt=dt, recorded=net.size, **keys(index, seed))


def spikes(net, *, total, onset=0.0, dt=0.1, index=0, seed=1):
    return run(net, dt=dt, onset=onset, total=total, recorded=net.size, **keys(index, seed))
