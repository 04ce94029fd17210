"""Bring a fast recording down to the sampling that features are defined for."""

__all__ = ["average_down"]

import numpy as np


def average_down(values: np.ndarray, *, dt: float, target: float) -> tuple[np.ndarray, float]:
    """Means over whole blocks of samples so that the step comes close to, but not above, ``target``.

    Returns the averaged row and its step in ms; unchanged where ``dt`` is already coarse enough.
    """
    factor = int(target / dt + 1e-9)
    if factor <= 1:
        return values, dt
    whole = len(values) // factor * factor
    return np.asarray(values[:whole]).reshape(-1, factor).mean(axis=1), dt * factor
