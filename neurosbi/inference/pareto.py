r"""Pareto smoothing of importance weights, and the shape k that tells whether they can be trusted.

The largest M = min(n / 5, 3 sqrt(n)) weights are fitted by a generalised Pareto distribution above
the largest of the rest,

    P(w - mu > y) = (1 + k y / sigma)^(-1/k),

and replaced by its quantiles at (i - 1/2) / M, in order, but by none above the largest weight seen.
The fit is the empirical-Bayes one of Zhang and Stephens, drawn towards k = 1/2 with the weight of
ten observations. For k >= 1/2 the variance of an estimate is infinite; up to 0.7 estimates still
converge at a useful rate.

References: Vehtari, Simpson, Gelman, Yao, Gabry (2024), arXiv:1507.02646; Zhang, Stephens (2009),
Technometrics 51:316.
"""

__all__ = ["generalised_pareto", "pareto_smoothed"]

import numpy as np
from scipy.special import logsumexp

_SHAPE_PRIOR = (0.5, 10)  # k is drawn towards this value, with that many observations
_SMALLEST_TAIL = 5


def pareto_smoothed(log_weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Smoothed log weights [n] (not normalised) and the shape k of their tail.

    -inf is a weight of zero. k is -inf where the largest weights are all equal, and inf where
    fewer than five weights are above the others, so that nothing can be said.
    """
    log_w = np.asarray(log_weights, dtype=np.float64) - np.max(log_weights)
    n = len(log_w)
    size = int(np.ceil(min(n / 5, 3 * np.sqrt(n))))
    order = np.argsort(log_w, kind="stable")
    tail = order[-size:]
    # far below the largest weight nothing counts, and exp would lose it
    cutoff = max(log_w[order[-size - 1]], np.log(np.finfo(float).tiny))
    if log_w[order[-1]] - cutoff < 1e-9:
        return log_w, -np.inf
    tail = tail[log_w[tail] > cutoff]
    if len(tail) < _SMALLEST_TAIL:
        return log_w, np.inf
    excess = np.exp(log_w[tail]) - np.exp(cutoff)
    k, sigma = generalised_pareto(excess)
    if not np.isfinite(k):
        return log_w, np.inf
    p = (np.arange(len(tail)) + 0.5) / len(tail)
    tail_quantile = -np.log1p(-p) if abs(k) < 1e-12 else np.expm1(-k * np.log1p(-p)) / k
    smoothed = log_w.copy()
    smoothed[tail] = np.minimum(np.log(np.exp(cutoff) + sigma * tail_quantile), 0.0)
    return smoothed, float(k)


def generalised_pareto(excess: np.ndarray) -> tuple[float, float]:
    """Shape k and scale sigma fitted to sorted positive ``excess[n]``."""
    n = len(excess)
    candidates = 30 + int(np.sqrt(n))
    quartile = excess[int(n / 4 + 0.5) - 1]
    j = np.arange(1, candidates + 1)
    b = 1 / excess[-1] + (1 - np.sqrt(candidates / (j - 0.5))) / (3 * quartile)
    shape = np.log1p(-b[:, None] * excess).mean(1)
    log_likelihood = n * (np.log(-b / shape) - shape - 1)
    weight = np.exp(log_likelihood - logsumexp(log_likelihood))
    mean_b = float(np.sum(weight * b))
    k = float(np.log1p(-mean_b * excess).mean())
    sigma = -k / mean_b
    center, strength = _SHAPE_PRIOR
    return (n * k + strength * center) / (n + strength), sigma
