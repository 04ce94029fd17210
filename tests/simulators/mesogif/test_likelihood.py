"""Likelihood and gradient against a slow oracle by torch, differences, and known laws."""

import mesogif_oracle
import numpy as np
import pytest
import torch
from mesogif_cases import counts_from, defaults
from neurosbi_simulators.mesogif import MesoGif

from neurosbi.contract import Observation, Stimulus
from neurosbi.errors import BadInputError

SETTINGS = {"infer": "full", "precision": "double", "history": 60.0}
STEPS, ONSET = 200, 50


@pytest.fixture(scope="module")
def short():
    """A model with a short history, 200 ms of its counts, and parameters beside the true ones."""
    model = MesoGif(**SETTINGS)
    counts = counts_from(model, steps=STEPS, seed=3)
    observation = model.observe_counts(counts, dt=1.0, onset=ONSET)
    theta = defaults(model) * (1 + 0.05 * np.sin(np.arange(len(model.parameters))))
    return model, observation, theta


def oracle(model, observation, theta):
    """The oracle's log-likelihood of one parameter set, differentiable by ``theta``."""
    parameters = model.populations.parameters
    constants = {
        name: torch.tensor(values[0]) for name, values in parameters.values(defaults(model)).items()
    }
    for column, (name, index) in enumerate(parameters.targets):
        constants[name] = constants[name].index_put(
            tuple(torch.tensor(i) for i in index), theta[column]
        )
    grid = model.populations.grid
    return mesogif_oracle.log_likelihood(
        constants,
        torch.tensor(observation.record),
        sizes=model.network.size,
        dt=grid.dt,
        delay=grid.delay,
        first=round(observation.stimulus.onset / grid.dt),
        history=grid.history,
        refractory=grid.refractory,
    )


def test_value_and_gradient_are_those_of_the_oracle(short):
    model, observation, theta = short
    point = torch.tensor(theta[0], requires_grad=True)
    expected = oracle(model, observation, point)
    expected.backward()
    value, gradient = model.log_likelihood_gradient(theta, observation)
    np.testing.assert_allclose(value, [expected.item()], rtol=1e-10)
    np.testing.assert_allclose(gradient[0], point.grad.numpy(), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(model.log_likelihood(theta, observation), value, rtol=1e-11)


def test_every_parameter_has_the_right_gradient_over_a_whole_history():
    # adaptation leaves the history, and both populations see both synapses
    every = "w_EE,w_EI,w_IE,w_II,u_rest_E,u_th_I,u_r_E,u_r_I,c_E,c_I,Delta_u_E,Delta_u_I,tau_m_E,tau_m_I,tau_s_E,tau_s_I,J_th_E,tau_th_E"
    model = MesoGif(infer=every, precision="double", history=150.0)
    observation = model.observe_counts(counts_from(model, steps=600, seed=5), dt=1.0, onset=100.0)
    theta = defaults(model)
    step = 1e-4 * np.maximum(np.abs(theta[0]), 0.1)
    sides = [model.log_likelihood(theta + s * np.diag(step), observation) for s in (1, -1)]
    numerical = (sides[0] - sides[1]) / (2 * step)
    _, gradient = model.log_likelihood_gradient(theta, observation)
    np.testing.assert_allclose(gradient[0], numerical, rtol=1e-4, atol=1e-4)


def test_single_precision_is_good_enough_for_a_sampler(short):
    model, observation, theta = short
    single = MesoGif(**SETTINGS | {"precision": "single"})
    value, gradient = model.log_likelihood_gradient(theta, observation)
    value_single, gradient_single = single.log_likelihood_gradient(theta, observation)
    assert abs(value_single - value) < 0.01
    np.testing.assert_allclose(gradient_single, gradient, rtol=5e-3, atol=5e-3)


def test_batches_and_threads_do_not_matter(short):
    model, observation, theta = short
    many = theta * (1 + 0.01 * np.linspace(-1, 1, 21)[:, None])
    together = model.likelihoods(many, observation, threads=3).log_likelihood
    alone = [model.log_likelihood(many[i : i + 1], observation)[0] for i in range(21)]
    np.testing.assert_array_equal(together, alone)
    few = model.log_likelihood_gradient(many[:3], observation, threads=2)
    one = model.log_likelihood_gradient(many[2:3], observation)
    np.testing.assert_array_equal(few[1][2], one[1][0])


def test_the_probabilities_of_all_counts_sum_to_one():
    # only the last step counts: over all n_E and n_I its likelihood is a distribution
    model = MesoGif(sizes="12,5", precision="double", history=40.0)
    counts = counts_from(model, steps=120, seed=2)
    total = 0.0
    for e in range(13):
        for i in range(6):
            counts[-1] = e, i
            observation = Observation(
                stimulus=Stimulus.spontaneous(total=120.0, onset=119.0),
                x=np.empty(0),
                record=counts,
                dt=1.0,
            )
            total += np.exp(model.log_likelihood(defaults(model), observation)[0])
    assert total == pytest.approx(1.0, rel=1e-9)


def test_the_true_weights_are_the_most_likely():
    model = MesoGif()
    counts = counts_from(model, steps=8000, seed=314)
    observation = model.observe_counts(counts, dt=1.0, onset=1000.0)
    scan = np.linspace(0.5, 1.5, 21)
    for column in range(4):
        theta = np.repeat(defaults(model), 21, axis=0)
        theta[:, column] *= scan
        found = model.likelihoods(theta, observation)
        assert abs(scan[np.argmax(found.log_likelihood)] - 1) <= 0.2
        ends = found.log_likelihood[[0, -1]]
        assert np.all(found.log_likelihood.max() - ends > 5)
        assert np.all(found.clipped == 0)
        assert model.likelihood_problems(theta, observation) == ()


def test_silence_is_possible_however_little_is_expected():
    model = MesoGif(infer="w_EE,u_th_I", burn_in=100.0)
    theta = np.array([[0.176, 200.0]])  # mV: no neuron of I comes near
    counts = np.zeros((1100, 2))
    counts[::10, 0] = 3
    silent = model.observe_counts(counts, dt=1.0, onset=100.0)
    assert model.likelihoods(theta, silent).clipped[0, 1] == 0
    many = MesoGif(infer="w_EE,u_th_I", burn_in=100.0, sizes="500,1000000")
    assert many.log_likelihood(theta, silent) == pytest.approx(
        model.log_likelihood(theta, silent), abs=1e-6
    )
    assert model.likelihood_problems(theta, silent) == ()
    counts[100::50, 1] = 1
    spiking = model.observe_counts(counts, dt=1.0, onset=100.0)
    assert model.likelihoods(theta, spiking).clipped[0, 1] == pytest.approx(0.02)
    assert "2 % of the counts of I" in model.likelihood_problems(theta, spiking)[0]


def test_counts_the_model_cannot_make_are_reported_and_still_have_a_gradient():
    model = MesoGif(precision="double")
    rng = np.random.default_rng(0)
    counts = rng.binomial((500, 100), (0.0055, 0.0125), size=(3000, 2)).astype(float)
    counts[::7] = 400, 90  # everybody at once, faster than any refractory period allows
    observation = model.observe_counts(counts, dt=1.0, onset=200.0)
    theta = defaults(model)
    found = model.likelihoods(theta, observation)
    assert found.clipped.max() > 0.05
    assert np.all(np.isfinite(found.log_likelihood))
    problems = model.likelihood_problems(theta, observation)
    assert any("counts of E are impossible" in problem for problem in problems)
    value, gradient = model.log_likelihood_gradient(theta, observation)
    np.testing.assert_allclose(value, found.log_likelihood, rtol=1e-9)
    assert np.all(np.isfinite(gradient))
    assert np.all(gradient != 0)


def test_counts_in_finer_bins_are_summed():
    model = MesoGif()
    counts = counts_from(model, steps=400, seed=1)
    fine = np.zeros((2000, 2))
    fine[2::5] = counts
    coarse = model.observe_counts(counts, dt=1.0, onset=100.0)
    summed = model.observe_counts(fine, dt=0.2, onset=100.0)
    assert model.log_likelihood(defaults(model), coarse) == model.log_likelihood(
        defaults(model), summed
    )
    np.testing.assert_array_equal(coarse.x, summed.x)


@pytest.mark.parametrize(
    ("counts", "dt", "onset", "message"),
    [
        (np.zeros((50, 3)), 1.0, 0.0, "shape"),
        (np.zeros((50, 2)), 0.3, 0.0, "bins of 0.3 ms"),
        (np.full((50, 2), 0.5), 1.0, 0.0, "whole numbers"),
        (np.full((50, 2), -1.0), 1.0, 0.0, "whole numbers"),
        (np.full((50, 2), np.nan), 1.0, 0.0, "whole numbers"),
        (np.full((50, 2), 101.0), 1.0, 0.0, "101 spikes of I"),
        (np.zeros((50, 2)), 1.0, 50.0, "burn-in"),
    ],
)
def test_bad_counts_are_refused_in_one_sentence(counts, dt, onset, message):
    with pytest.raises(BadInputError, match=message):
        MesoGif().observe_counts(counts, dt=dt, onset=onset)


def test_features_alone_have_no_likelihood():
    model = MesoGif()
    observation = Observation(stimulus=Stimulus.spontaneous(total=100.0), x=np.zeros(3))
    with pytest.raises(BadInputError, match="counts of a recording"):
        model.log_likelihood(defaults(model), observation)


def test_the_score_at_the_truth_is_zero_on_average():
    # simulator and likelihood are the same model: E[d log L / d theta] = 0, covariance = Fisher's
    model = MesoGif(infer="full")
    theta = np.repeat(defaults(model), 16, axis=0)
    counts = model._counts(theta, 1800, seed=11, start=0)
    scores = np.array(
        [
            model.log_likelihood_gradient(theta[:1], model.observe_counts(c, dt=1.0, onset=800.0))[
                1
            ][0]
            for c in counts
        ]
    )
    t = scores.mean(axis=0) / (scores.std(axis=0, ddof=1) / np.sqrt(len(scores)))
    assert np.all(np.abs(t) < 4.2)  # each of 14 Student's t of 15 degrees: P = 0.001
    assert np.mean(t**2) < 2.5
