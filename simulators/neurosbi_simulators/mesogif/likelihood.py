"""The likelihood of recorded population counts, and its gradient, for many parameter sets.

    log L = sum_t sum_a log Binomial(n_a(t) | N_a, nbar_a(t; n(<t), theta)/N_a)

over the bins after the burn-in. The sums are in double precision whatever the kernel computes in.
Where data and parameters are far apart, the expected count nbar can leave [0, N]: there the
logarithm is continued along its tangent, so that the likelihood has no flat parts, and the share
of counts that are impossible there is reported: more than a few mean that the value is no
likelihood of this model.
"""

__all__ = ["CountLikelihood", "Likelihoods"]

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import gammaln

from neurosbi.contract import Observation
from neurosbi.errors import BadInputError
from neurosbi_simulators.mesogif.blocks import Populations, over_blocks
from neurosbi_simulators.mesogif.gradient import gradient_of_population
from neurosbi_simulators.mesogif.integrate import likelihood_block
from neurosbi_simulators.mesogif.layout import LANES


@dataclass(frozen=True, eq=False)
class Likelihoods:
    """``log_likelihood[sim]``, and the share of impossible counts, ``clipped[sim, population]``."""

    log_likelihood: np.ndarray
    clipped: np.ndarray


@dataclass(frozen=True, eq=False)
class CountLikelihood:
    """Counts [time, population] on the grid of a network; those before ``first`` only lead in."""

    populations: Populations
    counts: np.ndarray
    first: int

    @classmethod
    def of(cls, populations: Populations, observation: Observation) -> "CountLikelihood":
        """The counts of an observation, in bins of the network's time step.

        Raises `BadInputError` where they cannot be counts of this network.
        """
        counts, dt = observation.record, populations.grid.dt
        if counts is None or observation.dt is None:
            raise BadInputError(
                "mesogif: the likelihood needs the counts of a recording, not features alone; use "
                "spike trains"
            )
        counts = np.asarray(counts, dtype=np.float64)
        network = populations.parameters.network
        if counts.ndim != 2 or counts.shape[1] != network.n:
            raise BadInputError(
                f"mesogif: counts of {', '.join(network.names)} have the shape [time, "
                f"{network.n}], got {counts.shape}"
            )
        together = round(dt / observation.dt)
        if together < 1 or abs(together * observation.dt - dt) > 1e-6 * dt:
            raise BadInputError(
                f"mesogif: counts in bins of {observation.dt:g} ms cannot be summed into time "
                f"steps of {dt:g} ms; make them as long as the bins or a multiple of it (--set dt=...)"
            )
        steps = len(counts) // together
        counts = counts[: steps * together].reshape(steps, together, -1).sum(axis=1)
        if not np.all(np.isfinite(counts)) or np.any(counts < 0) or np.any(counts % 1):
            raise BadInputError("mesogif: spike counts are whole numbers of at least 0")
        most = counts.max(axis=0, initial=0)
        for name, size, largest in zip(network.names, network.size, most, strict=True):
            if largest > size:
                raise BadInputError(
                    f"mesogif: {largest:.0f} spikes of {name} in {dt:g} ms are more than its "
                    f"{size} neurons can fire; give the numbers of neurons with the setting sizes"
                )
        first = round(observation.stimulus.onset / dt)
        if first >= len(counts):
            raise BadInputError(
                f"mesogif: {len(counts) * dt:g} ms of counts are not longer than the burn-in of "
                f"{observation.stimulus.onset:g} ms"
            )
        return cls(populations, np.ascontiguousarray(counts), first)

    @cached_property
    def constant(self) -> float:
        """The binomial coefficients, which do not depend on theta."""
        n, size = self.counts[self.first :], self.populations.sizes
        return float(np.sum(gammaln(size + 1.0) - gammaln(n + 1.0) - gammaln(size - n + 1.0)))

    def evaluate(self, theta: np.ndarray, *, threads: int | None = None) -> Likelihoods:
        """Log-likelihoods of ``theta[sim, theta]``, which lie side by side in vector lanes."""
        log_likelihood = np.empty(len(theta))
        clipped = np.empty((len(theta), len(self.populations.sizes)))

        def one(block: slice) -> None:
            rows = theta[block]
            sums = np.empty(LANES)
            outside = np.empty((clipped.shape[1], LANES), dtype=np.int64)
            parameters, tables = self.populations.lanes(rows)
            likelihood_block(
                parameters,
                tables,
                *self.populations.constants,
                self.counts,
                self.first,
                sums,
                outside,
            )
            log_likelihood[block] = self.constant + sums[: len(rows)]
            clipped[block] = outside[:, : len(rows)].T / (len(self.counts) - self.first)

        over_blocks(one, len(theta), threads)
        return Likelihoods(log_likelihood, clipped)

    def gradient(
        self, theta: np.ndarray, *, threads: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Log-likelihoods [sim] and their derivatives [sim, theta]."""
        log_likelihood = np.empty(len(theta))
        gradient = np.empty(theta.shape)

        def one(block: slice) -> None:
            for i in range(block.start, block.stop):
                log_likelihood[i], gradient[i] = self._value_and_gradient(theta[i])

        over_blocks(one, len(theta), threads, size=1)
        return log_likelihood, gradient

    def _value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        sizes, history, refractory, delay = self.populations.constants
        parameters, tables = self.populations.lanes(theta[None])
        d_parameters, d_tables = self.populations.tangents(theta)
        value, gradient = self.constant, np.zeros(len(theta))
        for a, ages in enumerate(history + 1):
            own = np.any(d_parameters[a] != 0, axis=0) | np.any(d_tables[a] != 0, axis=(0, 1))
            relevant = np.flatnonzero(own)
            slopes = np.empty(len(relevant))
            part = gradient_of_population(
                np.ascontiguousarray(parameters[a, :, 0]),
                np.ascontiguousarray(d_parameters[a][:, relevant].T),
                _flat(tables[a, :ages, :, :1])[0],
                _flat(d_tables[a, :ages][..., relevant]),
                np.any(d_tables[a][..., relevant] != 0, axis=(0, 1)),
                float(sizes[a]),
                refractory[a],
                delay,
                self.counts,
                a,
                self.first,
                slopes,
            )
            gradient[relevant] += slopes
            value += part
        return value, gradient


def _flat(table: np.ndarray) -> np.ndarray:
    """[age, 2, sim] -> [sim, 2 * ages], with an empty age after the last."""
    n = table.shape[2]
    return np.pad(table.transpose(2, 1, 0), ((0, 0), (0, 0), (0, 1))).reshape(n, -1)
