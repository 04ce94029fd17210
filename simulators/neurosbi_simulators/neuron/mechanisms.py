"""Channels in NEURON's language (.mod files), compiled once on this machine and kept.

The compiled library lies in the user's cache under a hash of the files, the version of NEURON and
the kind of machine. Of several processes one compiles while the others wait; a process that is
killed leaves nothing that looks finished.
"""

__all__ = ["CHANNELS", "compiled", "interpreter"]

import contextlib
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock

from neurosbi.cache_folder import cache_directory
from neurosbi.errors import FitError, MissingResourceError

CHANNELS = Path(__file__).resolve().parent / "mod"
"""The channels of the Hodgkin-Huxley family."""

COMPILERS = ("g++", "c++", "clang++")
_LIBRARY = "libnrnmech"


def compiled(folder: Path) -> Path:
    """The library of all channels in ``folder``, compiled if there is none yet.

    Raises `MissingResourceError` without NEURON or a C++ compiler, `FitError` with the compiler's
    words if a channel is wrong.
    """
    files = sorted(folder.glob("*.mod"))
    if not files:
        raise FitError(f"{folder} has no .mod files to compile")
    home = cache_directory() / "neuron" / _key(files)
    finished = list(home.glob(f"{_LIBRARY}.*"))
    if finished:
        return finished[0]
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / ".lock"):
        finished = list(home.glob(f"{_LIBRARY}.*"))
        return finished[0] if finished else _compile(files, home)


def interpreter(library: Path | None) -> Any:
    """NEURON's interpreter ``h`` in this process, with the channels of ``library``."""
    _neuron_version()
    # so that NEURON neither opens windows nor takes up channels compiled in the working folder
    os.environ["NEURON_MODULE_OPTIONS"] = "-nogui"
    with tempfile.TemporaryDirectory() as empty, contextlib.chdir(empty):
        from neuron import h
    if library is not None:
        h.nrn_load_dll(str(library))
    h.load_file("stdrun.hoc")
    return h


def _key(files: list[Path]) -> str:
    digest = hashlib.sha256(
        f"{_neuron_version()} {platform.system()} {platform.machine()}".encode()
    )
    for file in files:
        digest.update(f"\n{file.name}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _neuron_version() -> str:
    if find_spec("neuron") is None:
        raise MissingResourceError(
            "NEURON is not installed; install it with: pip install 'neurosbi[neuron]'"
        )
    try:
        return version("neuron")
    except PackageNotFoundError:  # built from source
        return "unknown"


def _compile(files: list[Path], home: Path) -> Path:
    compiler = _nrnivmodl()
    if not shutil.which("make") or not any(map(shutil.which, COMPILERS)):
        raise MissingResourceError(
            "NEURON's channels are compiled on first use, and there is no C++ compiler or no make "
            "on this machine; install both (on Debian and Ubuntu: apt install build-essential)"
        )
    # a folder of our own without spaces in its path, which the makefile of NEURON does not survive
    with tempfile.TemporaryDirectory(prefix="neurosbi-") as work:
        for file in files:
            shutil.copy(file, work)
        done = subprocess.run(
            [compiler], cwd=work, capture_output=True, text=True, errors="replace", check=False
        )
        built = [p for p in Path(work).glob(f"*/{_LIBRARY}.*") if p.suffix in (".so", ".dylib")]
        if done.returncode or not built:
            lines = [line.strip() for line in (done.stdout + done.stderr).splitlines()]
            blamed = [line for line in lines if "error" in line.lower()] or lines[-1:]
            raise FitError(
                f"NEURON could not compile the channels in {files[0].parent}: "
                f"{blamed[0] if blamed else 'nrnivmodl said nothing'}"
            )
        library = home / built[0].name
        partial = home / f".{os.getpid()}{built[0].suffix}"
        shutil.copy(built[0], partial)
        os.replace(partial, library)
    return library


def _nrnivmodl() -> str:
    beside = Path(sys.executable).parent / "nrnivmodl"
    found = str(beside) if beside.exists() else shutil.which("nrnivmodl")
    if found is None:
        raise MissingResourceError(
            "nrnivmodl, NEURON's compiler of channels, is missing beside this Python; reinstall "
            "NEURON with: pip install --force-reinstall neuron"
        )
    return found
