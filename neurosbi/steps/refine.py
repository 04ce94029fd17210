"""Rounds of refinement in a fit: simulate a recording's own sweeps where its posterior is.

The first round is the network that serves every recording. Each further one simulates draws of the
truncated prior at the recorded stimuli alone and trains a network for this observation (see
`neurosbi.inference.rounds`). Networks and simulations of finished rounds are kept in the cache by
everything they depend on, so an interrupted fit goes on from them.
"""

__all__ = ["refine_fit", "round_table"]

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from neurosbi.checks import mean_distance
from neurosbi.contract import FixedStimulus, StimulusFamily, SweepSets
from neurosbi.errors import BadInputError
from neurosbi.inference.memory import ArraySimulations
from neurosbi.inference.rounds import Refinement, refine
from neurosbi.inference.target import Pool, Target
from neurosbi.inference.truncated import EPSILON
from neurosbi.progress import progress_bar, say
from neurosbi.seeds import derive_seed
from neurosbi.steps.execution import Execution
from neurosbi.steps.plan import Plan
from neurosbi.steps.sweeps import SweepChecks, check_draws, predictive_seed
from neurosbi.store import atomic_path, cache_directory, config_hash
from neurosbi.store.networks import is_network, write_network

if TYPE_CHECKING:
    from neurosbi.inference.network import Network, Posterior

_CHUNK = 20_000  # draws simulated between two steps of the progress bar


def refine_fit(
    plan: Plan,
    first: "Posterior",
    prior: SweepChecks,
    how: Execution,
    *,
    given: np.ndarray,
    rounds: int,
    simulations: int,
    options: Mapping[str, Any],
    samples: int,
    draws: int,
) -> Refinement:
    """Refine the posterior ``first`` of the plan's sweeps in up to ``rounds`` rounds.

    Every further round simulates ``simulations`` sweeps: as many draws of the parameters for one
    sweep, fewer for a set. ``given[sweep, feature]`` are the features used. The distance of a round
    is that of the first ``draws`` of its ``samples``, averaged over sweeps.
    """
    seed = how.seed
    target = _target(plan, given, seed=seed, threads=how.threads, progress=how.progress)
    n = max(1, simulations // len(plan.observations))
    shelf = _CacheShelf(
        _key(plan, target, first.network, n=n, options=options, seed=seed), how.progress
    )

    def distance(posterior: "Posterior") -> float:
        theta = posterior.sample(samples, seed=derive_seed(seed, "posterior"))[:draws]
        return mean_distance(
            [
                check_draws(
                    plan.simulator,
                    observation,
                    theta,
                    prior.batches[i],
                    given[i],
                    seed=predictive_seed(seed, i, together=plan.together),
                    threads=how.threads,
                )
                for i, observation in enumerate(plan.observations)
            ]
        )

    return refine(
        target,
        rounds=rounds,
        simulations=n,
        first=first,
        method=plan.method,
        options=options,
        distance=distance,
        shelf=shelf,
        seed=derive_seed(seed, "refinement"),
        device=how.device,
        progress=how.progress,
    )


def round_table(refinement: Refinement) -> dict[str, np.ndarray]:
    """The rounds as columns [round], for the result."""
    rounds = refinement.rounds
    return {
        "simulations": np.array([r.simulated for r in rounds]),
        "used": np.array([r.used for r in rounds]),
        "prior_share": np.array([r.prior_mass for r in rounds]),
        "distance": np.array([r.distance for r in rounds]),
        "answer": np.arange(len(rounds)) == refinement.best,
    }


def _target(
    plan: Plan, given: np.ndarray, *, seed: int, threads: int | None, progress: bool
) -> Target:
    """The plan's observations, simulated at the very stimuli that were recorded."""
    observations, simulator = plan.observations, plan.simulator
    family: StimulusFamily
    if isinstance(plan.family, SweepSets):
        family = SweepSets(plan.family.steps, sizes=(len(observations),))
        # by their columns: the holding currents were judged against the whole set
        stimulus = np.array([family.vector(o.stimulus) for o in observations])
        x_o = np.array([o.x for o in observations])
    else:
        family, stimulus = FixedStimulus(plan.observation.stimulus), np.empty((1, 0))
        x_o, given = plan.observation.x, given[0]

    def simulate_rows(theta: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray]:
        n, width = len(theta), len(simulator.feature_set)
        x = np.empty((n, len(observations), width))
        valid = np.empty((n, len(observations)), dtype=bool)
        with progress_bar(f"simulating {simulator.name}", x.shape[0], show=progress) as bar:
            for first in range(0, n, _CHUNK):
                rows = slice(first, min(first + _CHUNK, n))
                for i, observation in enumerate(observations):
                    batch = simulator.simulate(
                        theta[rows],
                        stimulus=observation.stimulus,
                        seed=derive_seed(seed, f"refinement at sweep {i}"),
                        start=start + first,
                        threads=threads,
                    )
                    x[rows, i], valid[rows, i] = batch.x, batch.valid
                bar(rows.stop - rows.start)
        return x.reshape(-1, width), valid.ravel()

    return Target(
        parameters=tuple(simulator.parameters),
        features=tuple(simulator.feature_set),
        x_o=x_o,
        simulate_rows=simulate_rows,
        family=family,
        stimulus=stimulus,
        given=given,
        config=simulator.config(),
    )


def _key(
    plan: Plan,
    target: Target,
    first: "Network",
    *,
    n: int,
    options: Mapping[str, Any],
    seed: int,
) -> dict[str, Any]:
    """Everything that a round depends on, but its number."""
    from neurosbi.inference.methods import METHODS, method_config

    config = method_config(plan.method, **options)
    return {
        "refinement": 3,
        "method": plan.method,
        "method_version": METHODS[plan.method].version,
        "options": asdict(config) | {"training": config.training.numbers()},
        "first": first.card.get("config_hash") or config_hash(first.card),
        "simulator": plan.simulator.config(),
        "prior": [asdict(p) for p in target.parameters],
        "x_o": [None if np.isnan(v) else float(v) for v in np.ravel(target.x_o)],
        "given": None if target.given is None else np.ravel(target.given),
        "stimuli": [o.stimulus.to_dict() for o in plan.observations],
        "epsilon": EPSILON,
        "n": n,
        "seed": seed,
    }


@dataclass(frozen=True)
class _CacheShelf:
    """Rounds in the cache: the network among the networks, the simulations in ``rounds``."""

    key: Mapping[str, Any]
    progress: bool

    def load(self, number: int) -> "tuple[Network, Pool] | None":
        from neurosbi.steps.train import open_network

        network, simulations = self._paths(number)
        if not is_network(network) or not simulations.is_file():
            return None
        try:
            with np.load(simulations, allow_pickle=False) as file:
                pool = Pool(**{name: file[name] for name in ("theta", "x", "valid")})
            return open_network(network), pool
        except (BadInputError, OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            say(f"round {number} in the cache cannot be used ({error})", show=self.progress)
            return None

    def save(
        self, number: int, network: "Network", new: Pool, simulations: ArraySimulations
    ) -> None:
        from neurosbi.inference.methods import network_weights
        from neurosbi.steps.check import keep_held_out_calibration

        folder, drawn = self._paths(number)
        network.card["config_hash"] = folder.name
        write_network(folder, network_weights(network), network.card)
        network.folder = folder
        keep_held_out_calibration(network, simulations, folder, progress=self.progress)
        # last, since a round with its simulations counts as finished
        with atomic_path(drawn) as temporary, temporary.open("wb") as file:
            np.savez(file, **vars(new))
        checkpoint = self.checkpoint(number)
        checkpoint.unlink(missing_ok=True)

    def checkpoint(self, number: int) -> Path:
        network, _ = self._paths(number)
        network.parent.mkdir(parents=True, exist_ok=True)
        return network.with_name(f".{network.name}.training")

    def _paths(self, number: int) -> tuple[Path, Path]:
        name = config_hash({**self.key, "round": number})
        return cache_directory() / "networks" / name, cache_directory() / "rounds" / f"{name}.npz"
