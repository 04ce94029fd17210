"""NEURON as an oracle: the channels of our .mod files in one compartment, solved by CVODE."""

from collections.abc import Mapping

import numpy as np
from neurosbi_simulators.neuron.mechanisms import CHANNELS, compiled, interpreter

SIDE = 100.0  # um; length and diameter of the compartment
AREA = np.pi * SIDE**2 * 1e-8  # cm2
TOLERANCE = 1e-10


def load_mechanisms():
    """NEURON's interpreter ``h`` with the compiled channels, in this process."""
    return interpreter(compiled(CHANNELS))


def voltage(
    h,
    mechanisms: Mapping[str, Mapping[str, float]],
    *,
    capacitance: float,
    current: float,
    onset: float,
    duration: float,
    total: float,
    initial: float,
    dt: float,
) -> np.ndarray:
    """V in mV at 0, dt, .. of one compartment with the named mechanisms.

    ``capacitance`` in uF/cm2, ``current`` in uA/cm2; parameters of mechanisms in NEURON's units.
    """
    section = h.Section(name="soma")
    section.L = section.diam = SIDE
    section.nseg = 1
    section.cm = capacitance
    segment = section(0.5)
    for name, values in mechanisms.items():
        section.insert(name)
        for key, value in values.items():
            setattr(getattr(segment, name), key, value)
    clamp = h.IClamp(segment)
    clamp.delay, clamp.dur, clamp.amp = onset, duration, current * AREA * 1e3  # nA
    solver = h.CVode()
    solver.active(True)
    solver.atol(TOLERANCE)
    solver.rtol(TOLERANCE)
    times = h.Vector(np.arange(round(total / dt)) * dt)
    record = h.Vector().record(segment._ref_v, times)
    h.finitialize(initial)
    solver.solve(total)
    solver.active(False)
    return np.array(record)
