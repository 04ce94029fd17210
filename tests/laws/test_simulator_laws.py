"""What every registered simulator must do, whoever wrote it."""

import json

import numpy as np
import pytest

import neurosbi as nb
from neurosbi.contract import Status

N = 48


@pytest.fixture(scope="module", params=nb.simulator_names())
def model(request):
    return nb.simulator(request.param)


@pytest.fixture(scope="module")
def prior(model):
    """Draws, and what becomes of them under the default stimulus."""
    theta = model.sample_prior(N, seed=1)
    return theta, model.simulate(theta, seed=5, threads=1)


def test_parameters_are_documented(model):
    names = [p.name for p in model.parameters]
    assert len(set(names)) == len(names) > 0
    for p in model.parameters:
        assert p.name
        assert p.unit
        assert p.description
        assert p.source
        assert p.default is None or p.low <= p.default <= p.high


def test_features_are_documented(model):
    for name, features in model.feature_sets.items():
        assert name
        assert len({f.name for f in features}) == len(features) > 0
        assert all(f.name and f.unit and f.description for f in features)
    assert model.default_features in model.feature_sets


def test_settings_are_documented(model):
    names = [s.name for s in model.setting_table]
    assert len(set(names)) == len(names)
    assert all(s.description for s in model.setting_table)
    assert model.summary
    assert model.papers
    assert model.version


def test_configuration_is_plain_data_without_the_preparation(model):
    config = json.loads(json.dumps(model.config()))
    assert config["simulator"] == model.name
    preparation = {s.name for s in model.setting_table if s.role == "preparation"}
    assert not preparation & set(config["settings"])


def test_prior_draws_lie_in_the_box_and_do_not_depend_on_the_batch(model, prior):
    theta, _ = prior
    assert all(
        np.all((column >= p.low) & (column <= p.high))
        for column, p in zip(theta.T, model.parameters, strict=True)
    )
    np.testing.assert_array_equal(model.sample_prior(10, seed=1, start=20), theta[20:30])


def test_shapes_and_status(model, prior):
    _, batch = prior
    assert batch.x.shape == (N, len(model.feature_set))
    assert batch.x.dtype == np.float64
    assert batch.status.shape == (N,)
    assert set(batch.status.tolist()) <= {int(s) for s in Status}
    assert batch.valid.mean() > 0.9


def test_features_are_finite_or_marked_as_undefined(prior):
    _, batch = prior
    assert not np.any(np.isinf(batch.x))
    assert np.all(np.isnan(batch.x[~batch.valid]))
    defined = np.isfinite(batch.x[batch.valid])
    assert np.all(defined.any(axis=1))  # no valid simulation is without any feature
    assert np.all(defined.any(axis=0))  # no feature is always undefined
    for column in batch.x.T:
        values = column[np.isfinite(column)]
        assert len(values) < 2 or np.ptp(values) > 0  # and none is a constant


def test_the_same_seed_gives_the_same_numbers(model, prior):
    theta, batch = prior
    again = model.simulate(theta, seed=5)
    np.testing.assert_array_equal(again.x, batch.x)
    np.testing.assert_array_equal(again.status, batch.status)
    other = model.simulate(theta, seed=6)
    assert not np.array_equal(other.x, batch.x, equal_nan=True)


def test_a_batch_is_a_loop(model, prior):
    theta, batch = prior
    for i in (0, 1, 17, N - 1):
        one = model.simulate(theta[i : i + 1], seed=5, start=i)
        np.testing.assert_array_equal(one.x[0], batch.x[i])
    upper = model.simulate(theta[30:], seed=5, start=30)
    np.testing.assert_array_equal(upper.x, batch.x[30:])


def test_one_thread_is_as_good_as_many(model, prior):
    theta, batch = prior
    np.testing.assert_array_equal(model.simulate(theta, seed=5, threads=4).x, batch.x)


def test_features_of_traces_are_the_streamed_features(model, prior):
    theta, batch = prior
    traces = model.traces(theta[:4], seed=5)
    assert {"sim", "time"} <= set(traces["v"].dims)
    assert traces["v"].attrs["units"] == "mV"
    assert traces["time"].attrs["units"] == "ms"
    np.testing.assert_allclose(model.features_of(traces), batch.x[:4], rtol=1e-6, equal_nan=True)


def test_binned_voltage_is_that_of_the_traces(model, prior):
    bins = model.trace_bins(model.stimulus_family)
    if bins is None:
        pytest.skip(f"{model.name} gives features only")
    theta, batch = prior
    binned = model.simulate_binned(theta, bins=bins, seed=5)
    np.testing.assert_array_equal(binned.x, batch.x)
    np.testing.assert_array_equal(binned.status, batch.status)
    assert binned.trace.shape == (N, *bins.shape)
    v = model.traces(theta[:4], seed=5)
    window = {"onset": model.stimulus.onset, "offset": model.stimulus.offset}
    expected = bins.of(v["v"].values, dt=v.attrs["dt"], **window)
    np.testing.assert_allclose(binned.trace[:4], expected, rtol=1e-6)


def test_a_stimulus_of_the_family_for_every_simulation(model, prior):
    theta, _ = prior
    family = model.stimulus_family
    stimuli = family.sample(5, seed=2)
    together = model.simulate(theta[:5], stimulus=stimuli, seed=5).x
    for i in range(5):
        one = family.stimulus(stimuli.values[i])
        assert family.why_not(one) is None
        np.testing.assert_array_equal(
            model.simulate(theta[i : i + 1], stimulus=one, seed=5, start=i).x[0], together[i]
        )


def test_single_and_double_precision_tell_the_same(model, prior):
    if "precision" not in model.settings:
        pytest.skip(f"{model.name} has no setting for its precision")
    theta, _ = prior
    single, double = (
        nb.simulator(model.name, precision=p).simulate(theta, seed=5) for p in ("single", "double")
    )
    assert (single.status == double.status).mean() > 0.95
    scale = np.nanstd(double.x, axis=0)
    difference = np.abs(single.x - double.x) / scale
    assert np.nanmedian(difference) < 0.01
    assert (np.isfinite(single.x) == np.isfinite(double.x)).mean() > 0.97
