"""Where the simulator has a likelihood: importance weights of the posterior draws of a fit."""

__all__ = ["weigh_draws"]

from typing import TYPE_CHECKING

from neurosbi.inference.importance import ImportanceSamples, importance_sample
from neurosbi.inference.likelihood_potential import summed_log_likelihood
from neurosbi.seeds import derive_seed
from neurosbi.steps.execution import Execution
from neurosbi.steps.plan import Plan

if TYPE_CHECKING:
    from neurosbi.inference.network import Posterior


def weigh_draws(
    plan: Plan, posterior: "Posterior", how: Execution, *, samples: int
) -> ImportanceSamples:
    """The ``samples`` posterior draws of the fit with their weights."""
    return importance_sample(
        posterior,
        lambda theta: summed_log_likelihood(
            plan.simulator, theta, plan.observations, threads=how.threads
        ),
        prior_log_prob=posterior.network.prior_log_prob,
        n=samples,
        seed=derive_seed(how.seed, "posterior"),
        progress=how.progress,
    )
