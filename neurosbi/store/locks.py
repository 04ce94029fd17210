"""One process at a time makes what others would make too; they wait and find it done."""

__all__ = ["held"]

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neurosbi.progress import say


@contextmanager
def held(path: Path, *, doing: str, show: bool) -> Iterator[None]:
    """Hold the lock of ``path``, a file beside it; say what another process is ``doing`` first."""
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"another process is {doing}: waiting for it", show=show)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
