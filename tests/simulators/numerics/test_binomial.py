"""Binomial draws by counter against the distribution of scipy."""

import numpy as np
import pytest
from neurosbi_simulators.numerics import entry
from neurosbi_simulators.numerics.binomial import binomial
from scipy import stats


@entry
def draws(n, p, key, counters, out):
    for i in range(len(counters)):
        out[i] = binomial(n, p, key, counters[i])


def sample(n, p, *, size=20_000, key=1, first=0):
    out = np.empty(size)
    counters = np.arange(first, first + size, dtype=np.uint64)
    draws(float(n), float(p), np.uint64(key), counters, out)
    return out


@pytest.mark.parametrize(
    ("n", "p"),
    [(1, 0.3), (100, 0.0125), (500, 0.0055), (20, 0.45), (500, 0.0199), (500, 0.0201),
     (100, 0.5), (1000, 0.3), (100, 0.93), (10_000, 0.2), (800, 1e-5)],
)  # fmt: skip
def test_distribution(n, p):
    found = np.bincount(sample(n, p).astype(int), minlength=n + 1)
    expected = len(sample(n, p)) * stats.binom.pmf(np.arange(n + 1), n, p)
    # neighbouring counts are put together until 20 draws are expected of each
    cells = np.floor(np.cumsum(expected) / 20).astype(int)
    cells = np.minimum(cells, cells[expected > 0][-1])
    seen, hoped = np.bincount(cells, found), np.bincount(cells, expected)
    keep = hoped > 10
    if keep.sum() > 1:
        statistic = np.sum((seen[keep] - hoped[keep]) ** 2 / hoped[keep])
        assert stats.chi2.sf(statistic, keep.sum() - 1) > 1e-4
    assert found[: n + 1].sum() == found.sum()


def test_extremes():
    assert np.all(sample(50, 0.0, size=10) == 0)
    assert np.all(sample(50, -0.1, size=10) == 0)
    assert np.all(sample(50, 1.0, size=10) == 50)
    assert np.all(sample(50, 1.7, size=10) == 50)
    assert np.all(np.isnan(sample(50, np.nan, size=10)))


def test_draws_depend_on_key_and_counter_alone():
    whole = sample(300, 0.4, size=100)
    np.testing.assert_array_equal(sample(300, 0.4, size=40, first=60), whole[60:])
    assert not np.array_equal(sample(300, 0.4, size=100, key=2), whole)
    pair = sample(300, 0.4), sample(300, 0.4, key=2)
    assert abs(np.corrcoef(*pair)[0, 1]) < 0.03
    assert abs(np.corrcoef(pair[0][1:], pair[0][:-1])[0, 1]) < 0.03
