"""Put the result of a fit together: checks, verdict and arrays."""

__all__ = ["assemble_result"]

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

import neurosbi
from neurosbi.checks import PredictiveCheck, Reason, judge_importance, prior_predictive_check
from neurosbi.contract import Observation, Simulator
from neurosbi.errors import BadInputError
from neurosbi.steps.judging import judge_fit
from neurosbi.steps.result import Result
from neurosbi.store.input_results import InputResults
from neurosbi.store.stored_result import StoredResult
from neurosbi.store.sweep_results import SweepResults

if TYPE_CHECKING:
    from neurosbi.inference.importance import ImportanceSamples

_PACKAGES = ("numpy", "scipy", "numba", "torch", "sbi", "xarray", "zarr", "matplotlib")


def assemble_result(
    simulator: Simulator,
    observation: Observation,
    *,
    theta: np.ndarray,
    log_prob: np.ndarray,
    predictive: PredictiveCheck,
    prior_theta: np.ndarray,
    prior_x: np.ndarray,
    prior_status: np.ndarray,
    seed: int,
    recording: Mapping[str, Any],
    config: Mapping[str, Any],
    history: Mapping[str, Sequence[float] | np.ndarray] | None = None,
    seconds: Mapping[str, float] | None = None,
    papers: Sequence[str] = (),
    given: np.ndarray | None = None,
    further: Iterable[Reason] = (),
    true_theta: np.ndarray | None = None,
    sweeps: SweepResults | None = None,
    diagnostics: Mapping[str, xr.Dataset] | None = None,
    rounds: Mapping[str, np.ndarray] | None = None,
    importance: "ImportanceSamples | None" = None,
    inputs: InputResults | None = None,
) -> Result:
    """Checks, verdict and arrays of one fit, together.

    ``theta[draw, theta]`` and ``log_prob[draw]`` are the posterior; ``predictive`` comes from
    `predictive_check`; ``prior_theta``, ``prior_x``, ``prior_status`` [sim, ...] are prior
    simulations at the observed stimulus. ``recording`` (name, path, format, junction_potential,
    ...) and ``config`` (method, simulations, ...) are plain data shown in the report as they are;
    ``papers`` are to be cited besides the simulator's; ``given[feature]`` says which features the
    posterior is conditioned on (None: all that were measured); ``further`` adds reasons to the
    verdict; ``sweeps`` are all sweeps of a fit to several, ``observation`` the first of them;
    ``diagnostics`` are the further checks as they store themselves (see
    `neurosbi.store.stored_result.DIAGNOSTICS`);
    ``rounds`` are columns [round] of a refinement; ``importance`` weighs the very draws ``theta``;
    ``inputs`` is the trace, if the posterior is conditioned on it.

    Raises `BadInputError` for arrays that do not fit together or hold values that are not finite.
    """
    theta = simulator.check_theta(theta)
    prior_theta = simulator.check_theta(prior_theta)
    log_prob = np.asarray(log_prob, dtype=np.float64)
    for name, values, length in (
        ("log_prob", log_prob, len(theta)),
        ("prior_x", prior_x, len(prior_theta)),
        ("prior_status", prior_status, len(prior_theta)),
    ):
        if len(values) != length:
            raise BadInputError(f"a result needs {length} rows of {name}, got {len(values)}")
    features = simulator.feature_set
    prior_predictive = prior_predictive_check(
        features,
        observation.x,
        prior_x=prior_x,
        prior_status=prior_status,
        measured=observation.measured(features),
    )
    kept = prior_predictive.measured if given is None else np.asarray(given, dtype=bool)
    further = (*further, *judge_importance(importance))
    verdict = judge_fit(
        predictive,
        prior_predictive,
        prior_x=np.asarray(prior_x),
        prior_status=prior_status,
        kept=kept,
        sweeps=sweeps,
        further=further,
        config=config,
    )
    stored = StoredResult(
        parameters=tuple(simulator.parameters),
        features=tuple(features),
        theta=theta,
        log_prob=log_prob,
        prior_theta=prior_theta,
        prior_x=np.asarray(prior_x, dtype=np.float64),
        prior_status=np.asarray(prior_status, dtype=np.int8),
        observation=observation,
        predictive_x=predictive.x,
        predictive_status=predictive.status,
        traces=_single_precision(predictive.traces),
        history=_equal_columns(history),
        seed=seed,
        recording=dict(recording),
        simulator={
            "name": simulator.name,
            "version": simulator.version,
            "summary": simulator.summary,
            "papers": [*simulator.papers, *papers],
            "config": simulator.config(),
            "settings": dict(simulator.settings),
        },
        config=dict(config),
        versions=_versions(),
        verdict={
            **verdict.to_dict(),
            "left_out": [f.name for f, k in zip(features, kept, strict=True) if not k],
            "further": [asdict(reason) for reason in further],
        },
        seconds=dict(seconds or {}),
        true_theta=true_theta,
        sweeps=sweeps,
        diagnostics=dict(diagnostics or {}),
        rounds=rounds,
        importance=None if importance is None else importance.columns(),
        inputs=inputs,
    )
    return Result(stored, predictive, prior_predictive, verdict)


def _single_precision(traces: xr.Dataset | None) -> xr.Dataset | None:
    """The first variable of traces that has a time axis, as it is stored.

    In single precision, so that figures drawn now and from disk are the same.
    """
    for name, values in {} if traces is None else traces.data_vars.items():
        channels = [str(d) for d in values.dims if d not in ("sim", "time")]
        if {"sim", "time"} <= set(values.dims) and len(channels) <= 1:
            values = values.astype(np.float32).transpose("sim", "time", *channels)
            return xr.Dataset({str(name): values})
    return None


def _equal_columns(
    history: Mapping[str, Sequence[float] | np.ndarray] | None,
) -> dict[str, np.ndarray] | None:
    columns = {k: np.asarray(v) for k, v in (history or {}).items() if np.ndim(v) == 1}
    columns = {k: v for k, v in columns.items() if v.dtype.kind in "fiub"}
    lengths = {len(v) for v in columns.values()}
    if len(lengths) > 1:
        raise BadInputError(
            "a training history needs columns of equal length, got "
            + ", ".join(f"{k} {len(v)}" for k, v in columns.items())
        )
    return columns if columns and lengths != {0} else None


def _versions() -> dict[str, str]:
    versions = {"neurosbi": neurosbi.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
