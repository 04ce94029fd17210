"""Look a simulator up by the name its package registered it under."""

__all__ = ["simulator", "simulator_names"]

import difflib
from importlib.metadata import entry_points
from typing import Any

from neurosbi.contract import Simulator
from neurosbi.errors import BadInputError, MissingResourceError, one_line

GROUP = "neurosbi.simulators"


def simulator_names() -> tuple[str, ...]:
    """The names of all installed simulators, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def simulator(name: str, *, features: str | None = None, **settings: Any) -> Simulator:
    """The simulator registered as ``name``, with settings given by name.

    Raises `BadInputError` for an unknown name, setting or feature set or a class of another name,
    `MissingResourceError` when the package that registered the name cannot be imported.
    """
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        close = difflib.get_close_matches(name, points, n=1)
        hint = (
            f"did you mean {close[0]}?"
            if close
            else f"there are {', '.join(sorted(points)) or 'none'}"
        )
        raise BadInputError(f"there is no simulator {name!r}; {hint}")
    try:
        build = points[name].load()
    except Exception as error:  # a foreign package may fail to import in any way
        raise MissingResourceError(
            f"simulator {name} comes from {points[name].value}, which cannot be imported "
            f"({one_line(error)}); install its package again"
        ) from error
    made = build(features=features, **settings)
    if not isinstance(made, Simulator) or made.name != name:
        raise BadInputError(
            f"{points[name].value}, installed as the simulator {name}, is not a simulator of that "
            "name; its class derives from neurosbi.Simulator and has the same name"
        )
    return made
