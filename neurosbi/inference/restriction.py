r"""Where in the prior simulations are valid: a classifier, and the region it draws.

With valid meaning that every feature is defined, the region is R = {theta : c(theta) >= tau}, c the
score of a classifier trained on a pilot of simulations. Simulations are then drawn from the prior
restricted to R. Why a network trained on them is right for an observation x_o that has all
features:

    p(theta | x_o) \propto p(theta) p(x_o | theta),   restricted:  p_R(theta | x_o) \propto 1_R p p(x_o | theta)

and p(x_o | theta) vanishes where no valid simulation is possible, so outside R up to the valid
simulations that R misses: both are the same density. It is not right for an observation with
undefined features, which may well come from outside R. Samples need no correction: the network has
seen nothing outside R, and has no mass there.

What R misses is kept small: tau is the score below which only a share ``missed`` of the valid
simulations lies, each scored by a classifier that had not seen it. R itself uses the classifier of
all simulations.

The classifier is found in two steps, because valid simulations may be few. For each feature a
logistic regression, quadratic in the positions u of the parameters in their ranges, says whether it
is defined: that a cell bursts at all is seen much more often than a whole rhythm. From u, these log
odds and the logarithms of these probabilities (whose sum is that of all at once) a second one says
whether all are. Both problems are convex, so that nothing depends on a random start.

References:
    Lueckmann et al. (2017), arXiv:1711.01861 and Goncalves et al. (2020), doi:10.7554/eLife.56261
    (classifiers for invalid simulations). We differ: a quadratic classifier that also learns from
    single features, a threshold from held-out scores, and draws that follow from seed and index.
"""

__all__ = ["LEAST_VALID", "MISSED", "find_region"]

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from neurosbi.contract import Parameter, positions
from neurosbi.contract.prior_region import PriorRegion, quadratic_terms, score_terms
from neurosbi.errors import BadInputError, FitError

MISSED = 0.05  # share of the valid simulations that the region may miss
LEAST_VALID = 20  # of a pilot; fewer say nothing about where they are
FOLDS = 5
_STRENGTH = 0.1  # of each simulation against the Gaussian prior of the weights


def find_region(
    parameters: Sequence[Parameter],
    theta: np.ndarray,
    defined: np.ndarray,
    *,
    missed: float = MISSED,
    seed: int = 0,
) -> PriorRegion:
    """The region that pilot simulations ``theta[sim, theta]`` suggest.

    ``defined[sim, feature]`` says which features they have; valid are those that have all. ``seed``
    determines which simulations are held out together. Raises `FitError` where too few or all
    were valid, `BadInputError` for a share ``missed`` that is none.
    """
    if not 0 <= missed < 0.5:
        raise BadInputError(
            f"the share of valid simulations to miss is below 0.5 and not negative, got {missed}"
        )
    valid: np.ndarray = np.logical_and.reduce(defined, axis=1)
    n_valid = int(valid.sum())
    if n_valid < LEAST_VALID:
        raise FitError(
            f"only {n_valid} of {len(valid)} pilot simulations have all features, at least "
            f"{LEAST_VALID} are needed to restrict the prior; use a larger pilot (simulate --restrict "
            "--pilot, or neurosbi.restrict), or the whole prior"
        )
    if n_valid == len(valid):
        raise FitError(
            f"all {n_valid} pilot simulations have all features: there is nothing to restrict"
        )
    u = positions(parameters, theta)
    single = _single_features(defined)
    fold = _folds(valid, seed)
    scores = np.empty(len(valid))
    for k in range(FOLDS):
        seen = fold != k
        quadratic, weights = _classifier(u[seen], single[seen], valid[seen])
        held = u[~seen]
        scores[~seen] = score_terms(held, quadratic_terms(held) @ quadratic) @ weights
    threshold = float(np.quantile(scores[valid], missed, method="lower"))
    facts = {
        "pilot": len(valid),
        "valid": float(valid.mean()),
        "kept_of_prior": float((scores >= threshold).mean()),
        "kept_of_valid": float((scores[valid] >= threshold).mean()),
    }
    return PriorRegion(*_classifier(u, single, valid), threshold, facts)


def _single_features(defined: np.ndarray) -> np.ndarray:
    """The different columns of ``defined`` that are not constant."""
    columns = np.unique(defined, axis=1)
    share = columns.mean(axis=0)
    return columns[:, (share > 0) & (share < 1)]


def _folds(valid: np.ndarray, seed: int) -> np.ndarray:
    """A fold for each simulation, with equally many valid ones in each."""
    rng = np.random.default_rng(seed)
    fold = np.empty(len(valid), dtype=np.int64)
    for kind in (False, True):
        rows = rng.permutation(np.flatnonzero(valid == kind))
        fold[rows] = np.arange(len(rows)) % FOLDS
    return fold


def _classifier(
    u: np.ndarray, single: np.ndarray, valid: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the log odds of single features [term, feature], and of the score for all."""
    terms = quadratic_terms(u)
    quadratic = np.empty((terms.shape[1], single.shape[1]))
    alike = np.full(len(u), _STRENGTH)
    for column in range(single.shape[1]):
        quadratic[:, column] = _logistic(terms, single[:, column], alike)
    share = valid.mean()
    balanced = _STRENGTH * np.where(valid, 0.5 / share, 0.5 / (1.0 - share))
    return quadratic, _logistic(score_terms(u, terms @ quadratic), valid, balanced)


def _logistic(terms: np.ndarray, target: np.ndarray, strength: np.ndarray) -> np.ndarray:
    r"""Weights w that minimise 1/2 |w|^2 (but the constant's) + sum_i strength_i loss_i."""
    sign = np.where(target, 1.0, -1.0)

    def cost(w: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (terms @ w)
        loss = strength @ np.logaddexp(0.0, -margin) + 0.5 * np.sum(w[1:] ** 2)
        gradient = -terms.T @ (strength * sign * expit(-margin))
        gradient[1:] += w[1:]
        return float(loss), gradient

    start = np.zeros(terms.shape[1])
    return minimize(cost, start, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
