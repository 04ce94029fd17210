"""Sorted units of an NWB 2 file as spike trains."""

__all__ = ["has_units_only", "read_units"]

from pathlib import Path
from typing import Any

import numpy as np

from neurosbi.contract import ONE_POPULATION, SpikeTrains
from neurosbi.errors import BadInputError, one_line

_POPULATION_COLUMNS = ("population", "cell_type", "celltype", "putative_cell_type")


def has_units_only(path: Path) -> bool:
    """Whether an NWB 2 file has sorted units and no intracellular electrode.

    Raises `OSError` where HDF5 cannot read it.
    """
    import h5py

    with h5py.File(path, "r") as h5:
        intracellular: Any = h5.get("general/intracellular_ephys") or ()
        return "units/spike_times" in h5 and not len(intracellular)


def read_units(path: Path) -> SpikeTrains:
    """Spike times of all units; populations from a column such as ``population`` or ``cell_type``.

    The window is the units' ``obs_intervals`` where the file gives a single one, else it ends with
    the last spike. Raises `BadInputError` where PyNWB cannot read the file or no unit has a spike.
    """
    import pynwb

    try:
        # PyNWB makes attributes at run time: its classes are opaque to a checker
        opener: Any = pynwb.NWBHDF5IO
        with opener(str(path), "r", load_namespaces=True) as io:
            units = io.read().units
            times = [np.sort(np.asarray(units["spike_times"][i])) * 1e3 for i in range(len(units))]
            names = [str(n) for n in units.id[:]]
            column = next((c for c in _POPULATION_COLUMNS if c in units.colnames), None)
            populations = (
                [ONE_POPULATION] * len(names)
                if column is None
                else list(map(str, units[column][:]))
            )
            window = _window(units)
    except Exception as error:  # PyNWB fails in many ways on files of others
        raise BadInputError(
            f"{path} cannot be read by PyNWB ({one_line(error)}); check it with: python -m "
            "pynwb.validate FILE"
        ) from error
    last = max((t[-1] for t in times if len(t)), default=None)
    if last is None:
        raise BadInputError(f"{path.name} has units but no spikes; a posterior needs at least one")
    start, stop = window or (min(0.0, *(t[0] for t in times if len(t))), np.nextafter(last, np.inf))
    return SpikeTrains(
        path=path,
        times=tuple(t[(t >= start) & (t < stop)] for t in times),
        units=tuple(names),
        populations=tuple(populations),
        start=float(start),
        stop=float(stop),
        format="NWB 2 (units)",
        stop_known=window is not None,
    )


def _window(units: Any) -> tuple[float, float] | None:
    """The interval (ms) in which all units were observed; None where the file does not say."""
    if "obs_intervals" not in units.colnames:
        return None
    intervals = [np.asarray(units["obs_intervals"][i]) for i in range(len(units))]
    if any(len(i) != 1 for i in intervals):
        return None
    start = max(float(i[0][0]) for i in intervals) * 1e3
    stop = min(float(i[0][1]) for i in intervals) * 1e3
    return (start, stop) if start < stop else None
