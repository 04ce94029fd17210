import dataclasses
import json
import os
import signal

import numpy as np
import pytest
import torch
from memory_simulations import MemorySimulations, as_arrays
from toys import LinearGaussian

import neurosbi
from neurosbi.errors import BadInputError, FitError, InterruptedRunError
from neurosbi.inference.estimator import FlowEstimator
from neurosbi.steps.train import network_key, open_network, train

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
    with pytest.raises(
        BadInputError, match=r"simulations or options \(seed 0 there, 1 asked for\)"
    ):
        train(simulations, out=path, seed=1, **FAST)
    with pytest.raises(BadInputError, match="exists; choose another output"):
        train(simulations, out=path, existing="error", **FAST)
    assert (path / "weights.safetensors").stat().st_mtime_ns == written
    with pytest.raises(BadInputError, match=r"options \(trend True there, False asked for\)"):
        train(simulations, out=path, trend=False, **FAST)
    train(simulations, out=path, seed=1, existing="overwrite", **FAST)
    assert json.loads((path / "card.json").read_text())["seed"] == 1


def test_simulations_of_an_older_simulator_are_told(simulations, tmp_path, capsys):
    options = FAST | {"progress": True}
    present = {"simulator": "spiking", "version": neurosbi.simulator("spiking").version}
    train(as_arrays(simulations, simulator_config=present), out=tmp_path / "a", **options)
    assert "version" not in capsys.readouterr().err
    old = present | {"version": "0"}
    train(as_arrays(simulations, simulator_config=old), out=tmp_path / "b", **options)
    installed = f"installed is version {present['version']}"
    assert f"are of spiking version 0, {installed}" in capsys.readouterr().err


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


def interrupt_at_second_step(monkeypatch):
    """Ctrl-C in the second step of the next training; gives what undoes it."""
    plain, calls = FlowEstimator.unconstrained_loss, []

    def interrupted(self, z, condition):
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return plain(self, z, condition)

    monkeypatch.setattr(FlowEstimator, "unconstrained_loss", interrupted)
    return lambda: monkeypatch.setattr(FlowEstimator, "unconstrained_loss", plain)


def test_interrupted_and_continued(simulations, tmp_path, monkeypatch):
    whole = train(simulations, out=tmp_path / "whole", **FAST)
    undo = interrupt_at_second_step(monkeypatch)
    with pytest.raises(InterruptedRunError):
        train(simulations, out=tmp_path / "net", **FAST)
    assert not (tmp_path / "net").exists()
    undo()
    continued = train(simulations, out=tmp_path / "net", **FAST)
    for name, value in whole.estimator.state_dict().items():
        assert torch.equal(value, continued.estimator.state_dict()[name])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net", "whole"]


def test_an_interrupted_replacement_goes_on_and_is_then_done_with(
    simulations, tmp_path, monkeypatch, capsys
):
    whole = train(simulations, out=tmp_path / "whole", seed=1, **FAST)
    train(simulations, out=tmp_path / "net", **FAST)
    undo = interrupt_at_second_step(monkeypatch)
    replacing = {**FAST, "out": tmp_path / "net", "existing": "overwrite", "progress": True}
    with pytest.raises(InterruptedRunError):
        train(simulations, seed=1, **replacing)
    assert open_network(tmp_path / "net").card["seed"] == 0  # still there
    undo()
    capsys.readouterr()
    continued = train(simulations, seed=1, **replacing)
    assert "continuing from" in capsys.readouterr().err
    for name, value in whole.estimator.state_dict().items():
        assert torch.equal(value, continued.estimator.state_dict()[name])
    # what was interrupted with other options does not stand in the way of a replacement
    interrupt_at_second_step(monkeypatch)
    with pytest.raises(InterruptedRunError):
        train(simulations, seed=2, **replacing)
    undo()
    train(simulations, seed=3, **replacing)
    assert open_network(tmp_path / "net").card["seed"] == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net", "whole"]


def test_a_training_with_other_options_is_not_continued(simulations, tmp_path, monkeypatch):
    undo = interrupt_at_second_step(monkeypatch)
    with pytest.raises(InterruptedRunError):
        train(simulations, out=tmp_path / "net", **FAST)
    undo()
    with pytest.raises(BadInputError, match="belongs to a training with other data"):
        train(simulations, out=tmp_path / "net", trend=False, **FAST)


def test_a_training_that_diverged_leaves_nothing(simulations, tmp_path, monkeypatch):
    plain, calls = FlowEstimator.unconstrained_loss, []

    def diverging(self, z, condition):
        calls.append(1)
        return plain(self, z, condition) * (1.0 if len(calls) < 12 else torch.nan)

    with monkeypatch.context() as patched:
        patched.setattr(FlowEstimator, "unconstrained_loss", diverging)
        with pytest.raises(FitError, match="lower the learning rate"):
            train(simulations, out=tmp_path / "net", checkpoint_seconds=1e-9, **FAST)
    assert list(tmp_path.iterdir()) == []
    train(simulations, out=tmp_path / "net", learning_rate=1e-3, **FAST)


def test_arrays_in_memory_are_told_apart_by_what_they_hold(tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(tmp_path))
    made = MemorySimulations(LinearGaussian(), 300)
    means = []
    for sign in (1.0, -1.0):
        network = train(as_arrays(made, x=sign * made.x), **FAST)
        draws = network.posterior(np.array([2.0, 2.0, 2.0, 2.0])).sample(300, seed=0)
        means.append(draws.mean())
    assert means[0] * means[1] < 0


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


def test_remains_in_the_cache_are_replaced(simulations, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(tmp_path))
    network = train(simulations, **FAST)
    path = tmp_path / "networks" / network.card["config_hash"]
    (path / "weights.safetensors").unlink()
    checkpoint = path.with_name(f".{path.name}.training")
    checkpoint.write_bytes(b"half a checkpoint")
    again = train(simulations, **(FAST | {"progress": True}))
    assert "training from the start" in capsys.readouterr().err
    assert not checkpoint.exists()
    for name, value in network.estimator.state_dict().items():
        assert torch.equal(value, again.estimator.state_dict()[name])
    # a place that the user chose is not ours to clean
    (tmp_path / ".net.training").write_bytes(b"half a checkpoint")
    with pytest.raises(BadInputError, match="not a readable training checkpoint"):
        train(simulations, out=tmp_path / "net", **FAST)


def test_the_key_holds_what_the_weights_depend_on(simulations):
    from neurosbi.inference.methods import METHODS, method_config

    def key(**options):
        config = method_config("npe", **options)
        return network_key(simulations, method="npe", seed=0, config=config)

    assert key(threads=2, checkpoint_seconds=1.0) == key()
    changed = [key(memory_gb=0.5), key(max_minutes=1.0), key(epochs=3), key(withheld=0.0)]
    assert len({key(), *changed}) == 5
    before = key()
    newer = dataclasses.replace(METHODS["npe"], version=METHODS["npe"].version + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS, "npe", newer)
        assert key() != before
