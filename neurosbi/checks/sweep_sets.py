"""Predictive checks of several sweeps fitted together, and what they add to the verdict."""

__all__ = ["judge_sweeps", "mean_distance", "used_checks"]

from collections.abc import Iterator, Sequence

import numpy as np

from neurosbi.checks.predictive import PredictiveCheck, compare_predictive
from neurosbi.checks.remedies import ANOTHER_MODEL
from neurosbi.checks.verdict import Reason
from neurosbi.contract import Feature, in_words
from neurosbi.store.sweep_results import SweepResults

_MOST_SWEEPS = 0.5  # share of the sweeps that may miss most features before a posterior is useless
_MOST_FEATURES = 0.5


def judge_sweeps(sweeps: Sequence[tuple[int, PredictiveCheck]]) -> Iterator[Reason]:
    """Reasons from the sweeps besides the one of the figures: ``(number, check)`` of each.

    The checks are those of the features used. A feature that predictions of some sweeps do not
    reproduce is a reason for caution; if more than half of the sweeps miss more than half of
    their features, not to use the posterior.
    """
    missing: dict[str, list[int]] = {}
    failed = 0
    for number, check in sweeps:
        missed = np.flatnonzero(check.missed)
        failed += len(missed) > _MOST_FEATURES * max(1, np.isfinite(check.distance).sum())
        for i in missed:
            missing.setdefault(in_words(check.features[i].name), []).append(number)
    level = "do not use" if failed > _MOST_SWEEPS * max(1, len(sweeps)) else "caution"
    for name, numbers in missing.items():
        which = ", ".join(map(str, numbers))
        noun = "sweep" if len(numbers) == 1 else "sweeps"
        yield Reason(
            level,
            f"simulations of the posterior do not reproduce {name} of {noun} {which} "
            f"({len(numbers)} of the {len(sweeps)} other sweeps)",
            remedy=ANOTHER_MODEL,
        )


def mean_distance(checks: Sequence[PredictiveCheck]) -> float:
    """Mean predictive distance over sweeps; NaN where no sweep has one."""
    values = [c.mean_distance for c in checks if np.isfinite(c.mean_distance)]
    return float(np.mean(values)) if values else float("nan")


def used_checks(
    features: Sequence[Feature], sweeps: SweepResults
) -> list[tuple[int, PredictiveCheck]]:
    """Number and predictive check, of the features used, for every sweep."""
    return [
        (
            number,
            compare_predictive(
                features,
                sweeps.x[i],
                x=sweeps.predictive_x[i],
                status=sweeps.predictive_status[i],
                prior_x=sweeps.prior_x[i],
                prior_status=sweeps.prior_status[i],
            ).only(sweeps.given[i]),
        )
        for i, number in enumerate(sweeps.number)
    ]
