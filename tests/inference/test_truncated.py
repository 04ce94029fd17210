"""The truncated prior against regions known in closed form."""

import numpy as np
import pytest
from scipy.stats import chi2, kstest, multivariate_normal, norm

from neurosbi.contract import Parameter
from neurosbi.errors import BadInputError, FitError
from neurosbi.inference import truncated
from neurosbi.inference.truncated import TruncatedPrior

BOX = tuple(Parameter(f"t{i}", "1", -10.0, 10.0) for i in range(2))


class Normal:
    """A Gaussian posterior, far from the edges of the box."""

    def __init__(self, mean, cov):
        self.mean, self.cov = np.asarray(mean, float), np.asarray(cov, float)
        self.exact = multivariate_normal(self.mean, self.cov)

    def sample(self, n, *, seed):
        return np.random.default_rng(seed).multivariate_normal(self.mean, self.cov, size=n)

    def log_prob(self, theta):
        return np.atleast_1d(self.exact.logpdf(theta))


class Ring:
    """All mass on a thin circle: nearly nothing of any box around it."""

    radius, sd = 1.0, 2e-5

    def sample(self, n, *, seed):
        rng = np.random.default_rng(seed)
        r, a = rng.normal(self.radius, self.sd, n), rng.uniform(0, 2 * np.pi, n)
        return np.column_stack([r * np.cos(a), r * np.sin(a)])

    def log_prob(self, theta):
        r = np.hypot(*np.atleast_2d(theta).T)
        density = -0.5 * ((r - self.radius) / self.sd) ** 2 - np.log(self.sd * np.sqrt(2 * np.pi))
        return density - np.log(2 * np.pi * r)


def squared_radius(q, theta):
    centered = theta - q.mean
    return np.einsum("ni,ij,nj->n", centered, np.linalg.inv(q.cov), centered)


@pytest.mark.parametrize("correlation", [0.0, 0.999])
def test_the_region_is_the_ellipse_of_the_wanted_mass_and_draws_fill_it_evenly(correlation):
    q = Normal([1.0, -2.0], 0.25 * np.array([[1, correlation], [correlation, 1]]))
    prior = TruncatedPrior(BOX).narrowed(q, epsilon=1e-2, seed=1)
    draws = prior.sample(5000, seed=2)
    # 99 % of a Gaussian lie within r^2 = chi2; an order statistic of 20,000 draws has 7 % error
    edge = chi2(2).ppf(0.99)
    r2 = squared_radius(q, draws.theta)
    assert r2.max() == pytest.approx(edge, rel=0.07)
    # the prior is flat, so in two dimensions r^2 is uniform up to the edge
    assert kstest(r2 / r2.max(), "uniform").pvalue > 1e-3
    area = np.pi * edge * np.sqrt(np.linalg.det(q.cov))
    assert draws.prior_mass == pytest.approx(area / 400, rel=0.1)
    assert draws.proposal == "prior"
    # a box along the parameters alone would keep 3 % where they are correlated
    assert draws.accepted > 0.3


def test_the_region_does_not_depend_on_units_and_draws_follow_a_logarithmic_prior():
    names = {"scale": "log", "unit": "S"}
    low, high = 1e-3, 1.0

    class LogNormal:
        def __init__(self, unit):
            self.unit = unit

        def sample(self, n, *, seed):
            return self.unit * np.exp(
                -3 + 0.3 * np.random.default_rng(seed).standard_normal((n, 1))
            )

        def log_prob(self, theta):
            z = (np.log(theta[:, 0] / self.unit) + 3) / 0.3
            return -0.5 * z**2 - np.log(theta[:, 0])

    drawn = {}
    for unit in (1.0, 1e6):
        table = (Parameter("g", low=low * unit, high=high * unit, **names),)
        prior = TruncatedPrior(table).narrowed(LogNormal(unit), epsilon=1e-2, seed=1)
        drawn[unit] = prior.sample(3000, seed=3).theta[:, 0] / unit
    np.testing.assert_allclose(drawn[1.0], drawn[1e6], rtol=1e-9)
    logs = np.log(drawn[1.0])
    assert kstest((logs - logs.min()) / np.ptp(logs), "uniform").pvalue > 1e-3
    assert logs.min() == pytest.approx(-3 - 0.3 * 2.576, abs=0.04)


def test_a_region_that_fills_little_of_any_box_is_drawn_through_the_posterior():
    q = Ring()
    prior = TruncatedPrior(BOX).narrowed(q, epsilon=1e-2, seed=1)
    draws = prior.sample(300, seed=4)
    assert draws.proposal == "posterior"
    r = (np.hypot(*draws.theta.T) - q.radius) / q.sd
    # the prior is flat across the ring
    width = np.abs(r).max()
    assert width == pytest.approx(2.576, abs=0.1)
    assert kstest(r / width, "uniform", args=(-1, 2)).pvalue > 1e-3
    assert draws.prior_mass == pytest.approx(2 * np.pi * 2 * width * q.sd / 400, rel=0.1)
    np.testing.assert_array_equal(prior.sample(100, seed=4).theta, draws.theta[:100])


def test_a_posterior_at_the_edge_of_the_prior_keeps_its_digits():
    class AtTheEdge:
        """Exponential below the upper bound, a ten-millionth of the box wide."""

        width = 2e-6

        def sample(self, n, *, seed):
            return 10 - self.width * np.random.default_rng(seed).exponential(size=(n, 1))

        def log_prob(self, theta):
            return -(10 - theta[:, 0]) / self.width - np.log(self.width)

    prior = TruncatedPrior(BOX[:1]).narrowed(AtTheEdge(), epsilon=1e-2, seed=1)
    draws = prior.sample(3000, seed=2)
    extent = AtTheEdge.width * np.log(100)
    below = 10 - draws.theta[:, 0]
    assert below.max() == pytest.approx(extent, rel=0.05)
    assert kstest(below / below.max(), "uniform").pvalue > 1e-3
    assert draws.prior_mass == pytest.approx(extent / 20, rel=0.07)


def test_draws_follow_from_seed_and_index_alone(monkeypatch):
    q = Normal([0.0, 0.0], np.eye(2))
    prior = TruncatedPrior(BOX).narrowed(q, seed=1)
    many = prior.sample(2000, seed=5).theta
    monkeypatch.setattr(truncated, "_BATCH", 333)
    np.testing.assert_array_equal(prior.sample(500, seed=5).theta, many[:500])
    assert not np.array_equal(prior.sample(500, seed=6).theta, many[:500])


class Shell:
    """All mass on a thin sphere in six dimensions, so that any proposal rarely finds its rim."""

    sd = 1e-4

    def sample(self, n, *, seed):
        rng = np.random.default_rng(seed)
        direction = rng.standard_normal((n, 6))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        return direction * rng.normal(1.0, self.sd, (n, 1))

    def log_prob(self, theta):
        r = np.linalg.norm(np.atleast_2d(theta), axis=1)
        return norm(1.0, self.sd).logpdf(r) - np.log(np.pi**3 * r**5)


def test_a_region_is_cut_closer_until_it_can_be_drawn_from():
    box = tuple(Parameter(f"t{i}", "1", -10.0, 10.0) for i in range(6))
    thresholds = [
        TruncatedPrior(box).narrowed(Shell(), epsilon=epsilon, seed=1).regions[-1].threshold
        for epsilon in (1e-4, 1e-2)
    ]
    chosen = TruncatedPrior(box).narrowed_drawably(Shell(), seed=1)
    assert chosen.regions[-1].threshold == thresholds[1] > thresholds[0]
    theta = chosen.sample(500, seed=2).theta
    r = np.linalg.norm(theta, axis=1)
    # the region is a shell of constant prior density: |r - 1| is uniform up to its rim
    rim = norm.ppf(1 - 0.005) * Shell.sd
    assert kstest(np.abs(r - 1) / rim, "uniform").pvalue > 0.001


def test_an_easy_region_is_cut_as_asked():
    q = Normal([0.0, 0.0], np.eye(2))
    chosen, asked = (
        how(q, seed=1).regions[-1].threshold
        for how in (TruncatedPrior(BOX).narrowed_drawably, TruncatedPrior(BOX).narrowed)
    )
    assert chosen == asked


def test_regions_are_nested():
    wide = TruncatedPrior(BOX).narrowed(Normal([0.0, 0.0], np.eye(2)), seed=1)
    shifted = wide.narrowed(Normal([3.0, 0.0], np.eye(2)), seed=1)
    draws = shifted.sample(1000, seed=2).theta
    assert wide.contains(draws).all()
    assert shifted.contains(draws).all()
    assert not shifted.contains(wide.sample(1000, seed=2).theta).all()


def test_without_a_region_it_is_the_prior():
    draws = TruncatedPrior(BOX).sample(3000, seed=1)
    assert draws.prior_mass == 1
    assert kstest(draws.theta.ravel(), "uniform", args=(-10, 20)).pvalue > 1e-3
    assert not TruncatedPrior(BOX).contains([[0.0, 10.5]]).any()


def test_what_cannot_be_drawn_is_said():
    wide = TruncatedPrior(BOX).narrowed(Normal([-6.0, 0.0], 0.1 * np.eye(2)), seed=1)
    with pytest.raises(FitError, match="in the region of the rounds before"):
        wide.narrowed(Normal([6.0, 0.0], 0.1 * np.eye(2)), seed=1)
    with pytest.raises(BadInputError, match="epsilon is a probability"):
        wide.narrowed(Normal([0.0, 0.0], np.eye(2)), epsilon=0.5, seed=1)
    with pytest.raises(FitError, match=r"only \d+ of 10000000 parameter sets"):
        wide.sample(10_000_000, seed=1, time_limit=0.0)
