"""Autocorrelation and intrinsic timescale of population counts, corrected for finite windows.

The sample autocovariance of n bins, c(k) = sum_i (x_i - mean)(x_i+k - mean) / (n - k), is biased:
the mean is estimated from the same bins, so c sinks by about the variance of the mean, and the
exponential that is fitted to it decays too fast. The bias of a known model can be written down.
For counts whose rate is modulated exponentially, on top of white noise of variance w (the
randomness of spikes),

    cov(x_i, x_j) = a rho^|i-j| + w [i = j],        rho = exp(-bin / tau),

and with S_i = (1 + rho - rho^(i+1) - rho^(n-i)) / (n (1 - rho)), the covariance of x_i with the
mean per a, and V the mean of S_i,

    E c(k) = a b_k - w / n,   b_k = rho^k - 2 / (n - k) sum_{i < n-k} S_i + V,   k >= 1,
    E c(0) = a b_0 + w (1 - 1/n).

w follows from c(0); then (a, tau) minimise the squared distance of c(k) to E c(k), k >= 1. That is
linear in a and a search along a grid in tau. tau is undefined (NaN) where a <= 0, or where no tau
between half a bin and half the window fits best. Lag 0 is never fitted, so neither spike
randomness nor the width of the bins enters.

References: Marriott & Pope 1954, doi:10.1093/biomet/41.3-4.390 (the bias); Murray et al. 2014,
doi:10.1038/nn.3862 (timescale from an exponential); Zeraati et al. 2022,
doi:10.1038/s43588-022-00214-3, who measure how large the bias is and correct it by simulating the
same model; for one exponential its mean is known in closed form, which is what we use.
"""

__all__ = ["autocovariance", "intrinsic_timescale"]

from functools import lru_cache

import numpy as np

_PER_DECADE = 64  # grid points; a parabola between them does the rest


def autocovariance(x: np.ndarray, lags: int) -> np.ndarray:
    """c(k) for k = 0 .. lags of ``x[..., time]``, float64 [..., lag]; needs lags < time."""
    x = np.asarray(x, dtype=np.float64)
    n = x.shape[-1]
    size = 1 << int(np.ceil(np.log2(n + lags)))
    spectrum = np.fft.rfft(x - x.mean(axis=-1, keepdims=True), size)
    sums = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[..., : lags + 1]
    return sums / (n - np.arange(lags + 1))


def intrinsic_timescale(covariance: np.ndarray, *, n: int, width: float) -> np.ndarray:
    """tau in ms [...] from ``covariance[..., lag]`` of ``n`` bins of ``width`` ms (see module)."""
    y = covariance[..., 1:] + covariance[..., :1] / (n - 1)
    tau, basis = _models(n, covariance.shape[-1] - 1, width)
    projection = y @ basis.T  # onto unit vectors: the squared distance is |y|^2 - projection^2
    gain = np.where(projection > 0, projection, 0.0) ** 2
    best = np.argmax(gain, axis=-1)
    inner = np.clip(best, 1, len(tau) - 2)
    left, middle, right = (
        np.take_along_axis(gain, (inner + s)[..., None], axis=-1)[..., 0] for s in (-1, 0, 1)
    )
    curvature = left - 2 * middle + right
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = np.where(curvature < 0, 0.5 * (left - right) / curvature, 0.0)
    found = (best == inner) & (middle > 0)
    step = np.log(tau[1] / tau[0])
    return np.where(found, tau[inner] * np.exp(shift * step), np.nan)


@lru_cache(maxsize=16)
def _models(n: int, lags: int, width: float) -> tuple[np.ndarray, np.ndarray]:
    """The grid of tau [tau], and the shape of E c(k) for each as unit vectors [tau, lag]."""
    low, high = width / 2, n * width / 2
    tau = np.geomspace(low, high, max(8, int(_PER_DECADE * np.log10(high / low))))
    rho = np.exp(-width / tau)[:, None]
    k = np.arange(lags + 1)[None, :]
    m = n - k
    # sum of S_i over i < m, a geometric series twice
    series = rho * (1 - rho**m) / (1 - rho)
    partial = (m * (1 + rho) - series - rho ** (n - m) * series) / (n * (1 - rho))
    b = rho**k - 2 * partial / m + partial[:, :1] / n
    shape = b[:, 1:] + b[:, :1] / (n - 1)
    return tau, shape / np.linalg.norm(shape, axis=1, keepdims=True)
