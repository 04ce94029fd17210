"""The posterior in numbers and in words.

*Shrinkage* says how much the recording told about a parameter: 1 - (posterior standard deviation) /
(prior standard deviation), both on the scale on which the prior is uniform. 1 means pinned to a
point, 0 as wide as before. A parameter is called *identified* from ``IDENTIFIED`` on, *weakly
identified* from ``WEAKLY`` on, else *not identified*.
"""

__all__ = ["feature_table", "parameter_table", "range_text", "summary_sentences"]

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from neurosbi.checks import PredictiveCheck, PriorPredictiveCheck
from neurosbi.contract import Parameter, positions, shrinkage

IDENTIFIED = 0.7  # the posterior is less than a third as wide as the prior
WEAKLY = 0.3
# The outermost fiftieth of the prior range; a fifth of the posterior there is ten times as much as
# a uniform one would put there, and its mode then lies at the bound.
_RIM = 0.02
_RIM_SHARE = 0.2


def parameter_table(parameters: Sequence[Parameter], theta: np.ndarray) -> pd.DataFrame:
    """One row per parameter of ``theta[draw, theta]``.

    Columns: parameter, unit, mean, sd, median, q5, q95 (in the unit), prior_low, prior_high,
    prior_scale, shrinkage, identified (in words), remark.
    """
    rows = []
    shares = 0.5 * (positions(parameters, theta) + 1)
    for p, values, share, shrunk in zip(
        parameters, theta.T, shares.T, shrinkage(parameters, theta), strict=True
    ):
        q5, median, q95 = np.quantile(values, [0.05, 0.5, 0.95])
        rows.append(
            {
                "parameter": p.name,
                "unit": p.unit,
                "mean": float(np.mean(values)),
                "sd": float(np.std(values, ddof=1)),
                "median": float(median),
                "q5": float(q5),
                "q95": float(q95),
                "prior_low": p.low,
                "prior_high": p.high,
                "prior_scale": p.scale,
                "shrinkage": float(shrunk),
                "identified": _identified(float(shrunk)),
                "remark": _rim(share),
            }
        )
    return pd.DataFrame(rows)


def feature_table(
    predictive: PredictiveCheck, prior: PriorPredictiveCheck, *, left_out: Sequence[str] = ()
) -> pd.DataFrame:
    """One row per feature; ``left_out`` are the names of those the fit did not use.

    Columns: feature, unit, observed, predicted_median, predicted_q5, predicted_q95, prior_low,
    prior_high (the range of `PriorPredictiveCheck`), distance and prior_distance (in prior
    spreads), quantile, remark (in words). NaN means undefined.
    """
    rows = []
    for i, feature in enumerate(predictive.features):
        remarks = [predictive.remarks[i] if prior.measured[i] else "not measured"]
        if prior.outside[i]:
            remarks.insert(0, "outside what the model can produce")
        if feature.name in left_out and prior.measured[i]:
            remarks.insert(0, "left out of the fit")
        if predictive.robust[i]:
            remarks.append("spread without the outermost percent of simulations, which are extreme")
        rows.append(
            {
                "feature": feature.name,
                "unit": feature.unit,
                "observed": float(predictive.x_observed[i]),
                "predicted_median": float(predictive.median[i]),
                "predicted_q5": float(predictive.interval[0, i]),
                "predicted_q95": float(predictive.interval[1, i]),
                "prior_low": float(prior.low[i]),
                "prior_high": float(prior.high[i]),
                "distance": float(predictive.distance[i]),
                "prior_distance": float(predictive.prior_distance[i]),
                "quantile": float(predictive.quantile[i]),
                "remark": "; ".join(remark for remark in remarks if remark),
            }
        )
    return pd.DataFrame(rows)


def summary_sentences(table: pd.DataFrame) -> tuple[str, ...]:
    """What the recording says about the parameters of `parameter_table`, in sentences."""
    rows = table.to_dict("records")
    pinned = [r for r in rows if r["shrinkage"] >= IDENTIFIED]
    weak = [r for r in rows if WEAKLY <= r["shrinkage"] < IDENTIFIED]
    little = [r["parameter"] for r in rows if r["shrinkage"] < WEAKLY]
    sentences = []
    if pinned:
        sentences.append(f"The recording pins down {_with_ranges(pinned)}.")
    else:
        sentences.append("The recording pins down none of the parameters by itself.")
    if weak:
        sentences.append(f"It narrows {_with_ranges(weak)}.")
    if little:
        sentences.append(f"It says little about {_listed(little)}.")
    if pinned or weak:
        sentences.append("Ranges hold 90 % of the posterior.")
    rim = [r["parameter"] for r in rows if r["remark"]]
    if rim:
        sentences.append(
            f"The posterior of {_listed(rim)} piles up at a bound of the prior: "
            "the best value may lie beyond it."
        )
    return tuple(sentences)


def range_text(low: float, high: float, unit: str) -> str:
    """A range with as many digits as its width deserves."""
    from neurosbi.plots.style import unit_text

    text = f"{number(low, high - low)} to {number(high, high - low)}"
    return f"{text} {unit_text(unit)}".rstrip()


def number(value: float, width: float | None = None) -> str:
    """A number with three significant digits of itself or two of the ``width`` it varies over."""
    if not np.isfinite(value):
        return "undefined"
    digits = 3
    if width and np.isfinite(width) and width > 0 and value != 0:
        digits = int(np.clip(np.floor(np.log10(abs(value) / width)) + 2, 3, 6))
    text = f"{value:.{digits}g}"
    return f"{float(text):.0f}" if "e" in text and 1 <= abs(value) < 1e6 else text


def _identified(shrinkage: float) -> str:
    if shrinkage >= IDENTIFIED:
        return "identified"
    return "weakly identified" if shrinkage >= WEAKLY else "not identified"


def _rim(u: np.ndarray) -> str:
    if np.mean(u < _RIM) > _RIM_SHARE:
        return "piles up at the lower bound"
    if np.mean(u > 1 - _RIM) > _RIM_SHARE:
        return "piles up at the upper bound"
    return ""


def _with_ranges(rows: Sequence[Mapping[Any, Any]]) -> str:
    return _listed([f"{r['parameter']} ({range_text(r['q5'], r['q95'], r['unit'])})" for r in rows])


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
