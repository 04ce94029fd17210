"""What settings of models of populations are checked for."""

__all__ = ["check_whole_steps", "per_population"]

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from neurosbi.errors import BadInputError


def per_population(
    model: str, name: str, given: Any, populations: Sequence[str]
) -> tuple[int, ...]:
    """A setting with one whole number for all populations, or one each, like 80,20."""
    parts = (
        given.split(",") if isinstance(given, str) else np.atleast_1d(np.asarray(given)).tolist()
    )
    try:
        numbers = tuple(int(part) for part in parts)
    except (TypeError, ValueError, OverflowError):  # of infinity
        numbers = ()
    if len(numbers) == 1:
        numbers *= len(populations)
    if len(numbers) != len(populations) or any(
        float(p) != int(p) for p in parts if isinstance(p, float)
    ):
        raise BadInputError(
            f"{model}: {name} is a number of neurons, or one for each of "
            f"{', '.join(populations)}, like {','.join(['100'] * len(populations))}, not {given!r}"
        )
    return numbers


def check_whole_steps(times: Iterable[tuple[str, float]], dt: float) -> None:
    """Refuse named times (ms) that are no multiple of the time step ``dt`` (ms)."""
    for what, time in times:
        if abs(time / dt - round(time / dt)) > 1e-3:
            raise BadInputError(
                f"the {what} of {time:g} ms is not a whole number of steps of {dt:g} ms; choose dt "
                "so that it is (--set dt=...)"
            )
