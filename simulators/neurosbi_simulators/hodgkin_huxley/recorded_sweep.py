"""A recorded sweep cut to what a fit compares: some rest, and the step or the whole waveform."""

__all__ = ["LONGEST_REST", "LONGEST_STEP", "Cut", "current_clamp_steps", "cut_sweep"]

from dataclasses import dataclass

import numpy as np

from neurosbi.contract import COARSEST_DT, SHORTEST_REST, CurrentStep, StepFamily, Stimulus, Sweep
from neurosbi.contract.resample import average_down
from neurosbi.contract.waveform import waveform_window
from neurosbi.errors import BadInputError

FINEST_DT = 0.02  # ms; faster recordings are averaged down to about this
LONGEST_STEP = 1500.0  # ms; longer steps are analysed up to here
LONGEST_REST = 200.0  # ms before a step that are used

_Parts = tuple[np.ndarray, np.ndarray, Stimulus, tuple[str, ...]]


def current_clamp_steps(unit: str, *, amplitude: tuple[float, float]) -> StepFamily:
    """Depolarising steps as current-clamp labs use them, as `cut_sweep` leaves them."""
    return StepFamily(
        unit=unit,
        amplitude=amplitude,
        onset=(20.0, LONGEST_REST + 1),
        duration=(200.0, LONGEST_STEP),
    )


@dataclass(frozen=True, eq=False)
class Cut:
    """``voltage[time]`` in mV every ``dt`` ms, the stimulus in pA, and what was assumed."""

    voltage: np.ndarray
    dt: float
    stimulus: Stimulus
    notes: tuple[str, ...]


def cut_sweep(sweep: Sweep) -> Cut:
    """The part of ``sweep`` that a fit uses, averaged down to about 0.02 ms.

    Raises `BadInputError` where the sweep has no usable stimulus, is sampled too coarsely or has
    undefined samples.
    """
    if sweep.problem:
        raise BadInputError(f"sweep {sweep.number} cannot be fitted: {sweep.problem}")
    if sweep.dt > COARSEST_DT + 1e-9:
        raise BadInputError(
            f"sweep {sweep.number} is sampled every {sweep.dt:g} ms, too coarse for spike "
            f"shapes; at most {COARSEST_DT} ms is needed"
        )
    step = sweep.test_step
    voltage, current, stimulus, notes = _cut_step(sweep, step) if step else _cut_waveform(sweep)
    voltage, _, dt = average_down(voltage, current, dt=sweep.dt, target_dt=FINEST_DT)
    return Cut(voltage, dt, stimulus, notes)


def _cut_step(sweep: Sweep, step: CurrentStep) -> _Parts:
    notes = []
    begin = max(sweep.quiet_from(step), step.onset - LONGEST_REST)
    if step.onset - begin < SHORTEST_REST:
        raise BadInputError(
            f"sweep {sweep.number} has only {step.onset - begin:.0f} ms of recording before its "
            f"step; {SHORTEST_REST:.0f} ms are needed to measure the resting potential"
        )
    if step.holding:
        notes.append(f"the holding current of {step.holding:.3g} pA is part of the stimulus")
    end = min(step.offset, step.onset + LONGEST_STEP)
    if end < step.offset:
        notes.append(f"only the first {LONGEST_STEP:.0f} ms of the {step.duration:.0f} ms step")
    first, last = round(begin / sweep.dt), round(end / sweep.dt)
    voltage = np.asarray(sweep.voltage[first:last], dtype=np.float64)
    _check_voltage(sweep.number, voltage)
    onset = step.onset - first * sweep.dt
    duration = (last - first) * sweep.dt - onset
    stimulus = Stimulus.step(
        amplitude=step.amplitude, onset=onset, duration=duration, holding=step.holding
    )
    return voltage, sweep.current[first:last], stimulus, tuple(notes)


def _cut_waveform(sweep: Sweep) -> _Parts:
    first = sweep.usable_from
    voltage = np.asarray(sweep.voltage[first:], dtype=np.float64)
    _check_voltage(sweep.number, voltage)
    current = np.asarray(sweep.current[first:], dtype=np.float64)
    onset, offset = waveform_window(current, dt=sweep.dt)
    stimulus = Stimulus.waveform(current, dt=sweep.dt, onset=onset, offset=offset)
    if stimulus.onset < SHORTEST_REST:
        raise BadInputError(
            f"sweep {sweep.number} has no step, and its current flows from the start; "
            f"{SHORTEST_REST:.0f} ms of constant current before it are needed"
        )
    return voltage, current, stimulus, ("the recorded current waveform itself is the stimulus",)


def _check_voltage(number: int, voltage: np.ndarray) -> None:
    bad = np.flatnonzero(~np.isfinite(voltage))
    if len(bad):
        raise BadInputError(
            f"sweep {number} has {len(bad)} voltage samples that are not numbers within its "
            "stimulus; choose another sweep with --sweeps"
        )
