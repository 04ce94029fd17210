"""A result as an xarray DataTree in ArviZ's InferenceData schema; `results` names its groups."""

__all__ = ["LAYOUT", "result_tree"]

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from neurosbi.contract import (
    Feature,
    Observation,
    Parameter,
    Status,
    SweepObservation,
    in_words,
    is_valid,
)
from neurosbi.errors import BadInputError
from neurosbi.store.cache import finite_data
from neurosbi.store.input_results import input_groups
from neurosbi.store.stored_result import JSON_ATTRIBUTES, WEIGHTS, StoredResult
from neurosbi.store.sweep_results import sweep_groups

LAYOUT = 1  # raised when a reader of today could not read what a writer of tomorrow writes
_RESERVED = {"chain", "draw"}
_NAME = re.compile(r"[^/\x00.][^/\x00]*")


def result_tree(
    result: StoredResult, *, checks: Mapping[str, np.ndarray] | None = None
) -> xr.DataTree:
    """The result as a DataTree; ``checks`` are arrays [feature] for the group of that name.

    Raises `BadInputError` where a parameter's name cannot name a variable.
    """
    _check_names(result.parameters)
    groups = {
        "/posterior": _draws(result.parameters, result.theta),
        "/sample_stats": _sample_stats(result),
        "/prior": _draws(result.parameters, result.prior_theta),
        "/posterior_predictive": _posterior_predictive(result),
        "/prior_predictive": _simulations(result.features, result.prior_x, result.prior_status),
        "/observed_data": _observed(result),
        "/constant_data": _stimulus(result.observation),
    }
    if checks:
        groups["/checks"] = xr.Dataset(
            {name: ("feature", np.asarray(values)) for name, values in checks.items()},
            coords=_feature_coordinate(result.features),
        )
    if result.sweeps is not None:
        names = tuple(p.name for p in result.parameters)
        groups |= sweep_groups(result.sweeps, _feature_coordinate(result.features), names)
    groups |= {f"/{name}": values for name, values in result.diagnostics.items()}
    if result.rounds:
        n = len(next(iter(result.rounds.values())))
        groups["/rounds"] = xr.Dataset(
            {name: ("round", np.asarray(v)) for name, v in result.rounds.items()},
            coords={"round": np.arange(1, n + 1)},
        )
    if result.inputs is not None:
        groups |= input_groups(result.inputs)
    if result.history:
        groups["/training"] = xr.Dataset(
            {
                name: ("epoch", np.asarray(v))
                for name, v in result.history.items()
                if name != "epoch"
            }
            | {"epoch": ("epoch", _epochs(result.history))}
        )
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = {
        "layout": LAYOUT,
        "inference_library": "neurosbi",
        "inference_library_version": result.versions.get("neurosbi", ""),
        "seed": int(result.seed),
    } | {name: json.dumps(finite_data(getattr(result, name))) for name in JSON_ATTRIBUTES}
    return tree


def _check_names(parameters: tuple[Parameter, ...]) -> None:
    for parameter in parameters:
        if parameter.name in _RESERVED or not _NAME.fullmatch(parameter.name):
            raise BadInputError(
                f"a parameter cannot be stored under the name {parameter.name!r}: rename it in the "
                "simulator (no slash, no leading dot, not chain or draw)"
            )


def _draws(parameters: tuple[Parameter, ...], theta: np.ndarray) -> xr.Dataset:
    variables = {}
    for i, p in enumerate(parameters):
        attributes: dict[str, Any] = {"units": p.unit, "low": p.low, "high": p.high}
        attributes |= {"scale": p.scale, "description": p.description, "source": p.source}
        attributes["order"] = i  # a Zarr group lists its arrays in any order
        if p.default is not None:
            attributes["default"] = float(p.default)
        variables[p.name] = (("chain", "draw"), theta[None, :, i], attributes)
    return xr.Dataset(variables, coords=_chain_coordinates(len(theta)))


def _chain_coordinates(n: int) -> dict[str, Any]:
    return {"chain": np.zeros(1, dtype=np.int64), "draw": np.arange(n)}


def _sample_stats(result: StoredResult) -> xr.Dataset:
    columns = {"lp": ("", result.log_prob, "log posterior density")}
    importance = result.importance or {}
    columns |= {k: ("", importance[k], text) for k, text in WEIGHTS.items() if k in importance}
    numbers = {k: float(v) for k, v in importance.items() if k not in WEIGHTS}
    return _chain(columns).assign_attrs(numbers)


def _chain(columns: Mapping[str, tuple[str, np.ndarray, str]]) -> xr.Dataset:
    n = len(next(iter(columns.values()))[1])
    return xr.Dataset(
        {
            name: (
                ("chain", "draw"),
                np.asarray(values)[None],
                {"units": unit, "description": text},
            )
            for name, (unit, values, text) in columns.items()
        },
        coords=_chain_coordinates(n),
    )


def _feature_coordinate(features: tuple[Feature, ...]) -> dict[str, Any]:
    def text(values: list[str]) -> tuple[str, np.ndarray]:
        return "feature", np.array(values, dtype=object)  # variable length: in the Zarr v3 registry

    return {
        "feature": text([f.name for f in features]),
        "feature_unit": text([f.unit for f in features]),
        "feature_description": text([f.description for f in features]),
    }


def _simulations(features: tuple[Feature, ...], x: np.ndarray, status: np.ndarray) -> xr.Dataset:
    status = np.asarray(status, dtype=np.int8)
    return xr.Dataset(
        {
            "x": (("chain", "draw", "feature"), x[None]),
            "status": (
                ("chain", "draw"),
                status[None],
                {"meaning": ", ".join(f"{s.value} {in_words(s.name.lower())}" for s in Status)},
            ),
            "valid": (("chain", "draw"), is_valid(status)[None]),
        },
        coords=_chain_coordinates(len(x)) | _feature_coordinate(features),
    )


def _posterior_predictive(result: StoredResult) -> xr.Dataset:
    group = _simulations(result.features, result.predictive_x, result.predictive_status)
    if result.traces is None:
        return group
    (name, values), *_ = result.traces.data_vars.items()
    channels = [str(d) for d in values.dims if d not in ("sim", "time")]
    values = values.transpose("sim", "time", *channels)
    group = group.assign(
        {
            str(name): (
                ("chain", "trace", "trace_time", *channels),
                values.values.astype(np.float32)[None],
                {**values.attrs, "is_trace": 1},
            )
        }
    ).assign_coords(
        trace=("trace", np.arange(values.sizes["sim"]), {"description": "the draw it belongs to"}),
        trace_time=("trace_time", values["time"].values.astype(np.float64), {"units": "ms"}),
    )
    named = [c for c in channels if c in values.coords]
    labels = {c: (c, np.array([str(v) for v in values[c].values], dtype=object)) for c in named}
    return group.assign_coords(labels)


def _observed(result: StoredResult) -> xr.Dataset:
    o = result.observation
    group = xr.Dataset(
        {"x": ("feature", np.asarray(o.x, dtype=np.float64))},
        coords=_feature_coordinate(result.features),
        attrs={
            "notes": json.dumps(list(o.notes)),
            "not_measured": json.dumps(list(o.not_measured)),
        },
    )
    if isinstance(o, SweepObservation):
        voltage = np.asarray(o.voltage, dtype=np.float64)
        group = group.assign(voltage=("time", voltage, {"units": "mV"}))
        group = group.assign_coords(_time(len(voltage), o.dt))
    if o.record is not None:
        group["record"] = (("record_time", *_RECORD_DIMS[o.record.ndim - 1]), o.record)
    if o.sweep is not None:
        group.attrs["sweep"] = int(o.sweep)
    if o.dt is not None:
        group.attrs["dt"] = float(o.dt)
    if result.true_theta is not None:
        group["true_theta"] = ("parameter", np.asarray(result.true_theta, dtype=np.float64))
    return group


_RECORD_DIMS = ((), ("population",))


def _stimulus(o: Observation) -> xr.Dataset:
    # Any sampling of the current serves the eye; the exact stimulus is in the attributes or, for
    # a waveform, in its own variable.
    stimulus = o.stimulus
    description = {k: v for k, v in stimulus.to_dict().items() if k != "current"}
    group = xr.Dataset(attrs={"stimulus": json.dumps(description)})
    if isinstance(o, SweepObservation):
        n = len(o.voltage)
        current = np.full(n, np.nan)
        sampled = stimulus.sampled(o.dt)[:n]
        current[: len(sampled)] = sampled
        if len(sampled):
            current[len(sampled) :] = sampled[-1]
        group = group.assign(current=("time", current, {"units": stimulus.unit}))
        group = group.assign_coords(_time(n, o.dt))
    if stimulus.current is not None:
        group["waveform"] = ("sample", stimulus.current, {"units": stimulus.unit})
    return group


def _time(n: int, dt: float) -> dict[str, Any]:
    return {"time": ("time", np.arange(n) * dt, {"units": "ms"})}


def _epochs(history: Mapping[str, Any]) -> np.ndarray:
    if "epoch" in history:
        return np.asarray(history["epoch"])
    return np.arange(1, 1 + len(next(iter(history.values()))))
