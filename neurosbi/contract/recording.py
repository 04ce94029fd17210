"""A recording as data: sweeps of voltage and current, whatever file they came from."""

__all__ = ["COARSEST_DT", "SHORTEST_REST", "CurrentStep", "Recording", "Sweep"]

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from neurosbi.errors import BadInputError

COARSEST_DT = 0.1  # ms; a spike sampled more coarsely has no usable shape
SHORTEST_REST = 20.0  # ms before a step, without which there is no resting potential


@dataclass(frozen=True)
class CurrentStep:
    """A square step found in the current trace; ``amplitude`` is relative to ``holding`` (pA)."""

    onset: float
    offset: float
    amplitude: float
    holding: float = 0.0

    @property
    def duration(self) -> float:
        """Length of the step in ms."""
        return self.offset - self.onset


@dataclass(frozen=True, eq=False)
class Sweep:
    """One sweep: ``voltage`` in mV and ``current`` in pA, both [time], every ``dt`` ms.

    ``steps`` are all steps found in the current, ``test_step`` is the one a fit uses (None when
    there is none). ``usable_from`` is the first real sample: what lies before is padding.
    ``spikes`` counts upward crossings of -10 mV within the test step (or the whole sweep).
    ``problem`` says in words why the sweep cannot be fitted, None if it can.
    """

    number: int
    voltage: np.ndarray
    current: np.ndarray
    dt: float
    clamp: Literal["current", "voltage"] = "current"
    stimulus_name: str = ""
    steps: tuple[CurrentStep, ...] = ()
    test_step: CurrentStep | None = None
    usable_from: int = 0
    spikes: int = 0
    problem: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        what = self.problem or f"{self.spikes} spikes"
        if self.test_step is not None:
            what = f"step of {self.test_step.amplitude:g} pA, {what}"
        return (
            f"Sweep({self.number}: {self.clamp} clamp, {self.duration:g} ms every {self.dt:g} ms, "
            f"mV and pA; {what})"
        )

    @property
    def duration(self) -> float:
        """Length of the sweep in ms."""
        return len(self.voltage) * self.dt

    def quiet_from(self, step: CurrentStep) -> float:
        """Time (ms) from which the membrane rests before ``step``.

        After padding, and after half of the pause since an earlier pulse.
        """
        earlier = [s.offset for s in self.steps if s.offset <= step.onset + 1e-9]
        settled = max((o + 0.5 * (step.onset - o) for o in earlier), default=0.0)
        return max(settled, self.usable_from * self.dt)

    @property
    def time(self) -> np.ndarray:
        """Sample times in ms [time]."""
        return np.arange(len(self.voltage)) * self.dt


@dataclass(frozen=True, eq=False)
class Recording:
    """A file's sweeps. ``junction_potential`` (mV) has been added to every voltage."""

    path: Path
    format: str
    sweeps: tuple[Sweep, ...]
    junction_potential: float = 0.0
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        lengths = [sweep.duration for sweep in self.sweeps]
        shortest, longest = min(lengths, default=0.0), max(lengths, default=0.0)
        span = f"{shortest:g}" if shortest == longest else f"{shortest:g} to {longest:g}"
        return (
            f"Recording({self.path.name}: {self.format}, {len(self.sweeps)} sweeps of {span} ms, "
            "mV and pA)"
        )

    @property
    def name(self) -> str:
        """A short name for folders and titles."""
        return str(self.metadata.get("name") or self.path.stem)

    def sweep(self, number: int) -> Sweep:
        """The sweep with this number.

        Raises `BadInputError` that lists the numbers which exist.
        """
        for sweep in self.sweeps:
            if sweep.number == number:
                return sweep
        numbers = ", ".join(str(s.number) for s in self.sweeps)
        raise BadInputError(f"{self.path.name} has no sweep {number}; it has {numbers}")
