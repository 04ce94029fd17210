r"""Parameters that are Gaussian around a linear function of the data, in the unconstrained space.

    r = (z - A e - b) / s

z are the standardised, unconstrained parameters and e the encoded condition; A and b are a ridge
regression, s the standard deviation of its residuals, all in closed form. Exact where the prior is
Gaussian and the data are linear in the parameters.
"""

__all__ = ["LinearTrend"]

from typing import Self

import torch
from torch import Tensor

from neurosbi.nets.residual_map import ResidualMap

_RIDGE = 1e-3  # of the number of rows, for standardised columns
_SMALLEST = 0.01  # residual sd in units of the prior's: what is nearly determined keeps a width


class LinearTrend(ResidualMap):
    """Affine map between ``z[..., theta]`` and residuals, given ``encoded[..., column]``."""

    weight: Tensor
    bias: Tensor
    scale: Tensor

    def __init__(self, columns: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(columns, dim))
        self.register_buffer("bias", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))

    @torch.no_grad()
    def fit(self, z: Tensor, encoded: Tensor) -> Self:
        """Regress rows ``z[row, theta]`` on ``encoded[row, column]``."""
        z, e = z.double(), encoded.double()
        weight, bias = ridge(z, e)
        self.weight.copy_(weight)
        self.bias.copy_(bias)
        self.scale.copy_((z - e @ weight - bias).square().mean(0).sqrt().clamp_min(_SMALLEST))
        return self

    def residual(self, z: Tensor, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """``r[..., theta]`` of ``z``, and log |dr / dz| [...]."""
        r = (z - encoded @ self.weight - self.bias) / self.scale
        return r, -self.scale.log().sum().expand(z.shape[:-1])

    def restore(self, r: Tensor, encoded: Tensor) -> Tensor:
        """``z[..., theta]`` of ``r``."""
        return r * self.scale + encoded @ self.weight + self.bias


def ridge(z: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
    """Weight [column, theta] and bias [theta] of a regression of ``z`` on ``e``, in float64."""
    center, mean = e.mean(0), z.mean(0)
    e = e - center
    gram = e.T @ e + _RIDGE * len(e) * torch.eye(e.shape[1], dtype=e.dtype)
    weight = torch.linalg.solve(gram, e.T @ (z - mean))
    return weight, mean - center @ weight
