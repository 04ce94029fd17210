"""How many simulations fit into memory side by side, found out before any work."""

__all__ = ["available_bytes", "simulations_at_once"]

import os
from pathlib import Path

from neurosbi.errors import BadInputError
from neurosbi_simulators.spiking.connectivity import connection_bytes
from neurosbi_simulators.spiking.network import SpikingNetwork

_SHARE = 0.8  # of what is free
_PER_NEURON = 128  # bytes of state, spikes on their way and spikes found


def available_bytes() -> int:
    """Memory that this process may still take, within the limits of its machine or container."""
    return min(_free_on_the_machine(), _free_in_the_container())


def _free_on_the_machine() -> int:
    info = Path("/proc/meminfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 4 << 30  # a system that does not tell


def _free_in_the_container() -> int:
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        lines = (group / "memory.stat").read_text().splitlines()
        files = sum(int(v) for k, v in map(str.split, lines) if k == "inactive_file")
    except (OSError, ValueError):  # no container, or one without a limit
        return 1 << 62
    return max(0, limit - used + files)  # files in memory make room


def simulations_at_once(
    network: SpikingNetwork, wanted: int, *, available: int | None = None, alternative: str = ""
) -> int:
    """The largest number of simulations, up to ``wanted``, whose connections fit side by side.

    Raises `BadInputError` if not even one fits; ``alternative`` is what may be set instead.
    """
    free = _SHARE * (available_bytes() if available is None else available)
    need = connection_bytes(network) + _PER_NEURON * network.n_neurons
    if need > free:
        raise BadInputError(
            f"the connections of {network.n_neurons:,} neurons need {need / 1e9:.1f} GB, but only "
            f"{free / 1e9:.1f} GB of memory are free; use fewer neurons or a lower probability of "
            f"connection{f', or {alternative}' if alternative else ''}"
        )
    return max(1, min(wanted, int(free // need)))
