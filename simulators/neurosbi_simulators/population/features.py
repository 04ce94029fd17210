"""Features of population counts: n(t), the spikes of each population in bins of time.

The rate is A(t) = n(t) / (N dt) per neuron, in Hz. Of every population p:

* ``rate_p``: mean of A;
* ``drift_p``: mean of A in the second half of the window minus the first, over the mean of both
  (stationarity: 0 for a stationary state);
* ``power_f1_f2_p``: log10 of the mean power spectral density of A in f1..f2 Hz (see `spectrum`);
* ``peak_p``: frequency of the highest density in 5..200 Hz;
* ``synchrony_p``: variance over mean of the population count in bins of 5 ms; 1 for neurons that
  fire independently as Poisson processes, up to N for neurons that fire together;
* ``fano_p``: the same in bins of 100 ms, where slow fluctuations show;
* ``skew_p``: skewness of the count in bins of 5 ms (bursts of the network);
* ``autocorrelation_l_p``: of the counts in bins of 5 ms at a lag of l ms;
* ``timescale_p``: intrinsic timescale, an exponential fitted to the autocovariance at lags of
  5..500 ms with its finite-window bias (see `timescales`);

and of every pair ``correlation_p_q``: the correlation of their counts in bins of 5 ms, and
``lead_p_q``: the lag in ms, within 50, at which it is largest (positive: p leads q).

Every value is NaN where it is undefined: no spikes, or too short a window.
"""

__all__ = ["BIN", "count_features", "measure_counts", "rebin"]

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from neurosbi.contract import Feature
from neurosbi.errors import BadInputError
from neurosbi_simulators.population.spectrum import band_power, peak_frequency, welch
from neurosbi_simulators.population.timescales import autocovariance, intrinsic_timescale

BIN = 1.0  # ms, the resolution of the spectrum
COARSE = 5.0  # ms, bins of correlations
SLOW = 100.0  # ms, bins of the Fano factor
LONGEST_LAG = 500.0  # ms, at most a quarter of the window
LONGEST_LEAD = 50.0  # ms
BANDS = ((1.0, 4.0), (4.0, 8.0), (8.0, 13.0), (13.0, 30.0), (30.0, 80.0), (80.0, 200.0))  # Hz
PEAK_BAND = (5.0, 200.0)  # Hz
LAGS = (10.0, 50.0, 100.0)  # ms


def count_features(populations: Sequence[str]) -> tuple[Feature, ...]:
    """The features of counts of these populations, in the order of `measure_counts`."""
    features: list[Feature] = []
    for p in populations:
        features += [
            Feature(f"rate_{p}", "Hz", f"mean rate of population {p}", essential=True),
            Feature(f"drift_{p}", "1", f"relative change of the rate of {p} between the halves"),
            *(
                Feature(
                    f"power_{low:g}_{high:g}_{p}",
                    "log10 Hz",
                    f"power spectral density of the rate of {p} from {low:g} to {high:g} Hz",
                )
                for low, high in BANDS
            ),
            Feature(f"peak_{p}", "Hz", f"frequency of the largest power of {p} above 5 Hz"),
            Feature(f"synchrony_{p}", "1", f"variance over mean of the count of {p} in 5 ms"),
            Feature(f"fano_{p}", "1", f"variance over mean of the count of {p} in 100 ms"),
            Feature(f"skew_{p}", "1", f"skewness of the count of {p} in 5 ms"),
            *(
                Feature(f"autocorrelation_{lag:g}_{p}", "1", f"of the count of {p}, at {lag:g} ms")
                for lag in LAGS
            ),
            Feature(f"timescale_{p}", "ms", f"intrinsic timescale of {p}, without bias"),
        ]
    for p, q in combinations(populations, 2):
        features += [
            Feature(f"correlation_{p}_{q}", "1", f"of the counts of {p} and {q} in 5 ms"),
            Feature(f"lead_{p}_{q}", "ms", f"by how much {p} leads {q}, from their correlation"),
        ]
    return tuple(features)


def measure_counts(counts: np.ndarray, *, dt: float, sizes: Sequence[float]) -> np.ndarray:
    """Features [sim, feature] of ``counts[sim, time, population]`` in bins of ``dt`` ms.

    ``sizes`` are the numbers of neurons behind the counts. One simulation may come without its
    axis: [time, population] -> [feature]. Raises `BadInputError` where `rebin` does.
    """
    counts = np.asarray(counts)
    if counts.ndim == 2:
        return measure_counts(counts[None], dt=dt, sizes=sizes)[0]
    n = rebin(counts.swapaxes(1, 2), dt, BIN)  # [sim, population, time]
    if n.shape[-1] < 2:
        raise BadInputError("population counts need at least 2 ms to have features")
    rate = n / (np.asarray(sizes, dtype=np.float64)[:, None] * BIN * 1e-3)
    coarse = rebin(n, BIN, COARSE)
    lags = int(min(LONGEST_LAG / COARSE, coarse.shape[-1] // 4))
    covariance = autocovariance(coarse, lags) if lags else np.full((*n.shape[:2], 1), np.nan)
    columns = [
        rate.mean(axis=-1)[..., None],
        _drift(rate)[..., None],
        *_power(rate),
        _fano(coarse)[..., None],
        _fano(rebin(n, BIN, SLOW))[..., None],
        _skew(coarse)[..., None],
        _autocorrelation(covariance),
        intrinsic_timescale(covariance, n=coarse.shape[-1], width=COARSE)[..., None]
        if lags
        else np.full((*n.shape[:2], 1), np.nan),
    ]
    own = np.concatenate(columns, axis=-1)
    pairs = [_pair(coarse[:, p], coarse[:, q]) for p, q in combinations(range(n.shape[1]), 2)]
    return np.concatenate([own.reshape(len(own), -1), *pairs], axis=-1)


def rebin(counts: np.ndarray, dt: float, width: float) -> np.ndarray:
    """``counts[..., time]`` in bins of ``dt`` ms summed into whole bins of ``width``, float64.

    Raises `BadInputError` where the bins do not nest.
    """
    ratio = round(width / dt)
    if ratio < 1 or abs(ratio * dt - width) > 1e-6 * width:
        raise BadInputError(
            f"counts in bins of {dt:g} ms cannot be summed into bins of {width:g} ms; use bins of "
            f"{width:g} ms or a whole fraction of them"
        )
    n = counts.shape[-1] // ratio
    bins = np.array(counts[..., : n * ratio : ratio], dtype=np.float64, order="C")
    for i in range(1, ratio):  # several times faster than a sum over a short last axis
        bins += counts[..., i : n * ratio : ratio]
    return bins


def _drift(rate: np.ndarray) -> np.ndarray:
    half = rate.shape[-1] // 2
    first, second = rate[..., :half].mean(axis=-1), rate[..., half : 2 * half].mean(axis=-1)
    return 2 * _ratio(second - first, first + second)


def _power(rate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    frequency, density = welch(rate, dt=BIN)
    peak = peak_frequency(frequency, density, low=PEAK_BAND[0], high=PEAK_BAND[1])
    return band_power(frequency, density, BANDS), peak[..., None]


def _fano(n: np.ndarray) -> np.ndarray:
    if n.shape[-1] < 2:
        return np.full(n.shape[:-1], np.nan)
    return _ratio(n.var(axis=-1, ddof=1), n.mean(axis=-1))


def _skew(n: np.ndarray) -> np.ndarray:
    if n.shape[-1] < 3:
        return np.full(n.shape[:-1], np.nan)
    away = n - n.mean(axis=-1, keepdims=True)
    square = away * away
    return _ratio((square * away).mean(axis=-1), square.mean(axis=-1) ** 1.5)


def _autocorrelation(covariance: np.ndarray) -> np.ndarray:
    found = np.full((*covariance.shape[:-1], len(LAGS)), np.nan)
    for i, lag in enumerate(LAGS):
        k = round(lag / COARSE)
        if k < covariance.shape[-1]:
            found[..., i] = _ratio(covariance[..., k], covariance[..., 0])
    return found


def _pair(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Correlation at lag 0 and the lag of its maximum, [sim, 2], of counts [sim, time]."""
    most = round(LONGEST_LEAD / COARSE)
    n = p.shape[-1]
    if n <= 4 * most:
        return np.full((len(p), 2), np.nan)
    p, q = (v - v.mean(axis=-1, keepdims=True) for v in (p, q))
    scale = np.sqrt((p**2).mean(axis=-1) * (q**2).mean(axis=-1))
    # at a positive lag q follows p
    lags = range(-most, most + 1)
    sums = [
        (p[:, : n - lag] * q[:, lag:] if lag >= 0 else p[:, -lag:] * q[:, :lag]).mean(axis=-1)
        for lag in lags
    ]
    correlation = np.stack([_ratio(s, scale) for s in sums], axis=-1)
    best = (np.argmax(np.nan_to_num(correlation), axis=-1) - most) * COARSE
    return np.stack([correlation[:, most], np.where(scale > 0, best, np.nan)], axis=-1)


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(b > 0, a / b, np.nan)
