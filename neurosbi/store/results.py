"""Results on disk: an xarray DataTree in ArviZ's InferenceData schema, as Zarr v3.

Groups (dims): ``posterior`` and ``prior`` (chain, draw), one variable per parameter with its unit
and prior range in the attributes; ``sample_stats`` ``lp`` (chain, draw), and ``weight`` and
``log_likelihood`` where the simulator has a likelihood; ``observed_data``
``x`` (feature) and, of a sweep, ``voltage`` (time), of other data ``record``; ``constant_data``
``current`` (time) of a sweep;
``posterior_predictive`` ``x``, ``status``, ``valid`` (chain, draw, feature) and, where the
simulator has traces, ``v`` or what else it gives (chain, trace, trace_time[, cell]); ``prior_predictive`` likewise without
traces; ``training`` (epoch) where a network was trained; ``sweeps`` and ``sweep_gain`` where
several sweeps were fitted together (see `sweep_results`); ``rounds`` (round) where the posterior
was refined; ``calibration``, ``local_calibration`` and ``misspecification`` where those checks were
made; ``sampling`` (parameter, chain) where Markov chains were run. What is not an array (configuration,
seed, versions, verdict, stimulus) lies in the attributes of the root as JSON text. The group
``checks`` (feature) holds the numbers of the checks for readers in other languages.

`xarray.open_datatree` opens it, and `arviz.InferenceData.from_datatree` takes that; ArviZ 0.23's
own ``from_zarr`` refuses every store of Zarr >= 3 and names the same way.

Reference: https://python.arviz.org/en/stable/schema/schema.html
"""

__all__ = ["DIAGNOSTICS", "StoredResult", "read_results", "result_tree", "write_results"]

import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neurosbi.contract import Feature, Observation, Parameter, Stimulus, SweepObservation
from neurosbi.errors import BadInputError
from neurosbi.store.atomic import atomic_path
from neurosbi.store.cache import finite_data
from neurosbi.store.input_results import InputResults, input_groups, input_results
from neurosbi.store.sweep_results import SweepResults, sweep_groups, sweep_results

LAYOUT = 1  # raised when a reader of today could not read what a writer of tomorrow writes
_JSON_ATTRIBUTES = ("config", "simulator", "versions", "verdict", "seconds", "recording")
DIAGNOSTICS = ("calibration", "local_calibration", "misspecification", "sampling")
_RESERVED = {"chain", "draw"}
_NAME = re.compile(r"[^/\x00.][^/\x00]*")


@dataclass(frozen=True, eq=False)
class StoredResult:
    """All that a report is made of, as plain arrays and data.

    ``theta[draw, theta]`` and ``log_prob[draw]`` are the posterior draws; ``prior_theta``,
    ``prior_x``, ``prior_status`` [sim, ...] simulations of the prior at the recorded stimulus;
    ``predictive_x[draw, feature]``, ``predictive_status[draw]`` those of posterior draws and
    ``traces`` (dims sim, time[, channel]; one variable, ``v`` in mV or counts; time in ms) their
    first few or None. ``history`` maps
    epoch, train_loss, validation_loss, ... to arrays of one length, or is None. ``recording``,
    ``simulator``, ``config``, ``versions``, ``verdict``, ``seconds`` are plain data. ``sweeps`` are
    all sweeps of a fit to several; ``observation`` is then the one that figures show. ``rounds``
    are columns [round] of a refinement: simulations, used, prior_share, distance, answer.
    ``importance`` has arrays [draw] (weight, log_likelihood) and numbers (log_evidence,
    log_evidence_error, pareto_k, efficiency) where the simulator has a likelihood.
    ``diagnostics`` are the further checks, by the names of `DIAGNOSTICS`, as they store themselves.
    ``rounds`` are columns [round] of a refinement: simulations, used, prior_share, distance, answer.
    ``importance`` has arrays [draw] (weight, log_likelihood) and numbers (log_evidence,
    log_evidence_error, pareto_k, efficiency) where the simulator has a likelihood.
    ``inputs`` is the trace, where the posterior is conditioned on it.
    """

    parameters: tuple[Parameter, ...]
    features: tuple[Feature, ...]
    theta: np.ndarray
    log_prob: np.ndarray
    prior_theta: np.ndarray
    prior_x: np.ndarray
    prior_status: np.ndarray
    observation: Observation
    predictive_x: np.ndarray
    predictive_status: np.ndarray
    traces: xr.Dataset | None
    history: Mapping[str, np.ndarray] | None
    seed: int
    recording: Mapping[str, Any] = field(default_factory=dict)
    simulator: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    verdict: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    true_theta: np.ndarray | None = None
    sweeps: SweepResults | None = None
    diagnostics: Mapping[str, xr.Dataset] = field(default_factory=dict)
    rounds: Mapping[str, np.ndarray] | None = None
    importance: Mapping[str, Any] | None = None
    inputs: InputResults | None = None


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
    } | {name: json.dumps(finite_data(getattr(result, name))) for name in _JSON_ATTRIBUTES}
    return tree


def write_results(tree: xr.DataTree, path: Path) -> None:
    """Write the tree of `result_tree` to ``path`` (``results.zarr``), whole or not at all."""
    with atomic_path(Path(path)) as temporary, warnings.catch_warnings():
        # Without consolidated metadata xarray warns whoever opens the store; with it zarr warns
        # who writes it, because the Zarr v3 specification does not have it yet.
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        tree.to_zarr(
            temporary,
            mode="w",
            zarr_format=3,
            consolidated=True,
            write_inherited_coords=False,
            encoding={group.path: _encoding(group.to_dataset()) for group in tree.leaves},
        )


def read_results(path: Path) -> tuple[StoredResult, xr.DataTree]:
    """The result stored at ``path``, as plain arrays and as the (loaded) tree.

    Raises `BadInputError` when there is no result or when it is damaged.
    """
    path = Path(path)
    if not path.is_dir():
        raise BadInputError(f"there is no result at {path}; give a folder that neurosbi fit wrote")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with xr.open_datatree(path, engine="zarr") as opened:
                tree = opened.load()
        layout = int(tree.attrs.get("layout", -1))
    except Exception as error:  # zarr raises many kinds of error on a broken store
        raise _damaged(path, error) from error
    if tree.attrs.get("inference_library") != "neurosbi":
        raise BadInputError(f"{path} is a Zarr store, but not a result of neurosbi")
    if layout > LAYOUT:
        raise BadInputError(
            f"{path} was written by neurosbi {tree.attrs.get('inference_library_version')}, which "
            "is newer than this one: update neurosbi to read it"
        )
    try:
        result = _stored(tree)
    except Exception as error:
        raise _damaged(path, error) from error
    # Zarr reads a lost chunk as fill values without a word, so look at what can never be NaN.
    for name in ("theta", "prior_theta"):
        if not np.all(np.isfinite(getattr(result, name))):
            raise _damaged(path, ValueError("parameter values are missing"))
    return result, tree


def _damaged(path: Path, error: Exception) -> BadInputError:
    detail = (str(error).splitlines() or [""])[0] or type(error).__name__
    return BadInputError(
        f"the result {path} is damaged or incomplete ({detail}); run the fit again with "
        "--existing overwrite"
    )


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


_WEIGHTS = {"weight": "importance weight", "log_likelihood": "log-likelihood of the recording"}


def _sample_stats(result: StoredResult) -> xr.Dataset:
    columns = {"lp": ("", result.log_prob, "log posterior density")}
    importance = result.importance or {}
    columns |= {k: ("", importance[k], text) for k, text in _WEIGHTS.items() if k in importance}
    numbers = {k: float(v) for k, v in importance.items() if k not in _WEIGHTS}
    return _chain(columns).assign_attrs(numbers)


def _importance(group: xr.Dataset) -> dict[str, Any] | None:
    if "weight" not in group:
        return None
    return {k: group[k].values[0] for k in _WEIGHTS} | {str(k): v for k, v in group.attrs.items()}


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
                {"meaning": "0 ok, 1 no spikes, 2 blow-up, 3 failed"},
            ),
            "valid": (("chain", "draw"), (status < 2)[None]),
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
        attrs={"notes": json.dumps(list(o.notes))},
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


def _encoding(group: xr.Dataset) -> dict[str, dict[str, Any]]:
    # One chunk per array: they are small, and few files are kind to shared file systems.
    return {
        str(name): {"chunks": variable.shape}
        for name, variable in group.variables.items()
        if variable.size and variable.dtype != object
    }


def _stored(tree: xr.DataTree) -> StoredResult:
    groups = {name: child.to_dataset() for name, child in tree.children.items()}
    posterior, prior, observed = groups["posterior"], groups["prior"], groups["observed_data"]
    names = sorted(map(str, posterior.data_vars), key=lambda name: posterior[name].attrs["order"])
    predictive, prior_predictive = groups["posterior_predictive"], groups["prior_predictive"]
    features = tuple(
        Feature(name=str(name), unit=str(unit), description=str(description))
        for name, unit, description in zip(
            *(observed[column].values for column in _FEATURE_COLUMNS), strict=True
        )
    )
    history = None
    if "training" in groups:
        history = {str(name): v.values for name, v in groups["training"].variables.items()}
    extra = {name: json.loads(tree.attrs[name]) for name in _JSON_ATTRIBUTES}
    return StoredResult(
        parameters=tuple(_parameter(name, posterior[name].attrs) for name in names),
        features=features,
        theta=np.stack([posterior[n].values[0] for n in names], axis=1),
        log_prob=groups["sample_stats"]["lp"].values[0],
        prior_theta=np.stack([prior[n].values[0] for n in names], axis=1),
        prior_x=prior_predictive["x"].values[0],
        prior_status=prior_predictive["status"].values[0],
        observation=_observation(observed, groups["constant_data"]),
        predictive_x=predictive["x"].values[0],
        predictive_status=predictive["status"].values[0],
        traces=_traces(predictive),
        history=history,
        seed=int(tree.attrs["seed"]),
        true_theta=observed["true_theta"].values if "true_theta" in observed else None,
        sweeps=sweep_results(groups),
        diagnostics={name: groups[name] for name in DIAGNOSTICS if name in groups},
        rounds=_rounds(groups.get("rounds")),
        importance=_importance(groups["sample_stats"]),
        inputs=input_results(groups),
        **extra,
    )


_FEATURE_COLUMNS = ("feature", "feature_unit", "feature_description")


def _parameter(name: str, attributes: Mapping[Any, Any]) -> Parameter:
    kept = {f: attributes[f] for f in ("low", "high", "scale", "description", "source")}
    return Parameter(name=name, unit=attributes["units"], default=attributes.get("default"), **kept)


def _observation(observed: xr.Dataset, constant: xr.Dataset) -> Observation:
    values = json.loads(constant.attrs["stimulus"])
    if "waveform" in constant:
        values["current"] = constant["waveform"].values
    stimulus, x = Stimulus.from_dict(values), observed["x"].values
    notes = tuple(json.loads(observed.attrs["notes"]))
    if "voltage" in observed:
        return SweepObservation(
            sweep=int(observed.attrs["sweep"]),
            stimulus=stimulus,
            voltage=observed["voltage"].values,
            dt=float(observed.attrs["dt"]),
            x=x,
            notes=notes,
        )
    return Observation(
        stimulus=stimulus,
        x=x,
        record=observed["record"].values if "record" in observed else None,
        dt=float(observed.attrs["dt"]) if "dt" in observed.attrs else None,
        notes=notes,
    )


def _rounds(group: xr.Dataset | None) -> dict[str, np.ndarray] | None:
    return None if group is None else {str(k): v.values for k, v in group.data_vars.items()}


def _traces(predictive: xr.Dataset) -> xr.Dataset | None:
    # "v" without the mark was written before there were other traces
    name = next(
        (str(n) for n, v in predictive.data_vars.items() if v.attrs.get("is_trace") or n == "v"),
        None,
    )
    if name is None:
        return None
    values = predictive[name].isel(chain=0)
    channels = [str(d) for d in values.dims[2:]]
    attributes = {"units": "mV"} | {str(k): v for k, v in values.attrs.items() if k != "is_trace"}
    return xr.Dataset(
        {name: (("sim", "time", *channels), values.values, attributes)},
        coords={"time": ("time", predictive["trace_time"].values, {"units": "ms"})}
        | {c: (c, predictive[c].values) for c in channels if c in predictive.coords},
    )
