"""Features of single spike trains, averaged over the units of each population.

* ``rate_cv_p``: standard deviation over mean of the rates of the units;
* ``cv_isi_p``: coefficient of variation of the intervals between spikes (1: Poisson, 0: regular);
* ``cv2_p``: the same from neighbouring intervals, mean of 2 |I' - I| / (I' + I), which slow
  changes of the rate leave alone (Poisson: 1);
* ``unit_fano_p``: variance over mean of a unit's count in windows of 100 ms (Poisson: 1);
* ``pair_correlation_p``, ``pair_correlation_p_q``: correlation of the counts of two units in
  windows of 100 ms, mean over all pairs.

Units with fewer than 5 intervals have no CV; NaN where no unit has a value. The mean over all
pairs needs no pairs: with z_i the standardised counts of n units, it is

    (var(sum_i z_i) - n) / (n (n - 1)),        between populations cov(sum z_p, sum z_q) / (n_p n_q).

References: Holt et al. 1996, doi:10.1152/jn.1996.75.5.1806 (CV2).
"""

__all__ = ["WINDOW", "measure_trains", "train_features"]

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from neurosbi.contract import Feature
from neurosbi_simulators.numerics import entry

WINDOW = 100.0  # ms
FEWEST_INTERVALS = 5
(
    COUNT,
    LAST,
    INTERVAL,
    N_INTERVALS,
    SUM,
    SQUARES,
    N_PAIRS,
    CV2,
    INDEX,
    IN_WINDOW,
    WINDOWED,
    COUNT_SQ,
) = range(12)
N_ROWS = 12


def train_features(populations: Sequence[str]) -> tuple[Feature, ...]:
    """The features of spike trains of these populations, in the order of `measure_trains`."""
    features: list[Feature] = []
    for p in populations:
        features += [
            Feature(f"rate_cv_{p}", "1", f"variation of the rates among the units of {p}"),
            Feature(f"cv_isi_{p}", "1", f"variation of the intervals between spikes in {p}"),
            Feature(f"cv2_{p}", "1", f"local variation of the intervals between spikes in {p}"),
            Feature(f"unit_fano_{p}", "1", f"variance over mean of the counts of units of {p}"),
            Feature(f"pair_correlation_{p}", "1", f"of the counts of two units of {p} in 100 ms"),
        ]
    features += [
        Feature(f"pair_correlation_{p}_{q}", "1", f"of the counts of a unit of {p} and one of {q}")
        for p, q in combinations(populations, 2)
    ]
    return tuple(features)


def measure_trains(
    time: np.ndarray, unit: np.ndarray, *, units: Sequence[int], duration: float
) -> np.ndarray:
    """Features [feature] of spikes at ``time[spike]`` ms, sorted, of ``unit[spike]``.

    ``units`` are the numbers of units of each population, numbered one population after the other;
    times lie in [0, duration).
    """
    time = np.ascontiguousarray(time, dtype=np.float64)
    unit = np.ascontiguousarray(unit, dtype=np.int32)
    starts = np.cumsum([0, *units])
    windows = int(duration / WINDOW + 1e-9)
    rows = np.zeros((N_ROWS, starts[-1]))
    accumulate(time, unit, WINDOW, windows, rows)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = rows[WINDOWED] / windows
        variance = rows[COUNT_SQ] / windows - mean**2
        fano = np.where(rows[WINDOWED] > 0, variance / mean * windows / (windows - 1), np.nan)
        interval = rows[SUM] / rows[N_INTERVALS]
        spread = np.sqrt(np.maximum(rows[SQUARES] / rows[N_INTERVALS] - interval**2, 0))
        enough = rows[N_INTERVALS] >= FEWEST_INTERVALS
        cv = np.where(enough, spread / interval, np.nan)
        cv2 = np.where(enough, rows[CV2] / rows[N_PAIRS], np.nan)
    varies = variance > 1e-12
    z = _standardised_sums(time, unit, starts, windows, mean, variance, varies)
    own, n_varying = [], []
    for p, (first, last) in enumerate(zip(starts[:-1], starts[1:], strict=True)):
        part = slice(first, last)
        rate = rows[COUNT, part]
        n = int(varies[part].sum())
        n_varying.append(n)
        own += [
            rate.std() / rate.mean() if rate.any() else np.nan,
            _mean(cv[part]),
            _mean(cv2[part]),
            _mean(fano[part]) if windows > 1 else np.nan,
            (z[p].var() - n) / (n * (n - 1)) if n > 1 else np.nan,
        ]
    pairs = [
        np.mean(z[p] * z[q]) / (n_varying[p] * n_varying[q])
        if n_varying[p] and n_varying[q]
        else np.nan
        for p, q in combinations(range(len(units)), 2)
    ]
    return np.array(own + pairs, dtype=np.float64)


def _mean(values: np.ndarray) -> float:
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else np.nan


def _standardised_sums(
    time: np.ndarray,
    unit: np.ndarray,
    starts: np.ndarray,
    windows: int,
    mean: np.ndarray,
    variance: np.ndarray,
    varies: np.ndarray,
) -> np.ndarray:
    """Sum over units of their standardised counts, [population, window]."""
    scale = np.where(varies, 1.0 / np.sqrt(np.where(varies, variance, 1.0)), 0.0)
    window = (time / WINDOW).astype(np.int64)
    inside = window < windows
    z = np.empty((len(starts) - 1, windows))
    for p, (first, last) in enumerate(zip(starts[:-1], starts[1:], strict=True)):
        mine = inside & (unit >= first) & (unit < last)
        weights = scale[unit[mine]]
        z[p] = np.bincount(window[mine], weights=weights, minlength=windows)
        z[p] -= (mean[first:last] * scale[first:last]).sum() if windows else 0.0
    return z


@entry
def accumulate(time, unit, width, windows, rows):
    """One pass over the spikes: sums over the intervals and windowed counts of every unit."""
    for s in range(len(time)):
        i, t = unit[s], time[s]
        if rows[COUNT, i] > 0:
            interval = t - rows[LAST, i]
            rows[SUM, i] += interval
            rows[SQUARES, i] += interval * interval
            if rows[N_INTERVALS, i] > 0:
                before = rows[INTERVAL, i]
                if interval + before > 0.0:
                    rows[CV2, i] += 2.0 * abs(interval - before) / (interval + before)
                rows[N_PAIRS, i] += 1
            rows[N_INTERVALS, i] += 1
            rows[INTERVAL, i] = interval
        rows[COUNT, i] += 1
        rows[LAST, i] = t
        window = np.int64(t / width)
        if window < windows:
            if window != np.int64(rows[INDEX, i]):
                rows[COUNT_SQ, i] += rows[IN_WINDOW, i] * rows[IN_WINDOW, i]
                rows[IN_WINDOW, i] = 0.0
                rows[INDEX, i] = window
            rows[IN_WINDOW, i] += 1
            rows[WINDOWED, i] += 1
    for i in range(rows.shape[1]):
        rows[COUNT_SQ, i] += rows[IN_WINDOW, i] * rows[IN_WINDOW, i]
