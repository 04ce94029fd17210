"""What settings of models of populations are checked for."""

__all__ = ["check_whole_steps", "per_population"]

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from neurosbi.errors import BadInputError


def per_population(
    model: str, name: str, given: Any, populations: Sequence[str], *, one_for_all: bool = True
) -> tuple[int, ...]:
    """A setting with one whole number each, like 80,20, or ``one_for_all`` populations."""
    parts = (
        given.split(",") if isinstance(given, str) else np.atleast_1d(np.asarray(given)).tolist()
    )
    try:
        numbers = tuple(int(part) for part in parts)
    except (TypeError, ValueError, OverflowError):  # of infinity
        numbers = ()
    if len(numbers) == 1 and one_for_all:
        numbers *= len(populations)
    if len(numbers) != len(populations) or any(
        float(p) != int(p) for p in parts if isinstance(p, float)
    ):
        kind = (
            "a number of neurons, or one for each"
            if one_for_all
            else "a list of the numbers of neurons"
        )
        raise BadInputError(
            f"{model}: {name} is {kind} of {', '.join(populations)}, like "
            f"{','.join(['100'] * len(populations))}, not {given!r}"
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
