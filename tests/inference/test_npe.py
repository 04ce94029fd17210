import json

import numpy as np
import pytest
import torch
from memory_simulations import MemorySimulations, as_arrays
from sbi.diagnostics import run_sbc
from sbi.inference import DirectPosterior
from sbi.utils.metrics import c2st
from toys import FAMILY, LinearGaussian, PassiveMembrane

from neurosbi.contract import Feature, Parameter, SimulationBatch, Status, Stimulus, StimulusBatch
from neurosbi.errors import BadInputError
from neurosbi.inference import train_method
from neurosbi.inference.methods import method_config
from neurosbi.inference.npe import _steps
from neurosbi.nets import FeatureEncoder, SetEncoder
from neurosbi.seeds import derive_seed
from neurosbi.training import held_out_rows

QUICK = {
    "epochs": 15,
    "batch_size": 256,
    "min_steps": 20,
    "learning_rate": 3e-3,
    "hidden": (48, 48),
    "transforms": 2,
    "threads": 1,
}


def quick(simulations, **options):
    return train_method(
        "npe",
        simulations,
        method_config("npe", **QUICK | options),
        seed=1,
        device="cpu",
        progress=False,
    )


class HidesLast(LinearGaussian):
    hide_last = True


def exact_samples(simulator, x_o, n, *, seed):
    """Rejection from the Gaussian posterior under a flat prior, kept inside the box.

    Where the last feature is hidden, what remains is the posterior given the others and the
    fact that theta_0 < 0 (and > 0 where it is not).
    """
    rng = np.random.default_rng(seed)
    defined = np.isfinite(x_o)
    a = simulator.matrix[defined] / simulator.noise_sd
    covariance = np.linalg.inv(a.T @ a)
    mean = covariance @ a.T @ (x_o[defined] / simulator.noise_sd)
    kept = np.empty((0, 3))
    while len(kept) < n:
        theta = rng.multivariate_normal(mean, covariance, size=20 * n)
        good = np.all(np.abs(theta) < 3, axis=1)
        if simulator.hide_last:
            good &= (theta[:, 0] >= 0) if defined[-1] else (theta[:, 0] < 0)
        kept = np.concatenate((kept, theta[good]))
    return kept[:n]


@pytest.fixture(scope="module")
def network():
    return quick(MemorySimulations(LinearGaussian(), 6000))


@pytest.fixture(scope="module")
def network_of_hidden():
    return quick(MemorySimulations(HidesLast(), 8000))


OBSERVED = [np.array(t) for t in ([0.0, 0.0, 0.0], [1.0, -1.0, 0.5], [-2.9, 2.5, 0.0])]


@pytest.mark.parametrize("truth", OBSERVED)
def test_posterior_is_the_truncated_gaussian(network, truth):
    simulator = LinearGaussian()
    x_o = simulator.simulate(truth, seed=77).x[0]
    samples = network.posterior(x_o).sample(1000, seed=5)
    exact = exact_samples(simulator, x_o, 1000, seed=6)
    assert samples.dtype == np.float64
    assert float(c2st(torch.as_tensor(samples), torch.as_tensor(exact), n_folds=3)) < 0.6


@pytest.mark.parametrize("truth", [[0.3, 0.5, 0.0], [-0.3, 0.5, 0.0]])
def test_an_undefined_feature_is_masked_and_its_absence_informs(network_of_hidden, truth):
    simulator = HidesLast()
    x_o = simulator.simulate(np.array(truth), seed=78).x[0]
    assert np.isnan(x_o[-1]) == (truth[0] < 0)
    samples = network_of_hidden.posterior(x_o).sample(1000, seed=5)
    exact = exact_samples(simulator, x_o, 1000, seed=6)
    assert float(c2st(torch.as_tensor(samples), torch.as_tensor(exact), n_folds=3)) < 0.6
    assert np.mean(np.sign(samples[:, 0]) == np.sign(truth[0])) > 0.9
    assert network_of_hidden.card["simulations"]["dropped"] == 0


def test_log_prob_integrates_to_one_in_the_original_space(network):
    """By importance sampling from the exact posterior, and it is close to the exact density."""
    simulator = LinearGaussian()
    x_o = simulator.simulate(np.array([0.5, 0.5, -0.5]), seed=79).x[0]
    posterior = network.posterior(x_o)
    samples = posterior.sample(4000, seed=1)
    wide = np.random.default_rng(0).multivariate_normal(
        samples.mean(0), 1.5 * np.cov(samples.T), size=4000
    )
    from scipy.stats import multivariate_normal

    proposal = multivariate_normal(samples.mean(0), 1.5 * np.cov(samples.T)).logpdf(wide)
    ratio = np.exp(posterior.log_prob(wide) - proposal)
    assert ratio.mean() == pytest.approx(1, abs=5 * ratio.std() / np.sqrt(4000))
    assert posterior.log_prob(np.array([[0.0, 0.0, 3.1]])) == -np.inf


def test_held_out_log_prob_is_close_to_the_exact_one(network):
    """On pairs well inside the box, where truncation does not matter."""
    simulator = LinearGaussian()
    theta = np.random.default_rng(4).uniform(-1, 1, (2000, 3))
    x = simulator.simulate(theta, seed=80).x
    a = simulator.matrix / simulator.noise_sd
    covariance = np.linalg.inv(a.T @ a)
    residual = theta - x @ (covariance @ a.T / simulator.noise_sd).T
    quadratic = np.einsum("ni,ij,nj->n", residual, a.T @ a, residual)
    exact = -0.5 * (quadratic + np.linalg.slogdet(2 * np.pi * covariance)[1])
    assert 0 < np.mean(exact - network.log_prob(theta, x)) < 0.1


def test_the_information_of_a_card_is_that_of_the_rows_validated_on():
    """Of pure noise nothing can be learned, and little data do not feign it."""
    simulations = MemorySimulations(LinearGaussian(), 600)
    rng = np.random.default_rng(0)
    noise = as_arrays(simulations, x=rng.normal(size=simulations.x.shape))
    config = method_config("npe", **QUICK | {"epochs": 2, "withheld": 0.0})
    network = train_method("npe", noise, config, seed=1, device="cpu", progress=False)
    rows = held_out_rows(600, config.training, seed=derive_seed(1, "training"))
    theta, x = noise.theta[rows], noise.x[rows]
    gain = np.mean(network.log_prob(theta, x) - network.prior_log_prob(theta))
    assert network.card["result"]["information_gain"] == pytest.approx(gain, abs=0.01)
    assert network.card["result"]["validation_log_prob"] == pytest.approx(
        network.log_prob(theta, x).mean(), abs=0.01
    )


def test_samples_depend_on_the_seed_only(network):
    posterior = network.posterior(np.zeros(4))
    state = torch.get_rng_state()
    first = posterior.sample(3000, seed=3)
    assert torch.equal(state, torch.get_rng_state())
    np.testing.assert_array_equal(first, posterior.sample(3000, seed=3))
    np.testing.assert_array_equal(first[:50], posterior.sample(50, seed=3))
    assert not np.array_equal(first, posterior.sample(3000, seed=4))
    assert np.all(np.abs(first) <= 3)


def test_sbi_takes_the_posterior_and_its_diagnostics(network):
    simulator = LinearGaussian()
    x_o = simulator.simulate(np.zeros(3), seed=81).x[0]
    posterior = network.posterior(x_o)
    theirs = posterior.to_sbi()
    assert isinstance(theirs, DirectPosterior)
    samples = theirs.sample((500,), show_progress_bars=False)
    assert samples.shape == (500, 3)
    ours = posterior.log_prob(samples.double().numpy())
    np.testing.assert_allclose(
        theirs.log_prob(samples, norm_posterior=False).numpy(), ours, atol=1e-3
    )
    # no mass outside the prior: sbi's own correction is nothing
    np.testing.assert_allclose(theirs.log_prob(samples).numpy(), ours, atol=1e-3)

    theta = simulator.sample_prior(200, seed=9)
    x = simulator.simulate(theta, seed=82).x
    ranks, _ = run_sbc(
        torch.as_tensor(theta, dtype=torch.float32),
        network.encode(x),
        network.to_sbi(),
        num_posterior_samples=100,
        show_progress_bar=False,
    )
    from scipy.stats import kstest

    for column in ranks.numpy().T:
        assert kstest(column / 100, "uniform").pvalue > 1e-4


def test_estimator_shapes_are_those_of_sbi(network):
    estimator, condition = network.estimator, network.encode(np.zeros((5, 4)))
    theta = torch.zeros(7, 5, 3)
    assert estimator.log_prob(theta, condition).shape == (7, 5)
    assert estimator.log_prob(torch.zeros(7, 1, 3), condition[:1]).shape == (7, 1)
    assert estimator.loss(torch.zeros(5, 3), condition).shape == (5,)
    assert estimator.sample((4, 2), condition).shape == (4, 2, 5, 3)
    torch.testing.assert_close(
        estimator.loss(theta[0], condition), -estimator.log_prob(theta[:1], condition)[0]
    )
    single = torch.stack(
        [estimator.log_prob(theta[:, [i]], condition[[i]])[:, 0] for i in range(5)], 1
    )
    torch.testing.assert_close(single, estimator.log_prob(theta, condition))


def test_one_network_serves_a_family_of_steps():
    simulator = PassiveMembrane()
    data = MemorySimulations(simulator, 3000, family=FAMILY)
    network = quick(data, epochs=25)
    truth = np.array([150.0, 15.0, -70.0])
    for amplitude, onset in ((20.0, 60.0), (90.0, 95.0)):
        stimulus = Stimulus.step(amplitude=amplitude, onset=onset, duration=150.0)
        x_o = simulator.simulate(truth, stimulus=stimulus, seed=83).x[0]
        samples = network.posterior(x_o, stimulus).sample(1000, seed=2)
        assert samples[:, 0].mean() == pytest.approx(150, abs=12)
        assert samples[:, 0].std() < 15
    with pytest.raises(BadInputError, match="amplitude of 500 pA lies outside"):
        network.posterior(x_o, Stimulus.step(amplitude=500, onset=60, duration=150))
    with pytest.raises(BadInputError, match=r"takes 3 stimulus parameters .amplitude"):
        network.posterior(x_o)


class SometimesBlowsUp(LinearGaussian):
    def simulate(self, theta, *, stimulus=None, seed, start=0, threads=None):
        batch = super().simulate(theta, stimulus=stimulus, seed=seed, start=start)
        status = np.where(theta[:, 1] > 2.5, Status.BLOW_UP, Status.OK).astype(np.int8)
        batch.x[status == Status.BLOW_UP] = np.nan
        return SimulationBatch(batch.x, status)


def test_failed_simulations_are_dropped_and_counted_and_the_card_is_plain_data():
    data = MemorySimulations(SometimesBlowsUp(), 1500)
    network = quick(data, epochs=2)
    failed = int((data.theta[:, 1] > 2.5).sum())
    assert network.card["simulations"] == {
        "config_hash": data.config_hash,
        "seed": 0,
        "used": 1500 - failed,
        "dropped": failed,
    }
    assert failed > 50
    json.dumps(network.card, allow_nan=False)
    gain = network.card["result"]["information_gain"]
    volume = 3 * np.log(6)
    assert gain == pytest.approx(network.card["result"]["validation_log_prob"] + volume, abs=1e-6)


def test_streamed_from_a_store_equals_in_memory():
    data = MemorySimulations(SometimesBlowsUp(), 1500)
    options = {"epochs": 2, "shuffle_rows": 512, "block_rows": 128}
    whole, streamed = quick(data, **options), quick(data, **options, memory_gb=1e-6)
    for name, value in whole.estimator.state_dict().items():
        assert torch.equal(value, streamed.estimator.state_dict()[name]), name


def test_wrong_observations_are_refused(network):
    with pytest.raises(BadInputError, match="takes 4 features"):
        network.posterior(np.zeros(3))
    with pytest.raises(BadInputError, match="all observed features are undefined"):
        network.posterior(np.full(4, np.nan))
    with pytest.raises(BadInputError, match="one row of features"):
        network.posterior(np.zeros((2, 4)))


def test_a_network_belongs_to_its_simulator(network):
    network.check_simulator(LinearGaussian())

    class Newer(LinearGaussian):
        version = "2"

    with pytest.raises(
        BadInputError, match=r"linear-gaussian version 1, not on linear-gaussian version 2"
    ):
        network.check_simulator(Newer())

    class Wider(LinearGaussian):
        parameters = tuple(Parameter(f"t{i}", "1", -4.0, 3.0) for i in range(3))

    with pytest.raises(BadInputError, match="other prior ranges"):
        network.check_simulator(Wider())
    with pytest.raises(BadInputError, match="passive-membrane version 1"):
        network.check_simulator(PassiveMembrane())


def test_unknown_methods_and_options_are_listed():
    with pytest.raises(BadInputError, match=r"no method 'nope'; there are .*npe"):
        train_method("nope", MemorySimulations(LinearGaussian(), 10))
    with pytest.raises(BadInputError, match=r"no option 'layers'; it has .*batch_size.*transforms"):
        method_config("npe", layers=3)


def test_simulations_that_all_failed():
    data = MemorySimulations(LinearGaussian(), 50, failed=range(50))
    with pytest.raises(BadInputError, match="none of the 50 simulations ended properly"):
        quick(data)


class Binary(LinearGaussian):
    """Log-uniform scale of Gaussian draws: the posterior is known on a grid."""

    parameters = (Parameter("scale", "1", 0.01, 100.0, scale="log"),)
    feature_sets = {"default": (Feature("log_rms", "1"),)}

    def simulate(self, theta, *, stimulus=None, seed, start=0, threads=None):
        from toys import normal_rows

        z = normal_rows(len(theta), 5, seed=seed, purpose="toy noise", start=start)
        x = np.log(theta[:, :1] * np.sqrt((z**2).mean(1, keepdims=True)))
        return SimulationBatch(x, np.zeros(len(theta), dtype=np.int8))


def test_log_scaled_parameter_against_a_grid():
    network = quick(MemorySimulations(Binary(), 6000), epochs=20, withheld=0.0)
    x_o, grid = np.array([0.5]), np.linspace(np.log(0.01), np.log(100), 4001)
    # 5 exp(2 x) / scale^2 is chi-squared with 5 degrees of freedom
    q = 5 * np.exp(2 * (x_o[0] - grid))
    log_density = 2.5 * np.log(q) - q / 2
    density = np.exp(log_density - log_density.max())
    density /= density.sum() * (grid[1] - grid[0])
    learned = network.posterior(x_o).log_prob(np.exp(grid)[1:-1, None]) + grid[1:-1]
    divergence = np.sum(density[1:-1] * (np.log(density[1:-1] + 1e-300) - learned))
    assert 0 <= divergence * (grid[1] - grid[0]) < 0.02


def test_stimuli_given_as_a_batch_make_the_same_encoding():
    simulator = PassiveMembrane()
    network = quick(MemorySimulations(simulator, 300, family=FAMILY), epochs=1)
    stimuli: StimulusBatch = FAMILY.sample(4, seed=3)
    x = np.zeros((4, 3))
    one_by_one = [network.encode(x[0], FAMILY.stimulus(row))[0] for row in stimuli.values]
    torch.testing.assert_close(network.encode(x, stimuli.values), torch.stack(one_by_one))


def test_any_subset_of_the_features_is_answered():
    """Without y3 the posterior is that of the other three: a truncated Gaussian, by rejection."""
    simulator = LinearGaussian()
    network = quick(MemorySimulations(simulator, 20_000), epochs=20, withheld=0.5)
    given = np.array([True, True, True, False])
    x_o = np.array([0.4, -0.3, 0.2, 1e3])  # the value that is not given must not matter
    rng = np.random.default_rng(0)
    a, sd = simulator.matrix[:3], simulator.noise_sd
    cov = np.linalg.inv(a.T @ a) * sd**2
    draws = rng.multivariate_normal(np.linalg.solve(a.T @ a, a.T @ x_o[:3]), cov, 20_000)
    draws = draws[np.all(np.abs(draws) <= 3, axis=1)][:2000]
    ours = network.posterior(x_o, given=given).sample(2000, seed=1)
    assert c2st(torch.as_tensor(draws), torch.as_tensor(ours)).item() < 0.6


def test_a_network_that_needs_all_features_says_so():
    network = quick(MemorySimulations(LinearGaussian(), 500), epochs=1, withheld=0.0)
    with pytest.raises(BadInputError, match="needs all its features"):
        network.posterior(np.zeros(4), given=np.array([True, True, True, False]))


@pytest.mark.parametrize(("rows", "steps"), [(500, 3_500), (10_000, 3_500), (100_000, 7_000)])
def test_more_simulations_train_longer(rows, steps):
    sweep = FeatureEncoder.of(np.zeros((2, 1)), np.zeros((2, 0)), family=())
    assert _steps(range(rows), sweep) == steps
    assert _steps(range(rows), SetEncoder(sweep, most=20)) == 8_000
