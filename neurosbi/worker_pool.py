"""Pools of spawned worker processes that end with their owner, however that one ends."""

__all__ = ["WorkerPool", "Workers"]

import contextlib
import os
import pickle
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from neurosbi.errors import BadInputError, FitError


class Workers:
    """The worker processes of ``owner``: started at the first task, kept, grown, started anew.

    ``owner`` is what error messages call it, for example "simulator pyloric". A pickled copy has
    no processes of its own yet.
    """

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self._pool: WorkerPool | None = None

    def map(
        self, function: Callable[[Any], Any], tasks: Iterable[Any], *, workers: int
    ) -> list[Any]:
        """``function`` of each task, in order, by at least ``workers`` processes.

        Raises `FitError` if a worker dies; any error, and Ctrl-C, ends the processes.
        """
        if self._pool is None or self._pool.workers < workers:
            self.close()
            self._pool = WorkerPool(workers)
            weakref.finalize(self, self._pool.close)
        try:
            return self._pool.map(function, tasks)
        except BrokenProcessPool as error:
            self._pool = None
            raise FitError(
                f"a worker process of {self.owner} ended unexpectedly: memory may have "
                'run out, or the calling script lacks the line: if __name__ == "__main__":'
            ) from error
        except BaseException:
            self._pool = None
            raise

    def check_importable(self, code: Callable[..., Any], *, what: str, instead: str = "") -> None:
        """Raise `BadInputError` if worker processes cannot import ``code``, a function or class."""
        main = sys.modules["__main__"]
        local = code.__module__ == "__main__" and not hasattr(main, "__file__")
        try:
            if local:
                raise pickle.PicklingError
            pickle.dumps(code)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise BadInputError(
                f"worker processes cannot import the {what} of {self.owner}: define it "
                f"at the top of a .py file and import it from there{instead}"
            ) from error

    def close(self) -> None:
        """End the processes; the next task starts new ones."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_pool": None}


class WorkerPool:
    """Keeps its processes between calls, since starting Python anew costs about a second each.

    Workers are spawned, not forked: threads of numerical libraries do not survive a fork. They
    hold one end of a pipe and leave at once when the other end closes, which happens when the
    pool is closed and also when the owner is killed. Ctrl-C reaches the owner only.
    """

    def __init__(self, workers: int) -> None:
        context = get_context("spawn")
        listening, self._lifeline = context.Pipe(duplex=False)
        self.workers = workers
        self._executor = ProcessPoolExecutor(
            workers, mp_context=context, initializer=_start_worker, initargs=(listening,)
        )

    def map(self, function: Callable[[Any], Any], tasks: Iterable[Any]) -> list[Any]:
        """``function`` of each task, in order; any error, and Ctrl-C, closes the pool.

        Raises `concurrent.futures.process.BrokenProcessPool` if a worker dies.
        """
        try:
            return list(self._executor.map(function, tasks))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the workers, also in the middle of a task."""
        with contextlib.suppress(OSError):  # closed before
            self._lifeline.close()
        self._executor.shutdown(wait=False, cancel_futures=True)


def _start_worker(lifeline: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_owner, args=(lifeline,), daemon=True).start()


def _leave_with_owner(lifeline: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv()
    os._exit(1)
