"""A voltage trace in bins of time: what a network sees of it, whatever its length and sampling.

Time counts from the onset of the stimulus. Each section has bins of one width; sections may
overlap, so that the first milliseconds of a step, which hold the onset of the first spike, are
seen finely and the whole of it coarsely. In every bin three numbers are kept:

    mean, highest and lowest of the samples k with start <= (k - onset) dt < start + width

Spikes survive in the highest value, their troughs in the lowest. A bin that is not wholly within
the trace up to the end of the stimulus is absent (NaN), so steps of any duration share one axis.
"""

__all__ = ["BinSection", "TraceBins"]

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from neurosbi.contract.families import FixedStimulus, StimulusFamily
from neurosbi.errors import BadInputError

_REST = 50.0  # ms before the onset; earlier ones tell nothing new about the rest
_FINE = (-2.0, 0.5, 80)  # ms, ms, bins: the charging of the membrane and the first spike
_COARSE = 5.0  # ms; shorter than the intervals of a cell that fires at 200 Hz
_MOST_COARSE = 320  # bins; beyond that they get wider
_FIRST, _NEXT = slice(None, -1), slice(1, None)


@dataclass(frozen=True)
class BinSection:
    """``n`` bins of ``width`` ms from ``start`` ms after the onset (negative: before it)."""

    start: float
    width: float
    n: int


@dataclass(frozen=True)
class TraceBins:
    """The axis of binned traces; arrays on it are [..., channel, bin], section after section."""

    channels: ClassVar[tuple[str, ...]] = ("mean", "highest", "lowest")
    sections: tuple[BinSection, ...]
    unit: str = "mV"

    def __post_init__(self) -> None:
        if not self.sections or any(s.n < 1 or not s.width > 0 for s in self.sections):
            raise BadInputError("binned traces need sections of at least 1 bin of positive width")

    @classmethod
    def covering(cls, family: StimulusFamily) -> "TraceBins":
        """Bins for all stimuli of a family: fine at the onset, coarse up to the longest offset."""
        if isinstance(family, FixedStimulus):
            longest = family.only.duration
        else:
            longest = {p.name: p.high for p in family.parameters}["duration"]
        width = max(_COARSE, np.ceil((_REST + longest) / _MOST_COARSE))
        n = int(np.ceil((_REST + longest) / width - 1e-9))
        return cls((BinSection(*_FINE), BinSection(-_REST, float(width), n)))

    @property
    def n(self) -> int:
        """Number of bins."""
        return sum(s.n for s in self.sections)

    @property
    def shape(self) -> tuple[int, int]:
        """Channels, bins."""
        return len(self.channels), self.n

    @property
    def time(self) -> np.ndarray:
        """Middle of each bin in ms from the onset, float64 [bin]."""
        return np.concatenate([s.start + s.width * (np.arange(s.n) + 0.5) for s in self.sections])

    def edges(self, dt: float) -> np.ndarray:
        """First sample, counted from that of the onset, of each bin and of the next: int64 [2, bin].

        Raises `BadInputError` where a bin would hold no sample.
        """
        steps = [np.round((s.start + s.width * np.arange(s.n + 1)) / dt) for s in self.sections]
        edges = np.array([np.concatenate([s[cut] for s in steps]) for cut in (_FIRST, _NEXT)])
        if np.any(edges[1] <= edges[0]):
            finest = min(s.width for s in self.sections)
            raise BadInputError(
                f"the voltage is sampled every {dt:g} ms, too coarse for bins of {finest:g} ms; "
                "use inputs=features"
            )
        return edges.astype(np.int64)

    def of(self, v: np.ndarray, *, dt: float, onset: float, offset: float) -> np.ndarray:
        """The bins of traces ``v[sim, time]`` sampled every ``dt`` ms: float32 [sim, channel, bin].

        For simulators that have whole traces at hand. Raises what `edges` raises.
        """
        v = np.atleast_2d(np.asarray(v))
        on = round(onset / dt)
        end = min(round(offset / dt), v.shape[1])
        binned = np.full((len(v), *self.shape), np.nan, dtype=np.float32)
        for b, (first, after) in enumerate((self.edges(dt) + on).T):
            if first >= 0 and after <= end:
                part = v[:, first:after]
                binned[:, 0, b] = part.mean(axis=1, dtype=np.float64)
                binned[:, 1, b], binned[:, 2, b] = part.max(axis=1), part.min(axis=1)
        return binned

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a manifest; `from_dict` gives the bins back."""
        return {
            "sections": [asdict(s) for s in self.sections],
            "unit": self.unit,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TraceBins":
        """Inverse of `to_dict`."""
        return cls(tuple(BinSection(**s) for s in values["sections"]), unit=values["unit"])
