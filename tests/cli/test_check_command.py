"""The verb check: the verdict first, plain data, exit codes."""

import json
from pathlib import Path

import passive_cell
import pytest
from memory_simulations import MemorySimulations
from passive_cell import SIMULATOR

import neurosbi as nb
from neurosbi.cli import main
from neurosbi.steps.result_folder import write_result

QUICK = ["-n", "100", "--draws", "19", "--quiet"]


@pytest.fixture(autouse=True)
def _installed(monkeypatch, tmp_path):
    monkeypatch.setattr("neurosbi.steps.check.make_simulator", lambda name, **settings: SIMULATOR)
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    printed = capsys.readouterr()
    return stop.value.code, printed.out, printed.err


def test_results_and_networks(capsys):
    options = {"epochs": 3, "transforms": 1, "hidden": (16,), "min_steps": 1}
    nb.train(
        MemorySimulations(SIMULATOR, 1000), out="network", device="cpu", progress=False, **options
    )
    config = {"method": "npe", "network_path": str(Path("network").absolute())}
    write_result(passive_cell.fitted(config=config), "result")

    code, out, err = run(capsys, "check", "result", *QUICK)
    assert (code, err) == (0, "")
    first = next(line for line in out.splitlines() if line.strip())
    assert any(word in first for word in ("trusted", "caution", "Do not use"))
    assert "At this recording the posterior" in " ".join(out.split())

    code, out, _ = run(capsys, "check", "result", *QUICK, "--format", "json")
    shown = json.loads(out)
    assert code == 0
    assert shown["checks"]["calibration"]["simulations"] == 100
    assert 0 < shown["checks"]["local_calibration"]["p"] <= 1
    assert len(shown["checks"]["parameters"]) == 3

    code, out, _ = run(capsys, "check", "network", *QUICK)
    assert code == 0
    assert "network" in out.splitlines()[0]
    code, out, _ = run(capsys, "check", "network", *QUICK, "--format", "json")
    assert json.loads(out)["verdict"]["level"] in ("trust", "caution", "do not use")

    code, out, err = run(capsys, "check", "network", "-n", "200", "--time-limit", "1e-6", "-q")
    assert (code, out) == (2, "")
    assert "too short for one batch" in err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nowhere"], "nowhere"),
        (["nowhere", "--draws", "2"], "--draws"),
        (["nowhere", "--device", "quantum"], "--device"),
    ],
)
def test_bad_input_is_one_sentence(capsys, arguments, word):
    code, out, err = run(capsys, "check", *arguments)
    assert (code, out) == (2, "")
    assert word in err
    assert err.count("\n") == 1
