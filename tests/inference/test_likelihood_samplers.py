"""Most probable parameters and Markov chains of a small model, against integrals on a grid."""

import numpy as np
import pytest
import torch

from neurosbi.contract import (
    Feature,
    Observation,
    Parameter,
    SimulationBatch,
    Simulator,
    Stimulus,
    at_positions,
    positions,
)
from neurosbi.errors import BadInputError, FitError
from neurosbi.inference.box_likelihood import BoxLikelihood
from neurosbi.inference.likelihood_potential import (
    LikelihoodPotential,
    differentiable_log_likelihood,
)
from neurosbi.inference.map import find_map
from neurosbi.inference.mcmc import sample_posterior
from neurosbi.inference.slices import SliceChains

TIMES = np.linspace(0.1, 3.0, 12)


class Decay(Simulator):
    """y(t) = height exp(-t / tau) with noise of sd 0.3: a linear and a logarithmic parameter."""

    name = "decay"
    version = "1"
    summary = "an exponential decay"
    parameters = (
        Parameter("height", "mV", 0.0, 5.0),
        Parameter("tau", "s", 0.05, 20.0, "log"),
    )
    feature_sets = {"default": (Feature("y", "mV"),)}

    @property
    def stimulus(self):
        return Stimulus.spontaneous(total=1.0)

    def simulate(self, theta, *, stimulus=None, seed, start=0, threads=None):
        return SimulationBatch(np.zeros((len(theta), 1)), np.zeros(len(theta), dtype=np.int8))

    def traces(self, theta, **kwargs):
        raise NotImplementedError

    def features_of(self, data):
        raise NotImplementedError

    def log_likelihood(self, theta, data, *, threads=None):
        return self.log_likelihood_gradient(theta, data)[0]

    def log_likelihood_gradient(self, theta, data, *, threads=None):
        height, tau = theta[:, :1], theta[:, 1:]
        fall = np.exp(-TIMES / tau)
        residual = (data.record - height * fall) / 0.3
        slopes = np.stack([fall, height * fall * TIMES / tau**2], axis=1) / 0.3
        value = -0.5 * np.sum(residual**2, axis=1)
        return value, np.sum(residual[:, None] * slopes, axis=2)


class Plain(Decay):
    """The same without a gradient."""

    log_likelihood_gradient = Simulator.log_likelihood_gradient


def data(height=2.0, tau=1.0, seed=0):
    noise = 0.3 * np.random.default_rng(seed).standard_normal(len(TIMES))
    record = height * np.exp(-TIMES / tau) + noise
    return Observation(stimulus=Stimulus.spontaneous(total=1.0), x=np.zeros(1), record=record)


@pytest.fixture(scope="module")
def exact():
    """Mean and sd of height and log tau by a sum over a grid; the prior is flat in both."""
    height, log_tau = np.meshgrid(
        np.linspace(0, 5, 401)[1:], np.linspace(np.log(0.05), np.log(20), 600), indexing="ij"
    )
    theta = np.column_stack([height.ravel(), np.exp(log_tau.ravel())])
    value = Decay().log_likelihood(theta, data())
    weight = np.exp(value - value.max())
    weight /= weight.sum()
    grid = np.column_stack([height.ravel(), log_tau.ravel()])
    mean = weight @ grid
    return mean, np.sqrt(weight @ (grid - mean) ** 2), theta[np.argmax(value)]


def test_torch_differentiates_the_likelihood():
    theta = torch.tensor([[2.0, 1.0], [1.0, 0.3]], dtype=torch.float64, requires_grad=True)

    def function(t):
        return differentiable_log_likelihood(t, Decay(), data())

    assert torch.autograd.gradcheck(function, (theta,))
    potential = LikelihoodPotential(Decay(), [data(), data(seed=1)])
    z = torch.tensor([[0.3, -0.2], [-1.0, 1.5]], dtype=torch.float64)
    np.testing.assert_allclose(potential(z).numpy(), potential.value(z.numpy()))


def test_gradients_in_the_unconstrained_space():
    potential = LikelihoodPotential(Decay(), data())
    z = np.array([[0.3, -0.2], [-1.5, 1.0], [2.0, -2.5]])
    value, gradient = potential.value_and_gradient(z)
    np.testing.assert_allclose(value, potential.value(z))
    for i in range(2):
        step = np.zeros(2)
        step[i] = 1e-5
        numerical = (potential.value(z + step) - potential.value(z - step)) / 2e-5
        np.testing.assert_allclose(gradient[:, i], numerical, rtol=1e-6, atol=1e-6)


def test_the_optimum_is_found_from_every_start(exact):
    potential = LikelihoodPotential(Decay(), data())
    found = find_map(potential, starts=5, steps=60, seed=1)
    assert found.agreeing(tolerance=1e-3) == 5
    _, gradient = potential.value_and_gradient(found.z[:1])
    assert np.abs(gradient).max() < 1e-3
    mean, sd, _ = exact
    assert np.all(np.abs([found.best[0], np.log(found.best[1])] - mean) < sd)


def test_draws_have_the_moments_of_the_posterior(exact):
    draws = sample_posterior(Decay(), data(), draws=300, seed=3)
    assert draws.problems == ()
    mean, sd, _ = exact
    columns = np.column_stack([draws.flat[:, 0], np.log(draws.flat[:, 1])])
    error = sd / np.sqrt(draws.effective)
    assert np.all(np.abs(columns.mean(axis=0) - mean) < 5 * error)
    np.testing.assert_allclose(columns.std(axis=0), sd, rtol=0.1)
    expected = Decay().log_likelihood(draws.theta[2], data())
    np.testing.assert_allclose(draws.log_likelihood[2], expected, atol=1e-8)
    again = sample_posterior(Decay(), data(), chains=4, draws=20, tune=20, seed=3)
    same = sample_posterior(Decay(), data(), chains=4, draws=20, tune=20, seed=3)
    np.testing.assert_array_equal(again.theta, same.theta)


def test_two_observations_tell_more_than_one():
    sd = [
        sample_posterior(Decay(), o, draws=50, seed=0).flat.std(axis=0)
        for o in (data(), [data(), data(seed=1), data(seed=2)])
    ]
    assert np.all(sd[1] < 0.8 * sd[0])


def test_arviz_reads_the_draws():
    import arviz as az

    draws = sample_posterior(Decay(), data(), chains=3, draws=100, tune=50, seed=0)
    tree = draws.to_arviz()
    assert tree["posterior"]["tau"].dims == ("chain", "draw")
    summary = az.summary(az.convert_to_inference_data(tree["posterior"].to_dataset()))
    np.testing.assert_allclose(summary.loc["tau", "mean"], draws.flat[:, 1].mean(), rtol=0.02)


def test_positions_of_parameters():
    theta = np.array([[0.0, 0.05], [2.5, 1.0], [5.0, 20.0], [1.25, 0.2]])
    p = positions(Decay.parameters, theta)
    np.testing.assert_allclose(p[:3], [[-1, -1], [0, 0], [1, 1]], atol=1e-12)
    np.testing.assert_allclose(at_positions(Decay.parameters, p), theta)
    for low, high in np.random.default_rng(0).uniform(0.1, 9, (50, 2)).cumsum(axis=1):
        table = [Parameter("a", "1", low, high), Parameter("b", "1", low, high, "log")]
        ends = at_positions(table, np.array([[-1.0, -1.0], [1.0, 1.0]]))
        assert np.all((ends >= low) & (ends <= high))


def test_the_likelihood_in_the_box_and_its_gradient():
    box = BoxLikelihood(LikelihoodPotential(Decay(), [data(), data(seed=1)]))
    p = np.array([[0.1, -0.3], [-0.9, 0.8], [1.01, 0.0], [0.0, -1.5]])
    expected = [Decay().log_likelihood(box.theta(p[:2]), data(seed=k)) for k in (0, 1)]
    np.testing.assert_allclose(box(p), [*np.sum(expected, axis=0), -np.inf, -np.inf])
    for i in range(2):
        step = 1e-6 * np.eye(2)[i]
        numerical = (box(p[:2] + step) - box(p[:2] - step)) / 2e-6
        np.testing.assert_allclose(box.gradient(p[:2])[:, i], numerical, rtol=1e-5, atol=1e-5)


def test_chains_sample_a_stretched_normal():
    covariance = np.array([[4.0, 1.9, 0.0], [1.9, 1.0, 0.0], [0.0, 0.0, 0.01]])
    precision = np.linalg.inv(covariance)
    calls = []

    def target(z):
        calls.append(len(z))
        return -0.5 * np.einsum("ci,ij,cj->c", z, precision, z)

    chains = SliceChains(target, np.ones((16, 3)), np.eye(3), seed=1)
    chains.tune(30)
    calls.clear()
    chains.draw(500)
    flat = chains.points.reshape(-1, 3)
    # the tuned coordinates are round: few evaluations a coordinate
    assert len(calls) < 10 * 3 * 500
    assert np.all(np.abs(flat.mean(axis=0)) < 0.1 * np.sqrt(np.diag(covariance)))
    np.testing.assert_allclose(np.cov(flat.T), covariance, rtol=0.08, atol=0.01)
    np.testing.assert_allclose(
        chains.log_density, target(flat).reshape(16, 500), rtol=1e-9, atol=1e-12
    )


def test_a_ridge_that_ends_at_the_walls_is_sampled():
    # a narrow diagonal band across the unit square: uniform along it
    def band(z):
        inside = np.all((z >= 0) & (z <= 1), axis=1)
        return np.where(inside, -0.5 * ((z[:, 0] + z[:, 1] - 1) / 0.01) ** 2, -np.inf)

    start = np.tile([0.5, 0.5], (16, 1))
    chains = SliceChains(band, start, np.array([[0.08, -0.0799], [-0.0799, 0.08]]), seed=0)
    chains.tune(30)
    chains.draw(300)
    along = np.sort(chains.points[..., 0].ravel())
    expected = (np.arange(len(along)) + 0.5) / len(along)
    assert np.abs(along - expected).max() < 0.05


def test_chains_stay_where_the_density_is_finite():
    def half(z):
        return np.where(z[:, 0] > 0, -0.5 * (z**2).sum(axis=1), np.nan)

    chains = SliceChains(half, np.full((4, 2), 0.5), np.eye(2), seed=0)
    chains.draw(200)
    assert np.all(chains.points[..., 0] > 0)


def test_chains_do_not_start_at_a_density_of_zero():
    def half(z):
        return np.where(z[:, 0] > 0, -0.5 * (z**2).sum(axis=1), -np.inf)

    for start in (-0.5, np.nan):
        points = np.full((4, 2), 0.5)
        points[2, 0] = start
        with pytest.raises(FitError, match="cannot start"):
            SliceChains(half, points, np.eye(2), seed=0)


def test_brackets_end_in_coordinates_that_are_far_too_narrow():
    calls = []

    def target(z):
        calls.append(len(z))
        return -0.5 * (z**2).sum(axis=1)

    chains = SliceChains(target, np.zeros((4, 2)), 1e-12 * np.eye(2), seed=0)
    chains.draw(10)
    assert len(calls) < 10 * 2 * 60


def test_chains_that_disagree_go_on():
    class Bimodal(Decay):
        """Two heights explain the data; chains seldom cross between them."""

        def log_likelihood_gradient(self, theta, data, *, threads=None):
            h, t = theta.T
            away = (h - np.where(h < 2.5, 1.0, 4.0)) / 0.25
            value = -0.5 * away**2 - 0.5 * (np.log(t) / 0.2) ** 2
            return value, np.column_stack([-away / 0.25, -np.log(t) / t / 0.04])

    # 800 draws would be enough if they agreed
    draws = sample_posterior(Bimodal(), data(), chains=8, draws=100, tune=10, seed=0)
    assert draws.theta.shape[1] > 100
    assert draws.r_hat.max() < 1.01 or any(
        "the chains disagree on height" in p for p in draws.problems
    )


def test_curvature_of_flat_directions_is_that_of_the_prior():
    class Flat(Decay):
        def log_likelihood_gradient(self, theta, data, *, threads=None):
            fixed = np.column_stack([theta[:, 0], np.ones(len(theta))])
            value, gradient = super().log_likelihood_gradient(fixed, data)
            gradient[:, 1] = 0.0
            return value, gradient

    covariance = BoxLikelihood(LikelihoodPotential(Flat(), data())).covariance_at(np.zeros(2))
    assert covariance[1, 1] == pytest.approx(1 / 3)
    assert covariance[0, 0] < 0.2


def test_an_undefined_curvature_is_that_of_the_prior():
    class Broken(Decay):
        def log_likelihood_gradient(self, theta, data, *, threads=None):
            value, gradient = super().log_likelihood_gradient(theta, data)
            return value, np.where(theta[:, :1] > 2.5, np.nan, gradient)

    box = BoxLikelihood(LikelihoodPotential(Broken(), data()))
    np.testing.assert_allclose(box.covariance_at(np.zeros(2)), np.eye(2) / 3)


def test_problems_of_the_likelihood_are_passed_on():
    class Doubtful(Decay):
        def likelihood_problems(self, theta, data, *, threads=None):
            return (f"doubtful at {len(theta)} draws",)

    draws = sample_posterior(Doubtful(), data(), chains=2, draws=20, tune=20, starts=2, seed=0)
    assert draws.problems[0] == "doubtful at 16 draws"


def test_what_cannot_be_sampled_is_refused():
    with pytest.raises(BadInputError, match="no gradient"):
        sample_posterior(Plain(), data(), seed=0)
    with pytest.raises(BadInputError, match="2 chains"):
        sample_posterior(Decay(), data(), chains=1, seed=0)
    with pytest.raises(BadInputError, match="cannot be tuned for -1"):
        sample_posterior(Decay(), data(), tune=-1, seed=0)
    for limit in (0, -1, float("nan")):
        with pytest.raises(BadInputError, match="leaves no time"):
            sample_posterior(Decay(), data(), time_limit=limit, seed=0)
    with pytest.raises(BadInputError, match=r"at least 10 are needed; allow more \(--time-limit\)"):
        sample_posterior(Decay(), data(), time_limit=1e-3, seed=0)
    nothing = Observation(stimulus=Stimulus.spontaneous(total=1.0), x=np.zeros(1),
                          record=np.full(len(TIMES), np.nan))  # fmt: skip
    with pytest.raises(FitError, match="undefined"):
        sample_posterior(Decay(), nothing, seed=0)


def test_a_time_limit_keeps_the_draws_made_so_far():
    import sbi.samplers.mcmc  # noqa: F401  (takes seconds the first time)

    draws = sample_posterior(
        Decay(), data(), chains=2, draws=1_000_000, tune=0, starts=1, time_limit=6.0, seed=0
    )
    assert not draws.finished
    assert 10 <= draws.theta.shape[1] < 1_000_000
    assert any("time limit cut the chains short" in p for p in draws.problems)
