"""Recorded spike trains in the form of simulated ones."""

__all__ = ["ObservedSpikes", "spikes_of"]

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurosbi.contract import SpikeTrains
from neurosbi.errors import BadInputError
from neurosbi_simulators.population.recorded import check_populations


@dataclass(frozen=True, eq=False)
class ObservedSpikes:
    """Spikes in order of time from the start of the recording; ``units`` by population."""

    time: np.ndarray
    unit: np.ndarray
    units: tuple[int, ...]
    notes: tuple[str, ...]


def spikes_of(
    trains: SpikeTrains, *, names: Sequence[str], recorded: Sequence[int], duration: float
) -> ObservedSpikes:
    """The first ``duration`` ms of the units of the populations ``names``.

    As many units of each population are used as the model records, because synchrony, spectra and
    variances of counts depend on the number. A population that was not recorded at all has no
    units, so its features are not measured.

    Raises `BadInputError` for other populations, fewer units, or a shorter recording.
    """
    label = trains.path.name
    given = trains.populations
    if len(names) == 1 == len(trains.population_names):
        given = (names[0],) * len(given)
    else:
        check_populations(trains, names)
    if not trains.reaches(duration):
        raise BadInputError(_too_short(trains, duration))
    found = [given.count(name) for name in names]
    notes = []
    for name, have, want in zip(names, found, recorded, strict=True):
        if 0 < have < want:
            numbers = ",".join(str(n) for n in found)
            raise BadInputError(
                f"{label}: there are {have} units of {name}, but the simulations record {want} "
                f"neurons of it; record as many (--set recorded={numbers})"
            )
        if have == 0 and want:
            notes.append(f"no units of {name} were recorded: its features are not measured")
        if have > want:
            notes.append(f"the first {want} of the {have} units of {name} are used")
    if trains.duration < duration - 1e-6:
        notes.append(
            f"the last {duration - trains.duration:.2g} of {duration:g} ms are taken to be silent: "
            f"{label} does not say when the recording ended"
        )
    if trains.duration > duration + 1e-6:
        notes.append(f"the first {duration:g} of {trains.duration:g} ms are used")
    times, numbers, units = [np.empty(0)], [np.empty(0, dtype=np.int32)], []
    for name, have, want in zip(names, found, recorded, strict=True):
        first, used = sum(units), min(have, want)
        mine = [t for t, p in zip(trains.times, given, strict=True) if p == name][:used]
        for i, t in enumerate(mine):
            t = t[t < trains.start + duration] - trains.start
            times.append(t)
            numbers.append(np.full(len(t), first + i, dtype=np.int32))
        units.append(used)
    time, unit = np.concatenate(times), np.concatenate(numbers)
    order = np.argsort(time, kind="stable")
    return ObservedSpikes(time[order], unit[order], tuple(units), tuple(notes))


def _too_short(trains: SpikeTrains, duration: float) -> str:
    label, shorter = (
        trains.path.name,
        f"simulate less (--set duration={np.floor(trains.duration):g})",
    )
    if trains.stop_known:
        return (
            f"{label}: the recording of {trains.duration:g} ms is shorter than the simulations of "
            f"{duration:g} ms; {shorter}"
        )
    return (
        f"{label}: the last spike comes after {trains.duration:g} ms, the simulations last "
        f"{duration:g} ms, and the file does not say when the recording ended; {shorter}, or say it "
        f"(CSV: a line like # stop_ms = {trains.start + duration:g}; NWB: obs_intervals of the units)"
    )
