"""Where an injected current that is no step begins and ends, be it commanded or measured."""

__all__ = ["FLAT_CURRENT", "block_means", "waveform_window"]

import numpy as np

from neurosbi.contract.recording import SHORTEST_REST

FLAT_CURRENT = 1.0  # pA; what changes by less is constant
_BLOCK = 2.0  # ms
_MOST_AT_REST = 0.02  # of the whole range: what varies more in the beginning is no rest


def waveform_window(current: np.ndarray, *, dt: float) -> tuple[float, float]:
    """Onset and offset (ms) of what departs from the level at which ``current[time]`` (pA) starts.

    A measured current is never quite constant: means of 2 ms then count as departed beyond
    ``FLAT_CURRENT``, or beyond twice what those of the first 20 ms differ by. Where these differ
    much, the current flows from the start, and the onset is 0.
    """
    moved = np.flatnonzero(current != current[0])
    if len(moved) and moved[0] * dt >= SHORTEST_REST:
        return float(moved[0] * dt), float((moved[-1] + 1) * dt)
    means = block_means(current, dt=dt)
    rest = means[: round(SHORTEST_REST / _BLOCK)]
    end = len(current) * float(dt)
    if not len(means) or np.ptp(rest) > max(FLAT_CURRENT, _MOST_AT_REST * np.ptp(means)):
        return 0.0, end
    away = np.flatnonzero(np.abs(means - np.median(rest)) > max(FLAT_CURRENT, 2 * np.ptp(rest)))
    if not len(away):
        return 0.0, end
    block = _samples(dt) * float(dt)
    return float(away[0] * block), min(float((away[-1] + 1) * block), end)


def block_means(current: np.ndarray, *, dt: float) -> np.ndarray:
    """Means over 2 ms of ``current[time]``; what is left over at its end is not used."""
    n = _samples(dt)
    return current[: len(current) // n * n].reshape(-1, n).mean(axis=1)


def _samples(dt: float) -> int:
    return max(1, round(_BLOCK / dt))
