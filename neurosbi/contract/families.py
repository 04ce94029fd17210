"""Families of stimuli: what a network is trained over, so that one serves many protocols.

The parameters of a family are part of a network's input. `SweepSets` is the family of whole step
protocols: several sweeps of one cell, which a network sees together.
"""

__all__ = [
    "FixedStimulus",
    "SpontaneousFamily",
    "StepFamily",
    "StimulusBatch",
    "StimulusFamily",
    "SweepSets",
    "family_from_dict",
]

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from neurosbi.contract.stimulus import CURRENT_UNITS, NO_CURRENT, Stimulus
from neurosbi.contract.tables import Parameter, sample_box
from neurosbi.errors import BadInputError
from neurosbi.seeds import uniform_rows

HOLDING_TOLERANCE = (
    0.05  # of the step: less shifts the rest by less than a spike's threshold varies
)


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
            return f"it is {'spontaneous activity' if stimulus.is_spontaneous else 'a waveform'}, not a step"
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


@dataclass(frozen=True)
class SweepSets:
    """Sets of current steps given to one cell: what a lab's step protocol is.

    Row ``i`` of the simulations is one sweep; consecutive rows with the same parameters are one
    set. ``sizes`` is the pattern of their sizes, repeated for ever, so the set of a row follows
    from its number alone. Every sweep has a step of its own, drawn from ``steps``; a share
    ``hyperpolarising`` of them is negative, with magnitudes up to ``negative_part`` of the largest
    positive one.
    """

    steps: StepFamily
    sizes: tuple[int, ...] = (1, 2, 3, 5, 8, 12, 20)
    hyperpolarising: float = 0.2
    negative_part: float = 0.3

    def __post_init__(self) -> None:
        if not self.sizes or min(self.sizes) < 1:
            raise BadInputError(f"sets of sweeps hold at least 1 sweep each, got {self.sizes}")
        if not 0 <= self.hyperpolarising < 1 or not 0 < self.negative_part <= 1:
            raise BadInputError(
                f"hyperpolarising is a share from 0 to below 1 and negative_part one above 0, got "
                f"{self.hyperpolarising} and {self.negative_part}"
            )
        low, high = self.steps.amplitude
        if self.hyperpolarising > 0 and self.negative_part * high < low:
            raise BadInputError(
                f"negative steps would be of {low:g} to {self.negative_part * high:g} {self.unit}; "
                "raise negative_part or set hyperpolarising to 0"
            )

    @property
    def unit(self) -> str:
        """The unit of the current."""
        return self.steps.unit

    @property
    def most(self) -> int:
        """The largest number of sweeps in a set."""
        return max(self.sizes)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The conditioning columns of a sweep: magnitude, onset, duration and sign of the step."""
        return (*self.steps.parameters, Parameter("polarity", "1", -1.0, 1.0))

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum(self.sizes)

    def set_of(self, rows: np.ndarray) -> np.ndarray:
        """Number of the set that each of ``rows`` belongs to, int64 [row]."""
        period, within = np.divmod(np.asarray(rows, dtype=np.int64), self._ends[-1])
        return period * len(self.sizes) + np.searchsorted(self._ends, within, side="right")

    def first_row(self, sets: np.ndarray) -> np.ndarray:
        """The first row of each of ``sets``, int64 [set]."""
        period, within = np.divmod(np.asarray(sets, dtype=np.int64), len(self.sizes))
        return period * self._ends[-1] + np.concatenate([[0], self._ends])[within]

    def sample(self, n: int, *, seed: int, start: int = 0) -> "StimulusBatch":
        """The sweeps ``start .. start+n``."""
        values = self.steps.sample(n, seed=seed, start=start).values
        draws = uniform_rows(n, 2, seed=seed, purpose="polarity", start=start)
        negative = draws[:, 0] < self.hyperpolarising
        low, high = self.steps.amplitude
        smaller = low * (self.negative_part * high / low) ** draws[:, 1]
        magnitude = np.where(negative, smaller, values[:, 0])
        polarity = np.where(negative, -1.0, 1.0)
        return StimulusBatch(self, np.column_stack([magnitude, values[:, 1:], polarity]))

    def vector(self, stimulus: Stimulus) -> np.ndarray:
        """The conditioning columns of one sweep, float64 [4]."""
        polarity = -1.0 if stimulus.amplitude < 0 else 1.0
        return np.array(
            [abs(stimulus.amplitude), stimulus.onset, stimulus.duration, polarity],
            dtype=np.float64,
        )

    def stimulus(self, values: np.ndarray) -> Stimulus:
        """The step that one row of conditioning columns stands for."""
        magnitude, onset, duration, polarity = (float(v) for v in values)
        return self.steps.stimulus(np.array([polarity * magnitude, onset, duration]))

    def why_not(self, stimulus: Stimulus) -> str | None:
        """None if the sweep may be in a set, else the reason in words."""
        if stimulus.is_step and stimulus.amplitude < 0:
            low, high = self.steps.amplitude
            if not low <= -stimulus.amplitude <= self.negative_part * high:
                return (
                    f"its amplitude of {stimulus.amplitude:.4g} {self.unit} lies outside "
                    f"{-self.negative_part * high:g} to {-low:g}"
                )
            stimulus = replace(stimulus, amplitude=-stimulus.amplitude)
        return self.steps.why_not(stimulus)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a manifest."""
        return {
            "kind": "sweep sets",
            "steps": self.steps.to_dict(),
            "sizes": list(self.sizes),
            "hyperpolarising": self.hyperpolarising,
            "negative_part": self.negative_part,
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
        if stimulus.to_dict() == self.only.to_dict():
            return None
        if stimulus.unit == NO_CURRENT == self.only.unit and stimulus.total != self.only.total:
            return f"they last {stimulus.total:g} ms, not {self.only.total:g} ms"
        return "it is another stimulus"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a manifest."""
        return {"kind": "fixed", "stimulus": self.only.to_dict()}


@dataclass(frozen=True)
class SpontaneousFamily:
    """Spontaneous activity at any temperature (uniform) between two, in degC.

    Every simulation lasts ``total`` ms, the first ``onset`` of which are burn-in.
    """

    total: float
    onset: float
    temperature: tuple[float, float]

    def __post_init__(self) -> None:
        _ = self.parameters, self.stimulus(np.array(self.temperature[:1]))  # check the ranges

    @property
    def unit(self) -> str:
        """No current is injected."""
        return NO_CURRENT

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The conditioning column: temperature."""
        return (Parameter("temperature", "degC", *self.temperature),)

    def sample(self, n: int, *, seed: int, start: int = 0) -> "StimulusBatch":
        """Temperatures ``start .. start+n`` of the family."""
        values = sample_box(self.parameters, n, seed=seed, purpose="stimulus", start=start)
        return StimulusBatch(self, values)

    def vector(self, stimulus: Stimulus) -> np.ndarray:
        """The temperature of one stimulus, float64 [1]; NaN where it has none."""
        value = stimulus.temperature
        return np.array([np.nan if value is None else value])

    def stimulus(self, values: np.ndarray) -> Stimulus:
        """Spontaneous activity at the temperature of one row of conditioning columns."""
        return Stimulus.spontaneous(
            total=self.total, onset=self.onset, temperature=float(values[0])
        )

    def why_not(self, stimulus: Stimulus) -> str | None:
        """None if the stimulus belongs to the family, else the reason in words."""
        if not stimulus.is_spontaneous:
            return "a current is injected"
        if stimulus.temperature is None:
            return "its temperature is not known"
        if (stimulus.total, stimulus.onset) != (self.total, self.onset):
            return (
                f"it lasts {stimulus.total:g} ms with {stimulus.onset:g} ms of burn-in, not "
                f"{self.total:g} and {self.onset:g} ms"
            )
        low, high = self.temperature
        if not low <= stimulus.temperature <= high:
            return (
                f"its temperature of {stimulus.temperature:g} degC lies outside {low:g} to {high:g}"
            )
        return None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a manifest."""
        return {
            "kind": "spontaneous",
            "total": self.total,
            "onset": self.onset,
            "temperature": list(self.temperature),
        }


StimulusFamily = StepFamily | FixedStimulus | SweepSets | SpontaneousFamily


def family_from_dict(values: Mapping[str, Any]) -> StimulusFamily:
    """Inverse of ``family.to_dict()``."""
    if values["kind"] == "fixed":
        return FixedStimulus(Stimulus.from_dict(values["stimulus"]))
    if values["kind"] == "spontaneous":
        return SpontaneousFamily(
            values["total"], values["onset"], temperature=tuple(values["temperature"])
        )
    if values["kind"] == "sweep sets":
        return SweepSets(
            family_from_dict(values["steps"]),  # type: ignore[arg-type]
            sizes=tuple(values["sizes"]),
            hyperpolarising=values["hyperpolarising"],
            negative_part=values["negative_part"],
        )
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
