"""The same networks written for Brian2, as a second, independent implementation.

Equations, order of events within a step and time grid are those of `network` and `advance`;
random numbers and connections are Brian2's own, so results agree in distribution. Linear
equations are integrated exactly, with white noise by Euler's method. Brian2 is imported on first
use. Runs use its runtime mode, whose compiled code is kept between simulations; `build_network`
also serves its C++ standalone mode.

A neuron of Brian2 is refractory from the step after its spike until less than ``refractory`` has
passed since the step of the spike began: t_ref + dt holds the potential for t_ref.

References: Stimberg, Brette & Goodman 2019, doi:10.7554/eLife.47314.
"""

__all__ = ["BuiltNetwork", "build_network", "import_brian", "run_in_brian"]

from dataclasses import dataclass
from typing import Any

import numpy as np

from neurosbi.errors import MissingResourceError
from neurosbi_simulators.spiking.network import SpikingNetwork, discretise
from neurosbi_simulators.spiking.run import Spikes


def import_brian() -> Any:
    """The module brian2. Raises `MissingResourceError` where it cannot be used."""
    try:
        import brian2
    except ImportError as error:
        raise MissingResourceError(
            "backend=brian2 needs Brian2, which is not installed here: pip install 'brian2>=2.9', "
            "or use backend=numba"
        ) from error
    except AttributeError as error:  # Brian2 2.9 beside a NumPy that is too new for it
        raise MissingResourceError(
            f"the installed Brian2 does not work with NumPy {np.__version__}: "
            "pip install 'numpy<2.4', or use backend=numba"
        ) from error
    return brian2


@dataclass(frozen=True, eq=False)
class BuiltNetwork:
    """A Brian2 network and what was recorded of it, by population."""

    network: Any
    groups: list
    synapses: list[tuple[int, Any]]
    recorded: list
    totals: list


def build_network(network: SpikingNetwork, *, dt: float, recorded: tuple[int, ...]) -> BuiltNetwork:
    """Groups, synapses and monitors; nothing is run. ``dt`` in ms."""
    b = import_brian()
    b.defaultclock.dt = dt * b.ms
    kinds = np.unique(network.tau_s)
    groups = [_group(b, network, a, kinds, dt) for a in range(len(network.size))]
    synapses = []
    for source in range(len(network.size)):
        kind = int(np.searchsorted(kinds, network.tau_s[source]))
        for target in range(len(network.size)):
            p, w = float(network.p[target, source]), float(network.w[target, source])
            if p == 0 or w == 0:
                continue
            if network.everyone:
                p, w = 1.0, p * w
            tau_s = float(network.tau_s[source])
            effect = (
                f"I{kind}_post += {w / tau_s!r}"
                if tau_s
                else f"u_post += {w!r}*int(not_refractory_post)"
            )
            connection = b.Synapses(
                groups[source],
                groups[target],
                on_pre=effect,
                delay=float(network.delay[source]) * b.ms,
                clock=b.defaultclock,
            )
            if p < 1.0:
                connection.connect(p=p)
            else:
                connection.connect()
            synapses.append((source, connection))
    monitors = [
        b.SpikeMonitor(group[:n]) if n else None for group, n in zip(groups, recorded, strict=True)
    ]
    totals = [b.SpikeMonitor(group, record=False) for group in groups]
    parts = [*groups, *(s for _, s in synapses), *(m for m in monitors if m is not None), *totals]
    return BuiltNetwork(b.Network(*parts), groups, synapses, monitors, totals)


def run_in_brian(
    network: SpikingNetwork,
    *,
    dt: float,
    onset: float,
    total: float,
    recorded: tuple[int, ...],
    connection_keys: np.ndarray,
    neuron_keys: np.ndarray,
) -> Spikes:
    """What `run` gives, by Brian2; the keys become its seed."""
    b = import_brian()
    discretise(network, dt)  # refuses what does not fall on the grid
    b.seed(int(connection_keys[0] ^ neuron_keys[1]))
    built = build_network(network, dt=dt, recorded=recorded)
    built.network.run(total * b.ms)
    first = np.cumsum([0, *recorded])
    time = [np.empty(0)] + [
        np.asarray(m.t / b.ms) + 0.5 * dt for m in built.recorded if m is not None
    ]
    unit = [np.empty(0, dtype=np.int32)] + [
        np.asarray(m.i, dtype=np.int32) + np.int32(first[a])
        for a, m in enumerate(built.recorded)
        if m is not None
    ]
    time, unit = np.concatenate(time), np.concatenate(unit)
    order = np.lexsort((unit, time))
    order = order[time[order] >= onset]
    sent = [np.asarray(m.count, dtype=np.int64) for m in built.totals]
    return Spikes(
        time=time[order],
        unit=unit[order],
        n_spikes=int(sum(s.sum() for s in sent)),
        n_events=int(sum(sent[a] @ np.asarray(s.N_outgoing_pre) for a, s in built.synapses)),
        finite=all(bool(np.isfinite(np.asarray(g.u)).all()) for g in built.groups),
    )


def _group(b: Any, network: SpikingNetwork, a: int, kinds: np.ndarray, dt: float) -> Any:
    """Population ``a``: potential, synaptic currents and, with a hazard, threshold and budget."""
    currents = [k for k, tau in enumerate(kinds) if tau > 0]
    noise = network.sigma[a] > 0
    equations = "du/dt = (u_rest - u)/tau_m" + "".join(f" + I{k}/ms" for k in currents)
    equations += " + sigma*sqrt(2/tau_m)*xi" if noise else ""
    equations += " : 1 (unless refractory)\n"
    equations += "".join(f"dI{k}/dt = -I{k}/tau_s{k} : 1\n" for k in currents)
    names = {
        "u_rest": float(network.u_rest[a]),
        "u_r": float(network.u_r[a]),
        "u_th": float(network.u_th[a]),
        "tau_m": float(network.tau_m[a]) * b.ms,
        "sigma": float(network.sigma[a]),
        "ms": b.ms,
    } | {f"tau_s{k}": float(kinds[k]) * b.ms for k in currents}
    threshold, reset = "u >= u_th", "u = u_r"
    hazard = network.hazard
    adapts = hazard is not None and hazard.J_th[a] != 0
    adaptation = " - theta" if adapts else ""
    if hazard is not None:
        tau_th = float(hazard.tau_th[a])
        equations += "hazard : 1\nbudget : 1\n"
        equations += "dtheta/dt = -theta/tau_th : 1\n" if adapts else ""
        names |= {
            "Delta_u": float(hazard.Delta_u[a]),
            # half of the last refractory step counts; half a step of room for rounding
            "held": (float(network.t_ref[a]) - 0.5 * dt) * b.ms,
            "half_hazard": 0.5e-3 * dt * float(hazard.c[a]),
            "tau_th": tau_th * b.ms,
            # at the end of the refractory period J_th / tau_th of it is left
            "jump": 1e3 * float(hazard.J_th[a]) / tau_th * np.exp(float(network.t_ref[a]) / tau_th)
            if adapts
            else 0.0,
        }
        threshold = "budget <= 0"
        reset = "u = u_r\nbudget = -log(1 - rand())" + ("\ntheta += jump" if adapts else "")
        if network.t_ref[a] > 0:
            reset += "\nhazard = 0"
        else:  # half of this very step is left to it
            reset += (
                f"\nhazard = exp((u_r - u_th{adaptation})/Delta_u)\nbudget -= hazard*half_hazard"
            )
    method = "euler" if noise else "exact"
    group = b.NeuronGroup(
        network.size[a],
        equations,
        threshold=threshold,
        reset=reset,
        refractory=(float(network.t_ref[a]) + dt) * b.ms,
        method=method,
        namespace=names,
    )
    group.u = "u_r + rand()*(u_th - u_r)"
    if hazard is not None:
        group.budget = "-log(1 - rand())"
        group.run_regularly(
            f"rate = exp((u - u_th{adaptation})/Delta_u)*int(t - lastspike >= held)\n"
            "budget -= (hazard + rate)*half_hazard\n"
            "hazard = rate",
            when="after_groups",
        )
    return group
