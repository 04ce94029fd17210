import numpy as np
import pytest
import torch
from memory_simulations import MemorySimulations
from toys import LinearGaussian

from neurosbi.errors import BadInputError
from neurosbi.inference import load_network, method_config, train_method
from neurosbi.inference.methods import network_weights

QUICK = {"epochs": 4, "transforms": 2, "hidden": (16, 16), "min_steps": 10, "threads": 1}
X_O = LinearGaussian().simulate(np.array([0.5, 0.5, -0.5]), seed=79).x[0]


@pytest.fixture(scope="module")
def ensemble():
    return train_method(
        "npe",
        MemorySimulations(LinearGaussian(), 1500),
        method_config("npe", ensemble=3, **QUICK),
        seed=1,
        device="cpu",
        progress=False,
    )


def member(ensemble, k):
    """The k-th member as a network of its own."""
    weights = {}
    for name, value in network_weights(ensemble).items():
        if ".net." in name:
            weights[name] = value[k : k + 1]
        elif ".members." in name:
            if name.startswith(f"estimator.members.{k}."):
                weights[name.replace(f".members.{k}.", ".members.0.")] = value
        else:
            weights[name] = value
    card = ensemble.card | {"builder": ensemble.card["builder"] | {"ensemble": 1}}
    return load_network(card, weights)


def test_the_density_is_the_mean_of_the_members(ensemble):
    theta = np.random.default_rng(0).uniform(-2, 2, (200, 3))
    each = [member(ensemble, k).posterior(X_O).log_prob(theta) for k in range(3)]
    assert np.ptp(each, axis=0).mean() > 0.05  # they differ
    expected = np.logaddexp.reduce(each, axis=0) - np.log(3)
    np.testing.assert_allclose(ensemble.posterior(X_O).log_prob(theta), expected, atol=1e-4)


def test_many_conditions_and_one_give_the_same_density(ensemble):
    rng = np.random.default_rng(1)
    theta, x = rng.uniform(-2, 2, (6, 3)), rng.normal(size=(6, 4))
    each = [ensemble.posterior(row).log_prob(t)[0] for t, row in zip(theta, x, strict=True)]
    np.testing.assert_allclose(ensemble.log_prob(theta, x), each, rtol=1e-5)


def test_every_member_gives_its_share_of_the_samples(ensemble):
    samples = ensemble.posterior(X_O).sample(6000, seed=3)
    theta = torch.as_tensor(samples)
    for k in range(3):
        # draws of one member, importance-weighted to its own density, are a sample of it
        own = member(ensemble, k).posterior(X_O)
        mixture = ensemble.posterior(X_O).log_prob(samples)
        weights = np.exp(own.log_prob(samples) - mixture)
        assert weights.mean() == pytest.approx(1, abs=0.05)
        np.testing.assert_allclose(
            np.average(theta, weights=weights, axis=0),
            own.sample(6000, seed=4).mean(0),
            atol=0.06,
        )


def test_the_first_samples_do_not_depend_on_their_number(ensemble):
    posterior = ensemble.posterior(X_O)
    np.testing.assert_array_equal(posterior.sample(50, seed=1), posterior.sample(500, seed=1)[:50])


def test_a_stored_ensemble_is_the_same(ensemble):
    again = load_network(ensemble.card, network_weights(ensemble))
    np.testing.assert_array_equal(
        again.posterior(X_O).sample(20, seed=2), ensemble.posterior(X_O).sample(20, seed=2)
    )


def test_an_ensemble_of_none_is_refused():
    with pytest.raises(BadInputError, match="ensemble must be at least 1, got 0"):
        method_config("npe", ensemble=0)


def test_one_sample_of_sbi_is_of_any_member(ensemble):
    """sbi's tests draw one or few samples for each of many observations."""
    ensemble.estimator.center.zero_()
    condition = ensemble.encode(X_O).expand(3000, -1)
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        order = torch.arange(6.0)[:, None, None].expand(-1, 3000, 3)
        patch.setattr(ensemble.estimator, "draw", lambda n, condition: order[:n])
        torch.manual_seed(0)
        for n, turns in ((1, 3), (4, 6)):  # members 0, 1, 2, 0, 1, 2 take turns
            samples = ensemble.estimator.sample((n,), condition)
            assert samples.shape == (n, 3000, 3)
            share = torch.bincount(samples[0, :, 0].long(), minlength=turns) / 3000
            assert len(share) == turns
            assert (share - 1 / turns).abs().max() < 0.04
            assert (samples.sort(0).values.diff(dim=0) > 0).all()  # none twice
