"""Tests of a posterior at its recording: misspecification, and calibration there (L-C2ST).

Both use simulations of the prior at the recorded protocol, which a fit has made already. Where
these are simulations that the network was trained on (spontaneous activity: every simulation is at
that protocol), L-C2ST uses those that the training held out.
"""

__all__ = [
    "OF_TRAINING",
    "RecordedProtocol",
    "check_locally",
    "check_misspecification",
    "protocol_of",
]

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neurosbi.checks import LocalCalibration, Misspecification, local_calibration, misspecification
from neurosbi.checks.spread import defined_values
from neurosbi.contract import Feature, Observation, SimulationBatch
from neurosbi.errors import BadInputError
from neurosbi.progress import progress_bar
from neurosbi.seeds import derive_seed
from neurosbi.store.stored_result import StoredResult

if TYPE_CHECKING:
    from neurosbi.inference.network import Network, Posterior
    from neurosbi.inference.pairs import Pairs

_DRAWS = 31  # of the posterior of every pair
_OBSERVED_DRAWS = 2000
_BATCH = 500  # pairs between two looks at the clock
OF_TRAINING = "the first of the training"


@dataclass(frozen=True, eq=False)
class RecordedProtocol:
    """The sweeps that were fitted, and prior draws ``theta[sim, theta]`` simulated at each.

    ``x[sweep, feature]`` is observed, ``given[sweep, feature]`` what the posterior is conditioned
    on, ``stimuli[sweep, parameter]`` in the columns of the network's family. The batches may have
    fewer rows than theta. ``of_training``: the draws are the first that the network is trained on.
    """

    features: tuple[Feature, ...]
    x: np.ndarray
    given: np.ndarray
    stimuli: np.ndarray
    theta: np.ndarray
    batches: tuple[SimulationBatch, ...]
    of_training: bool = False

    @classmethod
    def of_fit(
        cls,
        network: "Network",
        observations: Sequence[Observation],
        *,
        given: np.ndarray,
        theta: np.ndarray,
        batches: Sequence[SimulationBatch],
    ) -> "RecordedProtocol":
        """That of observed sweeps, with ``given[sweep, feature]`` and the prior simulations."""
        return cls(
            features=network.features,
            x=np.array([o.x for o in observations]),
            given=np.asarray(given, dtype=bool),
            stimuli=np.array([network.family.vector(o.stimulus) for o in observations]),
            theta=theta,
            batches=tuple(batches),
        )

    def posterior(self, network: "Network") -> "Posterior":
        """The posterior of the network given the recording."""
        if network.takes_sets:
            return network.posterior(self.x, self.stimuli, self.given)
        return network.posterior(self.x[0], self.stimuli[0], self.given[0])

    def pairs(self, network: "Network") -> "Pairs":
        """The prior draws with the conditions that their simulations make."""
        from neurosbi.inference.pairs import recorded_pairs

        return recorded_pairs(
            network, self.theta, self.batches, stimuli=self.stimuli, given=self.given
        )

    def unseen_pairs(self, network: "Network") -> "Pairs":
        """Those of `pairs` from which the network did not learn."""
        from neurosbi.inference.pairs import Pairs, held_out_positions

        pairs = self.pairs(network)
        if not self.of_training:
            return pairs
        unseen = held_out_positions(network)[: len(pairs)]
        return Pairs(pairs.theta[unseen], pairs.condition[unseen])


def protocol_of(network: "Network", stored: StoredResult) -> RecordedProtocol:
    """The protocol of a stored result."""
    if stored.sweeps is not None:
        sweeps = stored.sweeps
        stimuli = np.array([network.family.vector(s) for s in sweeps.stimuli])
        batches = [
            SimulationBatch(x.astype(np.float64), status)
            for x, status in zip(sweeps.prior_x, sweeps.prior_status, strict=True)
        ]
        x, given = sweeps.x, sweeps.given
    else:
        given = stored.used[None]
        x, stimuli = stored.observation.x[None], network.family.vector(stored.observation.stimulus)
        stimuli = stimuli[None]
        batches = [SimulationBatch(stored.prior_x, stored.prior_status)]
    return RecordedProtocol(
        network.features,
        x,
        given,
        stimuli,
        stored.prior_theta,
        tuple(batches),
        of_training=stored.config.get("prior_simulations") == OF_TRAINING,
    )


def check_misspecification(network: "Network", protocol: RecordedProtocol) -> Misspecification:
    """Whether the recording is like simulations, as the network sees it and feature by feature.

    The features compared are those of the first sweep; the network sees all.
    """
    from neurosbi.inference.ranks import context_of

    pairs = protocol.pairs(network)
    first, given = protocol.batches[0], protocol.given[0]
    values = defined_values(first.x, first.valid)[first.valid]
    return misspecification(
        [f for f, g in zip(protocol.features, given, strict=True) if g],
        protocol.x[0][given],
        prior_x=values[:, given],
        context=context_of(network, pairs.condition),
        context_observed=context_of(network, protocol.posterior(network).condition)[0],
    )


def check_locally(
    network: "Network",
    protocol: RecordedProtocol,
    *,
    seed: int,
    time_limit: float | None = None,
    progress: bool = True,
) -> LocalCalibration:
    """L-C2ST at the recording; after ``time_limit`` seconds with the pairs done by then.

    Raises `BadInputError` for a limit too short for one batch.
    """
    from neurosbi.inference.pairs import Pairs
    from neurosbi.inference.ranks import context_of, unconstrained, unconstrained_draws

    began = time.monotonic()
    pairs = protocol.unseen_pairs(network)
    posterior = protocol.posterior(network)
    seed = derive_seed(seed, "local calibration")
    parts: list[np.ndarray] = []
    with progress_bar("posterior at this recording", len(pairs), show=progress) as advance:
        for start in range(0, len(pairs), _BATCH):
            block = Pairs(
                pairs.theta[start : start + _BATCH], pairs.condition[start : start + _BATCH]
            )
            block_seed = derive_seed(seed, f"pairs from {start}")
            parts.append(unconstrained_draws(network, block, draws=_DRAWS, seed=block_seed))
            advance(len(block))
            elapsed = time.monotonic() - began
            if time_limit is not None and elapsed > time_limit:
                if len(parts) == 1:
                    raise BadInputError(
                        f"the time limit is too short for one batch: {len(block)} posteriors took "
                        f"{elapsed:.3g} s and had {time_limit:g} s; allow more (--time-limit)"
                    )
                break
    z = np.concatenate(parts, axis=1) if parts else np.empty((1 + _DRAWS, 0, pairs.theta.shape[1]))
    return local_calibration(
        [p.name for p in network.parameters],
        z,
        context_of(network, pairs.condition[: z.shape[1]]),
        z_observed=unconstrained(network, posterior.sample(_OBSERVED_DRAWS, seed=seed)),
        context_observed=context_of(network, posterior.condition)[0],
        seed=seed,
    )
