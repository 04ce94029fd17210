"""Features of a point neuron: what they are called, their units, and how they come from the sums.

Definitions of spike, peak, threshold, amplitude, width and trough: see
`neurosbi_simulators.numerics.spikes`. NaN means undefined: no spike, too few spikes, or a spike
that never steepens to 10 mV/ms.

Sets
----
``moments-7``, ``moments-13``
    Goncalves et al. 2020 (doi:10.7554/eLife.56261) for Allen cells and for synthetic data.
``cortical-23``
    Vetter et al. 2024 (arXiv:2402.07808) for patch-clamped cells of motor cortex.
``spikes``
    The standard spike features of a current-clamp lab.
``default``
    What a fit uses unless told otherwise: when the cell spikes, from where and how high. These are
    what a point neuron can match in most cells; the shape of the trough, say, it often cannot.
``detailed``
    Those, and the shape of spikes and of the voltage distribution.
"""

__all__ = ["AUTOCORRELATION_LAGS", "FEATURES", "FEATURE_SETS", "compute_features"]

from collections.abc import Mapping

import numpy as np

from neurosbi.contract import Feature
from neurosbi_simulators.hodgkin_huxley import streaming as mo
from neurosbi_simulators.numerics import spikes as sp

AUTOCORRELATION_LAGS = (1.0, 2.0, 3.0, 4.0, 5.0)  # ms

FEATURES: Mapping[str, Feature] = {
    f.name: f
    for f in (
        Feature(
            "peak_count",
            "1",
            "local maxima above -10 mV during the stimulus, > 0.5 ms apart",
            essential=True,
        ),
        Feature("rest_mean", "mV", "mean voltage before the stimulus", essential=True),
        Feature(
            "baseline_sd", "mV", "standard deviation of V in all of the time before the stimulus"
        ),
        Feature("rest_sd", "mV", "standard deviation of V in the last tenth before the stimulus"),
        Feature("v_mean", "mV", "mean voltage during the stimulus"),
        Feature("v_variance", "mV2", "variance of V during the stimulus"),
        Feature("v_sd", "mV", "standard deviation of V during the stimulus"),
        Feature("v_skewness", "1", "third central moment / sd^3 during the stimulus"),
        Feature("v_kurtosis", "1", "fourth central moment / sd^4 (not excess) during the stimulus"),
        Feature("v_moment_5", "1", "fifth central moment / sd^5 during the stimulus"),
        *(
            Feature(f"autocorrelation_{lag:g}", "1", f"autocorrelation of V at a lag of {lag:g} ms")
            for lag in AUTOCORRELATION_LAGS
        ),
        Feature("spike_count", "1", "spikes during the stimulus", essential=True),
        Feature("rate", "Hz", "spikes per second of stimulus"),
        Feature("latency", "ms", "stimulus onset to the first peak"),
        Feature("first_isi", "ms", "first interval between peaks"),
        Feature("mean_isi", "ms", "mean interval between peaks"),
        Feature("isi_cv", "1", "sd / mean of the intervals (3 or more spikes)"),
        Feature("adaptation", "1", "mean of (next - this) / (next + this) over intervals"),
        Feature("threshold", "mV", "mean spike threshold (dV/dt = 10 mV/ms)", essential=True),
        Feature("amplitude", "mV", "mean spike amplitude, threshold to peak"),
        Feature("width", "ms", "mean spike width at half amplitude"),
        Feature("ahp", "mV", "mean depth of the trough within 5 ms after a peak below threshold"),
        Feature("threshold_1", "mV", "threshold of the first spike"),
        Feature("amplitude_1", "mV", "amplitude of the first spike"),
        Feature("width_1", "ms", "width of the first spike"),
        Feature("ahp_1", "mV", "trough after the first spike minus its threshold"),
        Feature("threshold_3", "mV", "threshold of the third spike"),
        Feature("amplitude_3", "mV", "amplitude of the third spike"),
        Feature("width_3", "ms", "width of the third spike"),
        Feature("ahp_3", "mV", "trough after the third spike minus its threshold"),
        Feature("log_count", "1", "log(spikes + 3)"),
        Feature("log_count_eighth", "1", "log(spikes + 3), first eighth of the stimulus"),
        Feature("log_count_quarter", "1", "log(spikes + 3), first quarter"),
        Feature("log_count_half", "1", "log(spikes + 3), first half"),
        Feature("log_count_second_half", "1", "log(spikes + 3), second half"),
        Feature("log_amplitude_adaptation", "1", "log(last / first amplitude)"),
        Feature(
            "amplitude_adaptation_sigmoid",
            "1",
            "sigmoid(50 a), a the mean of (next - this) / (next + this) over amplitudes",
        ),
        Feature("log_amplitude_cv", "1", "log of the coefficient of variation of amplitudes"),
        Feature("log_isi_adaptation", "1", "log(last / first interval)"),
        Feature("log_isi_cv", "1", "log of the coefficient of variation of intervals"),
        Feature("log_latency", "1", "log(latency / ms + 0.4)"),
    )
}

_MOMENTS_7 = (
    "peak_count",
    "rest_mean",
    "rest_sd",
    "v_mean",
    "v_variance",
    "v_skewness",
    "v_kurtosis",
)
_SPIKES = (
    "spike_count",
    "rate",
    "latency",
    "first_isi",
    "mean_isi",
    "isi_cv",
    "adaptation",
    "threshold",
    "amplitude",
    "width",
    "ahp",
)
_SETS = {
    "default": (
        "spike_count",
        "latency",
        "isi_cv",
        "adaptation",
        "threshold",
        "amplitude",
        "rest_mean",
        "baseline_sd",
        "v_mean",
    ),
    "detailed": (
        "spike_count",
        "latency",
        "isi_cv",
        "adaptation",
        "threshold",
        "amplitude",
        "width",
        "ahp",
        "rest_mean",
        "baseline_sd",
        "v_mean",
        "v_sd",
        "v_skewness",
        "v_kurtosis",
    ),
    "moments-7": _MOMENTS_7,
    "moments-13": (
        "peak_count",
        *(f"autocorrelation_{lag:g}" for lag in AUTOCORRELATION_LAGS),
        *_MOMENTS_7[1:],
        "v_moment_5",
    ),
    "spikes": _SPIKES,
    "cortical-23": (
        "threshold_1",
        "amplitude_1",
        "width_1",
        "ahp_1",
        "threshold_3",
        "amplitude_3",
        "width_3",
        "ahp_3",
        "log_count",
        "log_count_eighth",
        "log_count_quarter",
        "log_count_half",
        "log_count_second_half",
        "log_amplitude_adaptation",
        "amplitude_adaptation_sigmoid",
        "log_amplitude_cv",
        "log_isi_adaptation",
        "log_isi_cv",
        "log_latency",
        "rest_mean",
        "v_mean",
        "v_variance",
        "v_skewness",
    ),
}
FEATURE_SETS: Mapping[str, tuple[Feature, ...]] = {
    name: tuple(FEATURES[f] for f in features) for name, features in _SETS.items()
}


def compute_features(
    names: tuple[str, ...],
    *,
    moments: np.ndarray,
    spikes: np.ndarray,
    lag_sums: np.ndarray,
    on: np.ndarray,
    off: np.ndarray,
    dt: float,
) -> np.ndarray:
    """Features [sim, feature] from the streamed sums [row, sim]; ``on``, ``off`` in steps [sim]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        values = (
            _voltage(moments, lag_sums, on, dt)
            | _timing(spikes, on, off, dt)
            | _shapes(spikes)
            | _cortical(spikes, on, dt)
        )
    columns = [values[name] for name in names]
    return np.stack(columns, axis=-1) if columns else np.empty((moments.shape[1], 0))


def _voltage(
    m: np.ndarray, lag_sums: np.ndarray, on: np.ndarray, dt: float
) -> dict[str, np.ndarray]:
    n = m[mo.COUNT]
    mean, p2, p3, p4, p5 = (m[row] / n for row in range(mo.POWER_1, mo.POWER_5 + 1))
    variance = np.maximum(p2 - mean**2, 0.0)
    sd = np.sqrt(variance)
    central_3 = p3 - 3 * mean * p2 + 2 * mean**3
    central_4 = p4 - 4 * mean * p3 + 6 * mean**2 * p2 - 3 * mean**4
    central_5 = p5 - 5 * mean * p4 + 10 * mean**2 * p3 - 10 * mean**3 * p2 + 4 * mean**5
    rest_mean = m[mo.REST_ALL_SUM] / on
    rest_1 = m[mo.REST_POWER_1] / m[mo.REST_COUNT]
    rest_2 = m[mo.REST_POWER_2] / m[mo.REST_COUNT]
    values = {
        "rest_mean": m[mo.ORIGIN] + rest_mean,
        "baseline_sd": np.sqrt(np.maximum(m[mo.REST_ALL_POWER_2] / on - rest_mean**2, 0.0)),
        "rest_sd": np.sqrt(np.maximum(rest_2 - rest_1**2, 0.0)),
        "v_mean": m[mo.ORIGIN] + mean,
        "v_variance": variance,
        "v_sd": sd,
        "v_skewness": central_3 / sd**3,
        "v_kurtosis": central_4 / sd**4,
        "v_moment_5": central_5 / sd**5,
    }
    for k, lag in enumerate(AUTOCORRELATION_LAGS[: len(lag_sums) // 3]):
        both, then, now = lag_sums[3 * k : 3 * k + 3]
        pairs = n - round(lag / dt)
        values[f"autocorrelation_{lag:g}"] = _where(
            pairs > 0, (both - mean * (then + now) + pairs * mean**2) / (n * variance)
        )
    return values


def _timing(s: np.ndarray, on: np.ndarray, off: np.ndarray, dt: float) -> dict[str, np.ndarray]:
    count = s[sp.SPIKES]
    intervals = np.maximum(count - 1, 0)
    mean_isi = _where(count >= 2, s[sp.ISI_SUM] / intervals)
    isi_variance = np.maximum(s[sp.ISI_SQ] / intervals - mean_isi**2, 0.0)
    return {
        "peak_count": s[sp.PEAKS],
        "spike_count": count,
        "rate": count / ((off - on) * dt) * 1e3,
        "latency": _where(count >= 1, (s[sp.FIRST_T] - on) * dt),
        "first_isi": _where(count >= 2, s[sp.FIRST_ISI]),
        "mean_isi": mean_isi,
        "isi_cv": _where(count >= 3, np.sqrt(isi_variance) / mean_isi),
        "adaptation": _where(count >= 3, s[sp.ADAPT_SUM] / (count - 2)),
    }


def _shapes(s: np.ndarray) -> dict[str, np.ndarray]:
    shaped = s[sp.SHAPED]
    values = {
        "threshold": _where(shaped > 0, s[sp.THRESHOLD_SUM] / shaped),
        "amplitude": _where(shaped > 0, s[sp.AMPLITUDE_SUM] / shaped),
        "width": _where(s[sp.WIDTHS] > 0, s[sp.WIDTH_SUM] / s[sp.WIDTHS]),
        "ahp": _where(s[sp.AHPS] > 0, s[sp.AHP_SUM] / s[sp.AHPS]),
    }
    for which, row in ((1, sp.FIRST_SHAPE), (3, sp.THIRD_SHAPE)):
        there = s[sp.SPIKES] >= which
        values |= {
            f"threshold_{which}": _where(there, s[row]),
            f"amplitude_{which}": _where(there, s[row + 1]),
            f"width_{which}": _where(there, s[row + 2]),
            f"ahp_{which}": _where(there, s[row + 3] - s[row]),
        }
    return values


def _cortical(s: np.ndarray, on: np.ndarray, dt: float) -> dict[str, np.ndarray]:
    count, shaped = s[sp.SPIKES], s[sp.SHAPED]
    mean_amplitude = s[sp.AMPLITUDE_SUM] / shaped
    amplitude_variance = s[sp.AMPLITUDE_SQ] / shaped - mean_amplitude**2
    timing = _timing(s, on, on + 1, dt)
    change = s[sp.AMPLITUDE_RATIO_SUM] / (shaped - 1)
    values = {
        "log_count": np.log(count + 3),
        "log_count_eighth": np.log(s[sp.FIRST_EIGHTH] + 3),
        "log_count_quarter": np.log(s[sp.FIRST_QUARTER] + 3),
        "log_count_half": np.log(s[sp.FIRST_HALF] + 3),
        "log_count_second_half": np.log(count - s[sp.FIRST_HALF] + 3),
        "log_amplitude_adaptation": np.log(s[sp.LAST_AMPLITUDE] / s[sp.FIRST_AMPLITUDE]),
        "amplitude_adaptation_sigmoid": 0.5 * (1 + np.tanh(25 * change)),
        "log_amplitude_cv": np.log(np.sqrt(np.maximum(amplitude_variance, 0)) / mean_amplitude),
    }
    values = {
        name: _where(shaped >= 2, v) if "amplitude" in name else _where(count >= 1, v)
        for name, v in values.items()
    }
    return values | {
        "log_isi_adaptation": _where(count >= 3, np.log(s[sp.LAST_ISI] / s[sp.FIRST_ISI])),
        "log_isi_cv": _where(count >= 3, np.log(timing["isi_cv"])),
        "log_latency": np.log(timing["latency"] + 0.4),
    }


def _where(condition: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.where(condition & np.isfinite(values), values, np.nan)
