"""The examples of the how-to guide run, and give the voltage that NEURON gives when used alone."""

import importlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from docs_pages import write_files

from neurosbi.contract import Stimulus
from neurosbi.errors import BadInputError, FitError

pytest.importorskip("neuron", reason="NEURON is not installed")
PAGE = "how-to/wrap-your-own-neuron-model.md"
SWC = """1 1 0 0 0 10 -1
2 1 0 10 0 10 1
3 1 0 -10 0 10 1
4 3 0 10 0 1.5 2
5 3 0 160 20 1.2 4
6 3 80 260 0 0.8 5
7 3 -90 240 0 0.7 5
"""
HOC = """begintemplate Ball
public soma, dend, all
create soma, dend
objref all
proc init() {
    soma { L = 20 diam = 20 insert pas }
    dend { L = 300 diam = 2 nseg = 5 insert pas }
    connect dend(0), soma(1)
    all = new SectionList()
    soma all.append()
    dend all.append()
}
endtemplate Ball
"""
ALONE = """
import json, sys, numpy as np
from neuron import h
h.load_file("stdrun.hoc"); h.load_file("import3d.hoc")
reader = h.Import3d_SWC_read(); reader.input(sys.argv[1])
h.Import3d_GUI(reader, False).instantiate(None)
g_na, g_k, g_leak, r_a = json.loads(sys.argv[2])
for s in h.allsec():
    s.nseg = 1 + 2 * int(s.L / 40); s.Ra = r_a
    if s in h.soma:
        s.insert("hh"); s.gnabar_hh, s.gkbar_hh, s.gl_hh = g_na, g_k, g_leak
    else:
        s.insert("pas"); s.g_pas, s.e_pas = g_leak, -65
clamp = h.IClamp(h.soma[0](0.5)); clamp.delay, clamp.dur, clamp.amp = 20, 50, 0.4
v = h.Vector().record(h.soma[0](0.5)._ref_v)
h.celsius, h.dt, h.steps_per_ms, h.secondorder = 6.3, 0.025, 40, 2
h.finitialize(-65); h.continuerun(80)
print(json.dumps(list(v)))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    assert {p.name for p in write_files(PAGE, tmp_path)} == {
        "my_cell.py",
        "use_my_cell.py",
        "my_template.py",
    }
    (tmp_path / "cell.swc").write_text(SWC)
    (tmp_path / "template.hoc").write_text(HOC)
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("my_cell", "my_template"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    return tmp_path


def test_the_example_is_about_twenty_lines_and_equals_neuron_alone(folder):
    module = importlib.import_module("my_cell")
    source = (folder / "my_cell.py").read_text().split("class MyCell")[1]
    assert len([line for line in source.splitlines() if line.strip()]) <= 24
    cell = module.MyCell(initial_voltage=-65.0)
    theta = np.array([[0.12, 0.036, 3e-4, 120.0]])
    step = Stimulus.step(amplitude=400.0, onset=20.0, duration=50.0, total=80.0)
    ours = cell.traces(theta, stimulus=step, seed=0, noise=False)["v"].values[0]
    cell.close()
    done = subprocess.run(
        [sys.executable, "-c", ALONE, folder / "cell.swc", json.dumps(theta[0].tolist())],
        capture_output=True,
        text=True,
        check=True,
    )
    alone = np.array(json.loads(done.stdout.splitlines()[-1]))[: len(ours)]
    assert alone.max() > 20.0
    np.testing.assert_allclose(ours, alone, atol=1e-6)


def test_the_script_of_the_guide_runs(folder):
    done = subprocess.run(
        [sys.executable, "use_my_cell.py"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "spike_count" in done.stdout
    assert "(8, 9)" in done.stdout


def test_the_hoc_template_of_the_guide(folder):
    model = importlib.import_module("my_template").MyTemplate()
    step = Stimulus.step(amplitude=-50.0, onset=20.0, duration=300.0)
    v = model.traces(np.array([[1e-4]]), stimulus=step, seed=0, noise=False)["v"].values[0]
    model.close()
    assert v[0] == pytest.approx(-70.0, abs=1e-3)
    area = np.pi * (20 * 20 + 300 * 2) * 1e-8  # cm2; the ends of the cable lie a little lower
    resistance = (v[-1] - v[0]) / -50.0 * 1e3
    assert 1e-6 / (1e-4 * area) < resistance < 1.2e-6 / (1e-4 * area)


def test_a_cell_that_cannot_be_built_is_named(folder):
    (folder / "cell.swc").unlink()
    cell = importlib.import_module("my_cell").MyCell()
    with pytest.raises(BadInputError, match="the cell of simulator my-cell cannot be built"):
        cell.features(cell.sample_prior(1, seed=0), seed=0)


def test_a_simulation_that_fails_is_marked_and_the_others_go_on(folder):
    text = (folder / "my_template.py").read_text()
    (folder / "my_template.py").write_text(
        text.replace(
            "        cell.set(",
            "        if p['g_leak'] > 5e-4:\n            raise ValueError('no')\n        cell.set(",
        )
    )
    model = importlib.import_module("my_template").MyTemplate()
    batch = model.simulate(np.array([[1e-4], [9e-4], [2e-4]]), seed=0)
    assert batch.status.tolist() == [1, 3, 1]
    assert batch.error == "ValueError: no"
    assert np.isnan(batch.x[1]).all()
    assert np.isfinite(batch.x[[0, 2], 0]).all()
    with pytest.raises(FitError, match="ValueError: no"):
        model.features(np.array([[9e-4]]), seed=0)
    model.close()
