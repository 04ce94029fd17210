"""Progress bars on stderr for long work; silent where nobody looks (no terminal: plain lines)."""

__all__ = ["ProgressBar", "progress_bar", "say"]

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class ProgressBar(Protocol):
    """Call it with the amount done since the last call and, optionally, a status text."""

    def __call__(self, advance: float = 1, *, status: str = "") -> None:
        """Advance the bar."""
        ...


_PLAIN_INTERVAL = 10.0  # seconds between lines when stderr is a file


@contextmanager
def progress_bar(
    title: str, total: float, *, done: float = 0, show: bool = True
) -> Iterator[ProgressBar]:
    """A bar from ``done`` to ``total``; yields the function that advances it."""
    if not show:
        yield lambda advance=1, *, status="": None
    elif sys.stderr.isatty():
        yield from _rich_bar(title, total, done)
    else:
        yield from _plain_lines(title, total, done)


def say(sentence: str, *, show: bool = True) -> None:
    """One line of log on stderr."""
    if show:
        print(sentence, file=sys.stderr, flush=True)


def _rich_bar(title: str, total: float, done: float) -> Iterator[ProgressBar]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[status]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(title, total=total, status="")
        bars.update(task, completed=done)

        def advance_bar(advance: float = 1, *, status: str = "") -> None:
            bars.update(task, advance=advance)
            if status:
                bars.update(task, status=status)

        yield advance_bar


def _plain_lines(title: str, total: float, done: float) -> Iterator[ProgressBar]:
    began = last = time.monotonic()
    reached = done

    def advance_lines(advance: float = 1, *, status: str = "") -> None:
        nonlocal reached, last
        reached += advance
        now = time.monotonic()
        if now - last >= _PLAIN_INTERVAL:
            last = now
            say(f"{title}: {100 * reached / max(total, 1e-12):.0f} %  {status}".rstrip())

    yield advance_lines
    say(f"{title}: done in {time.monotonic() - began:.1f} s")
