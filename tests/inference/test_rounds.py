"""Sequential refinement on a linear-Gaussian problem whose posterior is known."""

import re

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from neurosbi.contract import Parameter
from neurosbi.errors import BadInputError
from neurosbi.inference.rounds import refine
from neurosbi.inference.target import Target

DIM, NOISE = 3, 0.05
MATRIX = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, -0.5], [0.3, 0.0, 1.0]])
PARAMETERS = tuple(Parameter(f"t{i}", "1", -3.0, 3.0) for i in range(DIM))
X_O = MATRIX @ [0.4, -1.1, 0.7]
# 0.05 in a box of 6: the box cuts nothing off
EXACT = multivariate_normal(
    np.linalg.solve(MATRIX, X_O), NOISE**2 * np.linalg.inv(MATRIX.T @ MATRIX)
)
# without a trend: a regression alone would solve this problem in the first round
QUICK = {"epochs": 25, "transforms": 2, "hidden": (32, 32), "min_steps": 30, "trend": False}
HOW = {"simulations": 500, "options": QUICK, "seed": 2, "device": "cpu", "progress": False}


class Counting:
    """The simulator, with a count of what was asked of it."""

    def __init__(self):
        self.calls = []

    def __call__(self, theta, rng):
        self.calls.append(theta)
        return theta @ MATRIX.T + NOISE * rng.standard_normal((len(theta), DIM))


class Shelf:
    """Rounds kept in memory."""

    def __init__(self):
        self.kept = {}

    def load(self, number):
        return self.kept.get(number)

    def save(self, number, network, new, simulations):
        self.kept[number] = network, new

    def checkpoint(self, number):
        return None


def target(simulate):
    return Target.of_function(simulate, PARAMETERS, X_O, seed=5)


@pytest.fixture(scope="module")
def refined():
    simulate, shelf = Counting(), Shelf()
    return refine(target(simulate), rounds=3, shelf=shelf, **HOW), simulate, shelf


def cross_entropy(posterior):
    return float(np.mean(posterior.log_prob(EXACT.rvs(2000, random_state=1))))


def test_rounds_approach_the_exact_posterior_and_beat_one_round_of_the_same_budget(refined):
    result, _, _ = refined
    best_possible = -EXACT.entropy()
    values = [cross_entropy(r.posterior) for r in result.rounds]
    one = refine(target(Counting()), rounds=1, **(HOW | {"simulations": 1500}))
    assert values[2] > values[0]
    assert best_possible - values[2] < 0.6 * (best_possible - cross_entropy(one.posterior))
    draws = result.posterior.sample(2000, seed=3)
    sd = np.sqrt(np.diag(EXACT.cov))
    assert np.all(np.abs(draws.mean(0) - EXACT.mean) < 0.5 * sd)
    np.testing.assert_allclose(draws.std(0), sd, rtol=0.35)


def test_every_round_draws_where_the_one_before_has_its_mass(refined):
    result, simulate, _ = refined
    shares = [r.prior_mass for r in result.rounds]
    assert shares[0] == 1
    assert np.all(np.diff(shares) < 0)
    exact_share = 4 / 3 * np.pi * 21.1**1.5 * np.sqrt(np.linalg.det(EXACT.cov)) / 6**3
    assert shares[2] > exact_share  # 21.1: chi2 of 3 dimensions at 1 - 1e-4
    assert [len(theta) for theta in simulate.calls] == [500] * 3
    first, second, third = simulate.calls
    assert np.all(np.ptp(third, axis=0) < np.ptp(first, axis=0))
    # what of the earlier draws lies in the last region is used again, and nothing else
    used = result.rounds[2].used
    assert 500 < used <= 1500
    assert result.network.card["simulations"]["used"] == used
    for theta in (first, second):
        assert not np.isin(third, theta).any()


def test_finished_rounds_are_not_repeated(refined):
    result, _, shelf = refined
    interrupted = Shelf()
    interrupted.kept = {k: v for k, v in shelf.kept.items() if k < 3}
    again = Counting()
    resumed = refine(target(again), rounds=3, shelf=interrupted, **HOW)
    assert len(again.calls) == 1
    np.testing.assert_array_equal(
        resumed.posterior.sample(50, seed=1), result.posterior.sample(50, seed=1)
    )


@pytest.mark.parametrize(
    ("distances", "made", "best"),
    [
        ((0.5, 0.3, 0.2), 3, 2),
        ((0.5, 0.3, 0.3), 3, 1),
        ((0.5, 0.6, 0.1), 3, 2),
        ((0.2, 0.3, np.nan, 0.1), 3, 0),
    ],
)
def test_it_stops_when_two_rounds_come_no_nearer_and_gives_the_best(refined, distances, made, best):
    _, _, shelf = refined
    values = iter(distances)
    result = refine(
        target(Counting()),
        rounds=len(distances),
        shelf=shelf,
        distance=lambda posterior: next(values),
        **HOW,
    )
    assert len(result.rounds) == made
    assert result.best == best
    assert result.posterior is result.rounds[best].posterior


def test_a_given_first_posterior_is_the_first_round(refined):
    result, _, _ = refined
    simulate = Counting()
    again = refine(target(simulate), rounds=2, first=result.rounds[0].posterior, **HOW)
    assert again.rounds[0].posterior is result.rounds[0].posterior
    assert len(simulate.calls) == 1
    assert again.rounds[1].used == 500


def test_features_left_out_change_nothing():
    """A feature that is only noise, hidden: networks do not see it in any round."""

    def with_noise(theta, rng):
        return np.column_stack([Counting()(theta, rng), 1e3 * rng.standard_normal(len(theta))])

    how = HOW | {"options": QUICK | {"epochs": 3}}
    hidden = []
    for last in (0.0, 1e9):
        aim = Target.of_function(with_noise, PARAMETERS, [*X_O, last], seed=5)
        aim = Target(**(vars(aim) | {"given": np.array([True, True, True, False])}))
        result = refine(aim, rounds=2, **how)
        hidden.append(result.posterior.sample(20, seed=1))
        shown = result.network.posterior(np.array([*X_O, last]), None, aim.given)
        np.testing.assert_array_equal(shown.sample(20, seed=1), hidden[-1])
    np.testing.assert_array_equal(*hidden)


WITH_TREND = HOW | {"options": QUICK | {"trend": True}}


def each_by_itself(theta, rng):
    return theta + NOISE * rng.standard_normal(theta.shape)


def independent(simulate=each_by_itself):
    """Parameters are observed one by one: a regression with independent residuals is all."""
    return Target.of_function(simulate, PARAMETERS, [0.4, -1.1, 0.7], seed=5)


def test_where_a_regression_suffices_rounds_add_up_to_one():
    result = refine(independent(), rounds=3, **WITH_TREND)
    assert [r.used for r in result.rounds] == [500, 1000, 1500]
    assert [r.prior_mass for r in result.rounds] == [1.0, 1.0, 1.0]
    assert all(abs(r.network.card["beyond_trend"]) < 0.1 for r in result.rounds)
    # a network that is there already is all there is to get
    again = refine(independent(), rounds=3, first=result.posterior, **WITH_TREND)
    assert len(again.rounds) == 1


def test_finished_rounds_lead_to_the_same_regions():
    """One that narrows, with a trend: correlated parameters are more than it knows."""
    shelf, shorter = Shelf(), WITH_TREND | {"simulations": 300}
    made = refine(target(Counting()), rounds=2, shelf=shelf, **shorter)
    assert made.rounds[1].prior_mass < 0.5
    del shelf.kept[2]
    again = refine(target(Counting()), rounds=2, shelf=shelf, **shorter)
    assert again.rounds[1].prior_mass == made.rounds[1].prior_mass
    np.testing.assert_array_equal(
        again.posterior.sample(50, seed=1), made.posterior.sample(50, seed=1)
    )


def test_that_no_more_rounds_are_made_is_said(capsys):
    one = refine(independent(), rounds=1, **WITH_TREND)
    capsys.readouterr()
    show = WITH_TREND | {"progress": True}
    refine(independent(), rounds=2, first=one.posterior, **show)
    assert "round 2 is not made: a regression explains" in capsys.readouterr().err


def test_bad_input_is_one_sentence():
    with pytest.raises(BadInputError, match="at least 1 round, got rounds = 0"):
        refine(target(Counting()), rounds=0, **HOW)
    with pytest.raises(BadInputError, match="each of the 3 rounds needs at least 1 simulation"):
        refine(target(Counting()), rounds=3, **(HOW | {"simulations": [10, 10]}))


def test_numbers_of_simulations_may_be_of_numpy():
    how = HOW | {"simulations": np.int64(200), "options": QUICK | {"epochs": 1}}
    assert refine(target(Counting()), rounds=1, **how).rounds[0].used == 200


def test_a_region_that_takes_too_long_to_draw_from_ends_the_refinement(capsys):
    short = {"simulations": [200, 2_000_000], "options": QUICK | {"epochs": 1}, "progress": True}
    result = refine(target(Counting()), rounds=2, time_limit=0.0, **(HOW | short))
    assert len(result.rounds) == 1
    said = capsys.readouterr().err
    assert re.search(r"round 2 cannot be made: only \d+ of 2000000 parameter sets", said)
