r"""Sequential refinement of the posterior of one observation by truncated proposals (TSNPE).

    round 1:  theta ~ p,                 q_1 = NPE on (theta, x)
    round r:  theta ~ p restricted to A_r,   A_r = A_{r-1} and {log q_{r-1}(theta | x_o) - log p > tau},
              q_r = NPE on the simulations of rounds 1 .. r that lie in A_r

Why plain maximum likelihood is right: a draw of round i is a draw of p restricted to A_i. The
regions are nested, so what of it lies in A_r is a draw of p restricted to A_r, and so is the pool
of all of them. Training on the pool gives the posterior under that restricted prior, which at x_o
is the posterior itself but for the mass outside A_r, epsilon in each round if q is right. (Draws
outside A_r would be right too at x_o, but spend the network on where the posterior is not.)

After each round the mean predictive distance of the used features may be computed; when it no
longer falls, the refinement ends, and its best round is the answer. One round is always among them.

References:
    Deistler, Goncalves, Macke (2022), arXiv:2210.04815. They train on all rounds; we keep the
    simulations inside the newest region, with nested regions, and stop by the predictive distance.
"""

__all__ = ["Pool", "Refinement", "Round", "RoundShelf", "Target", "refine"]

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from neurosbi.contract import (
    Feature,
    FixedStimulus,
    Parameter,
    Stimulus,
    StimulusFamily,
    sample_box,
)
from neurosbi.errors import BadInputError
from neurosbi.inference.memory import ArraySimulations
from neurosbi.inference.methods import method_config, train_method
from neurosbi.inference.network import Network, Posterior
from neurosbi.inference.truncated import EPSILON, TruncatedPrior
from neurosbi.progress import say
from neurosbi.seeds import derive_seed
from neurosbi.training.checkpoint import UnusableCheckpointError

SimulateRows = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]

_NO_STIMULUS = FixedStimulus(Stimulus.step(amplitude=0.0, onset=0.0, duration=1.0))


@dataclass(frozen=True, eq=False)
class Target:
    """One observation, and how to simulate what could have been observed instead.

    ``simulate_rows(theta[draw, theta], start) -> (x[row, feature], valid[row])`` with one row for
    each draw and sweep, sweeps fastest; ``start`` is the number of the first draw among all.
    ``x_o[feature]``, or ``x_o[sweep, feature]`` with ``stimulus[sweep, parameter]`` where
    ``family`` is one of sets of sweeps. Features that are NaN in ``x_o`` and False in ``given``
    are hidden from the networks.
    """

    parameters: tuple[Parameter, ...]
    features: tuple[Feature, ...]
    x_o: np.ndarray
    simulate_rows: SimulateRows
    family: StimulusFamily = _NO_STIMULUS
    stimulus: np.ndarray = field(default_factory=lambda: np.empty((1, 0)))
    given: np.ndarray | None = None
    config: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_function(
        cls,
        simulate: Callable[[np.ndarray, np.random.Generator], np.ndarray],
        parameters: Sequence[Parameter],
        x_o: np.ndarray,
        *,
        seed: int = 0,
    ) -> "Target":
        """The target of a plain function ``simulate(theta[sim, theta], rng) -> x[sim, column]``."""

        def simulate_rows(theta: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray]:
            rng = np.random.default_rng(derive_seed(seed, f"simulations from {start}"))
            x = np.asarray(simulate(theta, rng), dtype=np.float64)
            return x, np.isfinite(x).any(axis=1)

        features = tuple(Feature(f"x{i}", "1") for i in range(np.size(x_o)))
        return cls(tuple(parameters), features, np.ravel(x_o).astype(float), simulate_rows)

    def posterior(self, network: Network) -> Posterior:
        """What a network trained for this target says of it."""
        stimulus = self.stimulus if self.family.parameters else None
        return network.posterior(self._hidden(self.x_o), stimulus)

    @property
    def n_rows(self) -> int:
        """Rows of simulations for each draw of the parameters."""
        return len(self.stimulus)

    def simulations(self, pool: "Pool", *, seed: int) -> ArraySimulations:
        """The pool as training data."""
        n = len(pool.theta)
        shape = (n, *self.x_o.shape)
        return ArraySimulations(
            theta=np.repeat(pool.theta, self.n_rows, axis=0),
            x=self._hidden(pool.x.reshape(shape)).reshape(pool.x.shape),
            valid=pool.valid,
            stimulus=np.tile(self.stimulus, (n, 1)),
            parameters=self.parameters,
            features=self.features,
            family=self.family,
            simulator_config=self.config,
            seed=seed,
        )

    def _hidden(self, x: np.ndarray) -> np.ndarray:
        return x if self.given is None else np.where(self.given, x, np.nan)


@dataclass(frozen=True, eq=False)
class Pool:
    """Draws ``theta[draw, theta]`` and their simulations ``x[row, feature]``, ``valid[row]``."""

    theta: np.ndarray
    x: np.ndarray
    valid: np.ndarray

    def with_rows(self, other: "Pool") -> "Pool":
        """Both together."""
        mine, its = vars(self), vars(other)
        return Pool(**{name: np.concatenate([mine[name], its[name]]) for name in mine})

    def only(self, kept: np.ndarray) -> "Pool":
        """The draws ``kept`` [draw]."""
        if not len(kept):
            return self
        rows = np.repeat(kept, len(self.x) // len(self.theta))
        return Pool(self.theta[kept], self.x[rows], self.valid[rows])


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
    network: Network
    posterior: Posterior


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

    def save(self, number: int, network: Network, new: Pool) -> None:
        """Keep a finished round."""
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
    simulations are then not used again). ``options`` go to the method. With ``distance`` the
    refinement stops when it no longer falls and the round with the smallest one is the answer;
    without, the last one is. ``time_limit`` (s) is for drawing the parameters of one round.

    Raises `BadInputError` for fewer than one round, and what drawing and training raise.
    """
    counts = _counts(rounds, simulations)
    config = _config(method, options or {})
    done: list[Round] = []
    pool: Pool | None = None
    region = TruncatedPrior(target.parameters)
    for number in range(1, rounds + 1):
        if number == 1 and first is not None:
            done.append(_judged(1, 0, 0, 1.0, "prior", first.network, first, distance))
            _tell(done[-1], rounds, show=progress)
            continue
        round_seed = derive_seed(seed, f"round {number}")
        if done:
            region = region.narrowed(done[-1].posterior, epsilon=epsilon, seed=round_seed)
            pool = None if pool is None else pool.only(region.contains(pool.theta))
        kept = shelf.load(number) if shelf is not None else None
        if kept is None:
            new, facts = _simulated(
                target, region, counts, number, round_seed, time_limit, progress
            )
        else:
            new, facts = kept[1], kept[0].card["round"]
        pool = new if pool is None else pool.with_rows(new)
        if kept is None:
            data = target.simulations(pool, seed=round_seed)
            checkpoint = shelf.checkpoint(number) if shelf is not None else None
            network = _trained(method, data, config, round_seed, device, checkpoint, progress)
            network.card["round"] = facts | {"number": number, "used": len(pool.theta)}
            if shelf is not None:
                shelf.save(number, network, new)
        else:
            network = kept[0].to(device) if device != "auto" else kept[0]
        facts = network.card["round"]
        done.append(
            _judged(
                number,
                len(new.theta),
                facts["used"],
                facts["prior_mass"],
                facts["proposal"],
                network,
                target.posterior(network),
                distance,
            )
        )
        _tell(done[-1], rounds, show=progress)
        if distance is not None and len(done) > 1 and not _fell(done):
            break
    best = len(done) - 1
    if distance is not None:
        best = int(np.argmin([r.distance if np.isfinite(r.distance) else np.inf for r in done]))
    return Refinement(tuple(done), best)


def _counts(rounds: int, simulations: int | Sequence[int]) -> list[int]:
    if rounds < 1:
        raise BadInputError(f"a refinement has at least 1 round, got rounds = {rounds}")
    counts = [simulations] * rounds if isinstance(simulations, int) else list(simulations)
    if len(counts) != rounds or min(counts) < 1:
        raise BadInputError(
            f"each of the {rounds} rounds needs at least 1 simulation, got {simulations}"
        )
    return counts


def _config(method: str, options: Mapping[str, Any]) -> Any:
    """The method's configuration; every network sees all features of its one observation."""
    config = method_config(method, **options)
    if hasattr(config, "withheld"):
        config = dataclasses.replace(config, withheld=0.0)
    return config


def _simulated(
    target: Target,
    region: TruncatedPrior,
    counts: Sequence[int],
    number: int,
    seed: int,
    time_limit: float,
    progress: bool,
) -> tuple[Pool, dict[str, Any]]:
    """New draws of the region with their simulations, and what to note about them."""
    n = counts[number - 1]
    if region.regions:
        draws = region.sample(n, seed=seed, time_limit=time_limit, progress=progress)
        theta, mass, proposal = draws.theta, draws.prior_mass, draws.proposal
    else:
        theta, mass, proposal = sample_box(target.parameters, n, seed=seed), 1.0, "prior"
    x, valid = target.simulate_rows(theta, sum(counts[: number - 1]))
    return Pool(theta, x, np.asarray(valid, dtype=bool)), {"prior_mass": mass, "proposal": proposal}


def _trained(
    method: str,
    data: ArraySimulations,
    config: Any,
    seed: int,
    device: str,
    checkpoint: Path | None,
    progress: bool,
) -> Network:
    how: dict[str, Any] = {"seed": seed, "device": device, "progress": progress}
    try:
        return train_method(method, data, config, checkpoint=checkpoint, **how)
    except UnusableCheckpointError:
        if checkpoint is None:
            raise
        checkpoint.unlink(missing_ok=True)
        return train_method(method, data, config, checkpoint=checkpoint, **how)


def _judged(
    number: int,
    simulated: int,
    used: int,
    prior_mass: float,
    proposal: str,
    network: Network,
    posterior: Posterior,
    distance: Callable[[Posterior], float] | None,
) -> Round:
    value = float("nan") if distance is None else float(distance(posterior))
    return Round(number, simulated, used, prior_mass, proposal, value, network, posterior)


def _fell(done: Sequence[Round]) -> bool:
    before = min((r.distance for r in done[:-1] if np.isfinite(r.distance)), default=np.inf)
    return bool(done[-1].distance < before)


def _tell(done: Round, rounds: int, *, show: bool) -> None:
    parts = [f"round {done.number} of {rounds}"]
    if done.number > 1:
        parts.append(
            f"{done.simulated:,} simulations from {100 * done.prior_mass:.2g} % of the prior"
        )
    if np.isfinite(done.distance):
        parts.append(f"predictive distance {done.distance:.3f}")
    say(f"{parts[0]}: {', '.join(parts[1:])}" if parts[1:] else parts[0], show=show)
