"""One cell in one process: set its parameters, inject the current, keep its voltage.

V by the Crank-Nicolson method with gates half a step apart (NEURON's ``secondorder = 2``), of
second order in dt like our own kernel. Sample ``k`` is V at ``k dt``, and sample ``k`` of the
current flows from ``k dt`` to ``(k + 1) dt``.

A start from rest is a start from the lowest resting potential under the current that flows at the
beginning. It is the limit of the membrane equation with all gates in their steady state, from far
below: there V can only rise, and it stops at the first steady state it meets.
"""

__all__ = ["Run"]

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neurosbi_simulators.neuron.mechanisms import interpreter

if TYPE_CHECKING:
    from neurosbi_simulators.neuron.simulator import NeuronSimulator

FAR_BELOW = -150.0  # mV, below every reversal potential
LONGEST_SETTLING, SHORTEST_SETTLING = 1.0, 1e-3  # ms, steps; a step that overshoots is shortened
MOST_SETTLING = 20_000  # steps
SETTLED = 1e-6  # mV per ms
OVERSHOT = 1e-12  # mV2, product of two successive changes
FOREVER = 1e9  # ms


class Run:
    """The cell of ``simulator`` in this process, which should hold no other."""

    def __init__(self, simulator: "NeuronSimulator", library: Path | None) -> None:
        self.simulator = simulator
        self.h = h = interpreter(library)
        self.cell = simulator.build(h)
        self._clamp = h.IClamp(self.cell.site)
        self._clamp.delay, self._clamp.dur = 0.0, FOREVER
        self._parallel = h.ParallelContext()
        self._parallel.set_maxstep(10.0)
        self._solver = h.CVode()
        self._segments = [segment for section in h.allsec() for segment in section]

    def voltage(
        self, values: dict[str, float], current: np.ndarray, *, resting_current: float
    ) -> np.ndarray:
        """V in mV [time] at ``site`` under ``current[time]`` in nA, both every dt ms.

        ``values`` are the parameters by name; ``resting_current`` in nA flowed before.
        """
        h, dt, start = self.h, self.simulator.dt, self.simulator.settings["initial_voltage"]
        self._solver.active(False)
        h.celsius = self.simulator.celsius
        self.simulator.set_parameters(self.cell, values)
        self._clamp.amp = resting_current
        h.dt = dt
        if start == "rest":
            self._settle()
        else:
            h.finitialize(float(start))
        h.dt, h.secondorder = dt, 2
        played = h.Vector(current)
        played.play(self._clamp._ref_amp, dt)
        kept = h.Vector().record(self.cell.site._ref_v)
        h.finitialize()
        self._parallel.psolve(len(current) * dt)
        played.play_remove()
        return np.array(kept)[: len(current)]

    def _settle(self) -> None:
        """Leave V at the lowest resting potential and the gates in their steady state."""
        h = self.h
        h.secondorder = 0
        h.finitialize(FAR_BELOW)
        step, change = LONGEST_SETTLING, np.zeros(1)
        v = self._all_voltages()
        for _ in range(MOST_SETTLING):
            h.dt = step
            h.fadvance()
            new_change = self._all_voltages() - v
            if np.any(new_change * change < -OVERSHOT) and step > SHORTEST_SETTLING:
                step *= 0.25
                for segment, old in zip(self._segments, v, strict=True):
                    segment.v = old
            else:
                v, change = v + new_change, new_change
                if np.abs(change).max() < SETTLED * step:
                    return
                step = min(1.5 * step, LONGEST_SETTLING)
            h.finitialize()  # V stays, the gates go to their steady state
        raise RuntimeError("no resting potential was found; give initial_voltage a number")

    def _all_voltages(self) -> np.ndarray:
        return np.array([segment.v for segment in self._segments])
