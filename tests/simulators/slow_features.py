"""The documented features of one trace, written a second time: plain NumPy, whole arrays, no state.

Independent of the streaming code on purpose; see `neurosbi_simulators.numerics.spikes` for the
definitions. Voltages in mV, times in ms, one trace at a time.
"""

from dataclasses import dataclass

import numpy as np

LEVEL, SLOPE, WINDOW, REFRACTORY = -10.0, 10.0, 5.0, 0.5


@dataclass(frozen=True)
class Spike:
    peak_step: int
    peak: float
    threshold: float
    width: float
    trough: float

    @property
    def amplitude(self):
        return self.peak - self.threshold


def find_spikes(v, dt, on, off):
    """The spikes of a trace whose peak lies strictly between the steps ``on`` and ``off``."""
    above = v > LEVEL
    rises = np.flatnonzero(~above[:-1] & above[1:]) + 1
    falls = np.flatnonzero(above[:-1] & ~above[1:]) + 1
    found = []
    for k, rise in enumerate(rises):
        later = falls[falls > rise]
        if len(later) == 0:
            continue  # it never comes down again: not a spike
        peak_step = rise + int(np.argmax(v[rise : later[0]]))
        seen = max(later[0], peak_step + int(np.ceil(WINDOW / dt - 1e-9)))
        seen = min(seen, rises[k + 1] if k + 1 < len(rises) else len(v), len(v) - 1)
        if on < peak_step < off:
            found.append(_describe(v, dt, peak_step, seen))
    return found


def _describe(v, dt, peak_step, seen):
    stride = max(1, round(0.1 / dt))
    step = stride * dt
    grid = v[::stride].astype(np.float64)
    top = peak_step // stride
    peak = float(v[peak_step])
    middles = np.arange(len(grid) - 1) + 0.5
    slopes = np.diff(grid) / step
    first = max(0, top - int(WINDOW / step))
    before = slopes[first:top]  # the last of these ends at the peak's grid point
    steep = np.flatnonzero(before >= SLOPE)
    threshold = width = np.nan
    foot = top
    if len(steep):
        gentle = np.flatnonzero(before[: steep[-1]] < SLOPE)
        if len(gentle):
            k = first + gentle[-1]
            where = np.interp(SLOPE, slopes[k : k + 2], middles[k : k + 2])
            threshold = float(np.interp(where, np.arange(len(grid)), grid))
            foot = k + 2
    last = min(seen // stride, top + int(WINDOW / step))
    after = grid[top + 1 : last + 1]
    trough = float(after.min()) if len(after) else np.nan
    if not np.isnan(threshold):
        half = (threshold + peak) / 2
        up = np.flatnonzero(grid[foot : top + 1] >= half)
        down = np.flatnonzero(after < half)
        if len(up) and len(down) and grid[top + down[0]] >= half:
            u, d = foot + up[0], top + 1 + down[0]
            start = u - (grid[u] - half) / (grid[u] - grid[u - 1]) if grid[u - 1] < half else u
            end = d - (half - grid[d]) / (grid[d - 1] - grid[d])
            width = (end - start) * step
    return Spike(peak_step, peak, threshold, width, trough)


def count_peaks(v, dt, on, off):
    """Local maxima above the level, each more than 0.5 ms after the maximum before."""
    steps, rising = [], False
    for k in range(1, len(v)):
        if v[k] > v[k - 1] and v[k] > LEVEL:
            rising = True
        elif v[k] < v[k - 1]:
            if rising and v[k - 1] > LEVEL and on < k - 1 < off:
                steps.append(k - 1)
            rising = False
    times = np.array(steps) * dt
    return float(len(times) > 0) + float((np.diff(times) > REFRACTORY).sum())


def slow_features(v, *, dt, onset, offset):
    """All features of one trace by name; NaN where undefined."""
    v = np.asarray(v, dtype=np.float64)
    on, off = round(onset / dt), min(round(offset / dt), len(v))
    with np.errstate(invalid="ignore"):  # a constant trace has no skewness
        moments = _moments(v, dt, on, off)
    return (
        moments
        | {"peak_count": count_peaks(v, dt, on, off)}
        | _spike_features(find_spikes(v, dt, on, off), dt, on, off)
    )


def _moments(v, dt, on, off):
    inside = v[on:off]
    centred = inside - inside.mean()
    sd = centred.std()
    tail = v[int(np.ceil(np.float64(0.9) * on - 1e-6)) : on]
    out = {
        "rest_mean": v[:on].mean(),
        "rest_sd": tail.std(),
        "baseline_sd": v[:on].std(),
        "v_mean": inside.mean(),
        "v_variance": centred.var(),
        "v_sd": sd,
        "v_skewness": (centred**3).mean() / sd**3,
        "v_kurtosis": (centred**4).mean() / sd**4,
        "v_moment_5": (centred**5).mean() / sd**5,
    }
    for lag in (1, 2, 3, 4, 5):
        k = round(lag / dt)
        out[f"autocorrelation_{lag}"] = (centred[k:] * centred[:-k]).sum() / (centred**2).sum()
    return out


def _spike_features(spikes, dt, on, off):
    nan = np.nan
    n = len(spikes)
    peaks = np.array([s.peak_step for s in spikes], dtype=np.float64)
    isi = np.diff(peaks) * dt
    shaped = [s for s in spikes if not np.isnan(s.threshold)]
    amplitude = np.array([s.amplitude for s in shaped])
    widths = [s.width for s in shaped if not np.isnan(s.width)]
    ahps = [s.threshold - s.trough for s in shaped if not np.isnan(s.trough)]
    share = (peaks - on) / (off - on)
    out = {
        "spike_count": n,
        "rate": n / ((off - on) * dt / 1e3),
        "latency": (peaks[0] - on) * dt if n else nan,
        "first_isi": isi[0] if n > 1 else nan,
        "mean_isi": isi.mean() if n > 1 else nan,
        "isi_cv": isi.std() / isi.mean() if n > 2 else nan,
        "adaptation": np.mean(np.diff(isi) / (isi[1:] + isi[:-1])) if n > 2 else nan,
        "threshold": np.mean([s.threshold for s in shaped]) if shaped else nan,
        "amplitude": amplitude.mean() if shaped else nan,
        "width": np.mean(widths) if widths else nan,
        "ahp": np.mean(ahps) if ahps else nan,
    }
    for which in (1, 3):
        s = spikes[which - 1] if n >= which else None
        out[f"threshold_{which}"] = s.threshold if s else nan
        out[f"amplitude_{which}"] = s.amplitude if s else nan
        out[f"width_{which}"] = s.width if s else nan
        out[f"ahp_{which}"] = s.trough - s.threshold if s else nan
    for name, count in (
        ("", n),
        ("_eighth", np.sum(share < 0.125)),
        ("_quarter", np.sum(share < 0.25)),
        ("_half", np.sum(share < 0.5)),
        ("_second_half", np.sum(share >= 0.5)),
    ):
        out[f"log_count{name}"] = np.log(count + 3.0) if n else nan
    several = len(shaped) > 1
    change = np.diff(amplitude) / (amplitude[1:] + amplitude[:-1]) if several else [nan]
    out["log_amplitude_adaptation"] = np.log(amplitude[-1] / amplitude[0]) if several else nan
    out["amplitude_adaptation_sigmoid"] = 1 / (1 + np.exp(-50 * np.mean(change)))
    out["log_amplitude_cv"] = np.log(amplitude.std() / amplitude.mean()) if several else nan
    out["log_isi_adaptation"] = np.log(isi[-1] / isi[0]) if n > 2 else nan
    out["log_isi_cv"] = np.log(out["isi_cv"]) if n > 2 and out["isi_cv"] > 0 else nan
    out["log_latency"] = np.log(out["latency"] + 0.4)
    return out
