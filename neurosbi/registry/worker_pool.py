"""A pool of spawned worker processes that ends with its owner, however that one ends."""

__all__ = ["WorkerPool"]

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any


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
