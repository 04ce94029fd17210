"""Whether a posterior can be trusted: predictive checks and the verdict made of them."""

from neurosbi.checks.importance import judge_importance
from neurosbi.checks.predictive import PredictiveCheck, compare_predictive, predictive_check
from neurosbi.checks.prior_predictive import PriorPredictiveCheck, prior_predictive_check
from neurosbi.checks.selection import producible_features
from neurosbi.checks.spread import feature_spread
from neurosbi.checks.sweep_sets import judge_sweeps, mean_distance
from neurosbi.checks.verdict import LEVELS, Reason, Verdict, judge, verdict_of

__all__ = [
    "LEVELS",
    "PredictiveCheck",
    "PriorPredictiveCheck",
    "Reason",
    "Verdict",
    "compare_predictive",
    "feature_spread",
    "judge",
    "judge_importance",
    "judge_sweeps",
    "mean_distance",
    "predictive_check",
    "prior_predictive_check",
    "producible_features",
    "verdict_of",
]
