"""Features of single spike trains against analytic values and plain NumPy definitions."""

import numpy as np
import pytest
from neurosbi_simulators.population.trains import WINDOW, measure_trains, train_features


def merged(trains):
    """Times and units in order of time."""
    time = np.concatenate(trains)
    unit = np.repeat(np.arange(len(trains)), [len(t) for t in trains])
    order = np.argsort(time, kind="stable")
    return time[order], unit[order]


def measure(trains, *, units, duration, populations=("E", "I")):
    x = measure_trains(*merged(trains), units=units, duration=duration)
    names = [f.name for f in train_features(populations)]
    assert len(x) == len(names) == len(set(names))
    return dict(zip(names, x, strict=True))


def gamma_trains(n, shape, rate, duration, seed):
    """Renewal trains; the CV of a gamma interval is 1 / sqrt(shape)."""
    rng = np.random.default_rng(seed)
    draws = round(2 * rate * duration * 1e-3 + 50)
    gaps = rng.gamma(shape, 1e3 / (rate * shape), size=(n, draws))
    times = gaps.cumsum(axis=1) - 1000.0 * rng.random((n, 1))
    return [t[(t >= 0) & (t < duration)] for t in times]


@pytest.mark.parametrize(("shape", "cv"), [(1.0, 1.0), (4.0, 0.5)])
def test_renewal_trains(shape, cv):
    duration = 60_000.0
    trains = gamma_trains(60, shape, 20.0, duration, seed=1)
    x = measure(trains, units=(40, 20), duration=duration)
    assert x["cv_isi_E"] == pytest.approx(cv, rel=0.02)
    # E |I' - I| / (I' + I) of gamma intervals: 1/2 for shape 1 and 35/128 for shape 4
    assert x["cv2_E"] == pytest.approx(2 * {1.0: 1 / 2, 4.0: 35 / 128}[shape], rel=0.02)
    assert x["pair_correlation_E"] == pytest.approx(0.0, abs=0.005)
    assert x["pair_correlation_E_I"] == pytest.approx(0.0, abs=0.005)
    if shape == 1.0:
        assert x["unit_fano_E"] == pytest.approx(1.0, rel=0.02)
        assert x["rate_cv_E"] == pytest.approx(1 / np.sqrt(20 * 60), rel=0.35)


def test_windows_and_pairs_by_their_definitions():
    duration = 3050.0  # the last window is not whole
    rng = np.random.default_rng(2)
    trains = [np.sort(rng.uniform(0, duration, size=rng.integers(2, 60))) for _ in range(9)]
    trains[3] = np.empty(0)
    x = measure(trains, units=(6, 3), duration=duration)
    edges = np.arange(31) * WINDOW
    counts = np.array([np.histogram(t, edges)[0] for t in trains])
    defined = [counts[i].var(ddof=1) / counts[i].mean() for i in range(6) if i != 3]
    assert x["unit_fano_E"] == pytest.approx(np.mean(defined), rel=1e-12)
    active = [0, 1, 2, 4, 5, 6, 7, 8]
    c = np.corrcoef(counts[active])
    assert x["pair_correlation_E"] == pytest.approx(c[:5, :5][np.triu_indices(5, 1)].mean())
    assert x["pair_correlation_I"] == pytest.approx(c[5:, 5:][np.triu_indices(3, 1)].mean())
    assert x["pair_correlation_E_I"] == pytest.approx(c[:5, 5:].mean())
    intervals = [np.diff(t) for t in trains[6:]]
    assert x["cv_isi_I"] == pytest.approx(np.mean([i.std() / i.mean() for i in intervals]))


def test_shared_input_correlates_pairs():
    """A share c of common Poisson spikes gives pairs the correlation c."""
    rng = np.random.default_rng(3)
    duration, share, rate = 200_000.0, 0.3, 0.01
    common = np.sort(rng.uniform(0, duration, rng.poisson(share * rate * duration)))
    trains = [
        np.sort(np.r_[common, rng.uniform(0, duration, rng.poisson((1 - share) * rate * duration))])
        for _ in range(20)
    ]
    x = measure(trains, units=(10, 10), duration=duration)
    assert x["pair_correlation_E"] == pytest.approx(share, abs=0.03)
    assert x["pair_correlation_E_I"] == pytest.approx(share, abs=0.03)


def test_silent_and_missing_populations_are_undefined():
    x = measure([np.empty(0), np.empty(0)], units=(2, 0), duration=1000.0)
    assert all(np.isnan(v) for v in x.values())
