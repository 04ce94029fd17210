"""Which parameters a figure shows where there is no room for all: those that the data tell most of."""

__all__ = ["MOST_SHOWN", "RULE", "most_told"]

from collections.abc import Sequence

import numpy as np

from neurosbi.contract import Parameter, shrinkage
from neurosbi.plots.style import MINUS

MOST_SHOWN = 12  # parameters in a figure; with more no label can be read
RULE = (
    f"those with the largest shrinkage (1 {MINUS} posterior SD / prior SD) or rank correlation with "
    "another"
)


def most_told(
    theta: np.ndarray, parameters: Sequence[Parameter], correlation: np.ndarray, n: int
) -> list[int]:
    """Indices of the ``n`` parameters of ``theta[draw, theta]`` that ``RULE`` picks, in their order.

    ``correlation[theta, theta]`` are the rank correlations. A parameter counts for the larger of
    its shrinkage and its strongest correlation, so that both of a pair that compensate each other
    are shown. Of equals the first comes first.
    """
    others = np.abs(correlation) * (1 - np.eye(len(parameters)))
    score = np.maximum(shrinkage(parameters, theta), others.max(axis=0))
    return sorted(int(i) for i in np.argsort(-score, kind="stable")[:n])
