"""What ``neurosbi inspect`` says of spike trains and of tables of features."""

__all__ = ["data_as_data", "data_as_text"]

from pathlib import Path
from shlex import join
from typing import Any

import numpy as np

from neurosbi.cli.text_table import text_table
from neurosbi.contract import FeatureTable, Simulator, SpikeTrains
from neurosbi.errors import NeuroSBIError

_MOST_ROWS = 40  # units listed one by one


def data_as_text(data: SpikeTrains | FeatureTable, file: Path) -> str:
    """The tables for people, ending with the commands that fit the file."""
    values = data_as_data(data)
    lines = [f"{data.name}  ({data.format})", ""]
    if isinstance(data, FeatureTable):
        rows = [
            [f["feature"], "" if f["value"] is None else f"{f['value']:.6g}", f["unit"]]
            for f in values["features"]
        ]
        lines.append(text_table(["feature", "value", "unit"], rows))
    else:
        header = ["unit", "population", "spikes", "rate Hz", "CV of intervals"]
        rows = [
            [
                u["unit"],
                u["population"],
                str(u["spikes"]),
                f"{u['rate_Hz']:.3g}",
                _cell(u["isi_cv"]),
            ]
            for u in values["units"][:_MOST_ROWS]
        ]
        lines.append(text_table(header, rows))
        if len(values["units"]) > _MOST_ROWS:
            lines.append(f"... and {len(values['units']) - _MOST_ROWS} more units")
        lines += ["", f"Window: {data.start:g} to {data.stop:g} ms ({data.duration / 1e3:.4g} s)"]
    lines.append("")
    fits = values["fit"]["simulators"]
    if not fits:
        lines.append(f"Nothing can be fitted: {values['fit']['why_not']}.")
    lines += ["Next: " + join(["neurosbi", "fit", str(file), "--simulator", n]) for n in fits]
    return "\n".join(lines)


def data_as_data(data: SpikeTrains | FeatureTable) -> dict[str, Any]:
    """The same as plain data."""
    names, reason = _simulators_for(data)
    values: dict[str, Any] = {"name": data.name, "path": str(data.path), "format": data.format}
    if isinstance(data, FeatureTable):
        values["features"] = [
            {"feature": n, "value": v if np.isfinite(v) else None, "unit": data.units.get(n, "")}
            for n, v in data.values.items()
        ]
    else:
        values |= {"start_ms": data.start, "stop_ms": data.stop, "units": _units(data)}
    return values | {"fit": {"simulators": names, "why_not": reason}}


def _units(trains: SpikeTrains) -> list[dict[str, Any]]:
    rows = []
    for unit, population, t in zip(trains.units, trains.populations, trains.times, strict=True):
        intervals = np.diff(t)
        enough = len(intervals) > 1 and intervals.mean() > 0
        rows.append(
            {
                "unit": unit,
                "population": population,
                "spikes": len(t),
                "rate_Hz": len(t) / trains.duration * 1e3,
                "isi_cv": float(intervals.std(ddof=1) / intervals.mean()) if enough else None,
            }
        )
    return rows


def _simulators_for(data: SpikeTrains | FeatureTable) -> tuple[list[str], str]:
    """The installed simulators that can be fitted to the data, and why the last other one cannot."""
    from neurosbi.registry import simulator, simulator_names

    possible, reason = [], "no simulator takes such data"
    for name in simulator_names():
        try:
            model: Simulator = simulator(name)
            if isinstance(data, FeatureTable):
                model.observe_table(data)
            elif type(model).observe_spikes is not Simulator.observe_spikes:
                model.observe_spikes(data)
            else:
                continue
        except NeuroSBIError as error:
            reason = str(error)
            continue
        possible.append(name)
    return possible, reason


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
