import numpy as np
import pytest
from passive_cell import SIMULATOR, observe, prior_simulations, rejection_posterior

from neurosbi import simulator
from neurosbi.checks import (
    compare_predictive,
    feature_spread,
    predictive_check,
    predictive_draws,
)
from neurosbi.contract import Feature
from neurosbi.errors import BadInputError

TWO = (Feature("a", "mV"), Feature("b", "ms"))


def compare(x, prior_x, observed, features=TWO, status=None):
    return compare_predictive(
        features,
        np.asarray(observed, dtype=float),
        x=x,
        status=np.zeros(len(x)) if status is None else status,
        prior_x=prior_x,
        prior_status=np.zeros(len(prior_x)),
    )


def check(theta, observation):
    _, prior_x, prior_status = prior_simulations()
    return predictive_check(
        SIMULATOR,
        observation,
        theta,
        seed=3,
        prior_x=prior_x,
        prior_status=prior_status,
        n_traces=4,
    )


def test_a_good_posterior_is_near_and_a_shifted_one_is_not():
    observation = observe()
    theta = rejection_posterior(observation.x)
    good = check(theta, observation)
    low = np.array([p.low for p in SIMULATOR.parameters])
    high = np.array([p.high for p in SIMULATOR.parameters])
    shifted = check(np.clip(theta + 0.4 * (high - low), low, high), observation)
    assert good.mean_distance < 0.3
    assert shifted.mean_distance > 3 * good.mean_distance
    assert not good.missed.any()
    assert shifted.missed.all()


def test_distance_of_gaussians_is_the_folded_normal_mean():
    rng = np.random.default_rng(0)
    x = rng.normal([1.0, 0.0], [0.5, 0.1], size=(40_000, 2))
    prior = rng.normal(0.0, [2.0, 1.0], size=(40_000, 2))
    result = compare(x, prior, [0.0, 0.0])
    from scipy.stats import foldnorm

    expected = [foldnorm.mean(2.0) * 0.5 / 2.0, foldnorm.mean(0) * 0.1]
    np.testing.assert_allclose(result.distance, expected, rtol=0.02)
    np.testing.assert_allclose(result.prior_distance, np.sqrt(2 / np.pi), rtol=0.02)
    np.testing.assert_allclose(result.quantile, [0.02275, 0.5], atol=0.01)


def test_ties_count_half():
    x = np.tile([[3.0, 1.0]], (50, 1))
    prior = np.random.default_rng(0).normal(size=(200, 2))
    assert compare(x, prior, [3.0, 2.0]).quantile.tolist() == [0.5, 1.0]


def test_runaway_simulations_do_not_inflate_the_spread():
    values = np.random.default_rng(0).normal(size=(1000, 2))
    values[::100, 0] *= 1e6
    spread, robust = feature_spread(values)
    assert robust.tolist() == [True, False]
    np.testing.assert_allclose(spread, 1.0, rtol=0.1)


def test_spread_of_constant_or_missing_features_is_undefined():
    values = np.column_stack([np.full(10, 2.5), np.full(10, np.nan)])
    assert np.isnan(feature_spread(values)[0]).all()


def test_a_rare_count_keeps_its_standard_deviation():
    values = np.zeros((100, 1))
    values[:10] = 4.0
    spread, robust = feature_spread(values)
    assert not robust[0]
    assert spread[0] == pytest.approx(np.std(values, ddof=1))


def test_presence_is_compared_where_there_is_no_distance():
    rng = np.random.default_rng(0)
    prior = rng.normal(size=(200, 2))
    x = rng.normal(size=(100, 2))
    x[:90, 0] = np.nan  # recorded, but rarely predicted
    result = compare(x, prior, [0.0, np.nan])
    np.testing.assert_allclose(result.presence, [0.1, 0.0])
    assert result.remarks[0] == "defined in the recording, but only in 10 % of the predictions"
    assert (
        result.remarks[1] == "undefined in the recording, but defined in 100 % of the predictions"
    )
    assert np.isnan(result.distance[1])
    assert np.isfinite(result.mean_distance)


def test_invalid_simulations_count_in_nothing_but_their_fraction():
    rng = np.random.default_rng(0)
    x, prior = rng.normal(size=(100, 2)), rng.normal(size=(200, 2))
    status = np.zeros(100, dtype=int)
    status[:25] = 2
    x[:25] = 1e9
    result = compare(x, prior, [0.0, 0.0], status=status)
    assert result.valid_fraction == 0.75
    assert result.mean_distance < 2


def test_traces_are_the_simulations_that_the_features_belong_to():
    observation = observe()
    result = check(rejection_posterior(observation.x, keep=10), observation)
    assert result.traces is not None
    assert result.traces.sizes["sim"] == 4
    np.testing.assert_allclose(SIMULATOR.features_of(result.traces), result.x[:4])


def test_wrong_shapes_are_named():
    with pytest.raises(BadInputError, match="2 features"):
        compare(np.zeros((5, 2)), np.zeros((5, 2)), [0.0])
    with pytest.raises(BadInputError, match="predictive simulations"):
        compare(np.zeros((5, 3)), np.zeros((5, 2)), [0.0, 0.0])


def test_the_tail_of_exponential_predictions_goes_on_as_it_should():
    rng = np.random.default_rng(1)
    x = rng.exponential(2.0, size=(4_000, 1))
    prior = rng.normal(0.0, 5.0, size=(1_000, 1))
    one = TWO[:1]
    for observed in (6.0, 12.0, 24.0):  # the last beyond all draws
        tail = compare(x, prior, [observed], features=one).tail[0]
        np.testing.assert_allclose(np.log(tail), np.log(2) - observed / 2.0, atol=0.6)
    below = compare(-x, prior, [-12.0], features=one).tail[0]
    np.testing.assert_allclose(below, compare(x, prior, [12.0], features=one).tail[0])
    assert compare(x, prior, [2 * np.log(2)], features=one).tail[0] > 0.9


@pytest.mark.parametrize("draws", [100, 500])
@pytest.mark.parametrize("shape", ["normal", "exponential", "count"])
def test_an_exact_posterior_of_many_features_is_seldom_told_to_miss(draws, shape):
    rng = np.random.default_rng(2)
    draw = {
        "normal": rng.standard_normal,
        "exponential": rng.standard_exponential,
        "count": lambda size: rng.poisson(3.0, size=size).astype(float),
    }[shape]
    many = tuple(Feature(f"f{i}", "mV") for i in range(45))
    told = 0
    for _ in range(60):
        x, prior = draw((draws, 45)), draw((200, 45))
        told += compare(x, prior, draw((1, 45))[0], features=many).missed.any()
    assert told <= 6  # by the draws alone, beyond all of them, it was 12 of 60 and more


@pytest.mark.parametrize("draws", [100, 500])
def test_a_clear_miss_is_told_with_few_draws_too(draws):
    rng = np.random.default_rng(3)
    many = tuple(Feature(f"f{i}", "mV") for i in range(18))
    x, prior = rng.standard_normal((draws, 18)), 3.0 * rng.standard_normal((500, 18))
    observed = np.zeros(18)
    observed[4], observed[9] = 7.0, -7.0
    np.testing.assert_array_equal(
        np.flatnonzero(compare(x, prior, observed, features=many).missed), [4, 9]
    )


def test_slow_models_are_simulated_less_often():
    class Slow(type(SIMULATOR)):
        fit_simulations = 300

    assert predictive_draws(simulator("hodgkin-huxley")) == 500
    assert predictive_draws(simulator("spiking-balanced")) == 100
    assert predictive_draws(simulator("hodgkin-huxley"), 200) == 200
    assert predictive_draws(Slow()) == 100
