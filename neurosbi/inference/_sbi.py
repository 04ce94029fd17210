"""The only module that imports sbi: what neurosbi's estimators and posteriors build upon."""

__all__ = ["ConditionalDensityEstimator", "DirectPosterior", "direct_posterior"]

import torch
from sbi.inference import DirectPosterior
from sbi.neural_nets.estimators.base import ConditionalDensityEstimator
from torch.distributions import Distribution


def direct_posterior(
    estimator: ConditionalDensityEstimator, prior: Distribution, *, x: torch.Tensor | None = None
) -> DirectPosterior:
    """sbi's posterior over ``estimator``, conditioned on ``x[condition]`` by default if given."""
    posterior = DirectPosterior(estimator.eval(), prior)
    return posterior if x is None else posterior.set_default_x(x)  # type: ignore[return-value]
