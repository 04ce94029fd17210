"""Features of population counts against analytic values and SciPy."""

import numpy as np
import pytest
from neurosbi_simulators.population.features import (
    BANDS,
    count_features,
    measure_counts,
    rebin,
)
from neurosbi_simulators.population.spectrum import peak_frequency, welch
from neurosbi_simulators.population.timescales import autocovariance, intrinsic_timescale
from scipy import signal

from neurosbi.errors import BadInputError

SIZE, RATE = 200, 8.0  # neurons, Hz


def poisson(n_sims, seconds, seed=0):
    rng = np.random.default_rng(seed)
    mean = SIZE * RATE * 1e-3
    return rng.poisson(mean, size=(n_sims, round(seconds * 1000), 2))


def modulated(tau, n_sims, seconds, *, relative=0.4, seed=0):
    """Poisson counts of a rate that follows an Ornstein-Uhlenbeck process, 5 ms bins."""
    rng = np.random.default_rng(seed)
    rho = np.exp(-5.0 / tau)
    n = round(seconds * 200)
    x = np.empty((n_sims, n))
    x[:, 0] = rng.standard_normal(n_sims)
    for i in range(1, n):
        x[:, i] = rho * x[:, i - 1] + np.sqrt(1 - rho**2) * rng.standard_normal(n_sims)
    return rng.poisson(np.clip(50.0 * (1 + relative * x), 0, None))


def named(x, populations=("E", "I")):
    names = [f.name for f in count_features(populations)]
    assert len(names) == len(set(names)) == x.shape[-1]
    return dict(zip(names, np.moveaxis(x, -1, 0), strict=True))


def test_independent_poisson_neurons():
    x = named(measure_counts(poisson(60, 10), dt=1.0, sizes=(SIZE, SIZE)))
    sem = {name: np.std(values) / np.sqrt(60) for name, values in x.items()}
    expected = {"rate_E": RATE, "drift_E": 0.0, "synchrony_E": 1.0, "fano_E": 1.0}
    expected |= {"autocorrelation_50_E": 0.0, "correlation_E_I": 0.0}
    expected["skew_E"] = 1 / np.sqrt(SIZE * RATE * 5e-3)
    for name, value in expected.items():
        assert abs(x[name].mean() - value) < 4 * sem[name] + 1e-3, name
    for low, high in BANDS:  # the flat spectrum 2 r / N
        density = 10 ** x[f"power_{low:g}_{high:g}_E"]
        sem = np.std(density) / np.sqrt(60)
        assert abs(density.mean() - 2 * RATE / SIZE) < 4 * sem
        assert sem < 0.05 * 2 * RATE / SIZE


def test_spectrum_is_that_of_scipy():
    rate = np.random.default_rng(1).normal(size=(3, 4321)).cumsum(axis=1)
    frequency, density = welch(rate, dt=1.0)
    away = rate - rate.mean(axis=1, keepdims=True)
    f, expected = signal.welch(away, fs=1000.0, nperseg=1000, noverlap=500, detrend=False)
    np.testing.assert_allclose(frequency, f)
    np.testing.assert_allclose(density, expected, rtol=1e-9)


def test_spectrum_integrates_to_the_variance_and_peaks_at_the_oscillation():
    t = np.arange(20_000) * 1e-3
    frequency, density = welch(3.0 * np.sin(2 * np.pi * 40.0 * t), dt=1.0)
    assert density.sum() * 1.0 == pytest.approx(4.5, rel=1e-6)
    assert peak_frequency(frequency, density, low=5.0, high=200.0) == 40.0


def test_autocovariance_is_its_definition():
    x = np.random.default_rng(2).normal(size=57)
    away = x - x.mean()
    expected = [(away[: 57 - k] * away[k:]).sum() / (57 - k) for k in range(11)]
    np.testing.assert_allclose(autocovariance(x, 10), expected, rtol=1e-12)


@pytest.mark.parametrize("tau", [20.0, 80.0])
def test_timescale_of_a_modulated_rate(tau):
    found = intrinsic_timescale(autocovariance(modulated(tau, 40, 40), 100), n=8000, width=5.0)
    assert np.median(found) == pytest.approx(tau, rel=0.05)


def test_timescale_keeps_its_value_in_short_windows():
    """Where an exponential fitted to the raw autocovariance comes out far too short."""
    tau, n = 100.0, 200  # one second
    covariance = autocovariance(modulated(tau, 3000, n * 5e-3, seed=3), n // 4)
    # the mean over windows tells the bias apart from the spread
    mean = covariance.mean(axis=0)
    assert intrinsic_timescale(mean, n=n, width=5.0) == pytest.approx(tau, rel=0.1)
    lags = np.arange(1, n // 4 + 1) * 5.0
    grid = np.geomspace(5, 1000, 400)
    shapes = np.exp(-lags / grid[:, None])
    amplitudes = (shapes @ mean[1:]) / (shapes**2).sum(axis=1)
    misfit = ((mean[1:] - amplitudes[:, None] * shapes) ** 2).sum(axis=1)
    assert grid[np.argmin(misfit)] < 0.7 * tau


def test_lead_and_correlation_of_a_delayed_copy():
    rng = np.random.default_rng(4)
    first = rng.poisson(3.0, size=20_000)
    second = np.roll(first, 15) + rng.poisson(3.0, size=20_000)
    x = named(measure_counts(np.stack([first, second], axis=1), dt=1.0, sizes=(SIZE, SIZE)))
    assert x["lead_E_I"] == 15.0
    x = named(measure_counts(np.stack([second, first], axis=1), dt=1.0, sizes=(SIZE, SIZE)))
    assert x["lead_E_I"] == -15.0
    together = np.stack([first, first + rng.poisson(3.0, size=20_000)], axis=1)
    x = named(measure_counts(together, dt=1.0, sizes=(SIZE, SIZE)))
    assert x["correlation_E_I"] == pytest.approx(1 / np.sqrt(2), abs=0.03)


def test_finer_bins_give_the_same_features():
    fine = np.random.default_rng(5).poisson(0.3, size=(2, 15_000, 2))
    coarse = rebin(fine.swapaxes(1, 2), 0.2, 1.0).swapaxes(1, 2)
    np.testing.assert_array_equal(
        measure_counts(fine, dt=0.2, sizes=(50, 10)), measure_counts(coarse, dt=1, sizes=(50, 10))
    )


def test_batch_is_loop():
    counts = poisson(3, 2.5)
    together = measure_counts(counts, dt=1.0, sizes=(SIZE, 50))
    for one, row in zip(counts, together, strict=True):
        np.testing.assert_allclose(measure_counts(one, dt=1.0, sizes=(SIZE, 50)), row, rtol=1e-12)


def test_silence_is_undefined_and_short_windows_too():
    x = named(measure_counts(np.zeros((3000, 2)), dt=1.0, sizes=(10, 10)))
    assert x.pop("rate_E") == x.pop("rate_I") == 0.0
    assert all(np.isnan(value) for value in x.values())
    x = named(measure_counts(poisson(1, 0.4)[0], dt=1.0, sizes=(SIZE, SIZE)))
    assert np.isnan(x["power_4_8_E"])
    assert np.isfinite(x["timescale_E"]) or np.isnan(x["timescale_E"])
    assert np.isfinite(x["rate_E"])


def test_bins_that_do_not_nest_are_refused():
    with pytest.raises(BadInputError, match=r"bins of 0\.3 ms"):
        measure_counts(np.zeros((100, 1)), dt=0.3, sizes=(10,))
