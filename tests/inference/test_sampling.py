import numpy as np
import pytest
import torch

from neurosbi.errors import FitError
from neurosbi.inference.sampling import sample_inside


def normal(count, generator):
    return torch.randn((count, 1), generator=generator, dtype=torch.float64)


def test_rejection_gives_the_truncated_density():
    from scipy.stats import halfnorm, kstest

    draws = sample_inside(normal, lambda theta: theta[:, 0] > 0, n=5000, seed=1)
    assert draws.shape == (5000, 1)
    assert kstest(draws[:, 0], halfnorm.cdf).pvalue > 1e-3


def test_the_first_draws_do_not_depend_on_how_many_are_wanted():
    few, many = (
        sample_inside(normal, lambda theta: theta[:, 0] > 0, n=n, seed=1, batch=100)
        for n in (30, 3000)
    )
    np.testing.assert_array_equal(few, many[:30])


def test_leakage_ends_in_a_sentence_after_the_time_limit():
    with pytest.raises(FitError, match=r"only \d+ of 10 posterior samples lay inside the prior"):
        sample_inside(normal, lambda theta: theta[:, 0] > 8, n=10, seed=1, time_limit=0.05)
