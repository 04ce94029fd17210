"""What was done to the preparation: one current (`Stimulus`) and a family of them.

A network is trained over a family, for example all current steps in stated ranges; the family's
parameters are part of the network's input, so one network serves every step protocol of a lab.
"""

__all__ = ["FixedStimulus", "StepFamily", "Stimulus", "StimulusBatch", "StimulusFamily"]

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neurosbi.contract.tables import Parameter, sample_box
from neurosbi.errors import BadInputError

CURRENT_UNITS = ("pA", "uA/cm2")
HOLDING_TOLERANCE = (
    0.05  # of the step: less shifts the rest by less than a spike's threshold varies
)
_NOISE_SDS = 6.0  # how far beyond its noise a current must go to count as moved


@dataclass(frozen=True, eq=False)
class Stimulus:
    """A current injected into a cell, on top of a constant holding current.

    Build it with `Stimulus.step` or `Stimulus.waveform`. Times are in ms from the start of the
    trace; ``unit`` is "pA" (absolute) or "uA/cm2" (per membrane area). ``[onset, offset)`` is the
    window in which features count as "during the stimulus".
    """

    unit: str
    onset: float
    offset: float
    total: float
    amplitude: float = float("nan")
    holding: float = 0.0
    current: np.ndarray | None = None
    dt: float | None = None

    def __post_init__(self) -> None:
        if self.unit not in CURRENT_UNITS:
            raise BadInputError(
                f"stimulus unit {self.unit!r} is unknown: use one of {', '.join(CURRENT_UNITS)}"
            )
        if not 0 <= self.onset < self.offset <= self.total:
            raise BadInputError(
                f"a stimulus needs 0 <= onset < offset <= total, got onset {self.onset}, "
                f"offset {self.offset}, total {self.total} ms"
            )
        if self.current is not None:
            current = np.ascontiguousarray(self.current, dtype=np.float64)
            if current.ndim != 1 or not np.all(np.isfinite(current)):
                raise BadInputError("a stimulus waveform is one row of finite currents")
            if self.dt is None or not self.dt > 0:
                raise BadInputError("a stimulus waveform needs its sampling step dt > 0 in ms")
            object.__setattr__(self, "current", current)
        elif not np.isfinite(self.amplitude):
            raise BadInputError("a step stimulus needs a finite amplitude")

    @classmethod
    def step(
        cls,
        *,
        amplitude: float,
        onset: float,
        duration: float,
        total: float | None = None,
        holding: float = 0.0,
        unit: str = "pA",
    ) -> "Stimulus":
        """A square step of ``amplitude`` above ``holding``, from ``onset`` for ``duration`` ms."""
        offset = onset + duration
        return cls(
            unit=unit,
            onset=float(onset),
            offset=float(offset),
            total=float(offset if total is None else total),
            amplitude=float(amplitude),
            holding=float(holding),
        )

    @classmethod
    def waveform(
        cls,
        current: np.ndarray,
        *,
        dt: float,
        unit: str = "pA",
        onset: float | None = None,
        offset: float | None = None,
    ) -> "Stimulus":
        """Any current sampled every ``dt`` ms; the window defaults to where it departs from its start."""
        current = np.asarray(current, dtype=np.float64)
        if current.ndim != 1 or not len(current):
            raise BadInputError(
                f"a stimulus waveform is one row of currents, got an array of shape {current.shape}"
            )
        moved = np.flatnonzero(current != current[0])
        first, last = (moved[0], moved[-1] + 1) if len(moved) else (0, len(current))
        return cls(
            unit=unit,
            onset=float(first * dt if onset is None else onset),
            offset=float(last * dt if offset is None else offset),
            total=len(current) * float(dt),
            current=current,
            dt=float(dt),
        )

    @property
    def is_step(self) -> bool:
        """True for a square step, False for a waveform."""
        return self.current is None

    @property
    def duration(self) -> float:
        """Length of the stimulus window in ms."""
        return self.offset - self.onset

    def sampled(self, dt: float) -> np.ndarray:
        """The whole current at every step of ``dt`` ms, held constant over each step [time]."""
        n = round(self.total / dt)
        if self.current is not None and self.dt is not None:
            index = np.floor((np.arange(n) + 0.5) * dt / self.dt).astype(np.int64)
            return self.current[np.minimum(index, len(self.current) - 1)] + self.holding
        current = np.full(n, self.holding)
        current[round(self.onset / dt) : round(self.offset / dt)] += self.amplitude
        return current

    def scaled(self, factor: float, unit: str) -> "Stimulus":
        """The same current times ``factor``, expressed in another unit."""
        return replace(
            self,
            unit=unit,
            amplitude=self.amplitude * factor,
            holding=self.holding * factor,
            current=None if self.current is None else self.current * factor,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a manifest; `from_dict` gives the stimulus back."""
        values = {
            "unit": self.unit,
            "onset": self.onset,
            "offset": self.offset,
            "total": self.total,
            "holding": self.holding,
        }
        if self.current is None:
            return values | {"amplitude": self.amplitude}
        return values | {"current": self.current.tolist(), "dt": self.dt}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Stimulus":
        """Inverse of `to_dict`."""
        return cls(**values)


@dataclass(frozen=True)
class StepFamily:
    """All square steps with amplitude (log-uniform), onset and duration (uniform) in ranges.

    ``holding`` is common to the family. Ranges are (low, high); times in ms.
    """

    unit: str
    amplitude: tuple[float, float]
    onset: tuple[float, float]
    duration: tuple[float, float]
    holding: float = 0.0

    def __post_init__(self) -> None:
        if self.unit not in CURRENT_UNITS:
            raise BadInputError(
                f"stimulus unit {self.unit!r} is unknown: use one of {', '.join(CURRENT_UNITS)}"
            )
        _, onset, duration = self.parameters  # checks the ranges
        if onset.low < 0 or duration.low <= 0:
            raise BadInputError(
                f"a family of steps needs onsets >= 0 and durations > 0 ms, got onsets from "
                f"{onset.low:g} and durations from {duration.low:g}"
            )

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The conditioning columns, with their ranges: amplitude, onset, duration."""
        return (
            Parameter("amplitude", self.unit, *self.amplitude, scale="log"),
            Parameter("onset", "ms", *self.onset),
            Parameter("duration", "ms", *self.duration),
        )

    def sample(self, n: int, *, seed: int, start: int = 0) -> "StimulusBatch":
        """Protocols ``start .. start+n`` of the family."""
        values = sample_box(self.parameters, n, seed=seed, purpose="stimulus", start=start)
        return StimulusBatch(self, values)

    def vector(self, stimulus: Stimulus) -> np.ndarray:
        """The conditioning columns of one stimulus, float64 [3]."""
        return np.array([stimulus.amplitude, stimulus.onset, stimulus.duration])

    def stimulus(self, values: np.ndarray) -> Stimulus:
        """The stimulus that one row of conditioning columns stands for."""
        amplitude, onset, duration = (float(v) for v in values)
        return Stimulus.step(
            amplitude=amplitude,
            onset=onset,
            duration=duration,
            holding=self.holding,
            unit=self.unit,
        )

    def why_not(self, stimulus: Stimulus) -> str | None:
        """None if the stimulus belongs to the family, else the reason in words."""
        if not stimulus.is_step:
            return "it is a waveform, not a step"
        if stimulus.unit != self.unit:
            return f"its unit is {stimulus.unit}, not {self.unit}"
        if abs(stimulus.holding - self.holding) > HOLDING_TOLERANCE * abs(stimulus.amplitude):
            return f"its holding current is {stimulus.holding:g} {self.unit}"
        for parameter, value in zip(self.parameters, self.vector(stimulus), strict=True):
            slack = 1e-6 * (parameter.high - parameter.low)
            if not parameter.low - slack <= value <= parameter.high + slack:
                return (
                    f"its {parameter.name} of {value:.4g} {parameter.unit} lies outside "
                    f"{parameter.low:g} to {parameter.high:g}"
                )
        return None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a manifest."""
        return {
            "kind": "steps",
            "unit": self.unit,
            "amplitude": list(self.amplitude),
            "onset": list(self.onset),
            "duration": list(self.duration),
            "holding": self.holding,
        }


@dataclass(frozen=True, eq=False)
class FixedStimulus:
    """A family of one: every simulation gets the same stimulus, nothing is conditioned on."""

    only: Stimulus

    @property
    def unit(self) -> str:
        """The unit of the current."""
        return self.only.unit

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """No conditioning columns."""
        return ()

    def sample(self, n: int, *, seed: int, start: int = 0) -> "StimulusBatch":
        """The same protocol ``n`` times."""
        return StimulusBatch(self, np.empty((n, 0)))

    def vector(self, stimulus: Stimulus) -> np.ndarray:
        """No conditioning columns, float64 [0]."""
        return np.empty(0)

    def stimulus(self, values: np.ndarray) -> Stimulus:
        """The one stimulus."""
        return self.only

    def why_not(self, stimulus: Stimulus) -> str | None:
        """None if the stimulus is the one of this family, else the reason in words."""
        return None if stimulus.to_dict() == self.only.to_dict() else "it is another stimulus"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a manifest."""
        return {"kind": "fixed", "stimulus": self.only.to_dict()}


StimulusFamily = StepFamily | FixedStimulus


def family_from_dict(values: Mapping[str, Any]) -> StimulusFamily:
    """Inverse of ``family.to_dict()``."""
    if values["kind"] == "fixed":
        return FixedStimulus(Stimulus.from_dict(values["stimulus"]))
    ranges = {k: tuple(values[k]) for k in ("amplitude", "onset", "duration")}
    return StepFamily(unit=values["unit"], holding=values["holding"], **ranges)


@dataclass(frozen=True, eq=False)
class StimulusBatch:
    """One stimulus per simulation: ``values[sim, stimulus]`` in the columns of ``family``."""

    family: StimulusFamily
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> "StimulusBatch":
        return StimulusBatch(self.family, self.values[index])
