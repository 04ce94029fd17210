import json

import numpy as np
import pytest
import torch
from memory_simulations import MemorySimulations
from toys import LinearGaussian

from neurosbi.errors import BadInputError, InterruptedRunError
from neurosbi.steps.train import open_network, train

FAST = {"epochs": 2, "hidden": (16,), "transforms": 1, "threads": 1, "progress": False}


@pytest.fixture(scope="module")
def simulations():
    return MemorySimulations(LinearGaussian(), 800)


def test_what_train_returns_is_what_open_network_gives(simulations, tmp_path):
    network = train(simulations, out=tmp_path / "net", **FAST)
    again = open_network(tmp_path / "net")
    x_o = np.array([0.1, 0.2, 0.3, 0.4])
    draws = [n.posterior(x_o).sample(500, seed=1) for n in (network, again)]
    np.testing.assert_array_equal(*draws)
    assert again.card["config_hash"] == network.card["config_hash"]
    assert [p.name for p in again.parameters] == ["t0", "t1", "t2"]
    assert [p.name for p in tmp_path.iterdir()] == ["net"]


def test_a_finished_network_is_opened_and_another_one_is_kept(simulations, tmp_path):
    path = tmp_path / "net"
    train(simulations, out=path, **FAST)
    written = (path / "weights.safetensors").stat().st_mtime_ns
    train(simulations, out=path, **FAST)
    assert (path / "weights.safetensors").stat().st_mtime_ns == written
    with pytest.raises(BadInputError, match="holds a network of other simulations or options"):
        train(simulations, out=path, seed=1, **FAST)
    with pytest.raises(BadInputError, match="exists; choose another output"):
        train(simulations, out=path, existing="error", **FAST)
    assert (path / "weights.safetensors").stat().st_mtime_ns == written
    train(simulations, out=path, seed=1, existing="overwrite", **FAST)
    assert json.loads((path / "card.json").read_text())["seed"] == 1


def test_nothing_that_is_not_a_network_is_replaced(simulations, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    for path in (tmp_path / "notes", tmp_path / "notes" / "a.txt"):
        with pytest.raises(BadInputError, match="is not a network"):
            train(simulations, out=path, existing="overwrite", **FAST)
    assert (tmp_path / "notes" / "a.txt").read_text() == "mine"


def test_without_out_the_cache_keeps_it(simulations, tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(tmp_path))
    network = train(simulations, **FAST)
    key = network.card["config_hash"]
    assert (tmp_path / "networks" / key / "card.json").exists()
    assert train(simulations, **FAST).card == network.card
    assert len(list((tmp_path / "networks").iterdir())) == 1


def test_interrupted_and_continued(simulations, tmp_path, monkeypatch):
    whole = train(simulations, out=tmp_path / "whole", **FAST)
    from neurosbi.inference.estimator import FlowEstimator

    plain, calls = FlowEstimator.unconstrained_loss, []

    def interrupted(self, z, condition):
        calls.append(1)
        if len(calls) == 2:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGINT)
        return plain(self, z, condition)

    monkeypatch.setattr(FlowEstimator, "unconstrained_loss", interrupted)
    with pytest.raises(InterruptedRunError):
        train(simulations, out=tmp_path / "net", **FAST)
    assert not (tmp_path / "net").exists()
    monkeypatch.setattr(FlowEstimator, "unconstrained_loss", plain)
    continued = train(simulations, out=tmp_path / "net", **FAST)
    for name, value in whole.estimator.state_dict().items():
        assert torch.equal(value, continued.estimator.state_dict()[name])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net", "whole"]


def test_a_card_that_does_not_fit_its_weights(simulations, tmp_path):
    path = tmp_path / "net"
    train(simulations, out=path, **FAST)
    card = json.loads((path / "card.json").read_text())
    card["builder"]["hidden"] = [8]
    (path / "card.json").write_text(json.dumps(card))
    with pytest.raises(BadInputError, match="do not fit its card"):
        open_network(path)
    del card["builder"]
    (path / "card.json").write_text(json.dumps(card))
    with pytest.raises(BadInputError, match="card of this network is incomplete"):
        open_network(path)
