"""Channels are compiled once, by one process, and every obstacle is named in one sentence."""

import subprocess
import sys

import pytest
from neurosbi_simulators.neuron import mechanisms

from neurosbi.errors import FitError, MissingResourceError

pytest.importorskip("neuron", reason="NEURON is not installed")
LEAK = """NEURON {{ SUFFIX tiny
    NONSPECIFIC_CURRENT i
    RANGE g }}
PARAMETER {{ g = {g} (S/cm2) }}
ASSIGNED {{ v (mV) i (mA/cm2) }}
BREAKPOINT {{ i = g * (v + 65) }}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(tmp_path / "the cache"))
    channels = tmp_path / "my channels"
    channels.mkdir()
    (channels / "tiny.mod").write_text(LEAK.format(g=0.001))
    return channels


COMPILE = """
import sys; from pathlib import Path
from neurosbi_simulators.neuron.mechanisms import compiled, interpreter
library = compiled(Path(sys.argv[1])); h = interpreter(library)
soma = h.Section(name="soma"); soma.insert("tiny"); print(library, soma(0.5).tiny.g)
"""


def test_two_processes_compile_once_and_load_the_same(folder):
    runs = [
        subprocess.Popen([sys.executable, "-c", COMPILE, folder], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = {run.communicate(timeout=120)[0].strip() for run in runs}
    assert len(answers) == 1
    assert answers.pop().endswith(" 0.001")
    kept = [p for p in (folder.parent / "the cache" / "neuron").rglob("*") if p.is_file()]
    assert sorted(p.suffix for p in kept if p.name != ".lock") in ([".so"], [".dylib"])
    library = mechanisms.compiled(folder)
    before = library.stat().st_mtime_ns
    assert mechanisms.compiled(folder).stat().st_mtime_ns == before
    (folder / "tiny.mod").write_text(LEAK.format(g=0.002))
    assert mechanisms.compiled(folder) != library


def test_a_channel_with_a_mistake_names_it_and_keeps_nothing(folder):
    (folder / "tiny.mod").write_text(LEAK.format(g=0.001).replace("(v + 65)", "(v + w)"))
    with pytest.raises(
        FitError, match=r"could not compile the channels in .*my channels: .*w"
    ) as e:
        mechanisms.compiled(folder)
    assert "\n" not in str(e.value)
    assert not list((folder.parent / "the cache").rglob("*.so"))


def test_without_neuron(folder, monkeypatch):
    monkeypatch.setattr(mechanisms, "find_spec", lambda name: None)
    with pytest.raises(MissingResourceError, match=r"pip install 'neurosbi\[neuron\]'"):
        mechanisms.compiled(folder)


def test_without_a_compiler(folder, monkeypatch):
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(MissingResourceError, match="install both"):
        mechanisms.compiled(folder)


def test_without_channels(tmp_path):
    with pytest.raises(FitError, match=r"has no \.mod files"):
        mechanisms.compiled(tmp_path)


def test_neuron_is_imported_by_workers_only():
    code = (
        "import sys, numpy as np\n"
        "from neurosbi_simulators.neuron import BallAndStick\n"
        "if __name__ == '__main__':\n"
        "    model = BallAndStick()\n"
        "    model.sample_prior(2, seed=0)\n"
        "    assert 'neuron' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
