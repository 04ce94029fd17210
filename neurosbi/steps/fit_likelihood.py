"""A fit by likelihood: Markov chains on the exact posterior, with the checks and report of any fit.

No network is trained and nothing is amortised: every recording takes its own chains. Unfinished
chains are kept in the cache, so that a fit that was stopped, by the user or by its time limit, goes
on from them. Only models with a likelihood and its gradient can be fitted so (see
`Simulator.log_likelihood`).
"""

__all__ = ["MCMC", "McmcOptions", "fit_by_likelihood", "mcmc_options"]

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from neurosbi.checks import Reason
from neurosbi.contract import Recorded
from neurosbi.errors import BadInputError
from neurosbi.inference.slices import CHAINS, DRAWS, TUNE
from neurosbi.progress import say
from neurosbi.seeds import derive_seed
from neurosbi.steps.announce import announce
from neurosbi.steps.assemble import assemble_result
from neurosbi.steps.execution import Execution
from neurosbi.steps.existing import Existing, claim_folder
from neurosbi.steps.infer import predictions, recording_facts
from neurosbi.steps.plan import Plan, plan_fit
from neurosbi.steps.prior_check import prior_check
from neurosbi.steps.result import Result
from neurosbi.steps.result_folder import write_result
from neurosbi.store import cache_directory, config_hash
from neurosbi.store.atomic import check_writable

if TYPE_CHECKING:
    from neurosbi.inference.chain_checkpoint import ChainCheckpoint
    from neurosbi.inference.mcmc import McmcDraws

MCMC = "mcmc"
_SAMPLER_VERSION = 1  # of the sampler: chains of another one are not continued


@dataclass(frozen=True)
class McmcOptions:
    """``chains``, their steps of tuning, and the time (s) after which they end where they are."""

    chains: int = CHAINS
    tune: int = TUNE
    time_limit: float = 3600.0

    def __post_init__(self) -> None:
        for name, least in (("chains", 2), ("tune", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise BadInputError(
                    f"option {name} of method {MCMC} is a number of at least {least}, got {value!r}"
                )
        if not isinstance(self.time_limit, (int, float)) or not self.time_limit > 0:
            raise BadInputError(
                f"option time_limit of method {MCMC} is a positive number of seconds, got "
                f"{self.time_limit!r}"
            )


def mcmc_options(**options: Any) -> McmcOptions:
    """The options of the method.

    Raises `BadInputError` that lists the options for an unknown one.
    """
    known = [f.name for f in fields(McmcOptions)]
    for name in options:
        if name not in known:
            raise BadInputError(f"method {MCMC} has no option {name!r}; it has {', '.join(known)}")
    return McmcOptions(**options)


def fit_by_likelihood(
    recording: str | Path | Recorded,
    how: Execution,
    *,
    samples: int,
    output: str | Path | None,
    existing: Existing,
    options: Mapping[str, Any],
    **what: Any,
) -> Result:
    """`neurosbi.steps.fit.fit` by this method; ``what`` goes to `plan_fit`.

    Raises `BadInputError` also for a simulator without a likelihood or its gradient.
    """
    chosen = mcmc_options(**options)
    with how.timer("reading"):
        plan = plan_fit(recording, method=MCMC, **what)
    if not plan.simulator.has_gradient:
        raise BadInputError(
            f"simulator {plan.simulator.name} has no likelihood with a gradient; fit it by "
            "simulations (--method npe)"
        )
    if plan.simulator.prior_region is not None:
        raise BadInputError(
            f"method {MCMC} needs no simulations to be saved; fit the simulator with its whole prior"
        )
    numbers = {"options": dict(options), "samples": samples, "sampling_seed": how.seed}
    plan = replace(plan, config={**plan.config, **numbers})
    folder = Path(output) if output is not None else plan.folder
    done = claim_folder(folder, plan, existing, show=how.progress)
    if done is not None:
        return done
    announce(plan, show=how.progress)
    checkpoint = _checkpoint(plan, chosen, show=how.progress)
    result, finished = _sampled(plan, chosen, checkpoint, how, samples=samples)
    with how.timer("report"):
        write_result(result, folder, existing="overwrite" if existing == "overwrite" else "error")
    if finished:
        checkpoint.remove()
    elif checkpoint.path.exists():
        say(
            "the time is over, the chains are kept: the same fit with --existing overwrite goes on "
            "from them",
            show=how.progress,
        )
    return replace(result, folder=folder)


def _sampled(
    plan: Plan,
    options: McmcOptions,
    checkpoint: "ChainCheckpoint",
    how: Execution,
    *,
    samples: int,
) -> tuple[Result, bool]:
    """Posterior draws by Markov chains, checks and the verdict; and whether the chains are done."""
    import torch

    from neurosbi.inference.mcmc import sample_posterior
    from neurosbi.priors import BoxPrior

    simulator = plan.simulator
    prior = prior_check(plan, how, simulations=None, trained=False)
    with how.timer("sampling"):
        chains = sample_posterior(
            simulator,
            plan.observations,
            chains=options.chains,
            draws=max(DRAWS, -(-samples // options.chains)),
            tune=options.tune,
            seed=derive_seed(how.seed, "posterior"),
            time_limit=options.time_limit,
            threads=how.threads,
            checkpoint=checkpoint,
            progress=how.progress,
        )
    # by turns, so that the first draws, which are simulated, are of all chains
    theta = chains.theta.swapaxes(0, 1).reshape(-1, len(simulator.parameters))
    likelihood = chains.log_likelihood.T.ravel()
    n_draws = len(theta) // options.chains
    wanted = min(n_draws, -(-samples // options.chains))  # fewer where the time was too short
    kept = np.linspace(0, n_draws, wanted, endpoint=False).astype(int)
    rows = (kept[:, None] * options.chains + np.arange(options.chains)).ravel()[:samples]
    theta, likelihood = theta[rows], likelihood[rows]
    log_prior = BoxPrior(simulator.parameters, dtype=torch.float64).log_prob(torch.as_tensor(theta))
    say("simulating from the posterior", show=how.progress)
    with how.timer("predictive checks"):
        predictive = predictions(plan, theta, prior, how)
    result = assemble_result(
        simulator,
        plan.observation,
        theta=theta,
        log_prob=likelihood + log_prior.numpy(),
        predictive=predictive,
        prior_theta=prior.theta,
        prior_x=prior.batches[0].x,
        prior_status=prior.batches[0].status,
        further=tuple(_reasons(chains)),
        diagnostics={"sampling": _diagnostics(chains)},
        seed=how.seed,
        recording=recording_facts(plan),
        config=plan.config,
        seconds=how.timer.seconds,
    )
    return result, chains.finished


def _checkpoint(plan: Plan, options: McmcOptions, *, show: bool) -> "ChainCheckpoint":
    """Where the chains of this fit are kept, by everything that their draws depend on."""
    from neurosbi.inference.chain_checkpoint import ChainCheckpoint
    from neurosbi.training.checkpoint import UnusableCheckpointError

    # chains that get more time are the same chains
    same = {"options": {"chains": options.chains, "tune": options.tune}}
    name = config_hash({**plan.config, **same, "sampler_version": _SAMPLER_VERSION})
    checkpoint = ChainCheckpoint(cache_directory() / "chains" / f"{name}.npz")
    check_writable(checkpoint.path)
    try:
        saved = checkpoint.read()
    except UnusableCheckpointError:
        checkpoint.remove()
        return checkpoint
    if saved is not None and saved.chains is None:
        say("going on from the most probable parameters that an earlier fit found", show=show)
    elif saved is not None and saved.chains is not None:
        made = saved.chains["points"].shape[1]
        say(f"going on from {made} draws of each chain that an earlier fit kept", show=show)
    return checkpoint


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
    """R-hat and effective draws of each parameter."""
    names = np.array(chains.parameters, dtype=object)
    return xr.Dataset(
        {
            "r_hat": ("parameter", chains.r_hat),
            "effective": ("parameter", chains.effective),
        },
        coords={"parameter": names},
        attrs={"finished": int(chains.finished)},
    )
