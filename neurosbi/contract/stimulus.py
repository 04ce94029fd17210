"""What was done to the preparation: a current step, any waveform, or nothing."""

__all__ = ["CURRENT_UNITS", "Stimulus"]

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neurosbi.errors import BadInputError

CURRENT_UNITS = ("pA", "uA/cm2")
NO_CURRENT = ""  # the unit where nothing is injected


@dataclass(frozen=True, eq=False)
class Stimulus:
    """A current injected into a cell, on top of a constant holding current, or spontaneous activity.

    Build it with `Stimulus.step`, `Stimulus.waveform` or `Stimulus.spontaneous`. Times are in ms
    from the start of the trace; ``unit`` is "pA" (absolute), "uA/cm2" (per membrane area) or ""
    where nothing is injected. ``[onset, offset)`` is the window in which features count as "during
    the stimulus". ``temperature`` of the preparation in degC, None where the model's own holds.
    """

    unit: str
    onset: float
    offset: float
    total: float
    amplitude: float = float("nan")
    holding: float = 0.0
    current: np.ndarray | None = None
    dt: float | None = None
    temperature: float | None = None

    def __post_init__(self) -> None:
        if self.unit not in (*CURRENT_UNITS, NO_CURRENT):
            raise BadInputError(
                f"stimulus unit {self.unit!r} is unknown: use one of {', '.join(CURRENT_UNITS)}"
            )
        if not 0 <= self.onset < self.offset <= self.total:
            raise BadInputError(
                f"a stimulus needs 0 <= onset < offset <= total, got onset {self.onset}, "
                f"offset {self.offset}, total {self.total} ms"
            )
        if not np.isfinite(self.holding):
            raise BadInputError("a stimulus needs a finite holding current")
        if self.temperature is not None and not np.isfinite(self.temperature):
            raise BadInputError("the temperature of a preparation is a finite number in degC")
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
        if unit == NO_CURRENT:
            raise BadInputError("a step of current needs a unit: pA or uA/cm2")
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

    @classmethod
    def spontaneous(
        cls, *, total: float, onset: float = 0.0, temperature: float | None = None
    ) -> "Stimulus":
        """Nothing is injected; features count from ``onset`` (after the burn-in) to ``total`` ms."""
        if not 0 <= onset < total:
            raise BadInputError(
                f"spontaneous activity of {total:g} ms has nothing left after a burn-in of "
                f"{onset:g} ms; make it longer than the burn-in"
            )
        return cls(
            unit=NO_CURRENT,
            onset=float(onset),
            offset=float(total),
            total=float(total),
            amplitude=0.0,
            temperature=None if temperature is None else float(temperature),
        )

    @property
    def is_step(self) -> bool:
        """True for a square step, False for a waveform and for spontaneous activity."""
        return self.current is None and not self.is_spontaneous

    @property
    def is_spontaneous(self) -> bool:
        """True where nothing is injected."""
        return self.unit == NO_CURRENT

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
        if self.temperature is not None:
            values["temperature"] = self.temperature
        if self.current is None:
            return values | {"amplitude": self.amplitude}
        return values | {"current": self.current.tolist(), "dt": self.dt}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Stimulus":
        """Inverse of `to_dict`."""
        return cls(**values)
