import numpy as np
import pytest
from scipy import stats

from neurosbi.contract import Parameter, prior_bounds, sample_box
from neurosbi.errors import BadInputError

BOX = (
    Parameter("linear", "mV", -80.0, 20.0),
    Parameter("log", "mS/cm2", 1e-3, 10.0, "log"),
    Parameter("tiny", "1", 1.0, 1.0 + 1e-12),
)


def test_bounds():
    low, high = prior_bounds(BOX)
    np.testing.assert_array_equal(low, [-80.0, 1e-3, 1.0])
    np.testing.assert_array_equal(high, [20.0, 10.0, 1.0 + 1e-12])


def test_draws_are_uniform_and_log_uniform_within_bounds():
    theta = sample_box(BOX, 20_000, seed=3)
    low, high = prior_bounds(BOX)
    assert (theta >= low).all()
    assert (theta <= high).all()
    assert stats.kstest(theta[:, 0], "uniform", args=(-80, 100)).pvalue > 1e-4
    assert stats.kstest(np.log10(theta[:, 1]), "uniform", args=(-3, 4)).pvalue > 1e-4


def test_draws_do_not_depend_on_the_batch():
    whole = sample_box(BOX, 100, seed=3)
    np.testing.assert_array_equal(sample_box(BOX, 40, seed=3, start=60), whole[60:])
    assert sample_box(BOX, 0, seed=3).shape == (0, 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((1.0, 1.0), "the lower bound 1.0 is not below 1.0"),
        ((2.0, 1.0), "not below"),
        ((0.0, 1.0, "log"), "log scale needs a positive lower bound"),
        ((0.0, np.inf), "not both finite"),
        ((np.nan, 1.0), "not both finite"),
        ((0.0, 1.0, "logarithmic"), "linear or log, not 'logarithmic'"),
    ],
)
def test_impossible_ranges(arguments, words):
    with pytest.raises(BadInputError, match=words):
        Parameter("g", "mS", *arguments)
