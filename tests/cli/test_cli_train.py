import json

import pytest
from memory_simulations import MemorySimulations
from toys import LinearGaussian

import neurosbi.store
from neurosbi.cli import main


@pytest.fixture
def store(monkeypatch, tmp_path):
    simulations = MemorySimulations(LinearGaussian(), 400)
    monkeypatch.setattr(neurosbi.store, "open_simulations", lambda path: simulations, raising=False)
    return str(tmp_path / "sims.zarr")


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main(["train", *arguments])
    return stop.value.code


def test_text_and_json_summaries(store, tmp_path, capsys):
    out = str(tmp_path / "net")
    assert run(store, "-o", out, "--epochs", "2", "--threads", "1") == 0
    text = capsys.readouterr()
    assert "400 used" in text.out
    assert "2 epochs" in text.out
    assert "Training" in text.err
    assert run(store, "-o", out, "--epochs", "2", "--threads", "1", "--format", "json", "-q") == 0
    printed = capsys.readouterr()
    summary = json.loads(printed.out)
    assert (summary["network"], summary["epochs"], summary["simulator"]) == (
        out,
        2,
        "linear-gaussian",
    )
    assert printed.err == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--method", "nope"], "there is no method 'nope'"),
        (["--device", "tpu"], "device 'tpu' is unknown"),
        (["--learning-rate", "-1"], "learning_rate must be positive"),
    ],
)
def test_bad_options_end_with_code_2(store, tmp_path, capsys, arguments, sentence):
    assert run(store, "-o", str(tmp_path / "net"), *arguments) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "net").exists()
