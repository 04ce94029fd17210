"""Fewer samples for recordings taken at 100-200 kHz: the mean of each block of samples.

A block mean is a low-pass filter and a decimation in one. It keeps the charge of the current and
the height of a 1 ms spike to about 1 mV at the default step of 0.02 ms.
"""

__all__ = ["average_down"]

import math

import numpy as np

from neurosbi.errors import BadInputError

_SLACK = 1e-6  # dt comes from a rate: 0.005 ms must divide 0.02 ms exactly four times


def average_down(
    voltage: np.ndarray, current: np.ndarray, *, dt: float, target_dt: float = 0.02
) -> tuple[np.ndarray, np.ndarray, float]:
    """Block means of ``voltage`` (mV) and ``current`` (pA), both [time], every ``dt`` ms.

    The block is the largest whole number of samples that is not longer than ``target_dt`` ms, so
    the new step never exceeds it. Data that are already that coarse come back as they are. Samples
    that do not fill a last block are dropped. Returns voltage, current (float64) and the new step
    in ms. Sample ``i`` of the result covers ``[i, i + 1)`` times the new step, as in the input.

    Raises `BadInputError` for arrays of different lengths or a step that is not positive.
    """
    voltage, current = np.asarray(voltage, float), np.asarray(current, float)
    if voltage.ndim != 1 or voltage.shape != current.shape:
        raise BadInputError(
            f"voltage and current need one row of equal length, got {voltage.shape} and "
            f"{current.shape}"
        )
    if not (dt > 0 and target_dt > 0):
        raise BadInputError(f"sampling steps must be positive, got {dt} and {target_dt} ms")
    factor = math.floor(target_dt / dt + _SLACK)
    if factor <= 1:
        return voltage, current, float(dt)
    n = len(voltage) // factor * factor
    return (
        voltage[:n].reshape(-1, factor).mean(axis=1),
        current[:n].reshape(-1, factor).mean(axis=1),
        float(dt) * factor,
    )
