"""Results on disk: an xarray DataTree in ArviZ's InferenceData schema, as Zarr v3.

Groups (dims): ``posterior`` and ``prior`` (chain, draw), one variable per parameter with its unit
and prior range in the attributes; ``sample_stats`` ``lp`` (chain, draw), and ``weight`` and
``log_likelihood`` where the simulator has a likelihood; ``observed_data`` ``x`` (feature) and, of a
sweep, ``voltage`` (time), of other data ``record``; ``constant_data`` ``current`` (time) of a
sweep; ``posterior_predictive`` ``x``, ``status``, ``valid`` (chain, draw, feature) and, where the
simulator has traces, ``v`` or what else it gives (chain, trace, trace_time[, cell]);
``prior_predictive`` likewise without traces; ``training`` (epoch) where a network was trained;
``sweeps`` and ``sweep_gain`` where several sweeps were fitted together (see `sweep_results`);
``rounds`` (round) where the posterior was refined; ``calibration``, ``local_calibration`` and
``misspecification`` where those checks were made; ``sampling`` (parameter, chain) where Markov
chains were run. What is not an array (configuration, seed, versions, verdict, stimulus) lies in the
attributes of the root as JSON text. The group ``checks`` (feature) holds the numbers of the checks
for readers in other languages.

`xarray.open_datatree` opens it, and `arviz.InferenceData.from_datatree` takes that; ArviZ 0.23's
own ``from_zarr`` refuses every store of Zarr >= 3 and names the same way.

Reference: https://python.arviz.org/en/stable/schema/schema.html
"""

__all__ = ["read_results", "write_results"]

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neurosbi.contract import Feature, Observation, Parameter, Stimulus, SweepObservation
from neurosbi.errors import BadInputError, one_line
from neurosbi.store.atomic import atomic_path
from neurosbi.store.input_results import input_results
from neurosbi.store.result_tree import LAYOUT
from neurosbi.store.stored_result import DIAGNOSTICS, JSON_ATTRIBUTES, WEIGHTS, StoredResult
from neurosbi.store.sweep_results import sweep_results

# where results lie in a folder of results, and in one of a recording
_BELOW = ("*/results.zarr", "*/*/results.zarr")


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
    if not (path / "zarr.json").is_file():
        below = [str(p.parent) for depth in _BELOW for p in sorted(path.glob(depth))]
        raise BadInputError(
            f"{path} holds no result; give a folder that neurosbi fit wrote"
            + (f", such as {', '.join(below[:3])}" if below else "")
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with xr.open_datatree(path, engine="zarr") as opened:
                tree = opened.load()
        layout = int(tree.attrs.get("layout", -1))
    except Exception as error:  # zarr raises many kinds of error on a broken store
        raise _damaged(path, error) from error
    if tree.attrs.get("inference_library") != "neurosbi":
        raise BadInputError(
            f"{path} is a Zarr store, but not a result; give one that neurosbi fit wrote"
        )
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
    return BadInputError(
        f"the result {path} is damaged or incomplete ({one_line(error)}); run the fit again with "
        "--existing overwrite"
    )


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
    extra = {name: json.loads(tree.attrs[name]) for name in JSON_ATTRIBUTES}
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
        not_measured=tuple(json.loads(observed.attrs.get("not_measured", "[]"))),
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


def _importance(group: xr.Dataset) -> dict[str, Any] | None:
    if "weight" not in group:
        return None
    return {k: group[k].values[0] for k in WEIGHTS} | {str(k): v for k, v in group.attrs.items()}
