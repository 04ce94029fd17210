"""The checks of network and posterior as a table and as plain data."""

__all__ = ["calibration_json", "check_table", "checks_json"]

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neurosbi.checks import Calibration
from neurosbi.store.cache import finite_data

if TYPE_CHECKING:
    from neurosbi.report.findings import Findings


def check_table(findings: "Findings") -> pd.DataFrame:
    """One row per parameter; NaN where a check was not made, no rows where none was.

    ``coverage_90`` and ``truth_below_median`` are shares of test cases; ``local_shift`` is
    where the exact posterior at this recording seems to lie, in standard deviations of the one
    used, and ``local_width`` its standard deviation relative to that.
    """
    names = [p.name for p in findings.stored.parameters]
    nothing = np.full(len(names), np.nan)
    calibration, local = findings.calibration, findings.local_calibration
    if calibration is None and local is None:
        names, nothing = [], nothing[:0]
    return pd.DataFrame(
        {
            "parameter": names,
            "coverage_90": nothing if calibration is None else calibration.coverage(),
            "truth_below_median": nothing if calibration is None else calibration.curve_at_half,
            "local_shift": nothing if local is None else local.shift,
            "local_width": nothing if local is None else local.width,
        }
    )


def checks_json(findings: "Findings") -> dict[str, Any]:
    """All further checks as plain data; None for one that was not made."""
    local, unlike = findings.local_calibration, findings.misspecification
    return {
        "calibration": calibration_json(findings.calibration),
        "local_calibration": None
        if local is None
        else finite_data({"simulations": local.n, "p": local.p, "sentence": local.sentence}),
        "misspecification": None
        if unlike is None
        else finite_data(
            {
                "simulations": unlike.n,
                "context_p": unlike.context_p,
                "context_ratio": unlike.context_ratio,
                "feature_p": dict(
                    zip((f.name for f in unlike.features), unlike.p.tolist(), strict=True)
                ),
                "sentence": unlike.sentence,
            }
        ),
        "parameters": finite_data(check_table(findings).to_dict("records")),
    }


def calibration_json(calibration: Calibration | None) -> dict[str, Any] | None:
    """The calibration of a network as plain data."""
    if calibration is None:
        return None
    return finite_data(
        {
            "simulations": calibration.n,
            "draws": calibration.draws,
            "coverage_90": dict(
                zip(calibration.parameters, calibration.coverage().tolist(), strict=True)
            ),
            "joint_coverage_90": calibration.joint_coverage(),
            "ball_coverage_90": calibration.ball_coverage(),
            "held_out_of_training": calibration.held_out,
            "stopped_by_time_limit": calibration.stopped,
            "seconds": calibration.seconds,
            "sentence": calibration.sentence,
        }
    )
