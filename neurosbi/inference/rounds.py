r"""Sequential refinement of the posterior of one observation by truncated proposals (TSNPE).

    round 1:  theta ~ p,                 q_1 = NPE on (theta, x)
    round r:  theta ~ p restricted to A_r,   A_r = A_{r-1} and {log q_{r-1}(theta | x_o) - log p > tau},
              q_r = NPE on the simulations of rounds 1 .. r that lie in A_r

Why plain maximum likelihood is right: a draw of round i is a draw of p restricted to A_i. The
regions are nested, so what of it lies in A_r is a draw of p restricted to A_r, and so is the pool
of all of them. Training on the pool gives the posterior under that restricted prior, which at x_o
is the posterior itself but for the mass outside A_r, epsilon in each round if q is right. (Draws
outside A_r would be right too at x_o, but spend the network on where the posterior is not.)

Where the flow of a network adds nothing to its trend (see `neurosbi.nets.trend`) the region is not
narrowed: simulations anywhere in it then tell as much about x_o as those near it, and a narrower
one would only cut off the form that the regression has found.

After each round the mean predictive distance of the used features may be computed. The refinement
ends when two rounds in a row came no nearer, and its best round is the answer. (One round alone may
be worse by chance: of seven Allen cells two were farther away after the second round, and nearer
than ever after the third or fourth.) The first round is always among those chosen from.

References:
    Deistler, Goncalves, Macke (2022), arXiv:2210.04815. They train on all rounds; we keep the
    simulations inside the newest region, with nested regions, and stop by the predictive distance.
"""

__all__ = ["Refinement", "Round", "RoundShelf", "refine"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from neurosbi.contract import percent
from neurosbi.errors import BadInputError, FitError
from neurosbi.inference.memory import ArraySimulations
from neurosbi.inference.methods import method_config, train_method
from neurosbi.inference.network import Network, Posterior
from neurosbi.inference.target import Pool, Target
from neurosbi.inference.truncated import EPSILON, TruncatedPrior
from neurosbi.nets.trend import ENOUGH
from neurosbi.progress import say
from neurosbi.seeds import derive_seed
from neurosbi.training import resolve_device
from neurosbi.training.checkpoint import UnusableCheckpointError

_PATIENCE = 2  # rounds that may come no nearer


@dataclass(frozen=True, eq=False)
class Round:
    """One round: ``simulated`` new draws from a region with ``prior_mass``, ``used`` in training.

    ``distance`` is the predictive distance of its posterior, NaN where it was not asked for.
    """

    number: int
    simulated: int
    used: int
    prior_mass: float
    proposal: str
    distance: float
    posterior: Posterior

    @property
    def network(self) -> Network:
        """The network that the posterior is of."""
        return self.posterior.network


@dataclass(frozen=True, eq=False)
class Refinement:
    """The rounds that were made, and which of them is the answer (an index)."""

    rounds: tuple[Round, ...]
    best: int

    @property
    def answer(self) -> Round:
        """The best round."""
        return self.rounds[self.best]

    @property
    def posterior(self) -> Posterior:
        """The posterior of the best round."""
        return self.answer.posterior

    @property
    def network(self) -> Network:
        """The network of the best round."""
        return self.answer.network


class RoundShelf(Protocol):
    """Where finished rounds are kept, so that an interrupted refinement goes on from them."""

    def load(self, number: int) -> "tuple[Network, Pool] | None":
        """Network and new simulations of a finished round, or None."""
        ...

    def save(self, number: int, network: Network, new: Pool, simulations: ArraySimulations) -> None:
        """Keep a finished round; ``simulations`` are all that its network was trained on."""
        ...

    def checkpoint(self, number: int) -> Path | None:
        """Where the training of a round may keep its state."""
        ...


def refine(
    target: Target,
    *,
    rounds: int,
    simulations: int | Sequence[int],
    first: Posterior | None = None,
    epsilon: float = EPSILON,
    method: str = "npe",
    options: Mapping[str, Any] | None = None,
    distance: Callable[[Posterior], float] | None = None,
    shelf: RoundShelf | None = None,
    seed: int = 0,
    device: str = "auto",
    time_limit: float = 600.0,
    progress: bool = True,
) -> Refinement:
    """Refine the posterior of ``target`` in up to ``rounds`` rounds.

    ``simulations`` are the draws of the parameters in each round, one number for all or one for
    each. ``first`` is the posterior of the first round where there is one already (its
    simulations are then not used again, and there are no more rounds if a regression suffices).
    ``options`` go to the method. With ``distance`` the refinement stops when it has not fallen
    for two rounds, and the round with the smallest one is the answer; without, the last one is.
    ``time_limit`` (s) is for drawing the parameters of one round; where it does not suffice the
    refinement ends with the rounds that were made.

    Raises `BadInputError` for fewer than one round, and what training raises.
    """
    counts = _counts(rounds, simulations)
    config = _config(method, options or {})
    done: list[Round] = []
    pool: Pool | None = None
    region = TruncatedPrior(target.parameters)
    for number, n in enumerate(counts, start=1):
        if number == 1 and first is not None:
            done.append(_judged(first, 1, _Facts(0, 0, 1.0, "prior"), distance))
            _tell(done[-1], rounds, show=progress)
            continue
        own_seed = derive_seed(seed, f"round {number}")
        kept = shelf.load(number) if shelf is not None else None
        narrow = bool(done) and not _regression_suffices(done[-1].network)
        if done and not narrow and pool is None:
            say(
                f"round {number} is not made: a regression explains the simulations, so that those "
                "near the recording would tell no more than the others",
                show=progress,
            )
            break
        try:
            if narrow:
                region = region.narrowed_drawably(
                    done[-1].posterior, epsilon=epsilon, seed=own_seed
                )
            drawn = None if kept else _draws(region, n, own_seed, time_limit, progress)
        except FitError as error:
            if not done:
                raise
            say(f"round {number} cannot be made: {error}", show=progress)
            break
        if pool is not None and narrow:
            pool = pool.only(region.contains(pool.theta))
        if drawn is None:
            network, new = kept  # type: ignore[misc]  (one of the two is there)
            pool = new if pool is None else pool.with_rows(new)
        else:
            theta, facts = drawn
            new = Pool(theta, *target.simulate_rows(theta, sum(counts[: number - 1])))
            pool = new if pool is None else pool.with_rows(new)
            simulated = target.simulations(pool, seed=own_seed)
            network = _trained(
                method,
                simulated,
                config,
                checkpoint=shelf.checkpoint(number) if shelf is not None else None,
                seed=own_seed,
                device=device,
                progress=progress,
            )
            facts = replace(facts, used=len(pool.theta))
            network.card["round"] = {"number": number, **asdict(facts)}
            if shelf is not None:
                shelf.save(number, network, new, simulated)
        network = network.to(resolve_device(device))
        facts = _Facts(**{k: v for k, v in network.card["round"].items() if k != "number"})
        done.append(_judged(target.posterior(network), number, facts, distance))
        _tell(done[-1], rounds, show=progress)
        if distance is not None and len(done) - 1 - _nearest(done) >= _PATIENCE:
            break
    best = len(done) - 1 if distance is None else _nearest(done)
    return Refinement(tuple(done), best)


@dataclass(frozen=True)
class _Facts:
    """What a network's card says of its round; see `Round`."""

    simulated: int
    used: int
    prior_mass: float
    proposal: str


def _counts(rounds: int, simulations: int | Sequence[int]) -> list[int]:
    if rounds < 1:
        raise BadInputError(f"a refinement has at least 1 round, got rounds = {rounds}")
    each = np.asarray(simulations)
    counts = (np.full(rounds, each) if each.ndim == 0 else each).tolist()
    if len(counts) != rounds or min(counts) < 1:
        raise BadInputError(
            f"each of the {rounds} rounds needs at least 1 simulation, got {simulations}"
        )
    return counts


def _config(method: str, options: Mapping[str, Any]) -> Any:
    """The method's configuration; every network sees all features of its one observation."""
    config = method_config(method, **options)
    if hasattr(config, "withheld"):
        config = replace(config, withheld=0.0)
    return config


def _regression_suffices(network: Network) -> bool:
    """Whether its flow adds nothing to its trend."""
    beyond = network.card.get("beyond_trend")
    return beyond is not None and np.isfinite(beyond) and beyond < ENOUGH


def _draws(
    region: TruncatedPrior, n: int, seed: int, time_limit: float, progress: bool
) -> tuple[np.ndarray, _Facts]:
    """``n`` new draws of the region [draw, theta], and what to note about them."""
    draws = region.sample(n, seed=seed, time_limit=time_limit, progress=progress)
    return draws.theta, _Facts(n, n, draws.prior_mass, draws.proposal)


def _trained(
    method: str,
    data: ArraySimulations,
    config: Any,
    *,
    checkpoint: Path | None,
    **how: Any,
) -> Network:
    """The network of a round; a checkpoint that cannot be used is thrown away."""
    try:
        return train_method(method, data, config, checkpoint=checkpoint, **how)
    except UnusableCheckpointError:
        if checkpoint is None:
            raise
        checkpoint.unlink(missing_ok=True)
        return train_method(method, data, config, checkpoint=checkpoint, **how)


def _judged(
    posterior: Posterior,
    number: int,
    facts: _Facts,
    distance: Callable[[Posterior], float] | None,
) -> Round:
    value = float("nan") if distance is None else float(distance(posterior))
    return Round(number, **asdict(facts), distance=value, posterior=posterior)


def _nearest(done: Sequence[Round]) -> int:
    """The round with the smallest predictive distance, the first of equal ones."""
    return int(np.argmin([r.distance if np.isfinite(r.distance) else np.inf for r in done]))


def _tell(done: Round, rounds: int, *, show: bool) -> None:
    parts = [f"round {done.number} of {rounds}"]
    if done.number > 1:
        parts.append(f"{done.simulated:,} simulations from {percent(done.prior_mass)} of the prior")
    if np.isfinite(done.distance):
        parts.append(f"predictive distance {done.distance:.3f}")
    say(f"{parts[0]}: {', '.join(parts[1:])}" if parts[1:] else parts[0], show=show)
