"""Posterior predictive check: do simulations of the posterior look like the recording?

For every feature f the *predictive distance* is

    d_f = mean over draws of |x_f - x_o,f| / s_f,

with s_f the spread of the feature over prior simulations at the same stimulus (`feature_spread`).
0 is a perfect match; a prior draw is typically about 1 away. An undefined feature (NaN, say a
threshold without a spike) has no distance: there, what counts is whether recording and predictions
agree that it is undefined.

A feature is *missed* where the predictions exclude the recording: p_f < 0.01 / number of features,
with p_f the two-sided probability of a prediction as far out as x_o,f. Some hundred draws do not
show probabilities that small, so the tail beyond the outermost tenth of the draws is taken to be
exponential, with the mean of their excess. Normal tails are thinner, so that a miss is told rather
too late than too soon.

References: Gelman, Meng, Stern (1996), Statistica Sinica 6:733, on predictive checks; the average
distance relative to the prior spread is our choice of discrepancy.
"""

__all__ = ["PredictiveCheck", "compare_predictive", "predictive_check", "predictive_draws"]

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from neurosbi.checks.spread import defined_values, feature_spread
from neurosbi.contract import Feature, Observation, Simulator, is_valid
from neurosbi.errors import BadInputError, FitError
from neurosbi.seeds import derive_seed

if TYPE_CHECKING:
    import xarray as xr

# The two-sided probability below which an observed value counts as missed, divided by the number of
# features compared (Bonferroni).
MISSED_SHARE = 0.01
# The outermost draws that tell how a tail goes on: this share of them, but not fewer than so many.
_TAIL_SHARE, _TAIL_DRAWS = 0.1, 10
# Below a quarter of the prior spread a mismatch hardly moves a parameter, however certain it is.
MISSED_DISTANCE = 0.25
# A fit simulates so many draws, fewer of slow models: a twentieth of what their network is trained on
# by default, but enough to tell how their tails go on.
_MOST_DRAWS, _FEWEST_DRAWS = 500, 100
# The majority of draws disagrees with the recording about whether a feature exists.
_DISAGREEING = 0.5


@dataclass(frozen=True, eq=False)
class PredictiveCheck:
    """Features of posterior draws against those of the recording.

    ``x[draw, feature]`` and ``status[draw]`` are the predictive simulations, ``traces`` (dims sim,
    time; ``v`` in mV) those of the first draws or None where the simulator has none.
    ``spread[feature]`` is the unit of ``distance[feature]`` and ``prior_distance[feature]`` (the
    same for prior simulations). ``quantile`` and ``prior_quantile`` say where the observation lies
    within predictive and prior-predictive values (0 to 1), ``tail`` how probable a prediction as
    far out is (two-sided). ``defined`` and ``prior_defined`` are the fractions of valid simulations
    with a value. NaN: not computable.
    """

    features: tuple[Feature, ...]
    x_observed: np.ndarray
    x: np.ndarray
    status: np.ndarray
    traces: "xr.Dataset | None"
    spread: np.ndarray
    robust: np.ndarray
    distance: np.ndarray
    prior_distance: np.ndarray
    quantile: np.ndarray
    prior_quantile: np.ndarray
    tail: np.ndarray
    defined: np.ndarray
    prior_defined: np.ndarray
    median: np.ndarray
    interval: np.ndarray

    def only(self, kept: np.ndarray) -> "PredictiveCheck":
        """The same check of the features ``kept`` [feature] alone."""
        columns = {
            f.name: getattr(self, f.name)[..., kept]
            for f in fields(self)
            if f.name not in ("features", "status", "traces")
        }
        features = tuple(f for f, k in zip(self.features, kept, strict=True) if k)
        return replace(self, features=features, **columns)

    @property
    def valid(self) -> np.ndarray:
        """bool [draw]: the simulation ended properly."""
        return is_valid(self.status)

    @property
    def valid_fraction(self) -> float:
        """Share of posterior draws whose simulation ended properly."""
        return float(np.mean(self.valid))

    @property
    def mean_distance(self) -> float:
        """Mean distance over the features that have one; NaN where none has."""
        return _mean(self.distance)

    @property
    def mean_prior_distance(self) -> float:
        """What `mean_distance` is for prior simulations, over the same features."""
        return _mean(self.prior_distance[np.isfinite(self.distance)])

    @property
    def relative_distance(self) -> float:
        """Median over features of the distance over that of prior simulations; NaN where none.

        The median, because a feature that is mostly noise (the adaptation of five spikes, say) can
        be far off in any simulation and would rule a mean.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = self.distance / self.prior_distance
        ratios = ratios[np.isfinite(ratios)]
        return float(np.median(ratios)) if len(ratios) else float("nan")

    @property
    def presence(self) -> np.ndarray:
        """float [feature]: share of draws that agree with the recording on defined or undefined."""
        observed = np.isfinite(self.x_observed)
        return np.where(observed, self.defined, 1 - self.defined)

    @property
    def missed(self) -> np.ndarray:
        """bool [feature]: the predictions exclude the observed value by a relevant distance."""
        compared = max(1, int(np.isfinite(self.distance).sum()))
        with np.errstate(invalid="ignore"):
            beyond = self.tail < MISSED_SHARE / compared
            off = np.abs(self.median - self.x_observed) > MISSED_DISTANCE * self.spread
        return beyond & off

    @property
    def remarks(self) -> tuple[str, ...]:
        """One remark in words per feature; empty where there is nothing to say."""
        return tuple(self._remark(i) for i in range(len(self.features)))

    def _remark(self, i: int) -> str:
        observed = np.isfinite(self.x_observed[i])
        if self.presence[i] < _DISAGREEING:
            share = f"{100 * self.defined[i]:.0f} % of the predictions"
            if observed:
                return f"defined in the recording, but only in {share}"
            return f"undefined in the recording, but defined in {share}"
        if not observed:
            return "undefined in the recording and in the predictions"
        if not np.isfinite(self.spread[i]):
            return "does not vary over the prior, so it has no distance"
        if self.missed[i]:
            side = "below" if self.median[i] < self.x_observed[i] else "above"
            return f"not reproduced: the predictions lie {side} the recording"
        if self.presence[i] < 0.95:
            return f"undefined in {100 * (1 - self.defined[i]):.0f} % of the predictions"
        return ""


def predictive_draws(simulator: Simulator, most: int = _MOST_DRAWS) -> int:
    """How many posterior draws a fit simulates at one stimulus: ``most``, fewer of slow models."""
    return min(most, max(_FEWEST_DRAWS, simulator.fit_simulations // 20))


def predictive_check(
    simulator: Simulator,
    observation: Observation,
    theta: np.ndarray,
    *,
    seed: int,
    prior_x: np.ndarray,
    prior_status: np.ndarray,
    n_traces: int = 20,
    stride: int = 1,
    threads: int | None = None,
) -> PredictiveCheck:
    """Simulate posterior draws ``theta[draw, theta]`` at the observed stimulus and compare.

    ``prior_x[sim, feature]`` and ``prior_status[sim]`` are prior simulations at the same stimulus.
    The traces are those of the first ``n_traces`` draws, with noise: the very simulations that the
    features are computed of. Raises `BadInputError` for arrays that do not fit together.
    """
    theta = simulator.check_theta(theta)
    if not len(theta):
        raise BadInputError("a predictive check needs at least one posterior draw, got none")
    noise_seed = derive_seed(seed, "posterior predictive")
    batch = simulator.simulate(
        theta, stimulus=observation.stimulus, seed=noise_seed, threads=threads
    )
    traces = None
    if n_traces > 0:
        # A wrapped function of features has no traces; the check does without them.
        try:
            traces = simulator.traces(
                theta[:n_traces], stimulus=observation.stimulus, seed=noise_seed, stride=stride
            )
        except (BadInputError, FitError, NotImplementedError):
            traces = None
    return compare_predictive(
        simulator.feature_set,
        observation.x,
        x=batch.x,
        status=batch.status,
        prior_x=prior_x,
        prior_status=prior_status,
        traces=traces,
    )


def compare_predictive(
    features: Sequence[Feature],
    x_observed: np.ndarray,
    *,
    x: np.ndarray,
    status: np.ndarray,
    prior_x: np.ndarray,
    prior_status: np.ndarray,
    traces: "xr.Dataset | None" = None,
) -> PredictiveCheck:
    """The check on simulations that exist: ``x[draw, feature]``, ``prior_x[sim, feature]``.

    Raises `BadInputError` where widths or lengths do not agree.
    """
    x_observed = np.asarray(x_observed, dtype=np.float64)
    x, status = _checked(features, x, status, "predictive simulations")
    prior_x, prior_status = _checked(features, prior_x, prior_status, "prior simulations")
    if x_observed.shape != (len(features),):
        raise BadInputError(
            f"the observation has shape {x_observed.shape}, but there are {len(features)} features"
        )
    valid, prior_valid = is_valid(status), is_valid(prior_status)
    values, prior = defined_values(x, valid), defined_values(prior_x, prior_valid)
    spread, robust = feature_spread(prior)
    return PredictiveCheck(
        features=tuple(features),
        x_observed=x_observed,
        x=x,
        status=status,
        traces=traces,
        spread=spread,
        robust=robust,
        distance=_distance(values, x_observed, spread),
        prior_distance=_distance(prior, x_observed, spread),
        quantile=_quantile_of(values, x_observed),
        prior_quantile=_quantile_of(prior, x_observed),
        tail=_tail_of(values, x_observed),
        defined=_defined_fraction(values, valid),
        prior_defined=_defined_fraction(prior, prior_valid),
        median=column_quantiles(values, [0.5])[0],
        interval=column_quantiles(values, [0.05, 0.95]),
    )


def column_quantiles(values: np.ndarray, at: Sequence[float]) -> np.ndarray:
    """Quantiles of the defined values of each column, float64 [quantile, feature]."""
    result = np.full((len(at), values.shape[1]), np.nan)
    for i, column in enumerate(values.T):
        column = column[np.isfinite(column)]
        if len(column):
            result[:, i] = np.quantile(column, at)
    return result


def _checked(
    features: Sequence[Feature], x: np.ndarray, status: np.ndarray, what: str
) -> tuple[np.ndarray, np.ndarray]:
    x, status = np.asarray(x, dtype=np.float64), np.asarray(status)
    if x.ndim != 2 or x.shape[1] != len(features) or status.shape != x.shape[:1] or not len(x):
        raise BadInputError(
            f"the {what} need x of shape [sim, {len(features)}] and one status each, got "
            f"x {x.shape} and status {status.shape}"
        )
    return x, status


def _distance(values: np.ndarray, x_observed: np.ndarray, spread: np.ndarray) -> np.ndarray:
    distance = np.abs(values - x_observed) / spread
    return np.array([_mean(column) for column in distance.T])


def _mean(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(np.mean(values)) if len(values) else float("nan")


def _quantile_of(values: np.ndarray, x_observed: np.ndarray) -> np.ndarray:
    # Ties (spike counts) count half, so that a count everybody agrees on is at 0.5.
    result = np.full(len(x_observed), np.nan)
    for i, observed in enumerate(x_observed):
        column = values[np.isfinite(values[:, i]), i]
        if len(column) and np.isfinite(observed):
            result[i] = np.mean(column < observed) + 0.5 * np.mean(column == observed)
    return result


def _tail_of(values: np.ndarray, x_observed: np.ndarray) -> np.ndarray:
    """Two-sided probability of a value as far out as the observation, float64 [feature]."""
    result = np.full(len(x_observed), np.nan)
    for i, observed in enumerate(x_observed):
        column = values[np.isfinite(values[:, i]), i]
        if len(column) >= 2 * _TAIL_DRAWS and np.isfinite(observed):
            one_side = min(_above(column, observed), _above(-column, -observed))
            result[i] = min(1.0, 2.0 * one_side)
    return result


def _above(values: np.ndarray, limit: float) -> float:
    """Probability of a value of at least ``limit``, beyond the outermost values by extrapolation."""
    share = max(_TAIL_SHARE, _TAIL_DRAWS / len(values))
    edge = np.quantile(values, 1.0 - share)
    if limit <= edge:
        return float(np.mean(values >= limit))
    excess = values[values > edge] - edge
    return share * float(np.exp((edge - limit) / excess.mean())) if len(excess) else 0.0


def _defined_fraction(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    n = int(valid.sum())
    return np.isfinite(values).sum(axis=0) / n if n else np.zeros(values.shape[1])
