"""Code kept on disk is used again, and an edit in any source file of the simulators is seen.

Numba itself watches only the file of the outermost function; the probe below has its callee in
another file, as the simulators have.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import neurosbi_simulators
import pytest

import neurosbi

CALLEE = """
from neurosbi_simulators.numerics import kernel

FACTOR = {factor}

@kernel
def scaled(x):
    return FACTOR * x
"""
CALLER = """
from neurosbi_simulators.numerics import entry
from neurosbi_simulators.probe_callee import scaled

@entry
def outer(x):
    return scaled(x) + 1.0

print(outer(10.0), sum(outer.stats.cache_hits.values()))
"""


@pytest.fixture
def package(tmp_path):
    """A copy of the shared numerics with a caller and its callee beside them."""
    source = Path(neurosbi_simulators.__file__).parent
    copy = tmp_path / "neurosbi_simulators"
    shutil.copytree(
        source / "numerics", copy / "numerics", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(source / "__init__.py", copy)
    (copy / "probe_caller.py").write_text(CALLER)
    (copy / "probe_callee.py").write_text(CALLEE.format(factor=2.0))
    return copy


def run(package, module="neurosbi_simulators.probe_caller"):
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(
            [str(package.parent), str(Path(neurosbi.__file__).parents[1])]
        ),
        "NEUROSBI_CACHE_DIR": str(package.parent / "cache"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", f"import {module}"],
        env=environment,
        cwd=package.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    value, hits = done.stdout.split()
    return float(value), int(hits)


def test_an_edit_in_a_called_file_takes_effect(package):
    assert run(package) == (21.0, 0)
    assert run(package) == (21.0, 1)  # from disk
    (package / "probe_callee.py").write_text(CALLEE.format(factor=3.0))
    assert run(package) == (31.0, 0)
    folders = sorted((package.parent / "cache" / "compiled").iterdir())
    assert len(folders) == 2
    assert not list(package.rglob("*.nbi"))  # nothing is written beside the sources


def test_code_of_another_package_is_compiled_anew(package):
    outside = package.parent
    (outside / "own_caller.py").write_text(
        CALLER.replace("neurosbi_simulators.probe_callee", "own_callee")
    )
    (outside / "own_callee.py").write_text(CALLEE.format(factor=2.0))
    assert run(package, "own_caller") == (21.0, 0)
    (outside / "own_callee.py").write_text(CALLEE.format(factor=3.0))
    assert run(package, "own_caller") == (31.0, 0)
