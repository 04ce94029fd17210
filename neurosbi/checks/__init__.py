"""Whether a posterior can be trusted: predictive checks, calibration, and the verdict."""

from neurosbi.checks.calibrate import calibrate, calibrate_held_out
from neurosbi.checks.calibration import Calibration
from neurosbi.checks.importance import judge_importance
from neurosbi.checks.local_calibration import LocalCalibration, local_calibration
from neurosbi.checks.misspecification import Misspecification, misspecification
from neurosbi.checks.predictive import (
    PredictiveCheck,
    compare_predictive,
    predictive_check,
    predictive_draws,
)
from neurosbi.checks.prior_predictive import PriorPredictiveCheck, prior_predictive_check
from neurosbi.checks.selection import producible_features
from neurosbi.checks.spread import feature_spread
from neurosbi.checks.sweep_sets import judge_sweeps, mean_distance, used_checks
from neurosbi.checks.verdict import LEVELS, Reason, Verdict, judge, verdict_of

__all__ = [
    "LEVELS",
    "Calibration",
    "LocalCalibration",
    "Misspecification",
    "PredictiveCheck",
    "PriorPredictiveCheck",
    "Reason",
    "Verdict",
    "calibrate",
    "calibrate_held_out",
    "compare_predictive",
    "feature_spread",
    "judge",
    "judge_importance",
    "judge_sweeps",
    "local_calibration",
    "mean_distance",
    "misspecification",
    "predictive_check",
    "predictive_draws",
    "prior_predictive_check",
    "producible_features",
    "used_checks",
    "verdict_of",
]
