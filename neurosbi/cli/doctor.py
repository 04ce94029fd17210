"""``neurosbi doctor``: is everything in place on this machine?"""

__all__ = ["doctor"]

import json
import os
import platform
import tempfile
from dataclasses import asdict, dataclass
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

from neurosbi.cli.options import OutputFormat
from neurosbi.errors import MissingResourceError

_NEEDED = ("numpy", "scipy", "pandas", "xarray", "zarr", "numba", "torch", "sbi", "pynwb", "pyabf")
_OPTIONAL = {  # what computes some simulators: what to install, and what for
    "neuron": ("neurosbi[neuron]", "the simulators neuron-*"),
    "brian2": ("brian2>=2.9", "backend=brian2 of the simulators spiking*"),
}
_MARK = {"ok": "ok  ", "note": "note", "broken": "FAIL"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; "note" is worth knowing, "broken" stops neurosbi."""

    what: str
    state: Literal["ok", "note", "broken"]
    detail: str


def doctor(
    output_format: Annotated[
        OutputFormat, typer.Option("--format", help="How to print.")
    ] = OutputFormat.text,
) -> None:
    """Check versions, GPU, threads, cache folder and simulators of this machine.

    A note is worth knowing and breaks nothing, such as an optional program that only some
    simulators need. Send what it prints along when you report a problem. Ends with exit code 3 if
    something that neurosbi needs is broken.
    """
    findings = [
        _python(),
        *(_package(name) for name in _NEEDED),
        *(_optional(name) for name in _OPTIONAL),
        _gpu(),
        _threads(),
        _cache(),
        *_simulators(),
    ]
    if output_format is OutputFormat.json:
        print(json.dumps([asdict(f) for f in findings], indent=2))
    else:
        width = max(len(f.what) for f in findings)
        for f in findings:
            print(f"{_MARK[f.state]}  {f.what:<{width}}  {f.detail}")
    broken = [f.what for f in findings if f.state == "broken"]
    if broken:
        raise MissingResourceError(f"something neurosbi needs is broken: {', '.join(broken)}")


def _python() -> Finding:
    from neurosbi import __version__

    detail = f"neurosbi {__version__}, Python {platform.python_version()}, {platform.platform()}"
    return Finding("neurosbi", "ok", detail)


def _package(name: str) -> Finding:
    try:
        import_module(name)
        return Finding(name, "ok", metadata.version(name))
    except Exception as error:  # a broken package may fail in any way
        reason = " ".join(str(error).split())
        return Finding(name, "broken", f"cannot be imported ({reason}); reinstall neurosbi")


def _optional(name: str) -> Finding:
    """A package that only some simulators need; not imported, since it may be slow to or broken."""
    if not _installed(name):
        return Finding(name, "note", f"not installed: {_install(name)}, for {_OPTIONAL[name][1]}")
    try:
        return Finding(name, "ok", metadata.version(name))
    except metadata.PackageNotFoundError:  # built from source
        return Finding(name, "ok", "of unknown version")


def _installed(name: str) -> bool:
    return find_spec(name) is not None


def _install(name: str) -> str:
    return f"pip install '{_OPTIONAL[name][0] if name in _OPTIONAL else name}'"


def _gpu() -> Finding:
    try:
        torch = import_module("torch")
    except Exception:  # reported as a package above
        return Finding("GPU", "note", "unknown without torch")
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return Finding("GPU", "ok", ", ".join(names))
    return Finding("GPU", "note", "none that torch can use; networks train on the processor")


def _threads() -> Finding:
    from neurosbi.cores import available_cores

    chosen = os.environ.get("OMP_NUM_THREADS")
    limit = f", OMP_NUM_THREADS={chosen}" if chosen else ""
    detail = f"{available_cores()} of {os.cpu_count()} cores for this process{limit}"
    return Finding("threads", "ok", detail)


def _cache() -> Finding:
    from neurosbi.store import cache_directory

    folder = cache_directory()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"neurosbi")
        files, size = _contents(folder)
    except OSError as error:
        reason = f"{folder} cannot be written ({error.strerror}); set NEUROSBI_CACHE_DIR"
        return Finding("cache", "broken", reason)
    return Finding("cache", "ok", f"{folder}, {files:,} files, {size / 1e6:,.1f} MB, writable")


def _contents(folder: Path) -> tuple[int, int]:
    files = size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.stat(os.path.join(parent, name)).st_size
                files += 1
            except FileNotFoundError:  # a run in progress removed it
                continue
    return files, size


def _simulators() -> list[Finding]:
    from neurosbi.registry import simulator, simulator_names

    findings = []
    for name in simulator_names():
        try:
            model = simulator(name)
            detail = f"version {model.version}, {len(model.parameters)} parameters"
            missing = [package for package in model.needs if not _installed(package)]
            if missing:
                install = ", ".join(map(_install, missing))
                detail += f"; needs {', '.join(missing)}, not installed: {install}"
            findings.append(Finding(f"simulator {name}", "note" if missing else "ok", detail))
        except Exception as error:  # one broken package must not hide the others
            reason = " ".join(str(error).split())
            findings.append(Finding(f"simulator {name}", "note", reason))
    if not findings:
        findings.append(Finding("simulators", "broken", "none registered; reinstall neurosbi"))
    return findings
