"""Recordings that the model cannot have made, in ways that ranges do not show."""

import numpy as np
import pytest
from exact_networks import exact_network
from toys import LinearGaussian

from neurosbi.checks import Misspecification, misspecification
from neurosbi.inference.ranks import context_of

SIMULATOR = LinearGaussian()
NETWORK = exact_network()
THETA = SIMULATOR.sample_prior(3000, seed=1)
X = SIMULATOR.simulate(THETA, seed=1).x
CONTEXT = context_of(NETWORK, NETWORK.encode(X))


def found(x, *, simulated=X, context=None):
    at = context_of(NETWORK, NETWORK.encode(x))[0] if context is None else context
    return misspecification(
        SIMULATOR.feature_set, x, prior_x=simulated, context=CONTEXT, context_observed=at
    )


def test_simulations_are_like_simulations():
    fresh = SIMULATOR.simulate(SIMULATOR.sample_prior(100, seed=8), seed=8).x
    checks = [found(x) for x in fresh]
    assert sum(bool(c.reasons) for c in checks) <= 6  # two tests of 1 %
    p = np.array([c.p for c in checks])
    assert np.abs((p < 0.1).mean(axis=0) - 0.1).max() < 0.1
    assert np.abs(np.mean([c.context_p < 0.1 for c in checks]) - 0.1) < 0.1


def test_p_values_hold_where_the_others_are_at_an_end_of_their_range():
    rng = np.random.default_rng(3)
    p = []
    for quantile in (0.001, 0.999) * 100:
        a = rng.normal(size=1000)
        at = np.quantile(a, quantile)
        simulated = np.column_stack([a, a + 0.3 * rng.normal(size=1000)])
        check = misspecification(
            SIMULATOR.feature_set[:2],
            np.array([at, at + 0.3 * rng.normal()]),
            prior_x=simulated,
            context=CONTEXT,
            context_observed=CONTEXT[0],
        )
        p.append(check.p[1])
    assert np.mean(np.array(p) < 0.1) < 0.1 + 3 * np.sqrt(0.1 * 0.9 / 200)


def test_a_feature_that_does_not_go_with_the_others_is_named():
    x = SIMULATOR.simulate(np.zeros((1, 3)), seed=2).x[0]
    x[3] += 6.0  # well within its range of about -8 to 8
    check = found(x)
    assert X[:, 3].min() < x[3] < X[:, 3].max()
    assert check.odd[3]
    assert any("y3" in r.sentence and r.level == "caution" for r in check.reasons)
    # x3 is the sum of the parameters, which the others say are about zero
    assert check.expected[3] == pytest.approx(0.0, abs=1.5)


def test_a_context_far_from_all_simulations_is_not_used():
    x = SIMULATOR.simulate(np.zeros((1, 3)), seed=2).x[0]
    near = found(x, context=CONTEXT.max(axis=0) * 1.15)
    far = found(x, context=CONTEXT.max(axis=0) * 4)
    assert near.context_p < 0.01
    assert [r.level for r in far.reasons] == ["do not use"]
    assert far.context_ratio > near.context_ratio > 1


def test_undefined_features_are_compared_among_themselves():
    simulated = X.copy()
    simulated[::2, 3] = np.nan
    x = np.array([0.1, 0.0, 0.1, np.nan])
    check = found(x, simulated=simulated, context=CONTEXT[0])
    assert np.isnan(check.p[3])
    assert np.isfinite(check.p[:3]).all()


def test_too_few_simulations_say_nothing():
    x = np.array([0.1, 0.0, 0.1, np.nan])
    check = found(x, context=CONTEXT[0])
    assert np.isnan(check.p).all()  # all simulations have the last feature
    nothing = misspecification(
        SIMULATOR.feature_set,
        X[0],
        prior_x=X[:50],
        context=CONTEXT[:50],
        context_observed=CONTEXT[0],
    )
    assert nothing.reasons == ()
    assert "too few" in nothing.sentence


def test_it_is_stored():
    check = found(X[0])
    back = Misspecification.from_dataset(check.to_dataset())
    assert back.sentence == check.sentence
    np.testing.assert_array_equal(back.p, check.p)
