r"""Hamiltonian Monte Carlo of several chains at once, in coordinates where the target is round.

Points are z = L q with the Cholesky factor L of an estimate of the posterior's covariance. In q
the target is near to N(0, I); trajectories of up to half a turn (length pi) then carry far, also
along ridges that are bent where a parameter is near a bound of its prior. Their lengths vary
widely, since half a turn alone returns to the same density. All chains take the same number of
leapfrog steps, so that their gradients can be computed together. While tuning, the step size is
adapted to an acceptance of 0.9 by dual averaging, and L is estimated anew from the draws of all
chains, twice.

References: Neal 2011, arXiv:1206.1901 (HMC, jitter); Hoffman & Gelman 2014, arXiv:1111.4246 (dual
averaging); Stan's windowed adaptation. We differ from NUTS: the length of a trajectory is fixed,
which needs no tree where the coordinates are round, and keeps chains in step.
"""

__all__ = ["HmcRun", "sample_chains"]

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from neurosbi.seeds import derive_seed

ValueAndGradient = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

_TARGET = 0.9  # acceptance
_LENGTH = 0.6 * np.pi  # of a trajectory, on average
_JITTER = 0.7  # of the length, relative
_DIVERGENT = 1000.0  # error of the energy
_MOST_STEPS = 50  # leapfrog steps of a trajectory
_SHRINKAGE = 5.0  # draws that the old covariance counts for


@dataclass(frozen=True, eq=False)
class HmcRun:
    """``z[chain, draw, dim]`` with ``log_density[chain, draw]`` of the target.

    ``accepted[chain]`` is the mean acceptance, ``divergent[chain]`` counts trajectories whose
    energy ran away, ``steps`` are leapfrog steps per draw, ``finished`` is False where time ran out.
    """

    z: np.ndarray
    log_density: np.ndarray
    accepted: np.ndarray
    divergent: np.ndarray
    step_size: float
    steps: float
    finished: bool


def sample_chains(
    target: ValueAndGradient,
    z: np.ndarray,
    covariance: np.ndarray,
    *,
    draws: int,
    tune: int,
    seed: int,
    over: Callable[[], bool] = lambda: False,
    advance: Callable[[str], None] = lambda status: None,
) -> HmcRun:
    """Run the chains from ``z[chain, dim]``; the target has finite densities there.

    ``target(z[chain, dim]) -> (log density [chain], gradient [chain, dim])``; ``covariance`` is a
    first estimate of the target's. ``over`` ends the run early; ``advance`` hears of each draw.
    """
    rng = np.random.Generator(np.random.Philox(key=derive_seed(seed, "hamiltonian monte carlo")))
    n_chains, dim = z.shape
    factor = np.linalg.cholesky(covariance)
    value, gradient = target(z)
    step = _StepSize(0.8 * dim**-0.25)
    windows = {tune // 3, 2 * tune // 3} if tune >= 60 else set()
    kept, densities, recent = [], [], []
    accepted, divergent = np.zeros(n_chains), np.zeros(n_chains, dtype=np.int64)
    steps_taken = 0
    for iteration in range(tune + draws):
        if over():
            break
        if iteration in windows:
            covariance = _estimate(np.concatenate(recent[len(recent) // 3 :]), covariance)
            factor, recent = np.linalg.cholesky(covariance), []
            step.restart()
        tuning = iteration < tune
        epsilon = (step.current if tuning else step.settled) * rng.uniform(0.9, 1.1)
        length = _LENGTH * rng.uniform(1 - _JITTER, 1 + _JITTER)
        n_steps = int(np.clip(round(length / epsilon), 1, _MOST_STEPS))
        momentum = rng.standard_normal((n_chains, dim))
        proposal, new_value, new_gradient, new_momentum = _trajectory(
            target, z, gradient, value, momentum, factor, epsilon, n_steps
        )
        change = (new_value - value) - 0.5 * (
            np.sum(new_momentum**2, axis=1) - np.sum(momentum**2, axis=1)
        )
        change = np.where(np.isfinite(change), change, -np.inf)
        probability = np.exp(np.minimum(change, 0.0))
        take = rng.uniform(size=n_chains) < probability
        z = np.where(take[:, None], proposal, z)
        value = np.where(take, new_value, value)
        gradient = np.where(take[:, None], new_gradient, gradient)
        if tuning:
            step.learn(float(probability.mean()))
            recent.append(z)
        else:
            kept.append(z)
            densities.append(value)
            accepted += probability
            divergent += change < -_DIVERGENT
            steps_taken += n_steps
        advance(f"acceptance {probability.mean():.2f}, {n_steps} steps of {epsilon:.2g}")
    n = len(kept)
    return HmcRun(
        z=np.array(kept).reshape(n, n_chains, dim).swapaxes(0, 1),
        log_density=np.array(densities).reshape(n, n_chains).T,
        accepted=accepted / max(n, 1),
        divergent=divergent,
        step_size=step.settled,
        steps=steps_taken / max(n, 1),
        finished=n == draws,
    )


def _trajectory(
    target: ValueAndGradient,
    z: np.ndarray,
    gradient: np.ndarray,
    value: np.ndarray,
    momentum: np.ndarray,
    factor: np.ndarray,
    epsilon: float,
    n_steps: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Leapfrog in q; the gradient in q is L^T times that in z."""
    momentum = momentum + 0.5 * epsilon * gradient @ factor
    for i in range(n_steps):
        z = z + epsilon * momentum @ factor.T
        value, gradient = target(z)
        gradient = np.nan_to_num(gradient, posinf=0.0, neginf=0.0)
        momentum = momentum + (epsilon if i < n_steps - 1 else 0.5 * epsilon) * gradient @ factor
    return z, value, gradient, momentum


def _estimate(draws: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Covariance of ``draws[draw, dim]``, shrunk to the one before."""
    n = len(draws)
    found = np.atleast_2d(np.cov(draws, rowvar=False))
    return (n * found + _SHRINKAGE * len(before) * before) / (n + _SHRINKAGE * len(before))


class _StepSize:
    """Dual averaging of log epsilon."""

    def __init__(self, first: float) -> None:
        self.settled = first
        self.restart()

    def restart(self) -> None:
        """Begin again from where it settled, because the coordinates changed."""
        self.current = self.settled
        self._centre = np.log(2 * self.settled)
        self._error, self._mean, self._n = 0.0, 0.0, 0

    def learn(self, acceptance: float) -> None:
        """Shorter steps after low acceptance, longer after high."""
        self._n += 1
        weight = 1 / (self._n + 10)
        self._error = (1 - weight) * self._error + weight * (_TARGET - acceptance)
        log_epsilon = self._centre - np.sqrt(self._n) / 0.05 * self._error
        share = self._n**-0.75
        self._mean = share * log_epsilon + (1 - share) * self._mean
        self.current = float(np.clip(np.exp(log_epsilon), 1e-4, 2.0))
        self.settled = float(np.clip(np.exp(self._mean), 1e-4, 2.0))
