"""What every simulator must do, whoever wrote it: the installed ones, and a wrapped function."""

import json
import pickle

import law_cases
import numpy as np
import pytest

import neurosbi as nb
from neurosbi.contract import Status, Stimulus, family_from_dict
from neurosbi.errors import BadInputError, MissingResourceError
from neurosbi.store.cache import config_hash


@pytest.fixture(scope="module", params=law_cases.NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def case(name):
    return law_cases.case(name)


@pytest.fixture(scope="module")
def model(name):
    simulator = law_cases.make(name)
    yield simulator
    getattr(simulator, "close", lambda: None)()


@pytest.fixture(scope="module")
def prior(model, case):
    """Draws, and what becomes of them under the default stimulus."""
    theta = model.sample_prior(case.simulations, seed=1)
    try:
        return theta, model.simulate(theta, seed=5, threads=1)
    except MissingResourceError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def traces(model, prior):
    theta, _ = prior
    try:
        return model.traces(theta[:3], seed=5)
    except BadInputError as error:
        pytest.skip(str(error))


# -- what it says about itself


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
    assert model.papers or isinstance(model, nb.BlackBoxSimulator)
    assert model.version


# -- configurations and copies


def test_configuration_is_plain_data_without_the_preparation(model):
    config = json.loads(json.dumps(model.config()))
    assert config["simulator"] == model.name
    preparation = {s.name for s in model.setting_table if s.role == "preparation"}
    assert not preparation & set(config["settings"])


def test_a_simulator_made_from_its_configuration_is_the_same(name, model, prior):
    theta, batch = prior
    config = json.loads(json.dumps(model.config()))
    if isinstance(model, nb.BlackBoxSimulator):
        twin = law_cases.make(name)
    else:
        twin = law_cases.make(name, features=config["features"], **config["settings"])
    assert config_hash(twin.config()) == config_hash(model.config())
    np.testing.assert_array_equal(twin.simulate(theta[:1], seed=5).x, batch.x[:1])
    getattr(twin, "close", lambda: None)()


def test_a_pickled_copy_is_the_same(model, prior):
    theta, batch = prior
    copy = pickle.loads(pickle.dumps(model))
    assert copy.config() == model.config()
    np.testing.assert_array_equal(copy.simulate(theta[:1], seed=5).x, batch.x[:1])
    getattr(copy, "close", lambda: None)()


def test_stimuli_survive_being_written_down(model):
    stimulus = json.loads(json.dumps(model.stimulus.to_dict()))
    assert Stimulus.from_dict(stimulus).to_dict() == model.stimulus.to_dict()
    family = model.stimulus_family
    again = family_from_dict(json.loads(json.dumps(family.to_dict())))
    assert again.to_dict() == family.to_dict()
    np.testing.assert_array_equal(again.sample(5, seed=1).values, family.sample(5, seed=1).values)


# -- random numbers


def test_prior_draws_lie_in_the_box_and_do_not_depend_on_the_batch(model):
    theta = model.sample_prior(30, seed=1)
    assert all(
        np.all((column >= p.low) & (column <= p.high))
        for column, p in zip(theta.T, model.parameters, strict=True)
    )
    np.testing.assert_array_equal(model.sample_prior(10, seed=1, start=20), theta[20:30])


def test_the_same_seed_gives_the_same_numbers(model, prior):
    theta, batch = prior
    again = model.simulate(theta, seed=5)
    np.testing.assert_array_equal(again.x, batch.x)
    np.testing.assert_array_equal(again.status, batch.status)
    other = model.simulate(theta, seed=6)
    assert np.array_equal(other.x, batch.x, equal_nan=True) == model.deterministic


def test_a_batch_is_a_loop(model, prior):
    theta, batch = prior
    n = len(theta)
    for i in (0, 1, n // 3, n - 1):
        one = model.simulate(theta[i : i + 1], seed=5, start=i)
        np.testing.assert_array_equal(one.x[0], batch.x[i])
    upper = model.simulate(theta[2 * n // 3 :], seed=5, start=2 * n // 3)
    np.testing.assert_array_equal(upper.x, batch.x[2 * n // 3 :])


def test_one_thread_is_as_good_as_many(model, prior):
    theta, batch = prior
    np.testing.assert_array_equal(model.simulate(theta, seed=5, threads=4).x, batch.x)


def test_nothing_to_simulate(model):
    batch = model.simulate(model.sample_prior(0, seed=0), seed=0)
    assert batch.x.shape == (0, len(model.feature_set))
    assert batch.status.shape == (0,)


# -- results


def test_shapes_and_status(model, prior):
    theta, batch = prior
    assert batch.x.shape == (len(theta), len(model.feature_set))
    assert batch.x.dtype == np.float64
    assert batch.status.shape == (len(theta),)
    assert set(batch.status.tolist()) <= {int(s) for s in Status}


def test_features_are_finite_or_marked_as_undefined(model, prior, case):
    _, batch = prior
    assert not np.any(np.isinf(batch.x))
    assert np.all(np.isnan(batch.x[~batch.valid]))
    defined = np.isfinite(batch.x[batch.valid])
    assert np.all(defined.any(axis=1)) or case.sparse  # no valid simulation is without any feature
    assert defined.any()
    for feature, column in zip(model.feature_set, batch.x.T, strict=True):
        values = column[np.isfinite(column)]
        rare = case.sparse or feature.name in case.rare
        assert len(values) or rare  # no feature is always undefined
        assert len(values) < 2 or np.ptp(values) > 0 or rare  # and none is a constant


@pytest.mark.slow
def test_no_more_fail_than_is_documented(model, prior, case, record_property):
    batch = model.simulate(model.sample_prior(case.many, seed=11), seed=11)
    failed = 1 - batch.valid.mean()
    record_property("failed", failed)
    print(f"\n{model.name}: {failed:.2%} of {case.many} prior draws fail {batch.error}")
    assert failed <= case.failed
    assert not np.any(np.isinf(batch.x))


def test_single_and_double_precision_tell_the_same(name, model, prior, case):
    if "precision" not in model.settings:
        pytest.skip(f"{model.name} has no setting for its precision")
    theta, _ = prior
    single, double = (
        law_cases.make(name, precision=p).simulate(theta, seed=5) for p in ("single", "double")
    )
    assert (single.status == double.status).mean() > 0.95
    scale = np.nanstd(double.x, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = np.abs(single.x - double.x) / scale
    assert np.nanmedian(difference) < case.precision
    assert (np.isfinite(single.x) == np.isfinite(double.x)).mean() > case.agreeing


# -- traces


def test_traces_have_units_and_time(model, traces):
    assert traces.sizes["sim"] == 3
    assert all(variable.attrs.get("units") is not None for variable in traces.values())
    if "time" in traces.dims:
        assert traces["time"].attrs["units"] == "ms"
        assert np.all(np.diff(traces["time"].values) > 0)


def test_features_of_traces_are_the_streamed_features(model, prior, traces):
    _, batch = prior
    np.testing.assert_allclose(model.features_of(traces), batch.x[:3], rtol=1e-6, equal_nan=True)


def test_binned_voltage_is_that_of_the_traces(model, prior, traces):
    bins = model.trace_bins(model.stimulus_family)
    if bins is None:
        pytest.skip(f"{model.name} gives no binned voltage")
    theta, batch = prior
    binned = model.simulate_binned(theta, bins=bins, seed=5)
    np.testing.assert_array_equal(binned.x, batch.x)
    np.testing.assert_array_equal(binned.status, batch.status)
    assert binned.trace.shape == (len(theta), *bins.shape)
    window = {"onset": model.stimulus.onset, "offset": model.stimulus.offset}
    expected = bins.of(traces["v"].values, dt=traces.attrs["dt"], **window)
    np.testing.assert_allclose(binned.trace[:3], expected, rtol=1e-6)


# -- stimuli and bad input


def test_a_stimulus_of_the_family_for_every_simulation(model, prior):
    theta, _ = prior
    family = model.stimulus_family
    stimuli = family.sample(3, seed=2)
    together = model.simulate(theta[:3], stimulus=stimuli, seed=5).x
    for i in range(3):
        one = family.stimulus(stimuli.values[i])
        assert family.why_not(one) is None
        np.testing.assert_array_equal(
            model.simulate(theta[i : i + 1], stimulus=one, seed=5, start=i).x[0], together[i]
        )


def test_parameter_sets_of_the_wrong_width_are_refused(model):
    wide = np.ones((2, len(model.parameters) + 1))
    with pytest.raises(BadInputError, match=rf"takes {len(model.parameters)} parameters"):
        model.simulate(wide, seed=0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_parameters_that_are_no_numbers_are_refused_by_name(model, value):
    theta = model.sample_prior(3, seed=1)
    theta[1, -1] = value
    with pytest.raises(
        BadInputError,
        match=rf"row 1 has {model.parameters[-1].name} = {value}, but it must be a finite number",
    ):
        model.simulate(theta, seed=0)


def test_unknown_settings_and_features_are_refused(name, model):
    if isinstance(model, nb.BlackBoxSimulator):
        pytest.skip("a wrapped function has neither")
    with pytest.raises(BadInputError, match="has no setting 'no_such_setting'"):
        law_cases.make(name, no_such_setting=1.0)
    with pytest.raises(BadInputError, match="has no feature set 'no-such-set'"):
        law_cases.make(name, features="no-such-set")
