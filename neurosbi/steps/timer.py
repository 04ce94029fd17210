"""Wall time of the parts of a step."""

__all__ = ["Timer"]

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Timer:
    """Wall time of the parts of a fit in seconds, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Add the time of the block to ``part``."""
        began = time.perf_counter()
        try:
            yield
        finally:
            before = self.seconds.get(part, 0.0)
            self.seconds[part] = round(before + time.perf_counter() - began, 3)
