"""Where the simulator has a likelihood: importance weights of the posterior draws of a fit."""

__all__ = ["weigh_draws"]

from typing import TYPE_CHECKING

import numpy as np

from neurosbi.inference.importance import ImportanceSamples, importance_sample
from neurosbi.seeds import derive_seed
from neurosbi.steps.plan import Plan

if TYPE_CHECKING:
    from neurosbi.inference.network import Posterior


def weigh_draws(
    plan: Plan,
    posterior: "Posterior",
    *,
    samples: int,
    seed: int,
    threads: int | None,
    progress: bool,
) -> ImportanceSamples:
    """The ``samples`` posterior draws of the fit with their weights.

    Sweeps are independent given the parameters, so their log-likelihoods add up.
    """

    def log_likelihood(theta: np.ndarray) -> np.ndarray:
        each = [plan.simulator.log_likelihood(theta, o, threads=threads) for o in plan.observations]
        return np.sum(each, axis=0)

    return importance_sample(
        posterior,
        log_likelihood,
        prior_log_prob=posterior.network.prior_log_prob,
        n=samples,
        seed=derive_seed(seed, "posterior"),
        progress=progress,
    )
