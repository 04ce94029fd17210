"""Features of given traces: an independent implementation, and traces with known answers."""

import numpy as np
import pyloric_oracle as oracle
import pytest
import xarray as xr
from neurosbi_simulators.pyloric import PyloricNetwork

from neurosbi.contract import Stimulus

DT = 0.025
WINDOW = Stimulus.spontaneous(total=4000.0, onset=500.0)


@pytest.fixture(scope="module")
def model():
    return PyloricNetwork(features="full")


def by_name(model, x):
    return dict(zip((f.name for f in model.feature_set), x.T, strict=True))


def traces_of(v, dt=DT):
    """Traces [time, cell] as the simulator gives them, without power."""
    return xr.Dataset(
        {"v": (("sim", "time", "cell"), v[None].astype(np.float32))},
        attrs={"dt": dt, "onset": 0.0, "offset": len(v) * dt},
    )


def spiking(times, total=10_000.0, floor=-60.0, width=1.0, dt=DT):
    """A trace at ``floor`` with a spike of 80 mV and ``width`` ms at each of ``times``."""
    t = np.arange(round(total / dt)) * dt
    v = np.full(len(t), floor)
    for spike in times:
        v += 80.0 * np.exp(-0.5 * ((t - spike) / width) ** 2)
    return v


def burst(start, duration, n=6):
    return np.linspace(start, start + duration, n)


def triphasic(period=1000.0, lp=400.0, py=650.0, cycles=9):
    starts = 100.0 + period * np.arange(cycles)
    cells = ((0.0, 200.0), (lp, 150.0), (py, 250.0))
    return np.stack(
        [spiking(np.concatenate([burst(s + d, w) for s in starts])) for d, w in cells], axis=-1
    )


def test_against_an_independent_implementation(model):
    theta = model.sample_prior(12, seed=4)
    traces = model.traces(theta, stimulus=WINDOW, seed=0)
    measured = by_name(model, model.features_of(traces))
    on = round(WINDOW.onset / DT)
    defined = 0
    for i in range(len(theta)):
        v = traces["v"].values[i, on:].astype(float)
        expected = oracle.features(v, traces["power"].values[i, on:].astype(float), DT)
        assert set(expected) == set(measured)
        for name, value in expected.items():
            np.testing.assert_allclose(
                measured[name][i], value, rtol=1e-6, atol=1e-4, err_msg=f"{name} of {i}"
            )
            defined += np.isfinite(value)
    assert defined > 12 * 25


def test_streamed_features_are_those_of_the_traces(model):
    theta = model.sample_prior(20, seed=5)
    streamed = model.simulate(theta, stimulus=WINDOW, seed=1).x
    traced = model.features_of(model.traces(theta, stimulus=WINDOW, seed=1))
    np.testing.assert_allclose(streamed, traced, rtol=1e-9, equal_nan=True)


def test_a_rhythm_with_known_times(model):
    x = by_name(model, model.features_of(traces_of(triphasic())))
    expected = {
        "cycle_period": 1000.0,
        "burst_duration_PD": 200.0,
        "burst_duration_LP": 150.0,
        "burst_duration_PY": 250.0,
        "gap_PD_LP": 200.0,
        "gap_LP_PY": 100.0,
        "delay_PD_LP": 400.0,
        "delay_PD_PY": 650.0,
        "delay_LP_PY": 250.0,
        "duty_cycle_LP": 0.15,
        "phase_gap_PD_LP": 0.2,
        "phase_LP": 0.4,
        "phase_PY": 0.65,
        "plateau_duration_PY": 2.5,
        "spike_count_PD": 54,
        "burst_count_LP": 9,
        "pyloric_like": 1.0,
    }
    for name, value in expected.items():
        assert x[name][0] == pytest.approx(value, abs=2 * DT), name
    assert np.isnan(x["energy_LP"][0])  # no power was given


def test_a_different_order_is_not_pyloric_like(model):
    x = by_name(model, model.features_of(traces_of(triphasic(lp=650.0, py=350.0))))
    assert x["pyloric_like"][0] == 0.0
    assert x["phase_PY"][0] == pytest.approx(0.35, abs=1e-3)


def test_two_bursts_in_a_cycle_are_not_triphasic(model):
    v = triphasic()
    v[:, 1] += spiking(np.concatenate([burst(s, 60.0) for s in (850.0, 1850.0, 2850.0)])) + 60.0
    x = by_name(model, model.features_of(traces_of(v)))
    assert np.isnan(x["phase_LP"][0])
    assert x["cycle_period"][0] == pytest.approx(1000.0, abs=2 * DT)
    assert x["burst_count_LP"][0] == 12


def test_bursts_end_after_150_ms_and_last_more_than_40_ms(model):
    times = np.concatenate(
        [burst(100.0, 120.0, 2), burst(1000.0, 160.0, 2), burst(2000.0, 38.0, 3)]
    )
    v = np.stack([spiking(times)] * 3, axis=-1)
    x = by_name(model, model.features_of(traces_of(v)))
    assert x["spike_count_LP"][0] == 7
    assert x["burst_count_LP"][0] == 1  # spikes 160 ms apart are no burst, nor are 38 ms of them
    assert x["burst_duration_LP"][0] == pytest.approx(120.0, abs=2 * DT)
    assert np.isnan(x["cycle_period"][0])


@pytest.mark.parametrize("dt", [0.01, 0.02, 0.025])
def test_limits_hold_to_the_sample_in_single_precision(model, dt):
    """40 ms are no burst, one sample more is; a gap of 150 ms ends one, one sample less does not."""
    limits = (
        [100.0, 140.0, 1000.0, 1040.0 + dt],
        [100.0, 160.0, 310.0, 370.0],
        [100.0, 160.0, 310.0 - dt, 370.0],
    )
    v = np.stack([spiking(times, 2000.0, dt=dt) for times in limits], axis=-1)
    x = by_name(model, model.features_of(traces_of(v, dt)))
    assert [x[f"burst_count_{cell}"][0] for cell in ("PD", "LP", "PY")] == [1, 2, 1]


def test_a_plateau_is_the_time_above_minus_30_mv(model):
    v = triphasic()
    t = np.arange(len(v)) * DT
    for start in 100.0 + 1000.0 * np.arange(9):
        v[(t >= start + 20.0) & (t < start + 120.0), 0] = np.maximum(
            v[(t >= start + 20.0) & (t < start + 120.0), 0], -25.0
        )
    x = by_name(model, model.features_of(traces_of(v)))
    assert x["plateau_duration_PD"][0] == pytest.approx(100.0, abs=3.0)
    assert x["plateau_duration_LP"][0] == 2.5


def test_silent_cells_leave_features_undefined(model):
    v = np.full((40_000, 3), -60.0)
    x = by_name(model, model.features_of(traces_of(v)))
    assert x["spike_count_PY"][0] == 0
    assert x["v_mean_LP"][0] == pytest.approx(-60.0)
    for name in ("cycle_period", "burst_duration_LP", "plateau_duration_PY", "phase_LP"):
        assert np.isnan(x[name][0])


def test_the_default_parameters_give_a_pyloric_rhythm(model):
    # published description of the rhythm: about 1 Hz, LP before PY
    theta = np.array([[p.default for p in model.parameters]] * 4)
    x = by_name(model, model.simulate(theta, seed=0).x)
    assert np.all(x["pyloric_like"] == 1.0)
    assert np.all((x["cycle_period"] > 500) & (x["cycle_period"] < 2000))
    assert np.all(x["phase_LP"] < x["phase_PY"])


def test_the_sets_hold_what_the_studies_used():
    counts = {
        name: len(PyloricNetwork(features=name).feature_set)
        for name in ("goncalves2020", "deistler2022")
    }
    assert counts == {"goncalves2020": 18, "deistler2022": 15}
