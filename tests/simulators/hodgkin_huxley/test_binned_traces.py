"""Binned voltage, streamed, against the bins of whole traces; and whatever it is computed with."""

import numpy as np
import pytest
from hodgkin_cases import MODELS, step_for
from neurosbi_simulators.hodgkin_huxley import HodgkinHuxley

from neurosbi.contract import (
    BinSection,
    Status,
    StepFamily,
    Stimulus,
    StimulusBatch,
    SweepObservation,
    TraceBins,
)

BINS = TraceBins((BinSection(-2.0, 0.5, 30), BinSection(-20.0, 5.0, 25)))
FAMILY = StepFamily(unit="uA/cm2", amplitude=(0.5, 8.0), onset=(5.0, 40.0), duration=(20.0, 90.0))


def same(a, b):
    np.testing.assert_array_equal(a, b)  # bit for bit; NaN equals NaN


@pytest.mark.parametrize("model_class", MODELS)
@pytest.mark.parametrize("precision", ["single", "double"])
def test_streamed_bins_are_those_of_the_trace(model_class, precision):
    model = model_class(precision=precision, dt=0.05)
    theta = model.sample_prior(70, seed=1)
    # a length that is not a whole number of tiles, and time after the step that does not count
    stimulus = step_for(model, onset=20.35, duration=150.0, total=181.25)
    binned = model.simulate_binned(theta, bins=BINS, stimulus=stimulus, seed=4).trace
    assert binned is not None
    traces = model.traces(theta, stimulus=stimulus, seed=4)
    window = {"dt": model.dt, "onset": stimulus.onset, "offset": stimulus.offset}
    np.testing.assert_allclose(binned, BINS.of(traces["v"].values, **window), rtol=1e-6)
    assert np.isfinite(binned).all()
    assert (binned[:, 1] > 0).any()  # some spiked


def test_features_are_the_same_with_and_without_bins():
    model = HodgkinHuxley(dt=0.05)
    theta = model.sample_prior(70, seed=1)
    plain, binned = (
        model.simulate(theta, seed=4),
        model.simulate_binned(theta, bins=BINS, seed=4),
    )
    same(plain.x, binned.x)
    same(plain.status, binned.status)
    assert plain.trace is None


def test_batches_threads_and_start_do_not_matter():
    model = HodgkinHuxley(dt=0.05)
    theta, batch = model.sample_prior(150, seed=0), FAMILY.sample(150, seed=6)

    def run(a, b, threads=1):
        return model.simulate_binned(
            theta[a:b], bins=BINS, stimulus=batch[a:b], seed=9, start=a, threads=threads
        ).trace

    whole = run(0, 150)
    same(run(0, 150, threads=3), whole)
    same(np.concatenate([run(a, b) for a, b in ((0, 1), (1, 64), (64, 129), (129, 150))]), whole)
    # steps that end early or begin late lack bins, and only they
    onset, duration = batch.values[:, 1], batch.values[:, 2]
    np.testing.assert_array_equal(np.isfinite(whole[:, 0, 30]), onset >= 20 - 0.025)
    np.testing.assert_array_equal(np.isfinite(whole[:, 0, 30 + 12]), duration >= 45 - 0.025)


def test_each_step_alone_gives_the_same():
    model = HodgkinHuxley(dt=0.05)
    theta, batch = model.sample_prior(5, seed=0), FAMILY.sample(5, seed=6)
    together = model.simulate_binned(theta, bins=BINS, stimulus=batch, seed=2).trace
    for i in range(5):
        alone = model.simulate_binned(
            theta[i : i + 1],
            bins=BINS,
            stimulus=FAMILY.stimulus(batch.values[i]),
            seed=2,
            start=i,
        )
        assert together is not None
        assert alone.trace is not None
        same(alone.trace[0], together[i])


def test_a_recording_is_binned_like_a_simulation():
    model = HodgkinHuxley(dt=0.05)
    theta = model.sample_prior(3, seed=5)
    stimulus = Stimulus.step(amplitude=3.0, onset=30.0, duration=60.0, unit="uA/cm2")
    v = model.traces(theta, stimulus=stimulus, seed=1)["v"].values
    binned = model.simulate_binned(theta, bins=BINS, stimulus=stimulus, seed=1).trace
    assert binned is not None
    for i in range(3):
        sweep = SweepObservation(
            sweep=0, stimulus=stimulus, voltage=v[i], dt=model.dt, x=np.empty(0)
        )
        same(model.observe_binned(sweep, BINS), binned[i])
    finer = SweepObservation(
        sweep=0, stimulus=stimulus, voltage=np.repeat(v[0], 2), dt=model.dt / 2, x=np.empty(0)
    )
    np.testing.assert_allclose(model.observe_binned(finer, BINS), binned[0], rtol=1e-6)


def test_a_blow_up_has_no_trace():
    model = HodgkinHuxley(dt=0.05)
    theta = model.sample_prior(2, seed=5)
    huge = Stimulus.step(amplitude=1e6, onset=30.0, duration=60.0, unit="uA/cm2")
    batch = model.simulate_binned(theta, bins=BINS, stimulus=huge, seed=1)
    assert (batch.status == Status.BLOW_UP).all()
    assert batch.trace is not None
    assert np.isnan(batch.trace).all()


def test_no_simulations():
    model = HodgkinHuxley()
    empty = StimulusBatch(FAMILY, np.empty((0, 3)))
    batch = model.simulate_binned(np.empty((0, 8)), bins=BINS, stimulus=empty, seed=1)
    assert batch.trace is not None
    assert batch.trace.shape == (0, *BINS.shape)
