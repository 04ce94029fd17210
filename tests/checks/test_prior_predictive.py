import numpy as np
import pytest
from passive_cell import SIMULATOR, observe, prior_simulations

from neurosbi.checks import prior_predictive_check
from neurosbi.contract import Feature
from neurosbi.errors import FitError

FEATURES = tuple(Feature(f"f{i}", "mV") for i in range(3))


def run(x, prior_x, features=FEATURES, **how):
    return prior_predictive_check(
        features,
        np.asarray(x, dtype=float),
        prior_x=prior_x,
        prior_status=np.zeros(len(prior_x), dtype=int),
        **how,
    )


def test_an_impossible_recording_is_described_with_units():
    _, prior_x, prior_status = prior_simulations()
    result = prior_predictive_check(
        SIMULATOR.feature_set, observe(gain=10).x, prior_x=prior_x, prior_status=prior_status
    )
    assert result.outside.tolist() == [False, True, False]
    assert result.joint_outside
    sentence = result.sentences[0]
    assert sentence.startswith("this feature lies outside what the model can produce: deflection (")
    assert f"{result.x_observed[1]:.4g} mV; the model gives" in sentence


def test_ordinary_recordings_seldom_raise_an_alarm():
    # Stated: about 1 % for single features and 1 % for their combination. Over 400 observations
    # 2 % are 8 expected alarms; 20 or more would have a probability below 0.0003.
    _, prior_x, prior_status = prior_simulations(2000)
    _, observed, _ = prior_simulations(400, seed=77)
    alarms = sum(
        not prior_predictive_check(
            SIMULATOR.feature_set, x, prior_x=prior_x, prior_status=prior_status
        ).passed
        for x in observed
    )
    assert alarms < 20


def test_alarms_do_not_grow_with_the_number_of_features():
    rng = np.random.default_rng(0)
    features = tuple(Feature(f"f{i}", "1") for i in range(13))
    prior = rng.normal(size=(1000, 13))
    alarms = sum(run(x, prior, features).outside.any() for x in rng.normal(size=(80, 13)))
    assert alarms <= 6  # expected 1 to 2; the 0.5-99.5 % range of every feature would give 10


def test_an_impossible_combination_of_ordinary_values_is_found():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1500, 1))
    prior = z + 0.05 * rng.normal(size=(1500, 3))
    result = run([1.0, -1.0, 1.0], prior)
    assert not result.outside.any()
    assert result.joint_outside
    assert result.joint_p < 0.01
    assert not run([1.0, 1.0, 1.0], prior).joint_outside


def test_features_that_exist_on_one_side_only():
    rng = np.random.default_rng(0)
    prior = rng.normal(size=(300, 3))
    prior[:, 1] = np.nan
    result = run([0.0, 5.0, np.nan], prior)
    assert result.outside.tolist() == [False, True, True]
    assert "in the model it is never defined" in result.sentences[0]
    assert "the model has it always" in result.sentences[0]


def test_features_that_are_odd_beside_others_only_are_described_as_such():
    x = np.random.default_rng(0).normal([-50.0, -70.0], 5.0, size=(1000, 2))
    x[:300, 0] = np.nan
    features = (Feature("first_threshold", "mV"), Feature("rest", "mV"))
    result = prior_predictive_check(
        features, np.array([np.nan, -71.0]), prior_x=x, prior_status=np.zeros(1000, dtype=int)
    )
    assert not result.outside.any()
    assert "the model has it in 70 % of its simulations" in result.describe(0)
    assert result.describe(1).startswith("rest (-71 mV; the model gives -")
    assert result.describe(1).endswith(" mV, but not beside the other features)")


def test_too_few_alike_is_said_not_hidden():
    rng = np.random.default_rng(0)
    prior = rng.normal(size=(300, 3))
    prior[20:, 2] = np.nan
    result = run([0.0, 0.0, 0.0], prior)
    assert np.isnan(result.joint_ratio)
    assert "only 20 of 300" in result.sentences[-1]
    assert result.passed


def test_constant_feature_must_be_matched_exactly():
    prior = np.column_stack([np.full(100, 2.0), *np.random.default_rng(0).normal(size=(2, 100))])
    assert run([2.0, 0.0, 0.0], prior).outside.tolist() == [False] * 3
    assert run([3.0, 0.0, 0.0], prior).outside.tolist() == [True, False, False]


def test_a_model_that_only_fails_is_an_error():
    with pytest.raises(FitError, match="only 0 of 100"):
        prior_predictive_check(
            FEATURES, np.zeros(3), prior_x=np.zeros((100, 3)), prior_status=np.full(100, 2)
        )


def test_what_nobody_measured_lies_nowhere():
    prior_x = np.random.default_rng(0).normal(size=(1000, 3))
    prior_x[::2, 2] = np.nan
    measured = np.array([True, False, False])
    result = run([0.1, np.nan, np.nan], prior_x, measured=measured)
    assert result.passed
    assert result.n_alike == 1000  # also those that have what was not measured
    alone = run([0.1], prior_x[:, :1], FEATURES[:1])
    assert result.joint_ratio == pytest.approx(alone.joint_ratio)
    assert run([0.1, np.nan, np.nan], prior_x).outside.tolist() == [False, True, False]
