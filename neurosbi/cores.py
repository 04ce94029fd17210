"""How many processor cores this process may use, and work shared among them."""

__all__ = ["available_cores", "in_threads"]

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def available_cores() -> int:
    """The cores this process may use; a batch system may grant fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_threads(one: Callable[[Item], None], items: Sequence[Item], threads: int | None) -> None:
    """Call ``one`` with every item, ``threads`` of them (None: all cores) at a time.

    For compiled code that releases the interpreter's lock. The first error is raised.
    """
    workers = min(threads or available_cores(), len(items))
    if workers <= 1:
        for item in items:
            one(item)
        return
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, items))
