"""A newcomer adds a simulator from the guide alone: its files, its commands, the laws."""

import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from docs_pages import commands, write_files

import neurosbi as nb
from neurosbi.contract import Stimulus

PAGE = "contribute/add-a-simulator.md"
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The package of the guide, installed as far as Python's import system can tell."""
    folder = tmp_path_factory.mktemp("package")
    names = {path.name for path in write_files(PAGE, folder)}
    assert names == {"pyproject.toml", "integrate_and_fire.py"}
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = project["entry-points"]["neurosbi.simulators"]
    (info / "entry_points.txt").write_text(
        "[neurosbi.simulators]\n" + "".join(f"{k} = {v}\n" for k, v in points.items())
    )
    return folder


@pytest.fixture
def model(package, monkeypatch):
    monkeypatch.syspath_prepend(package)
    return nb.simulator("integrate-and-fire")


def run(arguments, *, package, folder, **keywords):
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")]),
        "NEUROSBI_CACHE_DIR": str(package / "cache"),
        "COLUMNS": "120",
    }
    done = subprocess.run(
        arguments,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        **keywords,
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def neurosbi(line, *extra, package, folder):
    """One command of the guide as its reader would type it, on fewer simulations."""
    words = shlex.split(line)
    assert words[0] == "neurosbi"
    start = [sys.executable, "-c", "from neurosbi.cli import main; main()"]
    return run([*start, *words[1:], *extra], package=package, folder=folder)


def test_the_commands_of_the_guide_work(package, tmp_path):
    told = [line for line in commands(PAGE) if line.startswith("neurosbi")]
    assert [line.split()[1] for line in told] == ["simulators", "simulate", "train", "fit"]
    show, simulate, train, fit = told
    table = neurosbi(show, package=package, folder=tmp_path)
    assert "input resistance" in table
    assert "MOhm" in table
    neurosbi(simulate, package=package, folder=tmp_path)
    assert len(nb.open_simulations(tmp_path / "lif.zarr").theta) == 2000
    neurosbi(train, "--ensemble", "1", "--epochs", "5", package=package, folder=tmp_path)
    assert (tmp_path / "lif-network").is_dir()
    assert "integrate-and-fire" in fit


@pytest.mark.slow
def test_the_demo_recording_can_be_fitted(package, tmp_path):
    (fit,) = [line for line in commands(PAGE) if line.startswith("neurosbi fit")]
    neurosbi(fit, "--simulations", "1500", "--ensemble", "1", package=package, folder=tmp_path)
    assert list((tmp_path / "neurosbi-results").rglob("report.html"))


def test_the_laws_hold(package):
    (told,) = [line for line in commands(PAGE) if "pytest" in line]
    words = shlex.split(told)[1:]
    out = run(
        [sys.executable, *words, "-q", "-p", "no:cacheprovider"], package=package, folder=REPOSITORY
    )
    assert "failed" not in out
    assert int(out.split(" passed")[0].split()[-1]) >= 20


def test_the_interval_between_spikes_is_the_one_the_guide_gives(model):
    theta = np.array([[200.0, 15.0, -50.0, -70.0], [120.0, 25.0, -52.0, -65.0]])
    stimulus = Stimulus.step(amplitude=180.0, onset=10.0, duration=500.0)
    quiet = nb.simulator("integrate-and-fire", dt=0.01)
    v = quiet.traces(theta, stimulus=stimulus, seed=0, noise=False)["v"].values
    for row, (r, tau, threshold, rest) in zip(v, theta, strict=True):
        spikes = np.flatnonzero(row == 20.0) * 0.01
        expected = tau * np.log(r * 0.18 / (r * 0.18 - (threshold - rest)))
        np.testing.assert_allclose(np.diff(spikes), expected, atol=0.03)
        assert len(spikes) > 5
