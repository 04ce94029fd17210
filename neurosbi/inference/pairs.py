"""Test pairs (theta, x): parameters of the prior and the condition a network would see for them.

Calibration compares a posterior with the parameters that made its data, so it needs pairs the
network has not been trained on. Three kinds: fresh ones over all stimuli that a network serves
(`family_pairs`), those that its training only validated on (`held_out_pairs`), and those at the
protocol of one recording (`recorded_pairs`), be they fresh or of the training: which of these it
did not learn from is told by `held_out_positions`. As in training, simulations that did not end
properly are left out, and features may be withheld.
"""

__all__ = ["Pairs", "family_pairs", "held_out_pairs", "held_out_positions", "recorded_pairs"]

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neurosbi.contract import SimulationBatch, Simulator, SweepSets
from neurosbi.errors import BadInputError
from neurosbi.inference.network import Network
from neurosbi.inference.simulations import Simulations, given_features, usable_rows
from neurosbi.inference.training_rows import training_rows
from neurosbi.nets import SetEncoder
from neurosbi.seeds import derive_seed
from neurosbi.training import TrainingConfig, held_out_rows, read_chosen


@dataclass(frozen=True, eq=False)
class Pairs:
    """``theta[pair, theta]`` and what the estimator takes, ``condition[pair, column]``."""

    theta: np.ndarray
    condition: Tensor

    def __len__(self) -> int:
        return len(self.theta)


def family_pairs(
    network: Network,
    simulator: Simulator,
    n: int,
    *,
    seed: int,
    start: int = 0,
    threads: int | None = None,
) -> Pairs:
    """Cases ``start .. start+n`` of the network's prior and stimuli, freshly simulated.

    A case is one sweep, or one set of sweeps for a network of sets. Features are withheld as
    often as they were in training. There may be fewer pairs than cases: those whose simulation
    did not end properly are left out.
    """
    family = network.family
    if isinstance(family, SweepSets):
        first, end = (int(row) for row in family.first_row(np.array([start, start + n])))
        rows = np.arange(first, end)
        sets = family.set_of(rows)
        theta = simulator.sample_sets(family, len(rows), seed=seed, start=first)
        owner, place = sets - start, rows - family.first_row(sets)
    else:
        rows, first = np.arange(start, start + n), start
        theta = simulator.sample_prior(n, seed=seed, start=first)
        owner, place = np.arange(n), np.zeros(n, dtype=np.int64)
    stimuli = family.sample(len(rows), seed=seed, start=first)
    batch = simulator.simulate(
        theta, stimulus=stimuli, seed=derive_seed(seed, "noise"), start=first, threads=threads
    )
    given = given_features(
        batch.x.shape[1],
        len(rows),
        share=float(network.card.get("withheld") or 0.0),
        seed=derive_seed(seed, "withheld"),
        start=first,
    )
    valid = batch.valid
    x, values, seen = (torch.as_tensor(a[valid]) for a in (batch.x, stimuli.values, given))
    if not isinstance(network.encoder, SetEncoder):
        return Pairs(theta[valid], network.encoder(x, values, seen))
    kept, first_of, owner = np.unique(owner[valid], return_index=True, return_inverse=True)
    condition = network.encoder(
        x,
        values,
        torch.as_tensor(owner),
        torch.as_tensor(place[valid]),
        n=len(kept),
        given=seen,
    )
    return Pairs(theta[valid][first_of], condition)


def held_out_pairs(network: Network, simulations: Simulations, *, most: int) -> Pairs:
    """The first ``most`` pairs of its training set that ``network`` never learned from.

    They chose the epoch at which its training ended, nothing else. Raises `BadInputError` where
    ``simulations`` are not those that the network was trained on.
    """
    card = network.card
    made = card["simulations"]
    mine = (made["config_hash"], made["seed"], made["used"] + made["dropped"])
    if mine != (simulations.config_hash, simulations.seed, simulations.n):
        raise BadInputError(
            "these simulations are not the ones this network was trained on; give those of its card"
        )
    seed = _training_seed(network)
    source = training_rows(
        simulations,
        usable_rows(simulations),
        encoder=network.encoder,
        estimator=network.estimator,
        inputs=network.inputs,
        withheld=float(card["withheld"]),
        seed=seed,
    )
    z, condition = read_chosen(source, _held_out(network, len(source)), most=most)
    theta = source.bijection.inverse(z.double() * source.scale + source.center)
    return Pairs(theta.numpy(), condition)


def held_out_positions(network: Network) -> np.ndarray:
    """bool [sim]: of the simulations used in its training, those ``network`` never learned from.

    They are counted among those that ended properly, in the order of their store. Of a network of
    single sweeps: others learn from sets.
    """
    return _held_out(network, network.card["simulations"]["used"])


def _held_out(network: Network, n: int) -> np.ndarray:
    """bool [n]: which of the ``n`` rows of its training were held out."""
    config = TrainingConfig(**network.card["training"])
    return held_out_rows(n, config, seed=_training_seed(network))


def _training_seed(network: Network) -> int:
    return derive_seed(int(network.card["seed"]), "training")


def recorded_pairs(
    network: Network,
    theta: np.ndarray,
    batches: Sequence[SimulationBatch],
    *,
    stimuli: np.ndarray,
    given: np.ndarray,
) -> Pairs:
    """Pairs at the protocol of a recording: ``theta[sim, theta]`` simulated at each of its sweeps.

    One of ``batches``, one row of ``stimuli[sweep, parameter]`` (the columns of the network's
    family) and one of ``given[sweep, feature]`` for every sweep. Only simulations that ended
    properly at all sweeps are kept.
    """
    n = min(len(b.x) for b in batches)
    valid = np.all([b.valid[:n] for b in batches], axis=0)
    x = np.stack([b.x[:n][valid] for b in batches], axis=1)  # [sim, sweep, feature]
    theta = theta[:n][valid]
    if network.refined:  # trained on what was left out as undefined (see `Network.posterior`)
        x, given = np.where(given, x, np.nan), np.ones_like(given)
    if not isinstance(network.encoder, SetEncoder):
        rows = np.broadcast_to(stimuli[0], (len(x), stimuli.shape[1]))
        condition = network.encoder(
            torch.as_tensor(x[:, 0]), torch.as_tensor(rows.copy()), torch.as_tensor(given[0])
        )
        return Pairs(theta, condition)
    n_sets, n_sweeps, width = x.shape
    condition = network.encoder(
        torch.as_tensor(x.reshape(-1, width)),
        torch.as_tensor(np.tile(stimuli, (n_sets, 1))),
        torch.arange(n_sets).repeat_interleave(n_sweeps),
        torch.arange(n_sweeps).repeat(n_sets),
        n=n_sets,
        given=torch.as_tensor(np.tile(given, (n_sets, 1))),
    )
    return Pairs(theta, condition)
