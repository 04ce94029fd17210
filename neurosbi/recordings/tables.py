"""Text tables (CSV): measured features, or the spike times of units.

Features have the columns ``feature, value`` and, optionally, ``unit``; an empty value says that
the data do not have that feature, one that is not named was not measured. Spikes have the columns
``unit, time_ms`` (or ``time_s``) and, optionally, ``population``, one row per spike; a unit without
spikes has one row with an empty time. The recording lasts from ``start_ms`` (default: 0) to
``stop_ms``, given in comment lines such as ``# stop_ms = 20000``. Without that line its length is
known only up to its last spike.
"""

__all__ = ["read_table"]

import csv
import re
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from neurosbi.contract import ONE_POPULATION, FeatureTable, SpikeTrains
from neurosbi.errors import BadInputError

_INLINE_COMMENT = re.compile(r"\s#.*$")  # a # within a word belongs to a name
_UNIT_ROW = re.compile(r"#\d+\s*,")
_COMMENT = re.compile(r"#\s*(start_ms|stop_ms|name)\s*[=:]\s*(.+?)\s*$")
# the ends of the recording, said in words that are none of ours
_STARTS = ("start", "begin", "min")
_MISTAKEN = re.compile(
    r"#+\s*(?:recording[ _])?(?:t_?)?(?P<end>start|begin|min|stop|end|max|duration|length)"
    r"(?:[ _]?(?:ms|s|sec|seconds))?\s*[=: ]\s*[-+]?[\d.]+(?:e\d+)?\s*(?:ms|s)?\s*$",
    re.IGNORECASE,
)


def read_table(path: Path) -> FeatureTable | SpikeTrains:
    """Read a table of features or of spikes; its header tells which.

    Raises `BadInputError` for other tables, and names the row that cannot be right.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        lines = [
            _INLINE_COMMENT.sub("", line) if '"' not in line else line
            for line in text.splitlines()
            if line.strip() and not _is_comment(path, line)
        ]
        _check_widths(path, lines)
        table = pd.read_csv(
            StringIO("\n".join(lines)),
            skipinitialspace=True,
            dtype=str,
            keep_default_na=False,
            index_col=False,
        )
    except UnicodeDecodeError as error:
        raise BadInputError(
            f"{path} is not a text file in UTF-8; export it again as CSV"
        ) from error
    except pd.errors.EmptyDataError as error:
        raise BadInputError(f"{path} is empty; export it again as CSV") from error
    except (pd.errors.ParserError, csv.Error) as error:
        raise BadInputError(
            f"{path} cannot be read as a table ({error}); check its commas"
        ) from error
    comments = [line for line in text.splitlines() if line.startswith("#")]
    found = (_COMMENT.match(line) for line in comments)
    notes = {str(m[1]): str(m[2]) for m in found if m}
    table.columns = [str(c).strip() for c in table.columns]
    table = pd.DataFrame({name: table[name].fillna("").str.strip() for name in table.columns})
    table = table.loc[(table != "").any(axis=1)]  # spreadsheets end in empty rows
    if {"feature", "value"} <= set(table.columns):
        return _features(path, table, notes)
    if "unit" in table.columns and {"time_ms", "time_s"} & set(table.columns):
        return _spikes(path, table, notes, comments)
    raise BadInputError(
        f"{path} has the columns {', '.join(table.columns)}; a table of features has feature,value"
        "[,unit], one of spikes unit,time_ms[,population]"
    )


def _is_comment(path: Path, line: str) -> bool:
    """Lines that begin with #; refused where they may be rows of a unit that is called #1."""
    if _UNIT_ROW.match(line):
        raise BadInputError(
            f"{path.name}: the line {line.strip()!r} begins with #, so it may be a comment or a row; "
            "write a space behind the # of a comment, or rename the unit"
        )
    return line.startswith("#")


def _check_widths(path: Path, lines: list[str]) -> None:
    """Refuse rows with more cells than the header; empty ones at their ends do not count."""
    width = 0
    for number, cells in enumerate(csv.reader(lines, skipinitialspace=True)):
        while cells and not cells[-1].strip():
            cells.pop()
        if number == 0:
            width = len(cells)
        elif len(cells) > width:
            raise BadInputError(
                f"{path.name}: row {number} has {len(cells)} cells, the header names {width}; "
                "check its commas"
            )


def _features(path: Path, table: pd.DataFrame, notes: dict[str, str]) -> FeatureTable:
    names = list(table["feature"])
    for i, name in enumerate(names):
        if name in names[:i]:
            raise BadInputError(f"{path.name}: the feature {name} is given twice; keep one")
    values = _numbers(path, table, "value", blanks=True)
    units = table["unit"] if "unit" in table else [""] * len(table)
    return FeatureTable(
        path=path,
        values=dict(zip(names, values.tolist(), strict=True)),
        units=dict(zip(names, units, strict=True)),
        format="table of features",
        metadata={"name": notes["name"]} if "name" in notes else {},
    )


def _spikes(
    path: Path, table: pd.DataFrame, notes: dict[str, str], comments: list[str]
) -> SpikeTrains:
    in_ms = "time_ms" in table.columns
    column = "time_ms" if in_ms else "time_s"
    times = _numbers(path, table, column, blanks=True) * (1.0 if in_ms else 1e3)
    spike = np.isfinite(times)
    if not spike.any():
        raise BadInputError(f"{path.name} has no spikes; a posterior needs at least one")
    owner = table["unit"]
    population = (
        table["population"]
        if "population" in table
        else pd.Series(ONE_POPULATION, index=table.index)
    )
    for kind, names in (("unit", owner), ("population", population)):
        if (names == "").any():
            row = int(np.asarray(table.index)[(names == "").to_numpy()][0]) + 1
            raise BadInputError(
                f"{path.name}: row {row} names no {kind}; name it, or delete the row"
            )
    units = tuple(dict.fromkeys(owner))
    populations = []
    for unit in units:
        of_unit = set(population[owner == unit])
        if len(of_unit) > 1:
            raise BadInputError(
                f"{path.name}: unit {unit} belongs to several populations "
                f"({', '.join(sorted(of_unit))}); give it one"
            )
        populations.append(of_unit.pop())
        rows = (owner == unit).to_numpy()
        if len(spike[rows]) > 1 and not spike[rows].all():
            row = int(np.asarray(table.index)[rows & ~spike][0]) + 1
            raise BadInputError(
                f"{path.name}: the {column} of row {row} is empty, but unit {unit} has other rows; "
                "give the time, or delete the row"
            )
    for line in comments:
        mistaken = _MISTAKEN.match(line)
        wanted = "start_ms" if mistaken and mistaken["end"].lower() in _STARTS else "stop_ms"
        if mistaken and wanted not in notes:
            raise BadInputError(
                f"{path.name}: {line.strip()!r} is not understood; say it like '# {wanted} = 20000'"
            )
    start = _bound(path, notes, "start_ms", 0.0)
    # without a stop the last spike ends the recording: the bin after it is not known to be silent
    stop = _bound(path, notes, "stop_ms", float(np.nextafter(times[spike].max(), np.inf)))
    return SpikeTrains(
        path=path,
        times=tuple(np.sort(times[(owner == unit).to_numpy() & spike]) for unit in units),
        units=units,
        populations=tuple(populations),
        start=start,
        stop=stop,
        format="table of spikes",
        metadata={"name": notes["name"]} if "name" in notes else {},
        stop_known="stop_ms" in notes,
    )


def _bound(path: Path, notes: dict[str, str], name: str, otherwise: float) -> float:
    if name not in notes:
        return otherwise
    try:
        return float(notes[name])
    except ValueError as error:
        raise BadInputError(
            f"{path.name}: {name} is {notes[name]!r}, not a number in ms"
        ) from error


def _numbers(path: Path, table: pd.DataFrame, column: str, *, blanks: bool = False) -> np.ndarray:
    """A column as float64; the first row that is not a number is named."""
    values = np.asarray(pd.to_numeric(table[column], errors="coerce"), dtype=np.float64)
    text = table[column].str.lower()
    allowed = text.isin(["nan", ""]).to_numpy() if blanks else np.zeros(len(table), dtype=bool)
    bad = np.flatnonzero(~np.isfinite(values) & ~allowed)
    if len(bad):
        raise BadInputError(
            f"{path.name}: the {column} {table[column].iloc[bad[0]]!r} in row "
            f"{table.index[bad[0]] + 1} is not a finite number"
        )
    return values
