"""Streamed features against a second, slow implementation of the same definitions."""

import numpy as np
import pytest
import xarray as xr
from hodgkin_cases import MODELS, default_theta, step_for, voltage
from neurosbi_simulators.hodgkin_huxley import CorticalHodgkinHuxley, HodgkinHuxley
from neurosbi_simulators.hodgkin_huxley.features import FEATURES
from recorded_cells import abf_steps, allen_sweep
from slow_features import slow_features

from neurosbi.contract import CurrentStep, Sweep
from neurosbi.errors import BadInputError

SETS = ("moments-13", "cortical-23", "spikes", "default", "detailed")


def dataset(v, *, dt, onset, offset):
    return xr.Dataset(
        {"v": (("sim", "time"), np.atleast_2d(v))},
        attrs={"dt": dt, "onset": onset, "offset": offset},
    )


def measured(model_class, v, *, dt, onset, offset):
    """All features by name [sim], through every feature set."""
    data = dataset(v, dt=dt, onset=onset, offset=offset)
    values = {}
    for name in SETS:
        model = model_class(features=name)
        columns = model.features_of(data).T
        values |= dict(zip([f.name for f in model.feature_set], columns, strict=True))
    return values


def assert_equal_features(got, v, *, dt, onset, offset):
    slow = [slow_features(row, dt=dt, onset=onset, offset=offset) for row in v]
    for name, values in got.items():
        expected = np.array([row[name] for row in slow], dtype=np.float64)
        np.testing.assert_allclose(
            values, expected, rtol=1e-6, atol=1e-7, equal_nan=True, err_msg=name
        )


def test_every_feature_is_in_some_set_and_is_compared():
    listed = {f.name for s in SETS for f in HodgkinHuxley.feature_sets[s]}
    assert set(FEATURES) == listed


@pytest.mark.parametrize("model_class", MODELS)
@pytest.mark.parametrize("dt", [0.02, 0.04, 0.07, 0.1])
@pytest.mark.parametrize("noise", [False, True])
def test_simulated_traces(model_class, dt, noise):
    model = model_class(dt=dt, precision="double")
    theta = np.vstack([default_theta(model), model.sample_prior(40, seed=2)])
    v = voltage(model, theta, noise=noise)
    when = {"dt": dt, "onset": model.stimulus.onset, "offset": model.stimulus.offset}
    got = measured(model_class, v, **when)
    assert_equal_features(got, v, **when)
    assert np.nanmax(got["spike_count"]) >= 3  # else the comparison would say little
    assert np.isfinite(got["threshold_3"]).any()


def test_a_real_recording_of_thirty_steps():
    v, dt = abf_steps()
    when = {"dt": dt, "onset": 100.0, "offset": 600.0}
    got = measured(HodgkinHuxley, v, **when)
    assert_equal_features(got, v, **when)
    assert got["spike_count"].max() >= 10


def test_spikes_that_are_hard_to_describe():
    dt = 0.02
    t = np.arange(10_000) * dt
    rest = np.full_like(t, -70.0)

    def bump(at, height, width):
        return height * np.exp(-0.5 * ((t - at) / width) ** 2)

    traces = np.array(
        [
            rest + bump(30, 100, 0.5) + bump(33, 95, 0.5),  # 3 ms apart: a short trough window
            rest + bump(30, 100, 4.0) + bump(90, 100, 0.4),  # too slow for a threshold, then sharp
            rest + np.where((t > 40) & (t < 70), 75.0, 0.0),  # a plateau
            rest + bump(199.5, 100, 0.5),  # the trace ends within the spike
            rest + bump(20.2, 100, 0.5),  # astride the onset
            rest + bump(179.8, 100, 0.5) + bump(100, 80, 0.6),  # astride the offset
            rest + bump(50, 61, 1.0),  # just reaches the level
            np.where(t < 0.5, 10.0, -70.0) + bump(60, 90, 0.7),  # begins above the level
        ]
    )
    when = {"dt": dt, "onset": 20.0, "offset": 180.0}
    assert_equal_features(measured(HodgkinHuxley, traces, **when), traces, **when)


def test_published_numbers_of_the_synthetic_protocol():
    # from the reference implementation of the study, which starts at -70 mV
    model = HodgkinHuxley(dt=0.01, precision="double", initial_voltage=-70.0, features="moments-7")
    x = model.features(default_theta(model, sigma=0.0), seed=0)[0]
    # the reference's window is one sample longer, which shows in the last digits
    assert x[0] == 5
    for index, wanted, error in (
        (1, -70.277, 0.001),
        (3, -56.453, 0.003),
        (4, 375.19, 0.1),
        (5, 3.704, 0.002),
        (6, 18.325, 0.01),
    ):
        assert x[index] == pytest.approx(wanted, abs=error)


def test_published_features_of_an_allen_cell():
    v, dt = allen_sweep()
    model = HodgkinHuxley(features="moments-7")
    x = model.features_of(dataset(v, dt=dt, onset=205.0, offset=1205.0))[0]
    expected = [12, -86.62, 0.058, -59.74, 73.57, 5.71, 49.66]
    errors = [0, 0.006, 0.001, 0.006, 0.02, 0.006, 0.03]  # the window ends within a few samples
    for got, wanted, error in zip(x, expected, errors, strict=True):
        assert got == pytest.approx(wanted, abs=error)


def test_single_precision_keeps_the_moments_of_a_nearly_constant_trace():
    rng = np.random.default_rng(0)
    v = (-72.3 + 0.05 * rng.standard_normal((4, 20_000))).astype(np.float32)
    when = {"dt": 0.02, "onset": 100.0, "offset": 350.0}
    got = measured(HodgkinHuxley, v, **when)
    for name in ("rest_sd", "v_sd", "v_mean", "rest_mean", "v_kurtosis"):
        expected = [slow_features(row.astype(np.float64), **when)[name] for row in v]
        np.testing.assert_allclose(got[name], expected, rtol=1e-5, err_msg=name)


def recorded_as_sweep(model, stimulus, **changes):
    """A simulated trace in the guise of a recorded sweep."""
    values = {
        "number": 3,
        "voltage": voltage(model, default_theta(model), stimulus=stimulus)[0].astype(np.float64),
        "current": stimulus.sampled(model.dt),
        "dt": model.dt,
        "test_step": CurrentStep(stimulus.onset, stimulus.offset, stimulus.amplitude),
    }
    return Sweep(**(values | changes))


def test_a_recorded_sweep_is_cut_to_its_step_and_measured_alike():
    model = CorticalHodgkinHuxley(dt=0.025)
    stimulus = step_for(model, onset=260.0, duration=300.0, total=700.0)
    sweep = recorded_as_sweep(model, stimulus)
    seen = model.observe(sweep)
    # 200 ms before the step are used, and nothing after it
    assert (seen.stimulus.onset, seen.stimulus.duration) == (200.0, 300.0)
    np.testing.assert_array_equal(seen.voltage, sweep.voltage[2400:22400])
    expected = slow_features(seen.voltage, dt=0.025, onset=200.0, offset=500.0)
    names = [f.name for f in model.feature_set]
    np.testing.assert_allclose(seen.x, [expected[n] for n in names], rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(model.features_of(sweep), seen.x)


def test_sweeps_that_cannot_be_compared_are_refused():
    model = CorticalHodgkinHuxley(dt=0.025)
    stimulus = step_for(model, onset=100.0, duration=100.0, total=250.0)
    broken = np.full(10_000, -70.0)
    broken[5000] = np.nan
    for changes, words in (
        ({"problem": "it is voltage clamp"}, "voltage clamp"),
        ({"dt": 0.2}, "too coarse"),
        ({"voltage": broken}, "not numbers"),
        ({"usable_from": 3900}, "ms are needed"),
    ):
        with pytest.raises(BadInputError, match=words) as caught:
            model.observe(recorded_as_sweep(model, stimulus, **changes))
        assert "sweep 3" in str(caught.value)
