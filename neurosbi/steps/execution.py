"""How a fit runs, apart from what it fits."""

__all__ = ["Execution"]

from dataclasses import dataclass, field

from neurosbi.steps.timer import Timer


@dataclass(frozen=True)
class Execution:
    """The seed of every random draw, where and on how many threads to compute, and who hears of it.

    ``device`` trains and samples networks; ``threads`` simulate (None: all cores) and change no
    result. With ``progress`` there are words and bars on stderr; ``timer`` keeps the time of parts.
    """

    seed: int = 0
    device: str = "auto"
    threads: int | None = None
    progress: bool = True
    timer: Timer = field(default_factory=Timer)
