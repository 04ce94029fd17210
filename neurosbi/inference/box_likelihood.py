r"""A likelihood over the box of the prior, in coordinates in which the prior is flat.

Positions run from -1 to 1 between the bounds of each parameter, of its logarithm where that is
uniform. There the posterior is the likelihood alone, cut off at the walls:

    log p(p | data) = \sum_o \log p(data_o | \theta(p)) + const  for |p_i| <= 1, else -inf

A likelihood that is near to Gaussian in the parameters stays so up to the walls. In the
unconstrained space of `LikelihoodPotential`, whose ends are infinitely far away, the same posterior
is bent wherever it touches a wall; that space is for optimisers.
"""

__all__ = ["BoxLikelihood"]

import numpy as np

from neurosbi.contract import at_positions, stretch
from neurosbi.inference.likelihood_potential import LikelihoodPotential

PRIOR_VARIANCE = 1 / 3  # of a position
_DIFFERENCE = 0.01  # of positions, for the curvature
_NEAREST = 0.04  # distance to a wall at which the curvature is looked at


class BoxLikelihood:
    """``box(positions[point, theta])`` is the log posterior density [point] up to a constant."""

    def __init__(self, potential: LikelihoodPotential) -> None:
        self.potential = potential
        self.parameters = potential.simulator.parameters

    def __call__(self, p: np.ndarray) -> np.ndarray:
        """Log density [point] of positions [point, theta]; -inf outside, and where it is undefined."""
        inside = np.all(np.abs(p) <= 1, axis=1)
        # points outside are evaluated at the wall: leaving them out would save nothing, since the
        # points of a batch are computed side by side
        value = self.potential.log_likelihood(self.theta(np.clip(p, -1, 1)))
        return np.where(inside & np.isfinite(value), value, -np.inf)

    def theta(self, p: np.ndarray) -> np.ndarray:
        """Parameters of positions [..., theta]."""
        return at_positions(self.parameters, p)

    def gradient(self, p: np.ndarray) -> np.ndarray:
        """Derivatives of the log density by the positions [point, theta], inside the box."""
        theta = self.theta(p)
        slope = self.potential.log_likelihood_gradient(theta)[1]
        return 0.5 * stretch(self.parameters, theta) * slope

    def covariance_at(self, p: np.ndarray) -> np.ndarray:
        """Inverse curvature at ``p[theta]``, from differences of gradients.

        Directions in which the density does not fall count as wide as the prior, and so do all
        where a gradient is undefined.
        """
        p = np.clip(p, _NEAREST - 1, 1 - _NEAREST)
        step = _DIFFERENCE * np.eye(len(p))
        gradient = self.gradient(np.concatenate([p + step, p - step]))
        curvature = (gradient[len(p) :] - gradient[: len(p)]) / (2 * _DIFFERENCE)
        if not np.isfinite(curvature).all():
            return PRIOR_VARIANCE * np.eye(len(p))
        values, vectors = np.linalg.eigh(0.5 * (curvature + curvature.T))
        return (vectors / np.maximum(values, 1 / PRIOR_VARIANCE)) @ vectors.T
