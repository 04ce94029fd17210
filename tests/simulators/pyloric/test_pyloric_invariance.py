"""One simulation gives the same numbers whatever it is computed together with."""

import numpy as np
import pytest
from neurosbi_simulators.pyloric import PyloricNetwork

from neurosbi.contract import SpontaneousFamily, Stimulus, StimulusBatch

WINDOW = Stimulus.spontaneous(total=900.0, onset=103.0)  # not a whole number of tiles


def test_batch_size_start_threads_and_order():
    model = PyloricNetwork(features="full")
    theta = model.sample_prior(40, seed=0)
    whole = model.simulate(theta, stimulus=WINDOW, seed=9, threads=1)
    same = np.testing.assert_array_equal  # bit for bit; NaN equals NaN
    same(model.simulate(theta, stimulus=WINDOW, seed=9, threads=3).x, whole.x)
    same(model.simulate(theta[25:], stimulus=WINDOW, seed=9, start=25).x, whole.x[25:])
    same(model.simulate(theta[7:8], stimulus=WINDOW, seed=9, start=7).x, whole.x[7:8])
    assert not np.array_equal(
        model.simulate(theta, stimulus=WINDOW, seed=10).x, whole.x, equal_nan=True
    )
    assert whole.valid.all()


@pytest.mark.parametrize("own_q10s", [False, True])
def test_temperatures_side_by_side(own_q10s):
    model = PyloricNetwork(features="full", temperature_parameters=own_q10s)
    theta = model.sample_prior(20, seed=0)
    family = SpontaneousFamily(900.0, 100.0, temperature=(7.0, 27.0))
    batch = family.sample(20, seed=1)
    assert isinstance(batch, StimulusBatch)
    together = model.simulate(theta, stimulus=batch, seed=2).x
    for i in (0, 3, 19):
        alone = model.simulate(
            theta[i : i + 1], stimulus=family.stimulus(batch.values[i]), seed=2, start=i
        )
        np.testing.assert_array_equal(alone.x[0], together[i])


def test_one_table_for_all_tells_the_same_as_own_temperatures():
    # at one temperature the kernel looks the parts up that it otherwise computes for each network
    theta = PyloricNetwork().sample_prior(16, seed=0)
    for celsius in (10.0, 21.0):
        shared = PyloricNetwork(precision="double", temperature=celsius)
        own = PyloricNetwork(precision="double", temperature=celsius, temperature_parameters=True)
        q10 = np.tile([p.default for p in own.parameters[len(shared.parameters) :]], (16, 1))
        short = Stimulus.spontaneous(total=300.0, onset=0.0)
        one = shared.traces(theta, stimulus=short, seed=1)["v"].values
        other = own.traces(np.hstack([theta, q10]), stimulus=short, seed=1)["v"].values
        early = slice(0, 4000)  # 100 ms: trajectories part later
        assert not np.array_equal(one, other)
        np.testing.assert_allclose(one[:, early], other[:, early], rtol=0, atol=2e-3)


def test_stored_traces_with_a_stride():
    model = PyloricNetwork()
    theta = model.sample_prior(2, seed=0)
    every = model.traces(theta, stimulus=WINDOW, seed=1)
    fifth = model.traces(theta, stimulus=WINDOW, seed=1, stride=5)
    assert every["v"].dims == ("sim", "time", "cell")
    np.testing.assert_array_equal(fifth["v"].values, every["v"].values[:, ::5])
    np.testing.assert_allclose(fifth["time"].values, every["time"].values[::5])


def test_single_precision_tells_the_same_as_double():
    # over one second few trajectories have parted; the counts are those of the same rhythm
    single, double = (
        PyloricNetwork(features="full", precision=p).simulate(
            PyloricNetwork().sample_prior(48, seed=3), stimulus=WINDOW, seed=4
        )
        for p in ("single", "double")
    )
    often = np.isfinite(double.x).sum(axis=0) > 10
    scale = np.nanstd(double.x[:, often], axis=0)
    difference = np.abs(single.x - double.x)[:, often] / np.maximum(scale, 1e-9)
    assert np.nanmedian(difference) < 1e-3
    assert (np.isfinite(single.x) == np.isfinite(double.x)).mean() > 0.98
