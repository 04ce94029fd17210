"""From what a reader found in a file to a `Recording`: steps, spikes, padding, and what is wrong.

Every reader ends here, so a sweep means the same whatever the format: voltage in mV, current in
pA, one verdict in words.
"""

__all__ = ["SPIKE_LEVEL", "RawSweep", "assemble", "count_spikes"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from neurosbi.contract import COARSEST_DT, SHORTEST_REST, CurrentStep, Recording, Sweep
from neurosbi.contract.waveform import FLAT_CURRENT, block_means, waveform_window
from neurosbi.errors import BadInputError
from neurosbi.recordings.steps import choose_test_steps, find_steps

SPIKE_LEVEL = -10.0  # mV: an upward crossing is a spike
MOST_VOLTAGE = 500.0  # mV: no membrane has more
MOST_CURRENT = 1e4  # pA = 10 nA: no patch electrode passes more
PADDING = 10.0  # ms of exactly constant voltage that are not a recording
FLAT_VOLTAGE = 0.05  # mV


@dataclass(frozen=True, eq=False)
class RawSweep:
    """A sweep as read: ``voltage`` in mV and ``current`` in pA (None if not stored), [time].

    ``rate`` is in Hz. For a voltage-clamp sweep ``voltage`` is the command (None if not stored)
    and ``current`` the response. ``missing`` says in words why the current or command is absent.
    """

    number: int
    voltage: np.ndarray | None
    current: np.ndarray | None
    rate: float
    clamp: Literal["current", "voltage"] = "current"
    stimulus_name: str = ""
    missing: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    unreadable: str = ""

    @classmethod
    def unread(cls, number: int, why: str, **known: Any) -> "RawSweep":
        """A sweep without samples; ``why`` says in words what is wrong with it."""
        return cls(number, None, None, 1e3 / COARSEST_DT, unreadable=why, **known)


def assemble(
    path: Path,
    raw: Sequence[RawSweep],
    *,
    format: str,
    junction_potential: float,
    metadata: Mapping[str, Any],
) -> Recording:
    """Build the `Recording`, with ``junction_potential`` (mV) added to every voltage.

    Raises `BadInputError` when there is no sweep that can be read, when a rate is not positive,
    or when no sweep of the file has plausible units.
    """
    if not raw:
        raise BadInputError(
            f"{path} holds no patch-clamp sweeps; neurosbi needs intracellular voltage with the "
            "injected current"
        )
    clean = [_trim_end(sweep, path) for sweep in sorted(raw, key=lambda s: s.number)]
    implausible = [sweep.unreadable or _implausible_units(sweep) for sweep in clean]
    if all(implausible):
        raise BadInputError(f"{path}: {implausible[0]}")
    steps = [
        find_steps(s.current, dt=1e3 / s.rate)
        if s.clamp == "current" and s.current is not None
        else ()
        for s in clean
    ]
    sweeps = tuple(
        _sweep(*args, junction_potential)
        for args in zip(clean, steps, choose_test_steps(steps), implausible, strict=True)
    )
    return Recording(
        path=path,
        format=format,
        sweeps=sweeps,
        junction_potential=float(junction_potential),
        metadata=dict(metadata),
    )


def count_spikes(voltage: np.ndarray) -> int:
    """Upward crossings of -10 mV in ``voltage`` (mV, [time])."""
    above = voltage >= SPIKE_LEVEL
    return int(np.count_nonzero(~above[:-1] & above[1:]))


def _trim_end(raw: RawSweep, path: Path) -> RawSweep:
    """Cut what was never recorded: a tail of NaN, or of exact zeros in the voltage."""
    if not raw.rate > 0:
        raise BadInputError(
            f"{path}, sweep {raw.number}: the sampling rate is {raw.rate:g} Hz, it must be positive"
        )
    shape = next((a.shape for a in (raw.voltage, raw.current) if a is not None), (0,))
    voltage = np.zeros(shape) if raw.voltage is None else np.asarray(raw.voltage, np.float64)
    current = np.zeros(shape) if raw.current is None else np.asarray(raw.current, np.float64)
    n = min(len(voltage), len(current))
    if raw.clamp == "current" and n:
        real = np.flatnonzero(~(np.isnan(voltage[:n]) | (voltage[:n] == 0)))
        end = int(real[-1]) + 1 if len(real) else n
        if (n - end) * 1e3 / raw.rate > PADDING:
            n = end
    metadata = dict(raw.metadata)
    missing = raw.missing
    if raw.current is None and not missing:
        missing = "no stimulus current is stored with it"
    if n < len(voltage):
        metadata["unrecorded_end_ms"] = (len(voltage) - n) * 1e3 / raw.rate
    return RawSweep(
        number=raw.number,
        voltage=np.ascontiguousarray(voltage[:n]),
        current=np.ascontiguousarray(current[:n]),
        rate=float(raw.rate),
        clamp=raw.clamp,
        stimulus_name=raw.stimulus_name,
        missing=missing,
        metadata=metadata,
        unreadable=raw.unreadable,
    )


def _implausible_units(raw: RawSweep) -> str:
    """A sentence if the numbers cannot be mV and pA, else ""."""
    assert raw.voltage is not None
    assert raw.current is not None
    if raw.clamp == "voltage" or not len(raw.voltage):
        return ""
    size = float(np.nanpercentile(np.abs(raw.voltage), 99)) if _any_finite(raw.voltage) else 0.0
    if size > MOST_VOLTAGE:
        guess = "mV stored as V" if size < 1e3 * MOST_VOLTAGE else "of another unit"
        return (
            f"the voltage of sweep {raw.number} reaches {size / 1e3:.3g} V, far beyond any "
            f"membrane potential (0.5 V); the data look like {guess}, so correct the conversion "
            "or unit in the file"
        )
    size = float(np.nanmax(np.abs(raw.current))) if _any_finite(raw.current) else 0.0
    if size > MOST_CURRENT:
        return (
            f"the current of sweep {raw.number} reaches {size * 1e-12:.3g} A, far beyond what a "
            "patch electrode passes (10 nA); the data look like pA stored as A or similar, so "
            "correct the conversion or unit in the file"
        )
    return ""


def _any_finite(values: np.ndarray) -> bool:
    return bool(np.any(np.isfinite(values)))


def _sweep(
    raw: RawSweep,
    steps: tuple[CurrentStep, ...],
    test_step: CurrentStep | None,
    implausible: str,
    junction_potential: float,
) -> Sweep:
    assert raw.voltage is not None
    assert raw.current is not None
    dt = 1e3 / raw.rate
    first = _first_real(raw.voltage, steps, dt) if raw.clamp == "current" else 0
    spikes = 0
    if raw.clamp == "current":
        window = slice(first, None)
        if test_step is not None:
            window = slice(round(test_step.onset / dt), round(test_step.offset / dt))
        spikes = count_spikes(raw.voltage[window] + junction_potential)
    sweep = Sweep(
        number=raw.number,
        voltage=raw.voltage + junction_potential,
        current=raw.current,
        dt=dt,
        clamp=raw.clamp,
        stimulus_name=raw.stimulus_name,
        steps=steps,
        test_step=test_step,
        usable_from=first,
        spikes=spikes,
        metadata=raw.metadata,
    )
    return replace(sweep, problem=_problem(raw, implausible, first) or _too_little(sweep))


def _first_real(voltage: np.ndarray, steps: tuple[CurrentStep, ...], dt: float) -> int:
    """Index of the first sample after a leading run of exactly constant voltage.

    A run that ends where the current steps is a noise-free (simulated) trace, not padding.
    """
    moved = np.flatnonzero(voltage != voltage[0]) if len(voltage) else np.empty(0)
    if not len(moved) or moved[0] * dt <= PADDING:
        return 0
    first = int(moved[0])
    at_step = any(-1.0 <= first * dt - step.onset <= 1.0 for step in steps)
    return 0 if at_step else first


def _problem(raw: RawSweep, implausible: str, first: int) -> str | None:
    voltage, current, dt = raw.voltage, raw.current, 1e3 / raw.rate
    assert voltage is not None
    assert current is not None
    if raw.unreadable:
        return raw.unreadable
    if raw.clamp == "voltage":
        return "voltage clamp: a fit needs current clamp (injected current, measured voltage)"
    if len(voltage) * dt < PADDING:
        return f"only {len(voltage) * dt:.3g} ms long"
    if implausible:
        return implausible
    for name, values in (("voltage", voltage), ("current", current)):
        bad = np.flatnonzero(~np.isfinite(values[first:])) + first
        if len(bad) and not (name == "current" and raw.missing):
            return f"the {name} has {len(bad)} undefined samples (NaN), the first at {bad[0] * dt:.4g} ms"
    if np.ptp(voltage[first:]) < FLAT_VOLTAGE:
        return "the voltage is flat: no cell, or only padding"
    if np.max(np.abs(voltage[first:])) < 1.0:
        return "the voltage stays within 1 mV of zero: no cell, or a wrong unit in the file"
    if raw.missing:
        return raw.missing
    if _is_constant(current[first:], dt):
        return "no stimulus: the current is flat"
    return None


def _too_little(sweep: Sweep) -> str | None:
    """What no spike shape or resting potential can be measured in."""
    if sweep.dt > COARSEST_DT + 1e-9:
        return (
            f"it is sampled every {sweep.dt:g} ms, too coarse for spike shapes; at most "
            f"{COARSEST_DT} ms is needed"
        )
    step = sweep.test_step
    if step is not None and (rest := step.onset - sweep.quiet_from(step)) < SHORTEST_REST:
        return (
            f"it has only {rest:.0f} ms of recording before its step; {SHORTEST_REST:.0f} ms are "
            "needed to measure the resting potential"
        )
    if not sweep.steps:
        onset, _ = waveform_window(sweep.current[sweep.usable_from :], dt=sweep.dt)
        if onset < SHORTEST_REST:
            return (
                f"its current, which is no step, flows from the start; {SHORTEST_REST:.0f} ms of "
                "constant current before it are needed to measure the resting potential"
            )
    return None


def _is_constant(current: np.ndarray, dt: float) -> bool:
    means = block_means(current, dt=dt)
    return len(means) == 0 or float(np.ptp(means)) < FLAT_CURRENT
