"""The table of electrophysiological features beside a download of the Allen Cell Types Database.

A Cell Types cache has ``ephys_features.csv`` next to the folders ``specimen_<id>``. The table's
units: ``ri`` MOhm, ``tau`` ms, ``vrest`` mV (no junction correction), threshold current pA.
"""

__all__ = ["database_values", "short_name"]

import csv
import math
import re
from pathlib import Path

_COLUMNS = {
    "input_resistance_MOhm": "ri",
    "tau_ms": "tau",
    "v_rest_mV": "vrest",
    "rheobase_pA": "threshold_i_long_square",
}
_TABLE = "ephys_features.csv"


def database_values(path: Path, specimen: str | None) -> dict[str, float]:
    """The database's passive properties of the specimen, {} where there is no table or no row."""
    table = path.resolve().parent.parent / _TABLE
    specimen = specimen or _specimen_of_folder(path)
    if specimen is None or not table.is_file():
        return {}
    with table.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            if (row.get("specimen_id") or "").strip() == specimen:
                return {
                    key: v for key, c in _COLUMNS.items() if (v := _number(row.get(c))) is not None
                }
    return {}


def short_name(path: Path, specimen: str | None) -> str:
    """A name for folders: ``specimen_<id>`` for the Allen files, which are all called ephys.nwb."""
    specimen = specimen or _specimen_of_folder(path)
    if specimen is None or specimen in path.stem:
        return path.stem
    return f"specimen_{specimen}"


def _specimen_of_folder(path: Path) -> str | None:
    found = re.fullmatch(r"specimen_(\d+)", path.resolve().parent.name)
    return found[1] if found else None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
