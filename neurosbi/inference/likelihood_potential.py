r"""A simulator's likelihood as a torch function, and the posterior density that optimisers climb.

In the unconstrained space z of the prior (see `priors.UnconstrainedMap`) the prior is N(0, I), so

    log p(z | data) = \sum_o \log p(data_o | \theta(z)) - z^2 / 2 + const

with gradient  (d theta/dz) * (d log L/d theta) - z. The map is elementwise, and
d theta/dz = 1 / (dz/d theta).
"""

__all__ = ["LikelihoodPotential", "differentiable_log_likelihood", "summed_log_likelihood"]

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurosbi.contract import Observation, Simulator, stretch
from neurosbi.errors import BadInputError
from neurosbi.priors import UnconstrainedMap


class _LogLikelihood(torch.autograd.Function):
    """Values and derivatives come from the simulator together; backward only multiplies."""

    @staticmethod
    def forward(
        ctx: Any,
        theta: Tensor,
        simulator: Simulator,
        data: Sequence[Observation],
        threads: int | None,
    ) -> Tensor:
        rows = theta.detach().cpu().double().reshape(-1, theta.shape[-1]).numpy()
        value, gradient = _summed(simulator, rows, data, threads)
        ctx.save_for_backward(
            torch.as_tensor(gradient).reshape(theta.shape).to(theta.dtype).to(theta.device)
        )
        return torch.as_tensor(value).reshape(theta.shape[:-1]).to(theta.dtype).to(theta.device)

    @staticmethod
    def backward(ctx: Any, *outward: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return outward[0][..., None] * gradient, None, None, None


def differentiable_log_likelihood(
    theta: Tensor,
    simulator: Simulator,
    data: Observation | Sequence[Observation],
    *,
    threads: int | None = None,
) -> Tensor:
    """log p(data | theta) [...] of ``theta[..., theta]``, which torch can differentiate.

    Observations are independent given the parameters. Raises `BadInputError` for a simulator
    without a gradient.
    """
    observations = [data] if isinstance(data, Observation) else list(data)
    return _LogLikelihood.apply(theta, simulator, observations, threads)  # type: ignore[return-value]


def summed_log_likelihood(
    simulator: Simulator,
    theta: np.ndarray,
    data: Sequence[Observation],
    *,
    threads: int | None = None,
) -> np.ndarray:
    """log p(data | theta) [point] of ``theta[point, theta]``; observations are independent."""
    each = [simulator.log_likelihood(theta, one, threads=threads) for one in data]
    return np.sum(each, axis=0)


class LikelihoodPotential:
    """log p(z | data) up to a constant, for one simulator and one or more observations.

    Call it with ``z[..., theta]`` (torch) or use `value_and_gradient` (numpy); ``evaluations``
    counts parameter sets.
    """

    def __init__(
        self,
        simulator: Simulator,
        data: Observation | Sequence[Observation],
        *,
        threads: int | None = None,
    ) -> None:
        if not simulator.has_gradient:
            raise BadInputError(
                f"the likelihood of simulator {simulator.name} has no gradient; fit it by "
                "simulations (--method npe)"
            )
        self.simulator = simulator
        self.data = [data] if isinstance(data, Observation) else list(data)
        self.threads = threads
        self.map = UnconstrainedMap(simulator.parameters)
        self.evaluations = 0

    @property
    def dimension(self) -> int:
        """Number of parameters."""
        return len(self.simulator.parameters)

    def theta(self, z: np.ndarray) -> np.ndarray:
        """Parameters [..., theta] of unconstrained points."""
        return self.map.inverse(torch.as_tensor(z)).numpy()

    def z(self, theta: np.ndarray) -> np.ndarray:
        """Unconstrained points [..., theta] of parameters."""
        return self.map(torch.as_tensor(np.asarray(theta, dtype=np.float64))).numpy()

    def __call__(self, z: Tensor) -> Tensor:
        """Log density [...] of ``z[..., theta]`` up to a constant, with its gradient for torch."""
        theta = self.map.inverse(z)
        self.evaluations += theta[..., 0].numel()
        log_likelihood = differentiable_log_likelihood(
            theta, self.simulator, self.data, threads=self.threads
        )
        return log_likelihood - 0.5 * z.double().square().sum(-1)

    def log_likelihood(self, theta: np.ndarray) -> np.ndarray:
        """log p(data | theta) [point] of ``theta[point, theta]``."""
        self.evaluations += len(theta)
        return summed_log_likelihood(self.simulator, theta, self.data, threads=self.threads)

    def log_likelihood_gradient(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """log p(data | theta) [point] and its derivatives [point, theta]."""
        self.evaluations += len(theta)
        return _summed(self.simulator, theta, self.data, self.threads)

    def value(self, z: np.ndarray) -> np.ndarray:
        """Log density [point] of ``z[point, theta]``; cheaper than with its gradient."""
        return self.log_likelihood(self.theta(z)) - 0.5 * np.sum(z**2, axis=-1)

    def value_and_gradient(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log density [point] and its derivatives [point, theta] at ``z[point, theta]``."""
        point = torch.as_tensor(z)
        theta = self.map.inverse(point)
        value, slope = self.log_likelihood_gradient(theta.numpy())
        # d theta / d z = d theta / d share * d share / d z, elementwise
        share_by_z = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
        inner = slope * stretch(self.simulator.parameters, theta.numpy()) * share_by_z
        return value - 0.5 * np.sum(z**2, axis=-1), inner - z


def _summed(
    simulator: Simulator,
    theta: np.ndarray,
    data: Sequence[Observation],
    threads: int | None,
) -> tuple[np.ndarray, np.ndarray]:
    value, gradient = np.zeros(len(theta)), np.zeros(theta.shape)
    for observation in data:
        v, g = simulator.log_likelihood_gradient(theta, observation, threads=threads)
        value, gradient = value + v, gradient + g
    return value, gradient
