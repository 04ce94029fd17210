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
    signed: Collection[str] = (),
    positive: Collection[str] = (),
) -> None:
    """``theta[sim, theta]`` is nowhere negative, but for the parameters named in ``signed``.

    Those in ``positive`` are not zero either. Raises `BadInputError` with the first that is.
    """
    for column, p in enumerate(parameters):
        if p.name in signed:
            continue
        values = theta[:, column]
        rows = np.flatnonzero(values <= 0 if p.name in positive else values < 0)
        if len(rows):
            raise BadInputError(
                f"theta row {rows[0]} has {p.name} = {values[rows[0]]:g} {p.unit}, but it cannot be "
                "negative" + (" or zero" if p.name in positive else "")
            )
