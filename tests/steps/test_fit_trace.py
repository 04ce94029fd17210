"""Fits of real recordings to their traces."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from toys import LinearGaussian

import neurosbi as nb
from neurosbi.cli import main
from neurosbi.errors import BadInputError
from neurosbi.steps.plan import plan_fit

DATA = Path(__file__).parents[2] / "data"
ALLEN = DATA / "allen_cell_types" / "specimen_518290966" / "ephys.nwb"
SEVERAL = DATA / "current_clamp" / "171116sh_0018.abf"
QUICK = {
    "simulations": 1000,
    "samples": 100,
    "epochs": 1,
    "trace_filters": 8,
    "ensemble": 1,
    "progress": False,
}


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _cache(shared_cache, monkeypatch):
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(shared_cache))


@pytest.fixture(scope="module")
def fitted(shared_cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "cell"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEUROSBI_CACHE_DIR", str(shared_cache))
        return nb.fit(ALLEN, output=folder, inputs="both", seed=1, **QUICK)


def test_the_result_compares_the_inputs(fitted):
    group = xr.open_datatree(fitted.folder / "results.zarr", engine="zarr")["inputs"]
    assert list(group["input"].values) == ["features", "trace", "both"]
    for name in ("information", "entropy", "information_here", "distance"):
        assert np.isfinite(group[name].values).all()
    assert group.attrs["simulations"] == 100
    card = fitted.network.card["information"]["inputs"]
    np.testing.assert_allclose(
        group["information"].values, [card[k]["information"] for k in ("features", "trace", "both")]
    )
    report = (fitted.folder / "report.html").read_text()
    assert "Features or trace: which told more?" in report
    assert "On average over simulations" in report
    assert fitted.config["inputs"] == "both"


def test_the_trace_is_that_of_the_recording(fitted):
    stored = fitted.stored.inputs
    observation = fitted.observation
    window = {"onset": observation.stimulus.onset, "offset": observation.stimulus.offset}
    expected = stored.bins.of(observation.voltage, dt=observation.dt, **window)[0]
    np.testing.assert_allclose(stored.trace, expected, rtol=1e-6)
    # a step of 1 s: coarse bins up to there, none behind
    time = stored.bins.time[np.isfinite(stored.trace[0])]
    assert time.max() == pytest.approx(1000, abs=5)


def test_an_opened_result_says_the_same(fitted):
    opened = nb.open_result(fitted.folder)
    assert opened.input_sentence == fitted.input_sentence
    np.testing.assert_array_equal(opened.stored.inputs.trace, fitted.stored.inputs.trace)
    ours, theirs = (r.to_sbi().default_x.numpy() for r in (fitted, opened))
    np.testing.assert_array_equal(ours, theirs)


def test_it_is_calibrated_on_what_the_training_held_out(fitted):
    calibration = fitted.calibration
    assert (calibration.n, calibration.held_out) == (100, True)
    assert calibration.sentence in (fitted.folder / "report.html").read_text()
    # a check has no traces to simulate for: it keeps that calibration
    assert nb.check(fitted.network_folder, progress=False).held_out


def test_that_it_was_not_calibrated_is_said(tmp_path, capsys):
    few = QUICK | {"simulations": 300, "progress": True}
    result = nb.fit(ALLEN, output=tmp_path / "few", inputs="trace", seed=1, **few)
    assert result.calibration is None
    assert "train on more" in capsys.readouterr().err
    assert any("calibration of the network was not tested" in r for r in result.verdict.reasons)
    assert nb.check(tmp_path / "few", progress=False).calibration is None


def test_a_network_given_brings_its_inputs(fitted):
    plan = plan_fit(ALLEN, network=fitted.network)
    assert plan.config["inputs"] == "both"
    np.testing.assert_array_equal(plan.trace, fitted.stored.inputs.trace)
    with pytest.raises(BadInputError, match="inputs would change a training"):
        nb.fit(ALLEN, network=fitted.network, inputs="trace", progress=False)


def test_the_trace_alone_is_not_compared(fitted, tmp_path):
    result = nb.fit(ALLEN, output=tmp_path / "t", inputs="trace", seed=1, **QUICK)
    assert result.input_sentence == ""
    assert result.stored.inputs.comparison is None
    assert nb.open_result(tmp_path / "t").stored.inputs.trace.shape == (3, 390)


def test_of_several_sweeps_one_is_taken_and_several_named_are_refused():
    plan = plan_fit(SEVERAL, simulator="hodgkin-huxley-cortical", inputs="trace")
    assert not plan.together
    assert any("one sweep by itself" in note for note in plan.observation.notes)
    with pytest.raises(BadInputError, match="takes one sweep, but 3 are named"):
        plan_fit(SEVERAL, simulator="hodgkin-huxley-cortical", inputs="both", sweeps="10,11,12")


def test_the_command_line(tmp_path, capsys, shared_cache):
    store, net = str(tmp_path / "sims.zarr"), str(tmp_path / "net")

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main(list(arguments))
        return stop.value.code

    assert run("simulate", "hodgkin-huxley", "-n", "300", "--traces", "-o", store, "-q") == 0
    train = ("train", store, "--epochs", "1", "-q")
    assert run(*train, "--inputs", "both", "-o", net, "--format", "json") == 0
    printed = capsys.readouterr().out
    summary = json.loads(printed[printed.index("{") :])
    assert set(summary["information_by_input"]) == {"features", "trace", "both"}
    plain = str(tmp_path / "plain.zarr")
    assert run("simulate", "hodgkin-huxley", "-n", "300", "-o", plain, "-q") == 0
    assert run("train", plain, "--inputs", "trace", "-o", str(tmp_path / "no"), "-q") == 2
    assert "simulate with --traces" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_a_simulator_without_traces_is_one_sentence():
    from neurosbi.steps.train import cached_path

    model = LinearGaussian()
    with pytest.raises(BadInputError, match="gives features only, no traces"):
        cached_path(model, model.stimulus_family, n=100, options={"inputs": "trace"})
