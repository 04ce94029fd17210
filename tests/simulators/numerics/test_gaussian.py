"""The noise generator: every test has a fixed seed and a stated chance of a false alarm.

The limits below are set so that a perfect generator would fail any one of these tests with a
probability of at most 1e-5 over the choice of the seed.
"""

import numba
import numpy as np
import pytest
from neurosbi_simulators.numerics.gaussian import lane_keys, normal_pair
from neurosbi_simulators.numerics.jit import FASTMATH
from scipy import stats

compiled = numba.njit(error_model="numpy", fastmath=FASTMATH)

FALSE_ALARM = 1e-5
Z_LIMIT = stats.norm.isf(FALSE_ALARM / 2)


@compiled
def fill(keys, out):
    for s in range(out.shape[0]):
        for c in range(out.shape[1] // 2):
            a, b = normal_pair(np.uint32(c), keys[s, 0], keys[s, 1])
            out[s, 2 * c] = a
            out[s, 2 * c + 1] = b


def normals(n_sims, n_steps, *, seed, start=0):
    out = np.empty((n_sims, n_steps), dtype=np.float32)
    fill(lane_keys(seed, np.arange(start, start + n_sims)), out)
    return out


@pytest.fixture(scope="module")
def sample():
    return normals(1000, 2000, seed=7).astype(np.float64)


@pytest.mark.parametrize(
    ("order", "expected", "variance_of_power"),
    [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (5, 0, 945), (6, 15, 10170)],
)
def test_moments(sample, order, expected, variance_of_power):
    error = (sample**order).mean() - expected
    assert abs(error) < Z_LIMIT * np.sqrt(variance_of_power / sample.size)


def test_distribution_by_kolmogorov_smirnov(sample):
    assert stats.kstest(sample.ravel()[:500_000], "norm").pvalue > FALSE_ALARM


def test_distribution_by_chi_square(sample):
    edges = stats.norm.ppf(np.linspace(0, 1, 401))
    counts = np.histogram(sample, edges)[0]
    assert stats.chisquare(counts).pvalue > FALSE_ALARM


@pytest.mark.parametrize("level", [3.0, 4.0, 4.5])
def test_tails(sample, level):
    for count in ((sample > level).sum(), (sample < -level).sum()):
        expected = sample.size * stats.norm.sf(level)
        assert stats.poisson.cdf(count, expected) > FALSE_ALARM / 2
        assert stats.poisson.sf(count - 1, expected) > FALSE_ALARM / 2


def test_values_end_where_documented(sample):
    assert np.abs(sample).max() < 5.65
    assert np.all(np.isfinite(sample))


@pytest.mark.parametrize("lag", [1, 2, 3, 31, 32, 64, 1000])
def test_no_correlation_across_steps(sample, lag):
    product = sample[:, lag:] * sample[:, :-lag]
    assert abs(product.mean()) < Z_LIMIT / np.sqrt(product.size)
    energy = (sample[:, lag:] ** 2 - 1) * (sample[:, :-lag] ** 2 - 1)  # variance 4
    assert abs(energy.mean()) < Z_LIMIT * 2 / np.sqrt(energy.size)


@pytest.mark.parametrize("apart", [1, 2, 63, 64, 512])
def test_no_correlation_across_simulations(sample, apart):
    product = sample[apart:] * sample[:-apart]
    assert abs(product.mean()) < Z_LIMIT / np.sqrt(product.size)


def test_no_correlation_between_lanes_all_pairs(sample):
    correlation = np.corrcoef(sample[:64])
    pairs = correlation[np.triu_indices(64, 1)]
    limit = stats.norm.isf(FALSE_ALARM / 2 / len(pairs))
    assert np.abs(pairs).max() * np.sqrt(sample.shape[1]) < limit


@pytest.mark.parametrize("other", [8, 6, 7 + 2**32, 7 ^ (1 << 62), 0])
def test_no_correlation_across_seeds(sample, other):
    product = sample[:200] * normals(200, 2000, seed=other)
    assert abs(product.mean()) < Z_LIMIT / np.sqrt(product.size)


def test_pairs_fill_the_plane_evenly(sample):
    first, second = sample[:, 0::2].ravel(), sample[:, 1::2].ravel()
    cells = 20
    u = (stats.norm.cdf(first) * cells).astype(int)
    v = (stats.norm.cdf(second) * cells).astype(int)
    counts = np.bincount(u * cells + v, minlength=cells * cells)
    assert stats.chisquare(counts).pvalue > FALSE_ALARM


def test_sums_over_a_simulation_are_normal(sample):
    # a slow drift of one stream would be seen here and nowhere else
    z = sample.sum(axis=1) / np.sqrt(sample.shape[1])
    assert stats.kstest(z, "norm").pvalue > FALSE_ALARM


def test_a_stream_depends_on_seed_and_index_alone():
    whole = normals(100, 64, seed=3)
    np.testing.assert_array_equal(normals(20, 64, seed=3, start=50), whole[50:70])
    np.testing.assert_array_equal(normals(100, 32, seed=3), whole[:, :32])
    assert not np.array_equal(normals(100, 64, seed=4), whole)


def test_keys_of_a_million_simulations_are_distinct():
    keys = lane_keys(0, np.arange(1_000_000)).astype(np.uint64)
    assert len(np.unique(keys[:, 0] | keys[:, 1] << np.uint64(32))) == 1_000_000


def test_logarithm_and_circle_by_way_of_the_radius(sample):
    # radius^2/2 of a pair is exponential and the angle uniform: the two halves of Box and Muller
    first, second = sample[:200, 0::2].ravel(), sample[:200, 1::2].ravel()
    assert stats.kstest((first**2 + second**2) / 2, "expon").pvalue > FALSE_ALARM
    angle = np.arctan2(second, first) / (2 * np.pi) + 0.5
    assert stats.kstest(angle, "uniform").pvalue > FALSE_ALARM
