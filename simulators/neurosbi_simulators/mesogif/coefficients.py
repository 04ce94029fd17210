"""From the constants of a network to the rows of the kernel, for a time step dt.

Over a step in which n_b spikes of population b arrive, the synapse y_b (in spikes) and what it
adds to the membrane potential of population a are exactly

    y <- n + (y - n) e_s,   dh = p w tau_m/dt [(1 - e_m) n + k (y_old - n)],
    k = tau_s (e_s - e_m)/(tau_s - tau_m),   e_s = exp(-dt/tau_s), e_m = exp(-dt/tau_m)

and k has the limit dt/tau_s e_m at tau_s = tau_m. A spike of age k steps raises the threshold by
J_th/tau_th exp(-((k + 1/2) dt - t_ref)/tau_th): it happened in the middle of its step, and hazards
are taken at the end of the present one.

All functions accept complex constants: a derivative by complex step is exact to the last digit
(Squire & Trapp 1998, doi:10.1137/S003614459631241X), see `with_tangents`.
"""

__all__ = ["Grid", "coefficients", "with_tangents"]

from dataclasses import dataclass

import numpy as np

from neurosbi.contract import Parameter
from neurosbi.errors import BadInputError
from neurosbi_simulators.mesogif import layout as rows
from neurosbi_simulators.population.network import PopulationNetwork
from neurosbi_simulators.population.settings import check_whole_steps

FORGOTTEN = 0.1  # of Delta_u: a spike that adds less to the threshold leaves the history
MEMBRANE_TIMES = 5.0  # a neuron has forgotten its reset after this many tau_m
_TINY = 1e-30  # imaginary step; its square vanishes
_MV_MS = 1000.0  # mV ms per mV s


@dataclass(frozen=True)
class Grid:
    """What lies on the grid of steps of ``dt`` ms; per population: ages kept, refractory steps."""

    dt: float
    history: tuple[int, ...]
    refractory: tuple[int, ...]
    delay: int

    @classmethod
    def of(
        cls,
        network: PopulationNetwork,
        inferred: tuple[Parameter, ...],
        *,
        dt: float,
        history: float | None = None,
    ) -> "Grid":
        """The grid of a network; ``history`` in ms, or None: as long as spikes are remembered.

        It does not change with theta, so that the likelihood is smooth: the adaptation of the
        network itself and the slowest membrane that is inferred decide.
        """
        fastest, name = min(
            [(network.delay, "transmission delay")]
            + [(t, f"refractory period of {n}") for n, t in _each(network, "t_ref")]
            + [(_lowest(inferred, f"tau_s_{n}", t), f"tau_s of {n}") for n, t in _each(network, "tau_s")]
        )  # fmt: skip
        if fastest <= 0:
            raise BadInputError(
                f"mesogif: the {name} is 0 ms, but the population model needs one of at least a "
                "time step; give it one, or simulate single neurons (simulator spiking)"
            )
        if dt > fastest * (1 + 1e-9):
            raise BadInputError(
                f"mesogif: the time step of {dt:g} ms is longer than the {name} of {fastest:g} ms; "
                f"set dt to at most {fastest:g}"
            )
        refractory_periods = [(f"refractory period of {n}", t) for n, t in _each(network, "t_ref")]
        check_whole_steps([*refractory_periods, ("delay", network.delay)], dt)
        ages = []
        refractory = [max(1, round(t / dt)) for t in network.t_ref]
        for a, label in enumerate(network.names):
            needed = _memory(network, a, label, inferred) if history is None else history
            ages.append(max(int(np.ceil(needed / dt)), refractory[a] + 1))
        return cls(dt, tuple(ages), tuple(refractory), max(1, round(network.delay / dt)))


def _each(network: PopulationNetwork, name: str) -> list[tuple[str, float]]:
    return list(zip(network.names, getattr(network, name), strict=True))


def _lowest(inferred: tuple[Parameter, ...], name: str, fixed: float) -> float:
    return next((p.low for p in inferred if p.name == name), fixed)


def _memory(
    network: PopulationNetwork, a: int, label: str, inferred: tuple[Parameter, ...]
) -> float:
    slowest = next((p.high for p in inferred if p.name == f"tau_m_{label}"), network.tau_m[a])
    needed = MEMBRANE_TIMES * slowest
    jump = _MV_MS * network.J_th[a] / network.tau_th[a]
    if jump > FORGOTTEN * network.Delta_u[a]:
        needed = max(
            needed,
            network.t_ref[a] + network.tau_th[a] * np.log(jump / (FORGOTTEN * network.Delta_u[a])),
        )
    return needed


def coefficients(
    constants: dict[str, np.ndarray], sizes: tuple[int, ...], grid: Grid
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Rows [row, sim] and tables THETA, PAST [age, 2, sim] of each population.

    ``constants`` as made by `NetworkParameters.values`. Age 0 of a table is not used.
    """
    dt, m = grid.dt, len(sizes)
    all_rows, all_tables = [], []
    for a in range(m):
        c = {name: values[:, a] for name, values in constants.items() if name not in ("w", "p")}
        e_m = np.exp(-dt / c["tau_m"])
        r = np.zeros((rows.N_PARAMETER_ROWS, len(e_m)), dtype=e_m.dtype)
        r[rows.P_E] = e_m
        r[rows.P_REST] = c["u_rest"] * (1 - e_m)
        r[rows.P_UTH], r[rows.P_UR] = c["u_th"], c["u_r"]
        r[rows.P_IDU] = 1 / c["Delta_u"]
        r[rows.P_HAZ] = 0.5e-3 * dt * c["c"]
        r[rows.P_GE] = np.exp(-dt / c["tau_th"])
        r[rows.P_GIN] = (1 - r[rows.P_GE]) / (sizes[a] * dt)
        since = (grid.history[a] + 1) * dt - c["t_ref"]  # when spikes have left the history
        r[rows.P_GOUT] = _MV_MS * c["J_th"] * np.exp(-since / c["tau_th"])
        for b in range(m):
            tau_s = constants["tau_s"][:, b]
            e_s = np.exp(-dt / tau_s)
            gain = constants["p"][:, a, b] * constants["w"][:, a, b] * c["tau_m"] / dt
            kept = dt / c["tau_m"] * e_m * _expm1_ratio(dt / c["tau_m"] - dt / tau_s)
            r[rows.P_ES + b] = e_s
            r[rows.P_CY + b] = gain * kept
            r[rows.P_CA + b] = gain * (1 - e_m - kept)
        all_rows.append(r)
        all_tables.append(_threshold_tables(c, sizes[a], grid, a))
    return all_rows, all_tables


def _threshold_tables(c: dict[str, np.ndarray], size: int, grid: Grid, a: int) -> np.ndarray:
    age = np.arange(grid.history[a] + 1)[:, None]
    since = (age + 0.5) * grid.dt - c["t_ref"]
    theta = _MV_MS * c["J_th"] / c["tau_th"] * np.exp(-since / c["tau_th"])
    theta[: grid.refractory[a]] = 0.0  # silent anyhow
    past = c["Delta_u"] * -np.expm1(-theta / c["Delta_u"]) / size
    return np.stack([theta, past], axis=1)


def _expm1_ratio(z: np.ndarray) -> np.ndarray:
    """(e^z - 1)/z, 1 at z = 0; complex z close to the real axis is fine."""
    small = np.abs(np.real(z)) < 1e-5
    safe = np.where(small, 1.0, z)
    return np.where(small, 1 + z / 2 + z * z / 6, np.expm1(safe) / safe)


def with_tangents(
    constants: dict[str, np.ndarray],
    targets: tuple[tuple[str, tuple[int, ...]], ...],
    sizes: tuple[int, ...],
    grid: Grid,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The derivatives of rows and tables by each of ``targets``, for one parameter set.

    Like `coefficients`, with directions in place of simulations.
    """
    n = len(targets)
    shifted = {
        name: np.repeat(values[:1].astype(np.complex128), n, axis=0)
        for name, values in constants.items()
    }
    for direction, (name, index) in enumerate(targets):
        shifted[name][(direction, *index)] += 1j * _TINY
    all_rows, all_tables = coefficients(shifted, sizes, grid)
    return [np.imag(r) / _TINY for r in all_rows], [np.imag(t) / _TINY for t in all_tables]
