"""How widely a feature varies over simulations: the unit in which predictive distances are given.

The standard deviation is the usual choice. A few runaway simulations can inflate it so much that
every posterior looks close to the recording; then the standard deviation of the winsorised values
takes its place, the outermost percent on either side set to the 1 % and 99 % quantiles. (The
interquartile range would not do: a feature that is nearly the same in most simulations, like the
adaptation of cells that fire regularly, would be measured by its rounding noise.)
"""

__all__ = ["defined_values", "feature_spread"]

import numpy as np

INFLATED = 3.0  # one percent of the simulations may not triple the spread
_TAIL = 0.01


def defined_values(x: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """``x[sim, feature]`` with everything set to NaN that is undefined or of an invalid simulation."""
    return np.where(np.asarray(valid, dtype=bool)[:, None] & np.isfinite(x), x, np.nan)


def feature_spread(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spread of each column of ``values[sim, feature]`` (NaN: undefined), in the feature's unit.

    Returns ``spread[feature]`` (NaN where fewer than two values are defined or all are equal) and
    ``robust[feature]``, True where the winsorised values were used.
    """
    width = values.shape[1]
    spread, robust = np.full(width, np.nan), np.zeros(width, dtype=bool)
    for i in range(width):
        column = values[np.isfinite(values[:, i]), i]
        if len(column) < 2:
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            sd = float(np.std(column, ddof=1))
        bulk = float(np.std(np.clip(column, *np.quantile(column, [_TAIL, 1 - _TAIL])), ddof=1))
        # bulk is 0 where nearly all simulations agree; then the sd is all there is.
        robust[i] = bulk > 0 and not sd <= INFLATED * bulk
        value = bulk if robust[i] else sd
        if np.isfinite(value) and value > 1e-12 * np.max(np.abs(column)):
            spread[i] = value
    return spread, robust
