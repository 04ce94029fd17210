"""The region of valid simulations is found, also where few are valid."""

import numpy as np
import pytest

from neurosbi.contract import Parameter, sample_box
from neurosbi.errors import BadInputError, FitError
from neurosbi.inference.restriction import MISSED, find_region

PARAMETERS = tuple(Parameter(f"t{i}", "1", -1.0, 1.0) for i in range(6))


def pilot(n, seed=0, noise=0.0):
    """Feature k is defined where |t_k| is small; all of them are in 2 % of the box."""
    theta = sample_box(PARAMETERS, n, seed=seed)
    blur = noise * np.random.default_rng(seed).normal(size=(n, 3))
    defined = np.column_stack([np.ones(n, dtype=bool), theta[:, :3] ** 2 + blur < 0.27**2])
    return theta, defined


def test_the_region_holds_what_is_valid_and_little_else():
    theta, defined = pilot(6000)
    region = find_region(PARAMETERS, theta, defined, seed=0)
    new, new_defined = pilot(20_000, seed=1)
    valid = new_defined.all(axis=1)
    inside = region.contains(PARAMETERS, new)
    assert 0.01 < valid.mean() < 0.03
    assert inside[valid].mean() > 0.95
    assert valid[inside].mean() > 5 * valid.mean()
    facts = region.facts
    assert facts["pilot"] == 6000
    assert facts["valid"] == defined.all(axis=1).mean()
    assert facts["kept_of_valid"] >= 1 - MISSED
    assert facts["kept_of_prior"] == pytest.approx(inside.mean(), abs=0.03)


def test_validity_by_chance():
    # where noise decides, the region is larger, and keeps what may be valid
    theta, defined = pilot(6000, noise=0.05)
    region = find_region(PARAMETERS, theta, defined, seed=0)
    new, new_defined = pilot(20_000, seed=1, noise=0.05)
    valid = new_defined.all(axis=1)
    inside = region.contains(PARAMETERS, new)
    assert inside[valid].mean() > 0.95
    assert valid[inside].mean() > 2 * valid.mean()


@pytest.mark.parametrize("beside", [False, True])
def test_one_feature_alone_may_decide(beside):
    """Where one column says what is valid: a disc, and a half-plane that says nothing more."""
    theta = sample_box(PARAMETERS[:2], 3000, seed=0)
    disc = np.sum(theta**2, axis=1) < 0.3
    defined = np.column_stack([disc, theta[:, 0] > -0.6][: 1 + beside])
    region = find_region(PARAMETERS[:2], theta, defined)
    assert region.facts["kept_of_prior"] < 1.2 * disc.mean()


def test_the_same_pilot_gives_the_same_region():
    theta, defined = pilot(2000)
    one, two = (find_region(PARAMETERS, theta, defined, seed=3) for _ in range(2))
    assert one.digest == two.digest
    assert one.digest != find_region(PARAMETERS, theta, defined, seed=4).digest


def test_missing_more_keeps_less_of_the_prior():
    theta, defined = pilot(6000, noise=0.05)
    kept = [
        find_region(PARAMETERS, theta, defined, missed=m).facts["kept_of_prior"] for m in (0.0, 0.2)
    ]
    assert kept[1] < kept[0]


def test_what_cannot_be_restricted():
    theta, defined = pilot(500)
    with pytest.raises(FitError, match="larger pilot"):
        find_region(PARAMETERS, theta, defined)
    with pytest.raises(FitError, match="nothing to restrict"):
        find_region(PARAMETERS, theta, np.ones_like(defined))
    with pytest.raises(BadInputError, match=r"below 0\.5"):
        find_region(PARAMETERS, theta, defined, missed=0.7)
