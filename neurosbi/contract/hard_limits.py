"""Values that no cell can have, refused before any work is done."""

__all__ = ["check_hard_limits"]

from collections.abc import Collection, Sequence

import numpy as np

from neurosbi.contract.tables import Parameter
from neurosbi.errors import BadInputError


def check_hard_limits(
    parameters: Sequence[Parameter],
    theta: np.ndarray,
    *,
    signed: Collection[str] | None,
    positive: Collection[str],
) -> None:
    """Refuse ``theta[sim, theta]`` where a parameter is negative that cannot be.

    The parameters named in ``signed`` can (None: all), those in ``positive`` cannot even be zero.
    Raises `BadInputError` that names the first row with such a value.
    """
    if signed is None and not positive:
        return
    names = [p.name for p in parameters]
    never_zero = np.isin(names, list(positive))
    never_negative = ~np.isin(names, names if signed is None else list(signed)) | never_zero
    bad = np.argwhere((theta < 0) & never_negative | (theta == 0) & never_zero)
    if len(bad):
        row, column = bad[0]
        p = parameters[column]
        unit = "" if p.unit == "1" else f" {p.unit}"
        raise BadInputError(
            f"theta row {row} has {p.name} = {theta[row, column]:g}{unit}, but it cannot be negative"
            + (" or zero" if never_zero[column] else "")
            + f"; its prior goes from {p.low:g} to {p.high:g}{unit}"
        )
