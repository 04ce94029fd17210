"""The network of a fit: from the cache, or made once, also when several processes want it."""

__all__ = ["cached", "new_network"]

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from neurosbi.errors import BadInputError
from neurosbi.progress import say
from neurosbi.steps.execution import Execution
from neurosbi.steps.plan import Plan
from neurosbi.steps.simulate import simulate
from neurosbi.store.atomic import check_writable
from neurosbi.store.locks import held

if TYPE_CHECKING:
    from neurosbi.inference.network import Network


def cached(
    plan: Plan, *, simulations: int, seed: int, options: Mapping[str, Any], show: bool
) -> "Network | None":
    """The network of this configuration, if the cache holds a readable one; ``show`` says so."""
    from neurosbi.steps.train import cached_network

    try:
        net = cached_network(
            plan.simulator,
            plan.family,
            n=simulations,
            method=plan.method,
            seed=seed,
            options=options,
        )
    except BadInputError as error:
        say(f"the network in the cache cannot be used, it is trained again: {error}", show=show)
        return None
    if net is not None:
        say("a network of this configuration is in the cache", show=show)
    return net


def new_network(
    plan: Plan, how: Execution, *, simulations: int, options: Mapping[str, Any]
) -> "Network":
    """Simulate and train, unless another process does so at this moment: then wait for it."""
    from neurosbi.steps.train import cached_path, train

    path = cached_path(
        plan.simulator,
        plan.family,
        n=simulations,
        method=plan.method,
        seed=how.seed,
        options=options,
    )
    check_writable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with held(path, doing="making this network", show=how.progress):
        net = cached(plan, simulations=simulations, seed=how.seed, options=options, show=False)
        if net is not None:
            say("another process has trained the network meanwhile", show=how.progress)
            return net
        say(
            "no trained network of this configuration yet: simulating and training, once",
            show=how.progress,
        )
        with how.timer("simulating"):
            store = simulate(
                plan.simulator,
                simulations,
                stimulus=plan.family,
                seed=how.seed,
                threads=how.threads,
                traces=plan.trace is not None,
                progress=how.progress,
            )
        with how.timer("training"):
            return train(
                store,
                method=plan.method,
                seed=how.seed,
                device=how.device,
                # what is there already was found to be unreadable
                existing="overwrite" if path.exists() else "resume",
                progress=how.progress,
                **options,
            )
