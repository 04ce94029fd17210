"""A cell in NEURON: its sections by group, and the place where it is recorded."""

__all__ = ["Cell", "segments_for"]

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_OF_SECTION = ("Ra", "L", "nseg")  # everything else belongs to segments
_PART_OF_LAMBDA = 0.1  # a segment is at most this part of the length constant at ..
_FREQUENCY = 100.0  # Hz


@dataclass(frozen=True, eq=False)
class Cell:
    """``site`` is the segment where current flows in and V is recorded, e.g. ``soma(0.5)``.

    ``sections`` are NEURON's sections by the name of their group, e.g. "dendrite"; ``keep`` is
    anything that has to live as long as they do, e.g. the hoc object they belong to.
    """

    site: Any
    sections: Mapping[str, Sequence[Any]]
    keep: Any = None

    def set(self, group: str, **values: float) -> None:
        """Give all sections of a group values by NEURON's names: ``g_pas``, ``cm``, ``Ra``..."""
        for section in self.sections[group]:
            for name in _OF_SECTION:
                if name in values:
                    setattr(section, name, values[name])
            for segment in section:
                for name, value in values.items():
                    if name not in _OF_SECTION:
                        setattr(segment, name, value)


def segments_for(
    length: float, diameter: float, *, axial_resistance: float, capacitance: float
) -> int:
    """An odd number of segments, each at most a tenth of the length constant at 100 Hz long.

    Lengths in um, ``axial_resistance`` in Ohm cm, ``capacitance`` in uF/cm2. The rule is that of
    Carnevale & Hines 2006, The NEURON Book, chapter 5.
    """
    # lambda_f = sqrt(d / (4 pi f R_a C_m)) / 2, in um
    lambda_f = 1e5 * math.sqrt(
        diameter / (4 * math.pi * _FREQUENCY * axial_resistance * capacitance)
    )
    return 2 * int((length / (_PART_OF_LAMBDA * lambda_f) + 0.9) / 2) + 1
