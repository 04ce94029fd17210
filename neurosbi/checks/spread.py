"""How widely a feature varies over simulations: the unit in which predictive distances are given.

The standard deviation is the usual choice. A few runaway simulations can inflate it so much that
every posterior looks close to the recording; then the interquartile range / 1.349 (which equals
the standard deviation for a Gaussian) takes its place.
"""

__all__ = ["defined_values", "feature_spread"]

import numpy as np

# A Laplace or an exponential distribution has a ratio below 2; above 3 the tail, not the bulk,
# determines the standard deviation.
INFLATED = 3.0
_GAUSSIAN_IQR = 1.3489795003921634


def defined_values(x: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """``x[sim, feature]`` with everything set to NaN that is undefined or of an invalid simulation."""
    return np.where(np.asarray(valid, dtype=bool)[:, None] & np.isfinite(x), x, np.nan)


def feature_spread(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spread of each column of ``values[sim, feature]`` (NaN: undefined), in the feature's unit.

    Returns ``spread[feature]`` (NaN where fewer than two values are defined or all are equal) and
    ``robust[feature]``, True where the interquartile range was used.
    """
    width = values.shape[1]
    spread, robust = np.full(width, np.nan), np.zeros(width, dtype=bool)
    for i in range(width):
        column = values[np.isfinite(values[:, i]), i]
        if len(column) < 2:
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            sd = float(np.std(column, ddof=1))
        low, high = np.quantile(column, [0.25, 0.75])
        bulk = float(high - low) / _GAUSSIAN_IQR
        # bulk is 0 where most simulations agree (say: no spikes); then the sd is all there is.
        robust[i] = bulk > 0 and not sd <= INFLATED * bulk
        value = bulk if robust[i] else sd
        if np.isfinite(value) and value > 1e-12 * np.max(np.abs(column)):
            spread[i] = value
    return spread, robust
