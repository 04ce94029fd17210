"""Pareto smoothing of importance weights, and the shape k that tells whether they can be trusted.

The largest weights are replaced by quantiles of a generalised Pareto distribution fitted to them,
by ArviZ. For k >= 1/2 the variance of an estimate is infinite; up to 0.7 estimates still converge
at a useful rate.

References: Vehtari, Simpson, Gelman, Yao, Gabry (2024), arXiv:1507.02646.
"""

__all__ = ["pareto_smoothed"]

import numpy as np

_EQUAL = 1e-9  # nats


def pareto_smoothed(log_weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Smoothed log weights [n] (not normalised) and the shape k of their tail.

    -inf is a weight of zero. k is -inf where the largest weights are all equal, and inf where too
    few weights are above the others for anything to be said.
    """
    from arviz import psislw

    log_w = np.asarray(log_weights, dtype=np.float64) - np.max(log_weights)
    n = len(log_w)
    tail = int(np.ceil(min(n / 5, 3 * np.sqrt(n))))
    if np.partition(log_w, n - tail - 1)[n - tail - 1] > -_EQUAL:
        return log_w, -np.inf
    with np.errstate(over="ignore"):  # of weights that are to be infinite
        smoothed, k = psislw(log_w.copy())
    return np.asarray(smoothed), float(k)
