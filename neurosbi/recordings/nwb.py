"""NWB 2 (and the 2.0b files of early converters), read with PyNWB.

A sweep is a response and its stimulus. They are paired by the table of intracellular recordings
(NWB >= 2.3) where there is one, else by sweep number and electrode, else by name, else by
electrode and start time. Stored numbers are scaled by ``conversion`` and shifted by ``offset``.
"""

__all__ = ["read_nwb"]

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from neurosbi.contract import Recording
from neurosbi.errors import BadInputError, one_line
from neurosbi.recordings.assemble import RawSweep, assemble

NWBFile = Any  # PyNWB makes attributes and methods at run time: its classes are opaque to a checker
_VOLT_TO_MV = 1e3
_AMPERE_TO_PA = 1e12
_SUBJECT = ("species", "age", "sex", "genotype", "strain", "subject_id")


class _Series:
    """One patch-clamp series, with what is needed to find its partner."""

    def __init__(self, series: Any, start: int = 0, count: int | None = None) -> None:
        self.series = series
        self.name = str(series.name)
        self.sweep = None if series.sweep_number is None else int(series.sweep_number)
        self.electrode = getattr(getattr(series, "electrode", None), "name", "")
        self.start = start
        self.count = count

    @property
    def clamp(self) -> Any:
        return "voltage" if "VoltageClamp" in type(self.series).__name__ else "current"

    @property
    def starting_time(self) -> float:
        if self.series.starting_time is not None:
            return float(np.ravel(self.series.starting_time)[0])
        stamps = self.series.timestamps
        return float(stamps[0]) if stamps is not None and len(stamps) else 0.0

    @property
    def rate(self) -> float:
        """Samples per second."""
        if self.series.rate is not None:
            rate = float(self.series.rate)
            if not 0 < rate < np.inf:
                raise BadInputError(
                    f"the sampling rate of series {self.name} is {rate:g} Hz, it must be positive"
                )
            return rate
        stop = None if self.count is None else self.start + self.count
        stamps = np.asarray(self.series.timestamps[self.start : stop], dtype=np.float64)
        steps = np.diff(stamps)
        if not len(steps):
            raise BadInputError(f"series {self.name} has fewer than two samples")
        if not np.median(steps) > 0 or not np.ptp(steps) <= 1e-3 * np.median(steps):
            raise BadInputError(
                f"series {self.name} is not evenly sampled; resample it to a constant rate"
            )
        return float(1.0 / np.mean(steps))

    def values(self) -> np.ndarray:
        """Samples in V or A, float64 [time]."""
        stop = None if self.count is None else self.start + self.count
        data = np.asarray(self.series.data[self.start : stop], dtype=np.float64)
        if data.ndim == 2 and data.shape[1] == 1:
            data = data[:, 0]
        if data.ndim != 1:
            raise BadInputError(
                f"series {self.name} has data of shape {data.shape}; a patch-clamp series is one row"
            )
        return data * float(self.series.conversion) + float(getattr(self.series, "offset", 0) or 0)


def read_nwb(path: Path, *, junction_potential: float = 0.0) -> Recording:
    """Read an NWB 2 file; voltage in mV plus ``junction_potential``, current in pA.

    Raises `BadInputError` when PyNWB cannot read the file or it has no patch-clamp series.
    """
    import pynwb

    open_nwb: Any = pynwb.NWBHDF5IO
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with open_nwb(str(path), mode="r", load_namespaces=True) as io:
                nwb: NWBFile = io.read()
                raw = _read_sweeps(nwb, path)
                metadata = _metadata(nwb, path)
        except BadInputError:
            raise
        except Exception as error:  # PyNWB and HDMF raise many kinds for a malformed file
            raise BadInputError(
                f"{path} cannot be read as NWB 2 ({one_line(error)}); check it with: "
                "python -m pynwb.validate FILE"
            ) from error
    return assemble(
        path, raw, format="NWB 2", junction_potential=junction_potential, metadata=metadata
    )


def _read_sweeps(nwb: NWBFile, path: Path) -> list[RawSweep]:
    from pynwb.icephys import PatchClampSeries

    def patch_clamp(objects: Iterable[Any]) -> list[Any]:
        return [o for o in objects if isinstance(o, PatchClampSeries)]

    responses = [_Series(s) for s in patch_clamp(nwb.acquisition.values())]
    stimuli = [_Series(s) for s in patch_clamp(nwb.stimulus.values())]
    if not responses:
        found = sorted({type(o).__name__ for o in nwb.acquisition.values()})
        has_units = getattr(nwb, "units", None) is not None
        if has_units:
            found.append("sorted units")
        raise BadInputError(
            f"{path} has no intracellular recording{'' if has_units else ' and no units table'}: "
            f"it holds {', '.join(found) if found else 'no acquisition at all'}; neurosbi fits "
            "current-clamp sweeps (CurrentClampSeries) and the spike times of sorted units (units)"
        )
    pairs = _pairs_of_table(nwb) or _pairs_of_series(responses, stimuli)
    numbers = _numbers(pairs)
    return [
        _raw_or_why_not(number, response, stimulus)
        for number, (response, stimulus) in zip(numbers, pairs, strict=True)
    ]


def _pairs_of_table(nwb: NWBFile) -> list[tuple[_Series, _Series | None]]:
    """Pairs from the table of intracellular recordings; [] if the file has none."""
    table = getattr(nwb, "intracellular_recordings", None)
    if table is None or not len(table):
        return []
    stimuli = table["stimuli"]
    pairs = []
    for row in range(len(table)):
        response = table["responses"]["response"][row]
        stimulus = _referenced(stimuli["stimulus"][row])
        if stimulus is None and "stimulus_template" in stimuli.colnames:
            stimulus = _referenced(stimuli["stimulus_template"][row])
        pairs.append((_referenced(response), stimulus))
    return [(r, s) for r, s in pairs if r is not None]


def _referenced(reference: Any) -> _Series | None:
    start, count, series = int(reference[0]), int(reference[1]), reference[2]
    if start < 0 or count < 0 or series is None:
        return None
    return _Series(series, start, count)


def _pairs_of_series(
    responses: list[_Series], stimuli: list[_Series]
) -> list[tuple[_Series, _Series | None]]:
    left = list(stimuli)
    pairs: list[tuple[_Series, _Series | None]] = []
    for response in responses:
        fitting = [
            s
            for s in left
            if any(_affinity(response, s)) and not _belongs_elsewhere(s, response, responses)
        ]
        partner = max(fitting, key=lambda s: _affinity(response, s), default=None)
        if partner is not None:
            left.remove(partner)
        pairs.append((response, partner))
    return pairs


def _belongs_elsewhere(stimulus: _Series, response: _Series, responses: list[_Series]) -> bool:
    """Whether another response, through the electrode of the stimulus itself, fits it."""
    if not stimulus.electrode or stimulus.electrode == response.electrode:
        return False
    return any(r.electrode == stimulus.electrode and any(_affinity(r, stimulus)) for r in responses)


def _affinity(response: _Series, stimulus: _Series) -> tuple[bool, bool, bool, bool]:
    """How well a stimulus fits a response, compared as tuples; all False where it does not."""
    numbered = response.sweep is not None and stimulus.sweep is not None
    if numbered and response.sweep != stimulus.sweep:
        return False, False, False, False
    same_electrode = bool(response.electrode) and response.electrode == stimulus.electrode
    digits = _digits(response.name)
    same_name = response.name == stimulus.name or (
        bool(digits) and digits == _digits(stimulus.name)
    )
    same_start = same_electrode and abs(response.starting_time - stimulus.starting_time) < 1e-6
    return numbered, numbered and same_electrode, same_name, same_start


def _digits(name: str) -> tuple[int, ...]:
    import re

    return tuple(int(d) for d in re.findall(r"\d+", name))


def _numbers(pairs: list[tuple[_Series, _Series | None]]) -> list[int]:
    """Sweep numbers as stored where they are unique, else 0, 1, 2, ..."""
    stored = [response.sweep for response, _ in pairs]
    if None not in stored and len(set(stored)) == len(stored):
        return [int(n) for n in stored if n is not None]
    return list(range(len(pairs)))


def _raw_or_why_not(number: int, response: _Series, stimulus: _Series | None) -> RawSweep:
    """One series that cannot be used spares the others of the file."""
    try:
        return _raw_sweep(number, response, stimulus)
    except BadInputError as error:
        return RawSweep.unread(
            number,
            str(error),
            clamp=response.clamp,
            stimulus_name=_stimulus_name(response, stimulus),
            metadata=_names(response),
        )


def _raw_sweep(number: int, response: _Series, stimulus: _Series | None) -> RawSweep:
    if type(response.series).__name__ == "IZeroClampSeries":
        stimulus = None
    command, missing = None, "" if stimulus else "no stimulus current is stored with it"
    if stimulus is not None:
        command = stimulus.values()
        if stimulus.clamp != response.clamp:
            command, missing = None, "its stimulus is of the other clamp mode"
        elif abs(stimulus.rate - response.rate) > 1e-6 * response.rate:
            command, missing = (
                None,
                (
                    f"its stimulus is sampled at {stimulus.rate:g} Hz, the response at "
                    f"{response.rate:g} Hz"
                ),
            )
    values = response.values()
    voltage_clamp = response.clamp == "voltage"
    volts, amperes = (command, values) if voltage_clamp else (values, command)
    return RawSweep(
        number=number,
        voltage=None if volts is None else volts * _VOLT_TO_MV,
        current=None if amperes is None else amperes * _AMPERE_TO_PA,
        rate=response.rate,
        clamp=response.clamp,
        stimulus_name=_stimulus_name(response, stimulus),
        missing=missing,
        metadata=_names(response),
    )


def _names(response: _Series) -> dict[str, str]:
    return {"series": response.name, "electrode": response.electrode}


def _stimulus_name(response: _Series, stimulus: _Series | None) -> str:
    for series in (response, stimulus):
        name = str(getattr(series and series.series, "stimulus_description", "") or "")
        if name.strip() and name.strip().upper() not in ("NA", "N/A", "PLACEHOLDER"):
            return name.strip()
    return ""


def _metadata(nwb: NWBFile, path: Path) -> dict[str, Any]:
    values: dict[str, Any] = {"name": path.stem}
    if nwb.subject is not None:
        values |= {key: getattr(nwb.subject, key, None) for key in _SUBJECT}
    electrodes = list((nwb.icephys_electrodes or {}).values())
    values["area"] = getattr(electrodes[0], "location", None) if electrodes else None
    values |= {"institution": nwb.institution, "lab": nwb.lab, "session": nwb.session_id}
    values["recorded"] = None if nwb.session_start_time is None else str(nwb.session_start_time)
    return {k: str(v) for k, v in values.items() if v and str(v) != "PLACEHOLDER"}
