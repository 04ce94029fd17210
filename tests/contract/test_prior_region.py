"""A restricted prior: what lies in it, draws of it, and its way through a manifest."""

import json

import numpy as np
import pytest

from neurosbi.contract import Parameter, PriorRegion
from neurosbi.contract.prior_region import positions, quadratic_terms, score_terms
from neurosbi.errors import BadInputError, FitError

PARAMETERS = (Parameter("a", "1", -2.0, 2.0), Parameter("b", "1", 1.0, 100.0, scale="log"))


def disc(radius):
    """The region u_a^2 + u_b^2 <= radius^2: terms are 1, a, b, aa, ab, bb."""
    quadratic = np.array([[radius**2, 0.0, 0.0, -1.0, 0.0, -1.0]]).T
    return PriorRegion(quadratic, np.array([0.0, 0.0, 0.0, 1.0, 0.0]), 0.0, {"pilot": 10})


def test_positions_and_terms():
    theta = np.array([[-2.0, 1.0], [2.0, 100.0], [0.0, 10.0], [1.0, 10.0]])
    u = positions(PARAMETERS, theta)
    np.testing.assert_allclose(u, [[-1, -1], [1, 1], [0, 0], [0.5, 0]], atol=1e-12)
    two_three = np.array([[2.0, 3.0]])
    np.testing.assert_allclose(quadratic_terms(two_three), [[1, 2, 3, 4, 6, 9]])
    np.testing.assert_allclose(
        score_terms(two_three, np.array([[0.0]])), [[1, 2, 3, 0, np.log(0.5)]]
    )


def test_draws_are_uniform_in_the_region():
    theta = disc(0.5).sample(PARAMETERS, 4000, seed=0)
    assert np.all(disc(0.5).contains(PARAMETERS, theta))
    u = positions(PARAMETERS, theta)
    # in a disc of radius r, the squared distance is uniform on [0, r^2] and angles are uniform
    part = (u**2).sum(axis=1) / 0.25
    for mean, exact in ((part.mean(), 1 / 2), ((part**2).mean(), 1 / 3)):
        assert mean == pytest.approx(exact, abs=0.02)
    assert np.abs(u.mean(axis=0)).max() < 0.02


def test_draws_do_not_depend_on_the_batch():
    region = disc(0.3)
    whole = region.sample(PARAMETERS, 3000, seed=4)  # more than are looked for together
    np.testing.assert_array_equal(
        region.sample(PARAMETERS, 10, seed=4, start=2500), whole[2500:2510]
    )
    np.testing.assert_array_equal(region.sample(PARAMETERS, 1, seed=4), whole[:1])
    assert not np.array_equal(region.sample(PARAMETERS, 10, seed=5), whole[:10])


def test_through_a_manifest():
    region = disc(0.7)
    values = json.loads(json.dumps(region.to_dict()))
    back = PriorRegion.from_dict(values)
    np.testing.assert_array_equal(back.quadratic, region.quadratic)
    np.testing.assert_array_equal(back.score_weights, region.score_weights)
    assert back.digest == region.digest
    assert back.facts == {"pilot": 10}
    with pytest.raises(BadInputError, match="damaged"):
        PriorRegion.from_dict(values | {"threshold": 0.1})
    with pytest.raises(BadInputError, match="cannot be read"):
        PriorRegion.from_dict({"threshold": 0.1})


def test_an_empty_region_is_refused():
    with pytest.raises(FitError, match="too little"):
        disc(0.0).sample(PARAMETERS, 5, seed=0)
