"""Posteriors given sets of sweeps against the exact ones of a linear-Gaussian cell."""

import numpy as np
import pytest
import torch
from memory_simulations import MemorySimulations
from ohmic_cell import SETS, OhmicCell

from neurosbi.errors import BadInputError
from neurosbi.inference import method_config, train_method
from neurosbi.inference.methods import load_network, network_weights
from neurosbi.inference.sweep_sets import EncodedSets
from neurosbi.nets import FeatureEncoder, SetEncoder
from neurosbi.priors import UnconstrainedMap


def exact(x, current, n=150):
    """Mean and sd of the posterior on a grid over the box of the prior."""
    r, v = np.meshgrid(np.linspace(50, 300, n), np.linspace(-80, -60, n), indexing="ij")
    misfit = sum((xi - v - r * i * 1e-3) ** 2 for xi, i in zip(x[:, 0], current, strict=True))
    weight = np.exp(-0.5 * (misfit - misfit.min()) / OhmicCell.noise_sd**2)
    weight /= weight.sum()
    mean = np.array([(weight * r).sum(), (weight * v).sum()])
    second = np.array([(weight * r**2).sum(), (weight * v**2).sum()])
    return mean, np.sqrt(second - mean**2)


@pytest.fixture(scope="module")
def network():
    simulations = MemorySimulations(OhmicCell(), 80_000, seed=2, family=SETS)
    config = method_config(
        "npe",
        epochs=30,
        ensemble=1,
        withheld=0.0,
        transforms=2,
        hidden=(32, 32),
        embedding_hidden=64,
    )
    return train_method("npe", simulations, config, seed=0, progress=False)


@pytest.mark.parametrize("n", [1, 2, 8])
def test_the_posterior_given_any_number_of_sweeps_is_the_exact_one(network, n):
    rng = np.random.default_rng(5)
    errors, ratios = [], []
    for _ in range(20):
        theta = np.array([rng.uniform(80, 270), rng.uniform(-77, -63)])
        current = np.exp(rng.uniform(np.log(12), np.log(95), size=n))
        x = (theta[1] + theta[0] * current * 1e-3 + 2.0 * rng.normal(size=n))[:, None]
        stimuli = np.column_stack([current, np.full(n, 70.0), np.full(n, 150.0), np.ones(n)])
        draws = network.posterior(x, stimuli).sample(2000, seed=0)
        mean, sd = exact(x, current)
        errors.append((draws.mean(0) - mean) / sd)
        ratios.append(draws.std(0) / sd)
    # 8 sweeps narrow R to a fifth of its prior: the approximation costs most there
    assert np.sqrt(np.mean(np.square(errors), axis=0)).max() < (0.5 if n == 8 else 0.25)
    assert np.all(np.abs(np.mean(ratios, axis=0) - 1) < 0.2)


def test_a_saved_network_of_sets_gives_the_same_posterior(network):
    again = load_network(network.card, network_weights(network))
    assert again.takes_sets
    x, stimuli = np.array([[-60.0], [-55.0]]), np.array([[20, 70, 150, 1], [40, 70, 150, 1.0]])
    a, b = (net.posterior(x, stimuli).sample(50, seed=1) for net in (network, again))
    np.testing.assert_array_equal(a, b)


def test_sets_of_no_or_too_many_sweeps_are_refused(network):
    with pytest.raises(BadInputError, match="1 to 8 sweeps, got 0"):
        network.encode(np.empty((0, 1)), np.empty((0, 4)))
    with pytest.raises(BadInputError, match="1 to 8 sweeps, got 9"):
        network.encode(np.zeros((9, 1)), np.ones((9, 4)))
    with pytest.raises(BadInputError, match="undefined"):
        network.posterior(np.full((3, 1), np.nan), np.ones((3, 4)))


def test_encoded_sets_do_not_depend_on_how_they_are_read_and_skip_failed_sweeps():
    failed = (0, 4, 17)  # row 0 is a set of its own
    simulations = MemorySimulations(OhmicCell(), 1001, seed=4, family=SETS, failed=failed)
    encoder = SetEncoder(
        FeatureEncoder.of(simulations.x, simulations.stimulus, family=SETS.parameters), SETS.most
    )
    zero = torch.zeros(2, dtype=torch.float64)
    source = EncodedSets(
        simulations,
        encoder=encoder,
        bijection=UnconstrainedMap(OhmicCell.parameters),
        center=zero,
        scale=zero + 1,
        withheld=0.5,
        seed=9,
    )
    assert len(source) == len(np.unique(SETS.set_of(np.arange(1001)))) - 1
    z, encoded = source.read(0, len(source))
    parts = [source.read(i, min(i + 7, len(source))) for i in range(0, len(source), 7)]
    torch.testing.assert_close(torch.cat([p[0] for p in parts]), z, rtol=0, atol=0)
    torch.testing.assert_close(torch.cat([p[1] for p in parts]), encoded, rtol=0, atol=0)
    sweeps = encoded.view(len(source), SETS.most, -1)[..., -1].sum(1)
    assert int(sweeps.sum()) == 1001 - 3
