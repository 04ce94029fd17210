"""The recordings that ship with the repository, read without the package under test."""

from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parents[2] / "data"
DEMO = Path(__file__).resolve().parents[2] / "neurosbi" / "recordings" / "demo" / "18713001.abf"
JUNCTION_POTENTIAL = -14.0  # mV, of the solutions used at the Allen Institute


def allen_sweep():
    """Sweep 57 of Allen cell 518290966 from 815 to 2265 ms: V in mV (corrected), dt in ms.

    The step of 170 pA runs from 205 to 1205 ms of what is returned.
    """
    import h5py

    path = DATA / "allen_cell_types" / "specimen_518290966" / "ephys.nwb"
    with h5py.File(path) as file:
        series = file["acquisition/timeseries/Sweep_57"]
        rate = series["starting_time"].attrs["rate"]
        v = np.asarray(series["data"], dtype=np.float64) * 1e3
    first, last = round(0.815 * rate), round(2.265 * rate)
    return v[first:last] + JUNCTION_POTENTIAL, 1e3 / rate


def abf_steps():
    """All sweeps of 18713001.abf around its 500 ms step: V in mV [sweep, time], dt in ms.

    The file's pulse of -100 pA is cut away; what is returned begins 100 ms before the step and
    ends 100 ms after it.
    """
    import pyabf

    abf = pyabf.ABF(str(DEMO))
    dt = 1e3 / abf.dataRate
    rows = []
    for number in abf.sweepList:
        abf.setSweep(number)
        rows.append(np.asarray(abf.sweepY, dtype=np.float64))
    command = np.flatnonzero(abf.sweepC > 0)
    before = round(100.0 / dt)
    return np.array(rows)[:, command[0] - before : command[-1] + 1 + before], dt
