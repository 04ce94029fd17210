"""Networks that read traces, where it is known what a trace can tell."""

import json

import numpy as np
import pytest
import torch
from memory_simulations import MemorySimulations
from toys import FAMILY, LinearGaussian
from trace_toys import NOISE, STEP, TwoLevels, information_of_a_level

from neurosbi.contract import SweepSets
from neurosbi.errors import BadInputError
from neurosbi.inference import train_method
from neurosbi.inference.methods import load_network, method_config, network_weights
from neurosbi.inference.traces import EncodedTraces
from neurosbi.nets import TraceEncoder

QUICK = {
    "epochs": 12,
    "batch_size": 128,
    "min_steps": 20,
    "learning_rate": 1e-2,
    "hidden": (32, 32),
    "transforms": 2,
    "trace_filters": 8,
    "threads": 1,
    "ensemble": 1,
}


def trained(features, inputs, n=4000, **options):
    simulations = MemorySimulations(TwoLevels(features=features), n, traces=inputs != "features")
    config = method_config("npe", **QUICK | options | {"inputs": inputs})
    return train_method("npe", simulations, config, seed=1, device="cpu", progress=False)


@pytest.fixture(scope="module")
def blind():
    return trained("blind", "both")


@pytest.fixture(scope="module")
def sufficient():
    return trained("sufficient", "both")


def told(network):
    return {k: v["information"] for k, v in network.card["information"]["inputs"].items()}


def test_the_trace_tells_what_the_features_miss(blind):
    one = information_of_a_level()
    nats = told(blind)
    assert nats["features"] == pytest.approx(one, abs=0.15)
    assert nats["trace"] == pytest.approx(2 * one, abs=0.3)
    assert nats["both"] == pytest.approx(2 * one, abs=0.3)


def test_a_trace_adds_nothing_to_sufficient_features(sufficient):
    one = information_of_a_level()
    nats = told(sufficient)
    assert nats["features"] == pytest.approx(2 * one, abs=0.2)
    assert nats["both"] == pytest.approx(nats["features"], abs=0.2)
    assert nats["both"] < 2 * one + 0.15  # more than there is cannot be told


def test_entropy_and_information_add_up_to_that_of_the_prior(sufficient):
    prior_entropy = sum(np.log(p.high - p.low) for p in sufficient.parameters)
    for values in sufficient.card["information"]["inputs"].values():
        assert values["entropy"] + values["information"] == pytest.approx(prior_entropy)
    assert sufficient.card["information"]["simulations"] == 400


def test_one_network_answers_with_either_input_and_with_both(blind):
    simulator = TwoLevels(features="blind")
    observation = simulator.observation(-71.0, -66.0, STEP)
    trace = simulator.observe_binned(observation, blind.trace_bins)
    nothing = np.zeros(1, dtype=bool)
    answers = {
        "features": blind.posterior(observation.x, STEP),
        "trace": blind.posterior(observation.x, STEP, nothing, trace),
        "both": blind.posterior(observation.x, STEP, None, trace),
    }
    for name, posterior in answers.items():
        theta = posterior.sample(1500, seed=3)
        assert theta[:, 0].mean() == pytest.approx(-71.0, abs=0.3)
        assert theta[:, 0].std() == pytest.approx(NOISE, rel=0.4)
        if name == "features":
            assert theta[:, 1].std() == pytest.approx(10 / np.sqrt(12), rel=0.15)
        else:
            assert theta[:, 1].mean() == pytest.approx(-66.0, abs=0.4)
            assert theta[:, 1].std() < 1.0


def test_a_network_of_the_trace_alone_ignores_features():
    network = trained("sufficient", "trace", n=600, epochs=1)
    simulator = TwoLevels()
    observation = simulator.observation(-71.0, -66.0, STEP)
    trace = simulator.observe_binned(observation, network.trace_bins)
    assert list(network.card["information"]["inputs"]) == ["trace"]
    one = network.posterior(observation.x, STEP, None, trace)
    other = network.posterior(observation.x + 5, STEP, None, trace)
    assert (one.condition == other.condition).all()
    undefined = network.posterior(np.full(2, np.nan), STEP, None, trace)
    assert (one.condition == undefined.condition).all()
    with pytest.raises(BadInputError, match="sees traces only"):
        network.posterior(observation.x, STEP)


def test_card_and_weights_make_the_same_network_again(blind):
    card = json.loads(json.dumps(blind.card))
    again = load_network(card, network_weights(blind))
    assert isinstance(again.encoder, TraceEncoder)
    assert again.inputs == "both"
    assert again.trace_bins == blind.trace_bins
    simulator = TwoLevels(features="blind")
    observation = simulator.observation(-70.0, -64.0, STEP)
    trace = simulator.observe_binned(observation, again.trace_bins)
    samples = [
        n.posterior(observation.x, STEP, None, trace).sample(50, seed=1) for n in (blind, again)
    ]
    np.testing.assert_array_equal(*samples)


def test_sbi_takes_it(blind):
    simulator = TwoLevels(features="blind")
    observation = simulator.observation(-70.0, -64.0, STEP)
    trace = simulator.observe_binned(observation, blind.trace_bins)
    posterior = blind.posterior(observation.x, STEP, None, trace)
    draws = posterior.to_sbi().sample((200,), show_progress_bars=False)
    assert draws.shape == (200, 2)
    assert draws[:, 1].mean() == pytest.approx(-64.0, abs=0.5)


def test_rows_are_the_same_however_they_are_read(blind):
    simulations = MemorySimulations(TwoLevels(features="blind"), 300, traces=True)
    estimator = blind.estimator
    source = EncodedTraces(
        simulations,
        np.flatnonzero(np.arange(300) % 7),  # some failed
        encoder=blind.encoder,
        bijection=estimator.bijection,
        center=estimator.center,
        scale=estimator.scale,
        inputs="both",
        withheld=0.9,
        seed=3,
    )
    whole, bounds = source.read(0, len(source)), (0, 1, 100, 257)
    parts = [source.read(i, j) for i, j in zip(bounds[:-1], bounds[1:], strict=True)]
    for column, pieces in zip(whole, zip(*parts, strict=True), strict=True):
        assert torch.equal(column, torch.cat(pieces))
    flags = whole[1][:, 1]
    assert 0 < (flags == 0).float().mean() < 0.9  # the feature is withheld from some


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"inputs": "spikes"}, "inputs is one of features, trace, both"),
        ({"trace_filters": 0}, "trace_filters must be at least 1"),
    ],
)
def test_bad_options_are_one_sentence(options, sentence):
    with pytest.raises(BadInputError, match=sentence):
        method_config("npe", **options)


def test_simulations_without_traces_are_refused():
    simulations = MemorySimulations(LinearGaussian(), 200)
    config = method_config("npe", **QUICK | {"inputs": "both"})
    with pytest.raises(BadInputError, match="features only; simulate with --traces"):
        train_method("npe", simulations, config, device="cpu", progress=False)


def test_sets_of_sweeps_are_refused():
    simulations = MemorySimulations(TwoLevels(), 200, family=SweepSets(FAMILY, sizes=(1, 2)))
    config = method_config("npe", **QUICK | {"inputs": "trace"})
    with pytest.raises(BadInputError, match="sets of sweeps read features only"):
        train_method("npe", simulations, config, device="cpu", progress=False)


def test_wrong_traces_are_one_sentence(blind):
    with pytest.raises(BadInputError, match="3 channels and 102 bins"):
        blind.posterior(np.zeros(1), STEP, None, np.zeros((3, 5)))
    with pytest.raises(BadInputError, match="no voltage in any bin"):
        blind.posterior(np.zeros(1), STEP, None, np.full(blind.trace_bins.shape, np.nan))
    plain = trained("blind", "features", n=300, epochs=1)
    assert plain.trace_bins is None
    with pytest.raises(BadInputError, match="features only"):
        plain.posterior(np.zeros(1), STEP, None, np.zeros((3, 102)))
