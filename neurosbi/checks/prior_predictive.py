"""Prior predictive check: can the model produce such a recording at all?

A network that is shown features outside what it was trained on extrapolates, and its posterior
means nothing. Two questions are asked of prior simulations at the recorded stimulus.

*Each feature by itself*: the observation lies **outside** when it is beyond the central range that
leaves ``TAIL / n_features`` of the simulations on either side (``TAIL`` = 0.5 %: with one feature
the 0.5 to 99.5 % range; divided by their number, an ordinary recording is flagged with a
probability of about 1 % however many features there are, or 2 % with as few simulations as 1000). A
feature is also outside when the recording has it and no simulation does, or the other way round.

*All features together*: the distance of the observation to the nearest simulations (see
`neighbours`). It finds combinations that no simulation shows although every single value is
ordinary.
Only simulations with the same defined features are compared.
"""

__all__ = ["PriorPredictiveCheck", "prior_predictive_check"]

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurosbi.checks.neighbours import JOINT_QUANTILE, neighbour_distance
from neurosbi.checks.predictive import column_quantiles
from neurosbi.checks.spread import defined_values, feature_spread
from neurosbi.contract import Feature, in_words, is_valid
from neurosbi.errors import BadInputError, FitError

TAIL = 0.005
_FEWEST = 50  # simulations below which neither check says anything


@dataclass(frozen=True, eq=False)
class PriorPredictiveCheck:
    """What the model gives at the recorded stimulus, and what of the recording lies outside.

    ``low`` and ``high`` [feature] bound the range used, ``outside`` [feature] is the finding and
    ``excess`` [feature] how far beyond the range the observation lies, in widths of the range
    (infinite where the feature exists on one side only). ``joint_ratio`` is the neighbour distance
    of the observation over the ``JOINT_QUANTILE`` of the simulations' own (above 1: unlike any
    simulation; NaN: fewer than 50 simulations to compare with); ``joint_p`` the share of
    simulations that are at least as far from the others. Features that nobody ``measured``
    [feature] lie nowhere, by themselves and together with others.
    """

    features: tuple[Feature, ...]
    x_observed: np.ndarray
    low: np.ndarray
    high: np.ndarray
    outside: np.ndarray
    excess: np.ndarray
    defined: np.ndarray
    n: int
    n_alike: int
    joint_ratio: float
    joint_p: float
    measured: np.ndarray

    @property
    def joint_outside(self) -> bool:
        """The combination of feature values is unlike any simulation."""
        return bool(self.joint_ratio > 1)

    @property
    def passed(self) -> bool:
        """Nothing of the recording lies outside what the model can produce."""
        return not (self.outside.any() or self.joint_outside)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The findings in words; one sentence that all is well when nothing was found."""
        found = []
        if self.outside.any():
            items = "; ".join(self.describe(i) for i in np.flatnonzero(self.outside))
            many = self.outside.sum() > 1
            noun = "these features lie" if many else "this feature lies"
            found.append(f"{noun} outside what the model can produce: {items}")
        if self.joint_outside:
            found.append(
                "the combination of the features lies outside what the model can produce: the "
                f"recording is {self.joint_ratio:.1f} times as far from the nearest simulations as "
                f"{100 * JOINT_QUANTILE:.0f} % of the simulations are from each other"
            )
        if not found:
            found.append("every observed feature lies within what the model can produce")
        if not np.isfinite(self.joint_ratio):
            found.append(
                f"only {self.n_alike} of {self.n} simulations have the same features defined as "
                "the recording, too few to compare their combination"
            )
        return tuple(found)

    def describe(self, i: int) -> str:
        """Feature ``i`` in words: its name, the observed value and the model's range, with units.

        A feature need not lie outside to be described: it may be odd beside the others only.
        """
        feature, value = self.features[i], self.x_observed[i]
        name, unit = in_words(feature.name), _unit(feature.unit)
        if not np.isfinite(value):
            often = f"in {100 * self.defined[i]:.0f} % of its simulations"
            return (
                f"{name} (undefined in the recording; the model has it "
                f"{'always' if self.outside[i] else often})"
            )
        if not np.isfinite(self.low[i]):
            return f"{name} ({value:.4g}{unit}; in the model it is never defined)"
        gives = f"the model gives {self.low[i]:.4g} to {self.high[i]:.4g}{unit}"
        beside = "" if self.outside[i] else ", but not beside the other features"
        return f"{name} ({value:.4g}{unit}; {gives}{beside})"


def prior_predictive_check(
    features: Sequence[Feature],
    x_observed: np.ndarray,
    *,
    prior_x: np.ndarray,
    prior_status: np.ndarray,
    measured: np.ndarray | None = None,
) -> PriorPredictiveCheck:
    """Compare ``x_observed[feature]`` with prior simulations ``prior_x[sim, feature]``.

    ``measured[feature]`` False is a feature that nobody looked for (None: all were): it is NaN
    for another reason than one that the recording lacks, and is compared with nothing.

    Raises `BadInputError` for arrays that do not fit together, `FitError` when fewer than 50
    simulations are valid.
    """
    x_observed = np.asarray(x_observed, dtype=np.float64)
    prior_x, prior_status = np.asarray(prior_x, dtype=np.float64), np.asarray(prior_status)
    width = len(features)
    if prior_x.ndim != 2 or prior_x.shape[1] != width or x_observed.shape != (width,):
        raise BadInputError(
            f"the prior predictive check needs prior_x [sim, {width}] and x [{width}], got "
            f"{prior_x.shape} and {x_observed.shape}"
        )
    valid = is_valid(prior_status)
    if valid.sum() < _FEWEST:
        raise FitError(
            f"only {int(valid.sum())} of {len(valid)} prior simulations ended properly at the "
            "recorded stimulus, too few to say what the model can produce: check that the injected "
            "current and the membrane area are in the right units"
        )
    values = defined_values(prior_x, valid)[valid]
    tail = TAIL / width
    low, high = column_quantiles(values, [tail, 1 - tail])
    defined = np.isfinite(values).mean(axis=0)
    measured = np.ones(width, dtype=bool) if measured is None else np.asarray(measured, dtype=bool)
    excess = np.where(measured, _excess(x_observed, low, high, defined), 0.0)
    ratio, p, alike = _joint(values[:, measured], x_observed[measured])
    return PriorPredictiveCheck(
        features=tuple(features),
        x_observed=x_observed,
        low=low,
        high=high,
        outside=excess > 0,
        excess=excess,
        defined=defined,
        n=len(values),
        n_alike=alike,
        joint_ratio=ratio,
        joint_p=p,
        measured=measured,
    )


def _unit(unit: str) -> str:
    return f" {unit}" if unit and unit != "1" else ""


def _excess(
    x_observed: np.ndarray, low: np.ndarray, high: np.ndarray, defined: np.ndarray
) -> np.ndarray:
    excess = np.zeros(len(x_observed))
    for i, value in enumerate(x_observed):
        if not np.isfinite(value):
            excess[i] = np.inf if defined[i] == 1 else 0.0
        elif defined[i] == 0:
            excess[i] = np.inf
        else:
            beyond = max(low[i] - value, value - high[i], 0.0)
            slack = 1e-9 * max(abs(low[i]), abs(high[i]), abs(value))
            if beyond > slack:
                range_width = high[i] - low[i]
                excess[i] = beyond / range_width if range_width > 0 else np.inf
    return excess


def _joint(values: np.ndarray, x_observed: np.ndarray) -> tuple[float, float, int]:
    defined = np.isfinite(x_observed)
    alike = values[np.all(np.isfinite(values) == defined, axis=1)][:, defined]
    spread, _ = feature_spread(alike)
    used = np.isfinite(spread)
    if len(alike) < _FEWEST or not used.any():
        return float("nan"), float("nan"), len(alike)
    ratio, p = neighbour_distance(alike[:, used], x_observed[defined][used], spread=spread[used])
    return ratio, p, len(alike)
