"""Power spectral density of population rates.

One-sided, mean over half-overlapping Hann windows of one second (Welch's method): for a rate r(t)
in Hz, S(f) is in Hz^2/Hz and integrates to the variance of r. N independent Poisson neurons of
rate r have the flat spectrum 2 r / N. The mean is taken from the whole recording, not from each
window, which would remove a tenth of the power between 1 and 4 Hz.

References: Welch 1967, doi:10.1109/TAU.1967.1161901.
"""

__all__ = ["SEGMENT", "band_power", "peak_frequency", "welch"]

import numpy as np

SEGMENT = 1000.0  # ms; the resolution is 1 Hz


def welch(rate: np.ndarray, *, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies [frequency] in Hz and the density [..., frequency] of ``rate[..., time]``.

    ``dt`` in ms. All NaN where ``rate`` is shorter than one window of `SEGMENT` ms.
    """
    rate = np.asarray(rate, dtype=np.float64)
    length = round(SEGMENT / dt)
    frequency = np.fft.rfftfreq(length, dt * 1e-3)
    if rate.shape[-1] < length:
        return frequency, np.full((*rate.shape[:-1], len(frequency)), np.nan)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    rate = rate - rate.mean(axis=-1, keepdims=True)
    density = np.zeros((*rate.shape[:-1], len(frequency)))
    starts = range(0, rate.shape[-1] - length + 1, length - length // 2)
    for start in starts:  # one window at a time: their copies never exist all at once
        spectrum = np.fft.rfft(rate[..., start : start + length] * window)
        density += spectrum.real**2 + spectrum.imag**2
    density *= 2 * dt * 1e-3 / np.sum(window**2) / len(starts)
    density[..., 0] /= 2  # these two frequencies have no negative twin
    if length % 2 == 0:
        density[..., -1] /= 2
    return frequency, density


def band_power(
    frequency: np.ndarray, density: np.ndarray, bands: tuple[tuple[float, float], ...]
) -> np.ndarray:
    """log10 of the mean density within each band [low, high) Hz, [..., band]; NaN for no power."""
    mean = np.stack(
        [
            density[..., (frequency >= low) & (frequency < high)].mean(axis=-1)
            for low, high in bands
        ],
        axis=-1,
    )
    return np.log10(np.where(mean > 0, mean, np.nan))


def peak_frequency(
    frequency: np.ndarray, density: np.ndarray, *, low: float, high: float
) -> np.ndarray:
    """Frequency in Hz of the highest density within [low, high), [...]; NaN for no power.

    The density is smoothed over 5 neighbouring frequencies, or noise would choose the peak.
    """
    kernel = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) / 9.0
    padded = np.pad(density, [(0, 0)] * (density.ndim - 1) + [(2, 2)], mode="edge")
    smooth = sum(w * padded[..., i : i + len(frequency)] for i, w in enumerate(kernel))
    within = (frequency >= low) & (frequency < high)
    inside = np.asarray(smooth)[..., within]
    peak = frequency[within][np.argmax(np.nan_to_num(inside), axis=-1)]
    return np.where(inside.max(axis=-1) > 0, peak, np.nan)
