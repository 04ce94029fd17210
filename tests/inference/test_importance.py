"""Importance sampling against linear-Gaussian models, where evidence and posterior are known."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from neurosbi.checks import judge_importance
from neurosbi.errors import BadInputError, FitError
from neurosbi.inference.importance import importance_sample
from neurosbi.inference.pareto import pareto_smoothed

DIM, N_DATA, NOISE = 3, 40, 0.7
DESIGN = np.random.default_rng(0).standard_normal((N_DATA, DIM))
PRIOR = multivariate_normal(np.zeros(DIM), np.eye(DIM))
X_O = DESIGN @ [0.5, -1.0, 0.3] + NOISE * np.random.default_rng(1).standard_normal(N_DATA)
COV = np.linalg.inv(DESIGN.T @ DESIGN / NOISE**2 + np.eye(DIM))
MEAN = COV @ DESIGN.T @ X_O / NOISE**2
EVIDENCE = multivariate_normal(
    np.zeros(N_DATA), DESIGN @ DESIGN.T + NOISE**2 * np.eye(N_DATA)
).logpdf(X_O)


class Normal:
    def __init__(self, mean=MEAN, cov=COV):
        self.exact = multivariate_normal(mean, cov)

    def sample(self, n, *, seed):
        return self.exact.rvs(n, random_state=seed)

    def log_prob(self, theta):
        return self.exact.logpdf(theta)


def log_likelihood(theta):
    misfit = X_O - theta @ DESIGN.T
    return -0.5 * (misfit**2).sum(1) / NOISE**2 - N_DATA * np.log(NOISE * np.sqrt(2 * np.pi))


def weigh(posterior, likelihood=log_likelihood, **how):
    how = {"n": 5000, "seed": 3} | how
    return importance_sample(posterior, likelihood, prior_log_prob=PRIOR.logpdf, **how)


def test_the_exact_posterior_has_equal_weights_and_the_exact_evidence():
    samples = weigh(Normal())
    assert samples.log_evidence == pytest.approx(EVIDENCE, abs=1e-9)
    assert samples.log_evidence_error < 1e-9
    assert samples.efficiency == pytest.approx(1)
    assert samples.pareto_k == -np.inf
    assert samples.reliable
    assert list(judge_importance(samples)) == []


@pytest.mark.parametrize("offset", [0.0, -1500.0])
def test_a_wider_proposal_gives_the_evidence_within_its_error_in_log_space(offset):
    z = [
        weigh(Normal(cov=2 * COV), lambda t: log_likelihood(t) + offset, seed=seed)
        for seed in range(40)
    ]
    off = np.array([(s.log_evidence - EVIDENCE - offset) / s.log_evidence_error for s in z])
    # 40 standardised errors: mean within 4 / sqrt(40), spread of a unit normal
    assert abs(off.mean()) < 0.64
    assert 0.6 < off.std() < 1.4
    # E[w]^2 / E[w^2] of N(0, C) / N(0, s C) is ((2 - 1 / s) / s)^(dim / 2)
    expected = (1.5 / 2) ** (DIM / 2)
    assert np.mean([s.efficiency for s in z]) == pytest.approx(expected, rel=0.03)


def test_resampled_draws_have_the_moments_of_the_posterior():
    samples = weigh(Normal(mean=MEAN + 0.05, cov=1.5 * COV), n=20_000)
    draws = samples.resample(20_000, seed=4)
    sd = np.sqrt(np.diag(COV))
    assert np.all(np.abs(draws.mean(0) - MEAN) < 0.06 * sd)
    np.testing.assert_allclose(draws.std(0), sd, rtol=0.06)
    np.testing.assert_array_equal(draws[:10], samples.resample(10, seed=4))


def test_k_grows_with_a_proposal_that_is_too_narrow_and_the_verdict_says_so():
    k = [weigh(Normal(cov=s * COV)).pareto_k for s in (1.5, 0.8, 0.4, 0.15)]
    assert np.all(np.diff(k) > 0)
    assert k[0] < 0.5
    assert k[-1] > 0.7
    narrow = weigh(Normal(cov=0.15 * COV))
    assert not narrow.reliable
    (reason,) = judge_importance(narrow)
    assert reason.level in ("caution", "do not use")
    assert "too narrow" in reason.sentence
    (worse,) = judge_importance(replace(narrow, pareto_k=1.2))
    assert worse.level == "do not use"
    assert narrow.efficiency < 0.5


def test_draws_and_weights_are_reproducible_in_any_batches():
    q = Normal(cov=2 * COV)
    one, other = weigh(q, batch=5000), weigh(q, batch=7)
    np.testing.assert_array_equal(one.theta, other.theta)
    np.testing.assert_allclose(one.weights, other.weights, rtol=1e-10)


def test_undefined_and_impossible_likelihoods_have_no_weight():
    def holes(theta):
        values = log_likelihood(theta)
        values[theta[:, 0] > MEAN[0]] = -np.inf
        values[theta[:, 1] > MEAN[1]] = np.nan
        return values

    samples = weigh(Normal(), holes)
    assert samples.weights.sum() == pytest.approx(1)
    gone = (samples.theta[:, 0] > MEAN[0]) | (samples.theta[:, 1] > MEAN[1])
    assert np.all(samples.weights[gone] == 0)
    assert samples.n_undefined == (samples.theta[:, 1] > MEAN[1]).sum()
    assert samples.efficiency == pytest.approx((~gone).mean(), rel=1e-6)
    with pytest.raises(FitError, match="zero or undefined at all 5000 draws"):
        weigh(Normal(), lambda theta: np.full(len(theta), np.nan))


def test_bad_input_is_one_sentence():
    with pytest.raises(BadInputError, match="at least 100 draws"):
        weigh(Normal(), n=5)
    with pytest.raises(BadInputError, match="1000 log-likelihoods, got shape"):
        weigh(Normal(), lambda theta: np.zeros((len(theta), 1)))
    with pytest.raises(FitError, match="only 1000 of 5000 likelihoods"):
        weigh(Normal(), time_limit=0.0)


@pytest.mark.parametrize("k", [0.2, 0.7, 1.3])
def test_the_shape_of_a_pareto_tail_is_found(k):
    log_weights = np.log(np.random.default_rng(2).pareto(1 / k, 100_000) + 1) - 800
    log_weights[:30] = -np.inf
    smoothed, shape = pareto_smoothed(log_weights)
    assert shape == pytest.approx(k, abs=0.1)
    assert np.all(smoothed[:30] == -np.inf)
    # only the largest weights move, and none beyond the largest seen
    moved = np.abs(np.diff(smoothed[30:] - log_weights[30:], prepend=np.nan)) > 1e-9
    assert moved.mean() < 0.05
    assert smoothed.max() - np.median(smoothed[30:]) <= np.ptp(log_weights[30:])


def test_equal_weights_have_no_tail_and_few_of_many_no_shape():
    log_weights = np.zeros(1000)
    assert pareto_smoothed(log_weights)[1] == -np.inf
    log_weights[3:] = -np.inf
    assert pareto_smoothed(log_weights)[1] == np.inf
