"""All that a result on disk holds, as plain arrays and data."""

__all__ = ["DIAGNOSTICS", "JSON_ATTRIBUTES", "WEIGHTS", "StoredResult"]

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from neurosbi.contract import Feature, Observation, Parameter
from neurosbi.store.input_results import InputResults
from neurosbi.store.sweep_results import SweepResults

DIAGNOSTICS = ("calibration", "local_calibration", "misspecification", "sampling")
JSON_ATTRIBUTES = ("config", "simulator", "versions", "verdict", "seconds", "recording")
WEIGHTS = {"weight": "importance weight", "log_likelihood": "log-likelihood of the recording"}


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

    @property
    def measured(self) -> np.ndarray:
        """bool [feature]: see `Observation.measured`."""
        return self.observation.measured(self.features)

    @property
    def used(self) -> np.ndarray:
        """bool [feature]: the posterior is conditioned on it."""
        left_out = self.verdict.get("left_out", ())
        return np.array([f.name not in left_out for f in self.features])
