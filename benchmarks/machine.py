"""The machine and the versions that a benchmark ran with, in one line."""

__all__ = ["machine"]

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def machine(packages: Sequence[str]) -> str:
    """Processor with its widest vector unit, Python, and versions of ``packages``."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [x for x in info.read_text().splitlines() if x.startswith(("model name", "flags"))]
        name = lines[0].split(":")[1].strip()
        flags = lines[1].split()
        widest = next((f for f in ("avx512f", "avx2", "avx", "sse2") if f in flags), "")
        name += f" ({widest})"
    versions = []
    for package in packages:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"{package} not installed")
    return f"{name}, Python {platform.python_version()}, {', '.join(versions)}"
