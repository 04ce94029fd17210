"""What to say of an error that nobody foresaw: whose it is, and what to do."""

__all__ = ["describe_defect"]

import traceback
from typing import TYPE_CHECKING, TypeGuard

from neurosbi.errors import one_line

if TYPE_CHECKING:
    from neurosbi.contract import Simulator

_OURS = ("neurosbi.", "neurosbi_simulators.")


def describe_defect(error: Exception) -> str:
    """One sentence; it names the simulator of another package if the error arose in its methods."""
    kind = f"{type(error).__name__}: {one_line(error)}"
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        model = frame.f_locals.get("self")
        if _is_foreign_simulator(model) and frame.f_globals["__name__"] == type(model).__module__:
            return (
                f"the code of simulator {model.name} failed in {frame.f_code.co_filename}, line "
                f"{line}: {kind} (neurosbi --debug ... shows how it came there)"
            )
    return (
        f"internal error: {kind} (run again with: neurosbi --debug ..., and report what it prints)"
    )


def _is_foreign_simulator(thing: object) -> "TypeGuard[Simulator]":
    from neurosbi.contract import Simulator

    return isinstance(thing, Simulator) and not f"{type(thing).__module__}.".startswith(_OURS)
