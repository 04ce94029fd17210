"""NWB 1.0, read with h5py: the Allen Cell Types files and what the MIES acquisition software writes.

The Allen pipeline stored volts and amperes directly and its ``conversion`` attribute means
something only from pipeline version 1.1 on; MIES files store mV and pA with their conversion.
"""

__all__ = ["read_allen"]

import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosbi.contract import Recording
from neurosbi.errors import BadInputError, one_line
from neurosbi.recordings.allen_tables import database_values, short_name
from neurosbi.recordings.assemble import RawSweep, assemble

if TYPE_CHECKING:
    import h5py

_FIRST_VERSION_WITH_CONVERSION = (1, 1)
_UNIT_SCALE = {"V": 1e3, "A": 1e12}


def read_allen(path: Path, *, junction_potential: float = 0.0) -> Recording:
    """Read an NWB 1.0 file; voltage in mV plus ``junction_potential``, current in pA.

    The Allen Institute did not correct for the liquid junction potential, which it gives as
    -14 mV. Where the table ``ephys_features.csv`` of a Cell Types cache lies beside the folder of
    the specimen, its values are put into ``metadata["database"]``.

    Raises `BadInputError` when the file has no patch-clamp sweeps or is damaged.
    """
    import h5py

    try:
        with h5py.File(path, "r") as h5:
            use_conversion = not _is_allen(h5) or (
                pipeline_version(h5) >= _FIRST_VERSION_WITH_CONVERSION
            )
            raw = _read_sweeps(h5, use_conversion)
            metadata = _metadata(h5, path)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        if isinstance(error, BadInputError):
            raise
        raise BadInputError(
            f"{path} is a damaged NWB 1 file ({one_line(error)}); download or copy it again"
        ) from error
    return assemble(
        path, raw, format="NWB 1", junction_potential=junction_potential, metadata=metadata
    )


def pipeline_version(h5: "h5py.File") -> tuple[int, int]:
    """Version of the Allen pipeline from /general/generated_by; (0, 0) if it does not say."""
    if "general/generated_by" not in h5:
        return (0, 0)
    words = [_text(w) for w in np.ravel(np.asarray(h5["general/generated_by"][()]))]  # type: ignore[index]
    for key, value in pairwise(words):
        found = re.match(r"(\d+)(?:\.(\d+))?", value)
        if key.lower() == "version" and found:
            return int(found[1]), int(found[2] or 0)
    return (0, 0)


def _is_allen(h5: "h5py.File") -> bool:
    general: Any = h5.get("general") or {}
    return any(key.startswith("aibs_") for key in general)


def _read_sweeps(h5: "h5py.File", use_conversion: bool) -> list[RawSweep]:
    responses: Any = h5.get("acquisition/timeseries") or {}
    stimuli: Any = h5.get("stimulus/presentation") or {}
    names = [n for n in responses if _clamp(responses[n]) is not None]
    numbers = [_sweep_number(n, responses[n]) for n in names]
    if len(set(numbers)) < len(numbers):  # several electrodes per sweep
        numbers = list(range(len(names)))
    return [
        _raw_sweep(
            number, responses[name], _partner(name, responses[name], stimuli), use_conversion
        )
        for number, name in zip(numbers, names, strict=True)
    ]


def _clamp(series: Any) -> Any:
    """ "current" or "voltage" from the ancestry, or from the unit; None for other series."""
    kinds = [_text(k) for k in np.ravel(series.attrs.get("ancestry", []))]
    for kind in kinds:
        if kind.startswith(("CurrentClamp", "IZero")):
            return "current"
        if kind.startswith("VoltageClamp"):
            return "voltage"
    if kinds or "data" not in series:
        return None
    return {"V": "current", "A": "voltage"}.get(_text(series["data"].attrs.get("unit", ""))[:1])


def _sweep_number(name: str, series: Any) -> int:
    source = re.search(r"Sweep=(\d+)", _text(series.attrs.get("source", "")))
    digits = re.search(r"\d+", name)
    return int(source[1] if source else digits[0] if digits else 0)


def _partner(name: str, series: Any, stimuli: Any) -> Any | None:
    if name in stimuli:
        return stimuli[name]
    wanted = (_sweep_number(name, series), _electrode(series))
    for other in stimuli:
        if (_sweep_number(other, stimuli[other]), _electrode(stimuli[other])) == wanted:
            return stimuli[other]
    return None


def _electrode(series: Any) -> str:
    return _scalar_text(series["electrode_name"]) if "electrode_name" in series else ""


def _raw_sweep(number: int, response: Any, stimulus: Any | None, use_conversion: bool) -> RawSweep:
    clamp = _clamp(response)
    values = _values(response, use_conversion)
    command = None if stimulus is None else _values(stimulus, use_conversion)
    current_clamp = clamp == "current"
    start = response["starting_time"]
    return RawSweep(
        number=number,
        voltage=values if current_clamp else command,
        current=command if current_clamp else values,
        rate=float(np.ravel(start.attrs["rate"])[0]),
        clamp=clamp,
        stimulus_name=_stimulus_name(response),
        metadata={"series": response.name.rsplit("/", 1)[-1], "electrode": _electrode(response)},
    )


def _values(series: Any, use_conversion: bool) -> np.ndarray:
    """Samples in mV or pA, float64 [time]."""
    data = series["data"]
    unit = _text(data.attrs.get("unit", ""))[:1]
    if unit not in _UNIT_SCALE:
        raise BadInputError(
            f"{series.file.filename}: {series.name} has the unit {unit!r}, not V or A; "
            "correct the attribute unit of its data"
        )
    conversion = float(np.ravel(data.attrs.get("conversion", 1.0))[0]) if use_conversion else 1.0
    return np.asarray(data[()], dtype=np.float64).ravel() * (conversion * _UNIT_SCALE[unit])


def _stimulus_name(series: Any) -> str:
    for key in ("aibs_stimulus_name", "aibs_stimulus_description", "stimulus_description"):
        if key in series:
            return _scalar_text(series[key])
    return ""


def _metadata(h5: "h5py.File", path: Path) -> dict[str, Any]:
    paths = {
        "specimen": "general/aibs_specimen_id",
        "specimen_name": "general/aibs_specimen_name",
        "cell_line": "general/aibs_cre_line",
        "dendrite_type": "general/aibs_dendrite_type",
        "institution": "general/institution",
        "species": "general/subject/species",
        "sex": "general/subject/sex",
        "age": "general/subject/age",
    }
    values: dict[str, Any] = {k: _scalar_text(h5[p]) for k, p in paths.items() if p in h5}
    electrodes: Any = h5.get("general/intracellular_ephys") or {}
    for name in electrodes:
        if hasattr(electrodes[name], "keys") and "location" in electrodes[name]:
            values["area"] = _scalar_text(electrodes[name]["location"]).strip('"')
    values = {k: v for k, v in values.items() if v and v not in ("unknown", "PLACEHOLDER")}
    values["name"] = short_name(path, values.get("specimen"))
    database = database_values(path, values.get("specimen"))
    return values | ({"database": database} if database else {})


def _scalar_text(dataset: Any) -> str:
    if not hasattr(dataset, "shape"):
        return ""
    values = np.ravel(np.asarray(dataset[()]))
    return _text(values[0]).strip() if len(values) else ""


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
