"""Features of the pyloric rhythm: what they are called, their units, and how they follow.

Definitions of spike, burst, plateau and energy: `bursts`; of cycle, triphasic and pyloric-like:
`rhythm`. NaN means undefined: no burst, fewer than two AB/PD bursts, a rhythm that is not
triphasic.

Sets
----
``goncalves2020``
    The 18 features of Goncalves et al. 2020 (doi:10.7554/eLife.56261), in their order.
``deistler2022``
    The 15 features of Deistler et al. 2022 (doi:10.1073/pnas.2207632119), in their order.
``full``
    All of these, and moments of the voltage, counts, energies and whether the rhythm is
    pyloric-like.
"""

__all__ = ["DEFAULT_SET", "FEATURES", "FEATURE_SETS", "compute_features"]

from collections.abc import Mapping

import numpy as np

from neurosbi.contract import Feature
from neurosbi_simulators.pyloric import bursts as bu
from neurosbi_simulators.pyloric import rhythm as rh
from neurosbi_simulators.pyloric.circuit import CELLS
from neurosbi_simulators.pyloric.integrate import AREA, CAPACITANCE
from neurosbi_simulators.pyloric.streaming import ORIGIN, SUM_1, SUM_4

SINGLE_SPIKE_PLATEAU = 5.0  # ms; what is shorter is the width of a spike, not a plateau
NO_PLATEAU = 2.5  # ms; the value it is given
_ENERGY = CAPACITANCE / AREA / 1e3  # nJ/cm2 per (mV2/ms per C) ms


def _each(name: str, unit: str, description: str) -> tuple[Feature, ...]:
    return tuple(Feature(f"{name}_{cell}", unit, f"{description} of {cell}") for cell in CELLS)


_GAPS = (
    Feature("gap_PD_LP", "ms", "end of the AB/PD burst to start of the LP burst"),
    Feature("gap_LP_PY", "ms", "end of the LP burst to start of the PY burst"),
)
_PHASE_GAPS = (
    Feature("phase_gap_PD_LP", "1", "gap_PD_LP over the cycle period"),
    Feature("phase_gap_LP_PY", "1", "gap_LP_PY over the cycle period"),
)
_PHASES = (
    Feature("phase_LP", "1", "delay_PD_LP over the cycle period", essential=True),
    Feature("phase_PY", "1", "delay_PD_PY over the cycle period", essential=True),
)
_PERIOD = Feature("cycle_period", "ms", "mean time between starts of AB/PD bursts", essential=True)
_PD_LP = Feature("delay_PD_LP", "ms", "start of the AB/PD burst to start of the LP burst")
_PD_PY = Feature("delay_PD_PY", "ms", "start of the AB/PD burst to start of the PY burst")
_LP_PY = Feature("delay_LP_PY", "ms", "start of the LP burst to start of the PY burst")
_DURATIONS = _each("burst_duration", "ms", "mean burst duration")
_DUTY = _each("duty_cycle", "1", "mean burst duration over the cycle period,")
_PLATEAUS = _each(
    "plateau_duration", "ms", "mean longest time above -30 mV (2.5 ms where below 5 ms)"
)
_OTHERS = (
    *_each("v_mean", "mV", "mean voltage"),
    *_each("v_sd", "mV", "standard deviation of the voltage"),
    *_each("v_skewness", "1", "third central moment / sd^3 of the voltage"),
    *_each("v_kurtosis", "1", "excess kurtosis of the voltage"),
    *_each("spike_count", "1", "spikes"),
    *_each("burst_count", "1", "bursts longer than 40 ms"),
    *_each("energy", "nJ/cm2", "energy of all currents in the whole window"),
    *_each("burst_energy", "nJ/cm2", "mean energy of a burst"),
    *_each("spike_energy", "nJ/cm2", "energy of the bursts over the number of spikes"),
    Feature("pyloric_like", "1", "1 if the rhythm is pyloric-like, else 0"),
)

DEFAULT_SET = "goncalves2020"
_GONCALVES = (
    _PERIOD,
    *_DURATIONS,
    *_GAPS,
    _PD_LP,
    _PD_PY,
    *_DUTY,
    *_PHASE_GAPS,
    *_PHASES,
    *_PLATEAUS,
)
FEATURE_SETS: Mapping[str, tuple[Feature, ...]] = {
    DEFAULT_SET: _GONCALVES,
    "deistler2022": (
        _PERIOD,
        *_DURATIONS,
        *_DUTY,
        *_PHASES,
        _PD_LP,
        _LP_PY,
        *_GAPS,
        *_PHASE_GAPS,
    ),
    "full": (*_GONCALVES, _LP_PY, *_OTHERS),
}
FEATURES: Mapping[str, Feature] = {f.name: f for f in FEATURE_SETS["full"]}


def compute_features(
    names: tuple[str, ...],
    *,
    states: np.ndarray,
    moments: np.ndarray,
    rhythm: np.ndarray,
    samples: int,
    dt: float,
) -> np.ndarray:
    """Features [sim, feature] from what the kernel accumulated over ``samples`` of ``dt`` ms.

    ``states`` [sim, cell, row], ``moments`` [sim, cell, row] and ``rhythm`` [sim, row].
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        values = _timing(states, rhythm, dt) | _voltage(moments, samples) | _energy(states, dt)
    return np.stack([values[name] for name in names], axis=-1)


def _timing(states: np.ndarray, rhythm: np.ndarray, dt: float) -> dict[str, np.ndarray]:
    period = rhythm[:, rh.PERIOD] * dt
    count, spikes = states[:, :, bu.BURSTS], states[:, :, bu.SPIKES]
    duration = states[:, :, bu.DURATION_SUM] * dt / count
    plateau = states[:, :, bu.PLATEAU_SUM] * dt / count
    plateau = np.where(plateau < SINGLE_SPIKE_PLATEAU, NO_PLATEAU, plateau)
    between = {
        "delay_PD_LP": rh.PD_LP,
        "delay_PD_PY": rh.PD_PY,
        "delay_LP_PY": rh.LP_PY,
        "gap_PD_LP": rh.GAP_PD_LP,
        "gap_LP_PY": rh.GAP_LP_PY,
    }
    times = {name: rhythm[:, row] * dt for name, row in between.items()}
    return (
        {"cycle_period": period, "pyloric_like": rhythm[:, rh.PYLORIC_LIKE]}
        | times
        | {
            "phase_gap_PD_LP": times["gap_PD_LP"] / period,
            "phase_gap_LP_PY": times["gap_LP_PY"] / period,
            "phase_LP": times["delay_PD_LP"] / period,
            "phase_PY": times["delay_PD_PY"] / period,
        }
        | _by_cell("burst_duration", duration)
        | _by_cell("duty_cycle", duration / period[:, None])
        | _by_cell("plateau_duration", plateau)
        | _by_cell("spike_count", spikes)
        | _by_cell("burst_count", count)
    )


def _voltage(moments: np.ndarray, samples: int) -> dict[str, np.ndarray]:
    mean, p2, p3, p4 = (moments[:, :, k] / samples for k in range(SUM_1, SUM_4 + 1))
    variance = np.maximum(p2 - mean**2, 0.0)
    central_3 = p3 - 3 * mean * p2 + 2 * mean**3
    central_4 = p4 - 4 * mean * p3 + 6 * mean**2 * p2 - 3 * mean**4
    return (
        _by_cell("v_mean", moments[:, :, ORIGIN] + mean)
        | _by_cell("v_sd", np.sqrt(variance))
        | _by_cell("v_skewness", central_3 / variance**1.5)
        | _by_cell("v_kurtosis", central_4 / variance**2 - 3.0)
    )


def _energy(states: np.ndarray, dt: float) -> dict[str, np.ndarray]:
    whole, of_bursts = (states[:, :, row] * dt * _ENERGY for row in (bu.ENERGY, bu.BURST_ENERGY))
    count, spikes = states[:, :, bu.BURSTS], states[:, :, bu.SPIKES]
    return (
        _by_cell("energy", whole)
        | _by_cell("burst_energy", of_bursts / count)
        | _by_cell("spike_energy", np.where(count > 0, of_bursts, np.nan) / spikes)
    )


def _by_cell(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    return {f"{name}_{cell}": values[:, c] for c, cell in enumerate(CELLS)}
