"""A network of integrate-and-fire populations as numbers with units, and as steps of time.

Neuron i of population a has the membrane potential u, the threshold theta and

    du/dt = -(u - u_rest)/tau_m + sum_b w_ab sum_j c_ij (eps_b * S_j)(t - delay_b)
            + sigma sqrt(2/tau_m) xi(t)
    theta = u_th + sum_{its spikes t_f} J_th/tau_th exp(-(t - t_f - t_ref)/tau_th)

with c_ij = 1 with probability p_ab, eps_b(t) = exp(-t/tau_s)/tau_s, or a delta function for
tau_s = 0. It spikes with the hazard lambda = c exp((u - theta)/Delta_u), or, without a hazard,
where u reaches theta; then u stays at u_r for t_ref. sigma is the standard deviation of u under
the noise alone.

Time goes in steps of dt. Between the arrivals of spikes, which fall on the grid, u and the
synapses are linear and are advanced exactly; the hazard is integrated by the trapezoidal rule. A
neuron spikes when the integral since its last spike reaches a random number of the standard
exponential distribution, which needs one draw per spike. A spike lies in the middle of its step
on average but counts from the end; half of the last refractory step counts in its place. Membrane
and threshold start from there half a step late, so that intervals are longer by at most dt/2, and,
to first order in dt, by nothing where the hazard is flat.

References: Gerstner et al. 2014, Neuronal Dynamics, ch. 9 (escape noise); Schwalger, Deger &
Gerstner 2017, doi:10.1371/journal.pcbi.1005507 (the network); Rotter & Diesmann 1999,
doi:10.1007/s004220050570 (exact integration).
"""

__all__ = ["DiscreteNetwork", "Hazard", "SpikingNetwork", "discretise"]

from dataclasses import dataclass

import numpy as np

from neurosbi.errors import BadInputError
from neurosbi_simulators.population.settings import check_whole_steps

# columns of the table of populations
DECAY, CONSTANT, RESET, THRESHOLD, INVERSE_WIDTH, HALF_HAZARD = range(6)
THRESHOLD_DECAY, THRESHOLD_JUMP, NOISE = range(6, 9)
N_COLUMNS = 9


@dataclass(frozen=True, eq=False)
class Hazard:
    """Random spikes of a threshold that adapts: arrays [population] in Hz, mV, mV s and ms."""

    c: np.ndarray
    Delta_u: np.ndarray
    J_th: np.ndarray
    tau_th: np.ndarray


@dataclass(frozen=True, eq=False)
class SpikingNetwork:
    """One parameter set: arrays [population], ``p`` and ``w`` [to, from]; mV and ms.

    ``hazard`` is None for neurons with a sharp threshold. ``everyone`` joins every pair of neurons
    with the weight p w instead of drawing connections.
    """

    names: tuple[str, ...]
    size: tuple[int, ...]
    p: np.ndarray
    w: np.ndarray
    u_rest: np.ndarray
    u_th: np.ndarray
    u_r: np.ndarray
    tau_m: np.ndarray
    t_ref: np.ndarray
    tau_s: np.ndarray
    delay: np.ndarray
    sigma: np.ndarray
    hazard: Hazard | None = None
    everyone: bool = False

    @property
    def n_neurons(self) -> int:
        """Neurons of all populations."""
        return sum(self.size)

    @property
    def starts(self) -> np.ndarray:
        """First neuron of each population, and one behind the last: int64 [population + 1]."""
        return np.cumsum([0, *self.size], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class DiscreteNetwork:
    """What the kernel needs of a `SpikingNetwork`.

    ``table[population, column]``, ``weight[to, from]`` (what a spike adds to the synaptic current,
    or to the potential), ``kappa[to, kind]`` (what a synaptic current adds to the potential in one
    step), ``kind_decay[kind]``, the ``kind`` of synapse of each population, and ``hold`` and
    ``delay`` in steps.
    """

    starts: np.ndarray
    table: np.ndarray
    weight: np.ndarray
    kappa: np.ndarray
    kind_decay: np.ndarray
    kind: np.ndarray
    hold: np.ndarray
    delay: np.ndarray
    escape: bool
    everyone: bool


def discretise(network: SpikingNetwork, dt: float) -> DiscreteNetwork:
    """The network in steps of ``dt`` ms.

    Raises `BadInputError` where a step is too long for it, or its delays and refractory periods
    are not whole steps.
    """
    _check_step(network, dt)
    tau_m = network.tau_m
    decay = np.exp(-dt / tau_m)
    table = np.zeros((len(network.size), N_COLUMNS), dtype=np.float32)
    table[:, DECAY] = decay
    table[:, CONSTANT] = -network.u_rest * np.expm1(-dt / tau_m)
    table[:, RESET] = network.u_r
    table[:, THRESHOLD] = network.u_th
    table[:, NOISE] = network.sigma * np.sqrt(-np.expm1(-2 * dt / tau_m))
    if network.hazard is not None:
        h = network.hazard
        table[:, INVERSE_WIDTH] = 1.0 / h.Delta_u
        table[:, HALF_HAZARD] = 0.5e-3 * dt * h.c
        table[:, THRESHOLD_DECAY] = np.exp(-dt / h.tau_th)
        table[:, THRESHOLD_JUMP] = 1e3 * h.J_th / h.tau_th
    taus, kind = np.unique(network.tau_s, return_inverse=True)
    instant = taus == 0
    safe = np.where(instant, 1.0, taus)
    amplitude = np.where(network.tau_s > 0, 1.0 / np.where(network.tau_s > 0, network.tau_s, 1), 1)
    weight = network.w * amplitude * (network.p if network.everyone else 1.0)
    kappa = np.where(instant, decay[:, None], _response(tau_m[:, None], safe[None, :], dt))
    return DiscreteNetwork(
        starts=network.starts,
        table=table,
        weight=weight.astype(np.float32),
        kappa=kappa.astype(np.float32),
        kind_decay=np.where(instant, 0.0, np.exp(-dt / safe)).astype(np.float32),
        kind=kind.astype(np.int64),
        hold=np.round(network.t_ref / dt).astype(np.int32),
        delay=np.round(network.delay / dt).astype(np.int64),
        escape=network.hazard is not None,
        everyone=network.everyone,
    )


def _response(tau_m: np.ndarray, tau_s: np.ndarray, dt: float) -> np.ndarray:
    """Potential after ``dt`` of a synaptic current that starts at 1 and decays with tau_s."""
    difference = 1.0 / tau_m - 1.0 / tau_s
    x = difference * dt
    # (e^x - 1) / x is 1 where both time constants are the same
    return (
        np.exp(-dt / tau_m) * dt * np.where(np.abs(x) < 1e-9, 1.0, np.expm1(x) / np.where(x, x, 1))
    )


def _check_step(network: SpikingNetwork, dt: float) -> None:
    fastest = min(network.tau_m.min() / 5, *(network.tau_s[network.tau_s > 0] / 2), np.inf)
    if dt > fastest * (1 + 1e-9):
        raise BadInputError(
            f"dt is {dt:g} ms, too long for membranes of {network.tau_m.min():g} ms and synapses "
            f"of {', '.join(f'{t:g}' for t in network.tau_s)} ms; use at most {fastest:.2g} ms"
        )
    for what, values in (("refractory period", network.t_ref), ("delay", network.delay)):
        check_whole_steps(
            [(f"{what} of {n}", t) for n, t in zip(network.names, values, strict=True)], dt
        )
