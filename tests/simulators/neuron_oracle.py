"""NEURON as an oracle: the channels of `mod/*.mod` in one compartment, solved by CVODE.

The mechanisms are compiled by ``nrnivmodl`` once per test session.
"""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

MOD_FOLDER = Path(__file__).parent / "mod"
SIDE = 100.0  # um; length and diameter of the compartment
AREA = np.pi * SIDE**2 * 1e-8  # cm2
TOLERANCE = 1e-10


def nrnivmodl() -> str | None:
    """NEURON's compiler of mechanisms, the one that belongs to this Python first."""
    beside = Path(sys.executable).parent / "nrnivmodl"
    return str(beside) if beside.exists() else shutil.which("nrnivmodl")


def load_mechanisms(folder: Path):
    """Compile the channels in ``folder`` and return NEURON's interpreter ``h``."""
    for mod in MOD_FOLDER.glob("*.mod"):
        shutil.copy(mod, folder)
    done = subprocess.run([nrnivmodl()], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"nrnivmodl failed:\n{done.stdout}\n{done.stderr}"
    from neuron import h

    library = next(folder.glob("*/libnrnmech.*"))
    h.nrn_load_dll(str(library))
    return h


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
