"""A fit by likelihood: Markov chains on the exact posterior, with the checks and report of any fit.

No network is trained and nothing is amortised: every recording takes its own chains. Only models
with a likelihood and its gradient can be fitted so (see `Simulator.log_likelihood`).
"""

__all__ = ["MCMC", "McmcOptions", "check_likelihood", "fit_by_likelihood", "mcmc_options"]

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from neurosbi.checks import Reason
from neurosbi.contract import Simulator
from neurosbi.errors import BadInputError
from neurosbi.progress import say
from neurosbi.seeds import derive_seed
from neurosbi.steps.infer import PREDICTIVE, TRACES, recording_facts, trace_stride
from neurosbi.steps.plan import Plan
from neurosbi.steps.prior_check import prior_check
from neurosbi.steps.results import Result, assemble_result
from neurosbi.steps.timer import Timer

if TYPE_CHECKING:
    from neurosbi.inference.mcmc import McmcDraws

MCMC = "mcmc"
_FEWEST_DRAWS = 1_000  # of a chain; R-hat is not reliable with fewer


@dataclass(frozen=True)
class McmcOptions:
    """``chains``, their steps of tuning, and the time (s) after which they end where they are."""

    chains: int = 4
    tune: int = 300
    time_limit: float = 3600.0


def mcmc_options(**options: Any) -> McmcOptions:
    """The options of the method.

    Raises `BadInputError` that lists the options for an unknown one.
    """
    known = [f.name for f in fields(McmcOptions)]
    for name in options:
        if name not in known:
            raise BadInputError(f"method {MCMC} has no option {name!r}; it has {', '.join(known)}")
    return McmcOptions(**options)


def check_likelihood(simulator: Simulator) -> None:
    """Raise `BadInputError` for a simulator that this method cannot fit."""
    if not simulator.has_gradient:
        raise BadInputError(
            f"simulator {simulator.name} has no likelihood with a gradient; fit it by simulations "
            "(--method npe)"
        )


def fit_by_likelihood(
    plan: Plan,
    options: McmcOptions,
    *,
    samples: int,
    seed: int,
    threads: int | None,
    timer: Timer,
    show: bool,
) -> Result:
    """Posterior draws by Hamiltonian Monte Carlo, checks and the verdict."""
    import torch

    from neurosbi.checks import predictive_check
    from neurosbi.inference.mcmc import sample_posterior
    from neurosbi.priors import BoxPrior

    simulator, observation = plan.simulator, plan.observation
    prior = prior_check(
        plan, simulations=None, trained=False, seed=seed, threads=threads, timer=timer, show=show
    )
    with timer("sampling"):
        chains = sample_posterior(
            simulator,
            plan.observations,
            chains=options.chains,
            draws=max(_FEWEST_DRAWS, -(-samples // options.chains)),
            tune=options.tune,
            seed=derive_seed(seed, "posterior"),
            time_limit=options.time_limit,
            threads=threads,
            progress=show,
        )
    # by turns, so that the first draws, which are simulated, are of all chains
    theta = chains.theta.swapaxes(0, 1).reshape(-1, len(simulator.parameters))
    likelihood = chains.log_likelihood.T.ravel()
    n_draws = len(theta) // options.chains
    kept = np.linspace(0, n_draws, -(-samples // options.chains), endpoint=False).astype(int)
    rows = (kept[:, None] * options.chains + np.arange(options.chains)).ravel()[:samples]
    theta, likelihood = theta[rows], likelihood[rows]
    log_prior = BoxPrior(simulator.parameters, dtype=torch.float64).log_prob(torch.as_tensor(theta))
    say("simulating from the posterior", show=show)
    with timer("predictive checks"):
        check = predictive_check(
            simulator,
            observation,
            theta[:PREDICTIVE],
            seed=derive_seed(seed, "predictive check"),
            prior_x=prior.batches[0].x,
            prior_status=prior.batches[0].status,
            n_traces=TRACES,
            stride=trace_stride(plan),
            threads=threads,
        )
    return assemble_result(
        simulator,
        observation,
        theta=theta,
        log_prob=likelihood + log_prior.numpy(),
        predictive=check,
        prior_theta=prior.theta,
        prior_x=prior.batches[0].x,
        prior_status=prior.batches[0].status,
        further=tuple(_reasons(chains)),
        diagnostics={"sampling": _diagnostics(chains)},
        seed=seed,
        recording=recording_facts(plan),
        config=plan.config,
        seconds=timer.seconds,
    )


def _reasons(chains: "McmcDraws") -> Iterator[Reason]:
    """What the chains add to the verdict."""
    for problem in chains.problems:
        yield Reason("caution", problem, source=MCMC)
    if not chains.problems:
        yield Reason(
            "trust",
            f"{len(chains.theta)} chains on the exact likelihood agree (R-hat at most "
            f"{np.max(chains.r_hat):.3f}, at least {np.min(chains.effective):.0f} effective draws)",
            source=MCMC,
        )


def _diagnostics(chains: "McmcDraws") -> xr.Dataset:
    """R-hat and effective draws of each parameter, acceptance and divergences of each chain."""
    names = np.array(chains.parameters, dtype=object)
    return xr.Dataset(
        {
            "r_hat": ("parameter", chains.r_hat),
            "effective": ("parameter", chains.effective),
            "accepted": ("chain", chains.accepted),
            "divergent": ("chain", chains.divergent),
        },
        coords={"parameter": names},
        attrs={"finished": int(chains.finished)},
    )
