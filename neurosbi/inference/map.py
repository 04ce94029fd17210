"""The most probable parameters, by Adam from many starts and a quasi-Newton finish.

Starts are the best of a number of prior draws. Adam (Kingma & Ba 2015, arXiv:1412.6980) leaves
the rugged parts of the likelihood in steps that do not depend on its steepness; L-BFGS then finds
the maximum it is near to. Everything happens in the unconstrained space in which the prior is
standard normal, so steps have one scale for all parameters.
"""

__all__ = ["MapEstimate", "find_map"]

import time
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize

from neurosbi.errors import BadInputError, FitError
from neurosbi.inference.likelihood_potential import LikelihoodPotential
from neurosbi.progress import progress_bar

_FIRST_RATE, _LAST_RATE = 0.25, 0.02  # of Adam, in standard deviations of the prior
_POLISH = 60  # steps of L-BFGS at most


@dataclass(frozen=True, eq=False)
class MapEstimate:
    """The optimum of each start, best first: ``theta[start, theta]``, ``z``, ``log_density``.

    ``log_density[start]`` is that of the posterior in the unconstrained space, up to a constant.
    ``finished`` is False where the time limit cut the search.
    """

    theta: np.ndarray
    z: np.ndarray
    log_density: np.ndarray
    finished: bool = True

    @property
    def best(self) -> np.ndarray:
        """The most probable parameters [theta]."""
        return self.theta[0]

    def agreeing(self, tolerance: float = 1.0) -> int:
        """How many starts ended within ``tolerance`` nats of the best."""
        return int(np.sum(self.log_density > self.log_density[0] - tolerance))


def find_map(
    potential: LikelihoodPotential,
    *,
    starts: int = 8,
    steps: int = 100,
    screen: int = 64,
    seed: int,
    time_limit: float = 1800.0,
    progress: bool = False,
) -> MapEstimate:
    """Climb from the ``starts`` best of ``screen`` prior draws, by ``steps`` of Adam each.

    Raises `BadInputError` for fewer than one start or step, `FitError` where no start has a
    finite density. At ``time_limit`` (seconds) the best so far is returned.
    """
    if starts < 1 or steps < 1:
        raise BadInputError(f"a search needs at least 1 start and 1 step, got {starts} and {steps}")
    began = time.monotonic()
    draws = potential.simulator.sample_prior(max(screen, starts), seed=seed)
    z = potential.z(draws)
    density = potential.value(z)
    density = np.where(np.isfinite(density), density, -np.inf)
    if not np.any(density > -np.inf):
        raise FitError(
            f"the likelihood is undefined at all {len(z)} prior draws; check the recording"
        )
    z = z[np.argsort(-density, kind="stable")[:starts]]

    def over() -> bool:
        return time.monotonic() - began > time_limit

    with progress_bar("Most probable parameters", steps + len(z), show=progress) as bar:
        z = _adam(potential, z, steps, over, bar)
        found = []
        for start in z:
            late = over()
            found.append(start if late else _polish(potential, start))
            bar(1)
    z = np.array(found)
    density = potential.value(z)
    order = np.argsort(-np.where(np.isfinite(density), density, -np.inf), kind="stable")
    z = z[order]
    return MapEstimate(potential.theta(z), z, density[order], finished=not late)


def _adam(potential: LikelihoodPotential, z: np.ndarray, steps: int, over, bar) -> np.ndarray:
    """The best point that each start came through."""
    point = torch.tensor(z, requires_grad=True)
    optimiser = torch.optim.Adam([point], lr=_FIRST_RATE, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.ExponentialLR(
        optimiser, (_LAST_RATE / _FIRST_RATE) ** (1 / steps)
    )
    best, best_density = z.copy(), np.full(len(z), -np.inf)
    for _ in range(steps):
        here = point.detach().numpy().copy()
        density, gradient = potential.value_and_gradient(here)
        better = density > best_density
        best[better], best_density[better] = here[better], density[better]
        if over():
            break
        point.grad = torch.as_tensor(-np.nan_to_num(gradient))
        optimiser.step()
        schedule.step()
        bar(1, status=f"log density {best_density.max():.1f}")
    return best


def _polish(potential: LikelihoodPotential, z: np.ndarray) -> np.ndarray:
    def objective(point: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = potential.value_and_gradient(point[None])
        if not np.isfinite(value[0]):
            return np.inf, np.zeros_like(point)
        return -float(value[0]), -gradient[0]

    return minimize(objective, z, jac=True, method="L-BFGS-B", options={"maxiter": _POLISH}).x
