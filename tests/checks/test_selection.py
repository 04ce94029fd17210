"""Which features a fit keeps, on clouds whose answer is known."""

import numpy as np
import pytest

from neurosbi.checks import producible_features
from neurosbi.contract import Feature, Status


def cloud(n=2000, width=6, seed=0):
    """Features 0 and 1 are nearly equal, the others independent."""
    x = np.random.default_rng(seed).standard_normal((n, width))
    x[:, 1] = x[:, 0] + 0.02 * x[:, 1]
    return x, np.full(n, Status.OK, dtype=np.int8)


def kept(x_o, *, essential=(), seed=0):
    x, status = cloud(seed=seed)
    features = [Feature(f"f{i}", "1", essential=i in essential) for i in range(len(x_o))]
    return producible_features(features, np.asarray(x_o, float), prior_x=x, prior_status=status)


def test_ordinary_recordings_keep_everything():
    x, _ = cloud(seed=1)
    complete = [kept(row).all() for row in x[:40]]
    assert np.mean(complete) >= 0.9  # false alarms: 1 % of the joint check, 1 % of the single ones


def test_a_value_outside_the_range_is_left_out():
    assert kept([0.1, 0.1, 0, 9.0, 0, 0]).tolist() == [True, True, True, False, True, True]


@pytest.mark.parametrize(("essential", "given_up"), [((0,), 1), ((1,), 0)])
def test_a_contradiction_costs_the_feature_that_is_not_essential(essential, given_up):
    got = kept([1.0, -1.0, 0, 0, 0, 0], essential=essential)
    assert np.flatnonzero(~got).tolist() == [given_up]


def test_essential_features_outside_the_range_are_left_out_all_the_same():
    assert not kept([0.1, 0.1, 0, 9.0, 0, 0], essential=(3,))[3]


def test_some_features_stay_whatever_the_checks_say():
    assert kept([9.0, -9.0, 9, 9, 9, 9]).sum() == 4


def test_nothing_that_was_not_measured_is_kept():
    x, status = cloud()
    features = [Feature(f"f{i}", "1") for i in range(6)]
    measured = np.array([True, True, False, False, False, False])
    x_o = np.array([0.1, 9.0, np.nan, np.nan, np.nan, np.nan])
    got = producible_features(features, x_o, prior_x=x, prior_status=status, measured=measured)
    assert got.tolist() == measured.tolist()  # f1 stays all the same: there are so few
