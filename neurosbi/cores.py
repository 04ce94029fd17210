"""How many processor cores this process may use."""

__all__ = ["available_cores"]

import os


def available_cores() -> int:
    """The cores this process may use; a batch system may grant fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
