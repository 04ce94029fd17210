"""The verbs simulate, simulators and doctor, with simulators of an installed package."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from slow_toys import HalfDefined
from toys import PassiveMembrane

import neurosbi as nb
import neurosbi.cli.app as app_module
from neurosbi.cli import main
from neurosbi.contract import Setting

ENTRY_POINTS = """[neurosbi.simulators]
half-defined = slow_toys:HalfDefined
passive-membrane = toys:PassiveMembrane
slow-membrane = slow_toys:SlowMembrane
toy-tuned = test_simulate_verbs:Tuned
toy-absent = no_such_module_at_all:Model
"""


class Tuned(PassiveMembrane):
    name = "toy-tuned"
    papers = ("Somebody et al. 2020, doi:10.0/0",)
    setting_table = (Setting("gain", "1", 1.0, "a factor"), Setting("kind", "", "plain"))


@pytest.fixture(autouse=True)
def _installed_package(tmp_path, monkeypatch):
    packages = tmp_path / "site"
    folder = packages / "toy_package-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-package\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(packages)
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys):
    def _run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return _run


def test_simulate_prints_a_summary(run, tmp_path):
    code, out, err = run("simulate", "half-defined", "-n", 300, "-o", "s.zarr", "--seed", 7)
    assert code == 0
    store = nb.open_simulations(tmp_path / "s.zarr")
    theta = HalfDefined().sample_prior(300, seed=7)
    valid = theta[:, 1] <= 2
    np.testing.assert_array_equal(store.valid, valid)
    assert out.splitlines()[0] == "s.zarr: 300 of 300 simulations of half-defined, seed 7"
    assert f"ended properly: {100 * valid.mean():.2f} %" in out
    assert f"y3  {100 * (theta[valid, 0] < 0).mean():6.2f} %" in out
    assert "simulating half-defined: done" in err


def test_simulate_as_json_keeps_stdout_clean(run):
    arguments = ("simulate", "half-defined", "-n", 300, "-o", "s.zarr", "--format", "json")
    code, out, _ = run(*arguments)
    report = json.loads(out)
    assert code == 0
    assert (report["n"], report["done"], report["complete"]) == (300, 300, True)
    assert report["simulations_per_second"] > 0
    assert 0.3 < report["undefined_fraction"]["y3"] < 0.7
    code, out, err = run(*arguments, "--quiet")
    again = json.loads(out)
    assert (again["simulated_now"], again["simulations_per_second"], err) == (0, None, "")


def test_shards_for_cluster_jobs(run):
    common = ("simulate", "passive-membrane", "-n", 64, "-o", "s.zarr", "--shard-size", 16, "-q")
    code, out, _ = run(*common, "--shards", "0,2-3")
    assert code == 0
    assert "48 of 64" in out
    assert "not complete" in out
    code, out, _ = run(*common, "--shards", "1")
    assert "64 of 64" in out
    assert "not complete" not in out


def test_settings_features_and_stimulus_reach_the_simulator(run):
    code, _, _ = run(
        "simulate", "toy-tuned", "-n", 20, "-o", "s.zarr", "--set", "gain=2.5", "--set", "kind=odd",
        "--features", "default", "--stimulus", "amplitude=33,onset=60,duration=150", "--quiet",
    )  # fmt: skip
    assert code == 0
    store = nb.open_simulations("s.zarr")
    assert store.config.simulator["settings"] == {"gain": 2.5, "kind": "odd"}
    assert store.family.only.amplitude == 33


def test_without_output_it_goes_to_the_cache(run, tmp_path):
    code, out, _ = run("simulate", "passive-membrane", "-n", 20, "--quiet")
    assert code == 0
    assert out.startswith(str(tmp_path / "cache" / "simulations" / "passive-membrane-"))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["half-defind", "-n", "9"], 2, "no simulator 'half-defind'; did you mean half-defined?"),
        (["toy-absent", "-n", "9"], 3, "cannot be imported"),
        (["half-defined"], 2, "Missing option '-n'"),
        (["half-defined", "-n", "0"], 2, "Invalid value for '-n'"),
        (["half-defined", "-n", "9", "--set", "gain=2"], 2, "has no setting 'gain'"),
        (["half-defined", "-n", "9", "--features", "wide"], 2, "has no feature set 'wide'"),
        (["half-defined", "-n", "9", "--stimulus", "strong"], 2, "a stimulus is family, default"),
        (["half-defined", "-n", "9", "--shards", "x"], 2, "shards are written like"),
        (["half-defined", "-n", "9", "-o", "site"], 2, "not a store of simulations"),
        (["half-defined", "-n", "9", "-o", "site", "--existing", "overwrite"], 2, "left as it is"),
    ],
)
def test_mistakes_are_explained_in_one_sentence(run, arguments, code, words):
    got, out, err = run("simulate", *arguments)
    assert got == code
    assert out == ""
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err


def test_another_configuration(run):
    run("simulate", "half-defined", "-n", 20, "-o", "s.zarr", "-q")
    code, _, err = run("simulate", "half-defined", "-n", 20, "-o", "s.zarr", "--seed", 1, "-q")
    assert code == 2
    assert "seed is 0 there, 1 here" in err
    code, _, _ = run(
        "simulate", "half-defined", "-n", 20, "-o", "s.zarr", "--seed", 1, "--existing", "overwrite"
    )
    assert code == 0
    assert nb.open_simulations("s.zarr").seed == 1


def test_ctrl_c(tmp_path):
    search = os.pathsep.join([str(tmp_path / "site"), *filter(None, sys.path)])
    process = subprocess.Popen(
        [sys.executable, "-c", "from neurosbi.cli import main; main()", "simulate", "slow-membrane",
         "-n", "100000", "-o", "s.zarr", "--shard-size", "16"],
        env=os.environ | {"PYTHONPATH": search}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while len(list(tmp_path.glob("s.zarr/shards/*.json"))) < 3 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    done = int(re.search(r"stopped with (\d+) of 100000 simulations done", err)[1])
    store = nb.open_simulations(tmp_path / "s.zarr")
    assert done == store.summary().done > 0
    assert store.damaged_shards() == ()
    assert "Traceback" not in err


def test_help_teaches_with_an_example(run):
    code, out, _ = run("simulate", "--help")
    assert code == 0
    assert "neurosbi simulate hodgkin-huxley -n 100000 -o sims.zarr" in out
    assert "--shards" in out
    assert "(default: in the cache)" in " ".join(out.split())


PROSE = """Say what it does in a first
    sentence.

    A paragraph that is
    broken at 100 columns.

        neurosbi verb file
        --option 1

    - one thing
    - another
    """


def test_help_joins_the_lines_of_paragraphs_and_keeps_examples_and_lists():
    def verb():
        pass

    verb.__doc__ = PROSE
    assert app_module._help(verb) == (
        "Say what it does in a first sentence.\n\nA paragraph that is broken at 100 columns.\n\n"
        "    neurosbi verb file\n    --option 1\n\n- one thing\n- another"
    )


@pytest.mark.parametrize("verb", ["fit", "check", "report", "doctor"])
def test_no_line_of_a_help_breaks_off_early(run, monkeypatch, verb):
    """A line ends where the first word of the next would not fit, else the paragraph ends."""
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = run(verb, "--help")
    prose = [line.strip() for line in out.split("\u256d")[0].splitlines()]
    for line, following in itertools.pairwise(prose):
        if line and following:
            assert len(line) + 1 + len(following.split()[0]) > 78


@pytest.mark.parametrize("arguments", [(), ("simulate",)])
def test_without_arguments_there_is_help(run, arguments):
    code, out, err = run(*arguments)
    assert code == 2
    assert "Usage: neurosbi" in out
    assert err == ""


# ---- simulators -------------------------------------------------------------------------------


def test_simulators_lists_all_and_survives_a_broken_one(run):
    code, out, err = run("simulators")
    assert code == 0
    assert re.search(r"^half-defined +3 +default +a linear map", out, re.MULTILINE)
    assert "Somebody et al. 2020" in out
    absent = [line for line in err.splitlines() if "toy-absent" in line]
    assert len(absent) == 1
    assert "no_such_module_at_all:Model, which cannot be imported" in absent[0]


@pytest.mark.parametrize("width", [80, 100])
def test_the_list_fits_a_terminal(run, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    _, out, _ = run("simulators")
    assert max(map(len, out.splitlines())) <= width
    assert re.search(r"^neuron-ball-and-stick +12 +soma, dendrite and axon", out, re.MULTILINE)
    assert "doi" not in out
    assert "neurosbi simulators NAME" in out


def test_a_setting_without_a_value_is_a_dash_and_told(run):
    for name, setting in (("spiking", "sizes +neurons"), ("hodgkin-huxley", "area +cm2")):
        _, out, _ = run("simulators", name)
        assert re.search(rf"^{setting} +- +.*; by default ", out, re.MULTILINE)


def test_one_simulator_in_full(run):
    code, out, _ = run("simulators", "toy-tuned")
    assert code == 0
    assert re.search(r"^tau +ms +5 to 40 +linear +time constant", out, re.MULTILINE)
    assert re.search(r"^gain +1 +1.0 +model +a factor", out, re.MULTILINE)
    assert re.search(r"^charging_time +ms +time to 63 %", out, re.MULTILINE)
    assert "amplitude 10 to 100 pA (log)" in out
    assert "a step of 50 pA from 60 to 210 ms" in out


def test_simulators_as_json(run):
    _, out, _ = run("simulators", "--format", "json")
    listing = json.loads(out)
    assert "half-defined" in [s["name"] for s in listing["simulators"]]
    assert "toy-absent" in listing["unavailable"]
    _, out, _ = run("simulators", "passive-membrane", "--format", "json")
    model = json.loads(out)
    assert model["parameters"][1]["name"] == "tau"
    assert model["parameters"][1]["high"] == 40.0
    assert model["feature_sets"]["default"][2]["unit"] == "ms"


def test_an_unknown_simulator(run):
    code, out, err = run("simulators", "nothing-like-it")
    assert (code, out) == (2, "")
    assert "no simulator 'nothing-like-it'" in err


# ---- doctor -----------------------------------------------------------------------------------


def test_doctor_finds_everything_in_place(run, tmp_path):
    code, out, _ = run("doctor")
    assert code == 0
    assert re.search(rf"^ok +numpy +{re.escape(np.__version__)}$", out, re.MULTILINE)
    assert f"{tmp_path / 'cache'}, 0 files" in out
    assert re.search(r"^note +simulator toy-absent +.*cannot be imported", out, re.MULTILINE)
    assert re.search(r"^ok +simulator half-defined +version 1, 3 parameters", out, re.MULTILINE)


def test_doctor_lists_optional_programs_without_importing_them(run, tmp_path, monkeypatch):
    for name in ("neuron", "brian2"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        (tmp_path / "site" / f"{name}.py").write_text("raise RuntimeError('imported')\n")
        info = tmp_path / "site" / f"{name}-99.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 99.1\n")
    code, out, _ = run("doctor")
    assert code == 0
    assert re.search(r"^ok +neuron +99.1$", out, re.MULTILINE)
    assert re.search(r"^ok +brian2 +99.1$", out, re.MULTILINE)
    assert re.search(r"^ok +simulator neuron-point +version 1, 8 parameters$", out, re.MULTILINE)


def test_doctor_notes_what_cannot_simulate_without_neuron(run, monkeypatch):
    for name in ("neuron", "brian2"):
        monkeypatch.setitem(sys.modules, name, None)
    code, out, _ = run("doctor")
    assert code == 0
    assert re.search(
        r"^note +neuron +not installed: pip install 'neurosbi\[neuron\]'", out, re.MULTILINE
    )
    assert re.search(r"^note +brian2 +not installed: pip install 'brian2>=2.9'", out, re.MULTILINE)
    for name in ("neuron-point", "neuron-ball-and-stick"):
        line = rf"^note +simulator {name} .*needs neuron, not installed: pip install 'neurosbi"
        assert re.search(line, out, re.MULTILINE)
    assert re.search(r"^ok +simulator hodgkin-huxley ", out, re.MULTILINE)


def test_doctor_ends_with_3_if_something_is_broken(run, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(tmp_path / "file" / "cache"))
    monkeypatch.setitem(sys.modules, "pyabf", None)
    code, out, err = run("doctor", "--format", "json")
    assert code == 3
    states = {f["what"]: f["state"] for f in json.loads(out)}
    assert states["cache"] == states["pyabf"] == "broken"
    assert states["numpy"] == "ok"
    assert "something neurosbi needs is broken: pyabf, cache" in err
