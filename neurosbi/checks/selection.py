"""Which features of a recording can the model produce, each and all together?

A posterior conditioned on features that no simulation shows is an extrapolation: a spike trough
30 mV too shallow for the model spoils every parameter, also those that the other features pin
down. A network trained on random subsets of the features can do without it. The features to leave
out are found before any inference, from prior simulations at the recorded stimulus alone:

1. those outside the model's range by themselves;
2. then, as long as the combination of the rest is unlike any simulation, the one without which
   the combination is nearest to the simulations; features marked as essential (how often the cell
   spikes, and from where, and where it rests) are not given up for the sake of others.

The features left out stay in all figures and tables, and the verdict names them.
"""

__all__ = ["producible_features"]

from collections.abc import Sequence

import numpy as np

from neurosbi.checks.prior_predictive import PriorPredictiveCheck, prior_predictive_check
from neurosbi.contract import Feature

FEWEST = 4  # features that a fit keeps in any case
# Combinations as odd as those of 2.5 % of the simulations lose a feature: networks know little of
# the rim of the cloud, and a feature less costs a well-placed recording little.
ODD = 0.025


def producible_features(
    features: Sequence[Feature],
    x_observed: np.ndarray,
    *,
    prior_x: np.ndarray,
    prior_status: np.ndarray,
    measured: np.ndarray | None = None,
) -> np.ndarray:
    """bool [feature]: True for the features a fit should condition on.

    At least ``FEWEST`` stay (as far as so many were ``measured`` [feature]; None: all were),
    whatever the checks say; the verdict then speaks. Raises what `prior_predictive_check` raises.
    """
    measured = np.ones(len(features), dtype=bool) if measured is None else measured

    def check(kept: np.ndarray) -> PriorPredictiveCheck:
        return prior_predictive_check(
            [f for f, k in zip(features, kept, strict=True) if k],
            x_observed[kept],
            prior_x=prior_x[:, kept],
            prior_status=prior_status,
        )

    everything = prior_predictive_check(
        features, x_observed, prior_x=prior_x, prior_status=prior_status, measured=measured
    )
    kept = measured & ~everything.outside
    if kept.sum() < FEWEST:
        nearest = np.argsort(np.where(measured, everything.excess, np.nan), kind="stable")
        kept[nearest[: min(FEWEST, measured.sum())]] = True
    optional = np.array([not f.essential for f in features])
    while kept.sum() > FEWEST and (kept & optional).any() and check(kept).joint_p < ODD:
        ratios = {}
        for i in np.flatnonzero(kept & optional):
            without = kept.copy()
            without[i] = False
            ratio = check(without).joint_ratio
            ratios[i] = ratio if np.isfinite(ratio) else np.inf
        kept[min(ratios, key=lambda i: ratios[i])] = False
    return kept
