"""One simulation gives the same numbers whatever it is computed together with."""

import numpy as np
import pytest
from hodgkin_cases import MODELS, default_theta, step_for, voltage
from neurosbi_simulators.hodgkin_huxley import CorticalHodgkinHuxley, HodgkinHuxley

from neurosbi.contract import StepFamily, Stimulus, StimulusBatch

PRECISIONS = ("single", "double")


def same(a, b):
    np.testing.assert_array_equal(a, b)  # bit for bit; NaN equals NaN


@pytest.mark.parametrize("model_class", MODELS)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("features", ["moments-13", "cortical-23", "default"])
def test_streamed_features_are_the_features_of_the_trace(model_class, precision, features):
    model = model_class(precision=precision, features=features, dt=0.05)
    theta = model.sample_prior(70, seed=1)
    # a length that is not a whole number of tiles
    stimulus = step_for(model, onset=20.35, duration=150.0, total=181.25)
    streamed = model.simulate(theta, stimulus=stimulus, seed=4).x
    same(streamed, model.features_of(model.traces(theta, stimulus=stimulus, seed=4)))
    assert np.isfinite(streamed).mean() > 0.3


@pytest.mark.parametrize("precision", PRECISIONS)
def test_batch_size_start_threads_and_order(precision):
    model = HodgkinHuxley(precision=precision, features="moments-13", dt=0.05)
    theta = model.sample_prior(150, seed=0)
    whole = model.simulate(theta, seed=9, threads=1)
    same(model.simulate(theta, seed=9, threads=3).x, whole.x)
    same(model.simulate(theta[100:], seed=9, start=100).x, whole.x[100:])
    same(model.simulate(theta[7:8], seed=9, start=7).x, whole.x[7:8])
    pieces = [
        model.simulate(theta[a:b], seed=9, start=a).x
        for a, b in ((0, 1), (1, 64), (64, 129), (129, 150))
    ]
    same(np.concatenate(pieces), whole.x)
    longer = model.sample_prior(150, seed=0, start=0)
    same(model.simulate(longer, seed=9).status, whole.status)
    assert not np.array_equal(model.simulate(theta, seed=10).x, whole.x, equal_nan=True)
    assert not np.array_equal(model.simulate(theta, seed=9, start=1).x, whole.x, equal_nan=True)


@pytest.mark.parametrize("model_class", MODELS)
def test_steps_of_different_length_in_one_batch(model_class):
    model = model_class(dt=0.05, features="spikes")
    unit = model.stimulus.unit
    amplitude = (0.5, 8.0) if unit == "uA/cm2" else (50.0, 500.0)
    family = StepFamily(unit=unit, amplitude=amplitude, onset=(5.0, 40.0), duration=(20.0, 90.0))
    theta = np.repeat(default_theta(model), 130, axis=0)
    batch = family.sample(130, seed=6)
    together = model.simulate(theta, stimulus=batch, seed=2)
    alone = [
        model.simulate(
            theta[i : i + 1], stimulus=family.stimulus(batch.values[i]), seed=2, start=i
        ).x
        for i in range(130)
    ]
    same(together.x, np.concatenate(alone))
    assert len(np.unique(together.x[:, 0])) > 2
    backwards = np.arange(130)[::-1]
    reordered = model.simulate(theta, stimulus=batch[backwards], seed=2)
    quiet = model_class(dt=0.05, features="spikes", **({"noise": 0.0} if unit == "pA" else {}))
    theta_quiet = theta if unit == "pA" else np.repeat(default_theta(model, sigma=0.0), 130, axis=0)
    same(
        quiet.simulate(theta_quiet, stimulus=batch[backwards], seed=2).x[backwards],
        quiet.simulate(theta_quiet, stimulus=batch, seed=2).x,
    )
    assert reordered.x.shape == together.x.shape


def test_a_spike_at_the_end_does_not_see_what_follows_its_own_end():
    # the last spike's trough window is cut by the end of the trace, in company as alone
    model = HodgkinHuxley(dt=0.025, features="cortical-23")
    family = StepFamily(
        unit="uA/cm2", amplitude=(3.0, 3.3), onset=(10.0, 11.0), duration=(10.0, 300.0)
    )
    theta = np.repeat(default_theta(model, sigma=0.0), 64, axis=0)
    values = np.column_stack([np.full(64, 3.2), np.full(64, 10.0), np.linspace(10, 290, 64)])
    batch = StimulusBatch(family, values)
    together = model.simulate(theta, stimulus=batch, seed=0)
    alone = [model.simulate(theta[:1], stimulus=batch[i : i + 1], seed=0).x for i in range(64)]
    same(together.x, np.concatenate(alone))


@pytest.mark.parametrize("model_class", MODELS)
def test_waveform_equals_the_step_it_describes(model_class):
    model = model_class(dt=0.05)
    amplitude = model.stimulus.amplitude
    step = Stimulus.step(
        amplitude=amplitude,
        onset=30.0,
        duration=100.0,
        total=150.0,
        holding=-0.2 * amplitude,
        unit=model.stimulus.unit,
    )
    wave = Stimulus.waveform(
        step.sampled(0.05), dt=0.05, unit=step.unit, onset=step.onset, offset=step.offset
    )
    theta = default_theta(model)
    np.testing.assert_allclose(
        voltage(model, theta, stimulus=wave), voltage(model, theta, stimulus=step), atol=2e-2
    )
    double = model_class(dt=0.05, precision="double")
    np.testing.assert_allclose(
        voltage(double, theta, stimulus=wave), voltage(double, theta, stimulus=step), atol=1e-8
    )


def test_waveform_sampled_more_coarsely_than_the_model():
    model = HodgkinHuxley(dt=0.025, precision="double")
    current = np.where((np.arange(600) >= 100) & (np.arange(600) < 500), 3.0, 0.0)
    wave = Stimulus.waveform(current, dt=0.2, unit="uA/cm2")
    assert (wave.onset, wave.offset) == (20.0, 100.0)
    step = Stimulus.step(amplitude=3.0, onset=20.0, duration=80.0, total=120.0, unit="uA/cm2")
    theta = default_theta(model)
    np.testing.assert_allclose(
        voltage(model, theta, stimulus=wave), voltage(model, theta, stimulus=step), atol=1e-9
    )


def test_holding_current_shifts_the_rest():
    model = HodgkinHuxley()
    base = Stimulus.step(amplitude=2.0, onset=20, duration=50, total=100, unit="uA/cm2")
    held = Stimulus.step(
        amplitude=2.0, onset=20, duration=50, total=100, holding=-0.5, unit="uA/cm2"
    )
    theta = default_theta(model)
    shift = voltage(model, theta, stimulus=held)[0, 0] - voltage(model, theta, stimulus=base)[0, 0]
    assert -6.0 < shift < -2.0  # about -0.5 uA/cm2 over a leak and an M conductance of 0.1 mS/cm2


def test_absolute_current_through_the_area():
    area = 1.9e-4  # cm2
    model = HodgkinHuxley(area=area)
    density = Stimulus.step(amplitude=2.5, onset=10, duration=80, total=100, unit="uA/cm2")
    absolute = Stimulus.step(amplitude=2.5 * area * 1e6, onset=10, duration=80, total=100)
    theta = default_theta(model)
    same(voltage(model, theta, stimulus=absolute), voltage(model, theta, stimulus=density))


def test_size_of_the_cortical_cell_matters_only_through_its_parameters():
    # twice the membrane (half the resistance at the same time constant) needs twice the current
    model = CorticalHodgkinHuxley(precision="double")
    small, large = (default_theta(model, R_in=r) for r in (200.0, 100.0))
    one, two = (step_for(model, amplitude=a) for a in (150.0, 300.0))
    np.testing.assert_allclose(
        voltage(model, small, stimulus=one), voltage(model, large, stimulus=two), atol=1e-6
    )


@pytest.mark.parametrize("model_class", MODELS)
def test_single_precision_agrees_with_double(model_class):
    stimulus = step_for(model_class())
    runs = []
    for precision in PRECISIONS:
        model = model_class(precision=precision, dt=0.025, features="spikes")
        theta = model.sample_prior(512, seed=3)
        count = model.simulate(theta, stimulus=stimulus, seed=3).x[:, 0]
        runs.append((count, voltage(model, theta[:128], stimulus=stimulus, seed=3, noise=True)))
    (count_single, v_single), (count_double, v_double) = runs
    assert (count_single == count_double).mean() >= 0.98
    worst = np.abs(v_single - v_double).max(axis=1)
    assert np.median(worst) < 0.05
    assert np.median(np.abs(v_single - v_double)) < 1e-3


def test_stored_traces_with_a_stride():
    model = HodgkinHuxley(dt=0.05)
    theta = default_theta(model)
    every = model.traces(theta, seed=1)
    fifth = model.traces(theta, seed=1, stride=5)
    same(fifth["v"].values, every["v"].values[:, ::5])
    same(fifth["current"].values, every["current"].values[::5])
    np.testing.assert_allclose(fifth["time"].values, every["time"].values[::5])
