"""Spike times of several units, as recorded or simulated."""

__all__ = ["ONE_POPULATION", "SpikeTrains"]

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neurosbi.errors import BadInputError

ONE_POPULATION = "all"
"""The population of units that are not said to belong to one."""
_LONGEST_SILENCE = 0.05  # of a recording; see `SpikeTrains.reaches`


@dataclass(frozen=True, eq=False)
class SpikeTrains:
    """The spikes of units in the window from ``start`` to ``stop`` (ms).

    ``times[unit]`` are sorted float64 arrays in ms, ``units`` the names of the units and
    ``populations`` the name of the population that each belongs to. ``stop_known`` is False where
    the source does not say when the recording ended, so that ``stop`` is right after the last
    spike.

    Raises `BadInputError` for times that are not finite, not sorted or outside the window.
    """

    path: Path
    times: tuple[np.ndarray, ...]
    units: tuple[str, ...]
    populations: tuple[str, ...]
    start: float
    stop: float
    format: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    stop_known: bool = True

    def __post_init__(self) -> None:
        if not len(self.times) == len(self.units) == len(self.populations) > 0:
            raise BadInputError(
                f"{self.path.name}: there are {len(self.times)} spike trains, {len(self.units)} "
                f"units and {len(self.populations)} populations; one of each per unit is needed"
            )
        if not (np.isfinite([self.start, self.stop]).all() and self.start < self.stop):
            raise BadInputError(
                f"{self.path.name}: the recording lasts from {self.start:g} to {self.stop:g} ms; "
                "it must end after it starts"
            )
        times = tuple(np.asarray(t, dtype=np.float64) for t in self.times)
        for unit, t in zip(self.units, times, strict=True):
            if t.ndim != 1 or not np.isfinite(t).all():
                raise BadInputError(
                    f"{self.path.name}: unit {unit} has spike times that are not finite; leave "
                    "them out"
                )
            if np.any(np.diff(t) < 0):
                raise BadInputError(
                    f"{self.path.name}: the spike times of unit {unit} are not sorted; sort them"
                )
            if len(t) and not (self.start <= t[0] and t[-1] < self.stop):
                raise BadInputError(
                    f"{self.path.name}: unit {unit} has spikes outside the recording "
                    f"({self.start:g} to {self.stop:g} ms); correct its start and stop"
                )
        object.__setattr__(self, "times", times)

    def __repr__(self) -> str:
        spikes = sum(map(len, self.times))
        return (
            f"SpikeTrains({self.path.name}: {len(self.units)} units of "
            f"{', '.join(self.population_names)}, {spikes:,} spikes in {self.start:g} to "
            f"{self.stop:g} ms)"
        )

    @property
    def name(self) -> str:
        """A short name for folders and titles."""
        return str(self.metadata.get("name") or self.path.stem)

    @property
    def duration(self) -> float:
        """Length of the recording in ms."""
        return self.stop - self.start

    @property
    def population_names(self) -> tuple[str, ...]:
        """The populations, in the order in which they first appear."""
        return tuple(dict.fromkeys(self.populations))

    def reaches(self, duration: float) -> bool:
        """Whether the recording can be taken to last ``duration`` ms or longer."""
        missing = duration - self.duration
        if missing <= 1e-6 or self.stop_known:
            return missing <= 1e-6
        # The last spike is not the end. The silence after it is believed if there was one as long
        # between spikes before; the share keeps a pause from standing for a part that is missing.
        silences = np.diff(np.sort(np.concatenate(self.times)))
        return missing <= min(silences.max(initial=0.0), _LONGEST_SILENCE * duration)

    def counts(self, dt: float, *, populations: tuple[str, ...] | None = None) -> np.ndarray:
        """Spikes of each population in bins of ``dt`` ms, int64 [time, population].

        A last bin that the recording does not fill is left out. ``populations`` gives the order of
        the columns (None: `population_names`).
        """
        names = self.population_names if populations is None else populations
        n = int(np.floor(self.duration / dt + 1e-9))
        counts = np.zeros((n, len(names)), dtype=np.int64)
        for t, population in zip(self.times, self.populations, strict=True):
            # by division, since the edges of a histogram would round
            bins = np.floor((t - self.start) / dt + 1e-9).astype(np.int64)
            np.add.at(counts[:, names.index(population)], bins[bins < n], 1)
        return counts
