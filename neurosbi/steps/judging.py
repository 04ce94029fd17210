"""The verdict of a fit, from its checks; `judge_again` with some of the further checks renewed."""

__all__ = ["judge_again", "judge_fit"]

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosbi.checks import (
    PredictiveCheck,
    PriorPredictiveCheck,
    Reason,
    Verdict,
    judge,
    judge_sweeps,
    prior_predictive_check,
    used_checks,
)
from neurosbi.checks.remedies import MORE_SIMULATIONS, REFINE
from neurosbi.inference.methods import METHODS
from neurosbi.store.sweep_results import SweepResults

if TYPE_CHECKING:
    from neurosbi.steps.result import Result


def judge_fit(
    predictive: PredictiveCheck,
    prior_predictive: PriorPredictiveCheck,
    *,
    prior_x: np.ndarray,
    prior_status: np.ndarray,
    kept: np.ndarray,
    sweeps: SweepResults | None,
    further: Iterable[Reason],
    config: Mapping[str, Any],
) -> Verdict:
    """The verdict on a posterior conditioned on the features ``kept[feature]``.

    The checks are those of all features; ``prior_x[sim, feature]`` and ``prior_status[sim]`` the
    simulations they were made with; ``sweeps`` all sweeps of a fit to several; ``config`` that of
    the fit, which tells what the user can change.
    """
    features = predictive.features
    left_out = prior_predictive.measured & ~kept
    others = [] if sweeps is None else used_checks(features, sweeps)[1:]
    trained = config.get("method", "npe") in METHODS
    verdict = judge(
        predictive.only(kept),
        prior_predictive_check(
            [f for f, k in zip(features, kept, strict=True) if k],
            prior_predictive.x_observed[kept],
            prior_x=prior_x[:, kept],
            prior_status=prior_status,
        ),
        left_out=[prior_predictive.describe(i) for i in np.flatnonzero(left_out)],
        further=[*further, *judge_sweeps(others)],
        exact=not trained,
    )
    once = config.get("rounds", 1) == 1 and config.get("inputs", "features") == "features"
    if trained and once and MORE_SIMULATIONS in verdict.remedies:
        return replace(verdict, remedies=tuple(dict.fromkeys((*verdict.remedies, REFINE))))
    return verdict


def judge_again(result: "Result", renewed: Iterable[Reason], *, sources: Iterable[str]) -> "Result":
    """The result with a new verdict: reasons from ``sources`` are replaced by ``renewed``."""
    stored, forgotten = result.stored, set(sources)
    before = [Reason(**reason) for reason in stored.verdict.get("further", ())]
    further = [*(r for r in before if r.source not in forgotten), *renewed]
    verdict = judge_fit(
        result.predictive,
        result.prior_predictive,
        prior_x=stored.prior_x,
        prior_status=stored.prior_status,
        kept=result.used,
        sweeps=stored.sweeps,
        further=further,
        config=stored.config,
    )
    values = {
        **stored.verdict,
        **verdict.to_dict(),
        "further": [asdict(reason) for reason in further],
    }
    return replace(result, stored=replace(stored, verdict=values), verdict=verdict)
