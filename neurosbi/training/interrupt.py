"""Ctrl-C and SIGTERM as a flag, so that training stops between two steps and not inside one."""

__all__ = ["StopFlag", "stop_flag"]

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopFlag:
    """True once the user (Ctrl-C) or the batch system (SIGTERM) asked to stop."""

    def __init__(self) -> None:
        self.raised = False

    def __bool__(self) -> bool:
        return self.raised


@contextmanager
def stop_flag() -> Iterator[StopFlag]:
    """Collect the signals within the block; a second Ctrl-C acts at once.

    Signals reach the main thread only: elsewhere the flag is never raised.
    """
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def stop(number: int, frame: FrameType | None) -> None:
        if flag.raised and number == signal.SIGINT:
            raise KeyboardInterrupt
        flag.raised = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
