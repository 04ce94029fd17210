r"""Parameters that are Gaussian around a linear function of the data, in the unconstrained space.

    r = C^{-1} (z - A e - b) / s

z are the standardised, unconstrained parameters and e the encoded condition; A and b are a ridge
regression, s the standard deviation of its residuals and C the Cholesky factor of their correlation
(or 1), all in closed form. Exact where the prior is Gaussian and the data are linear in the
parameters.
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
    factor: Tensor
    inverse: Tensor

    def __init__(self, columns: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(columns, dim))
        self.register_buffer("bias", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))
        self.register_buffer("factor", torch.eye(dim, dtype=torch.float64))
        self.register_buffer("inverse", torch.eye(dim, dtype=torch.float64))  # of factor

    @torch.no_grad()
    def fit(self, z: Tensor, encoded: Tensor, *, correlated: bool = False) -> Self:
        """Regress rows ``z[row, theta]`` on ``encoded[row, column]``."""
        z, e = z.double(), encoded.double()
        weight, bias = ridge(z, e)
        left = z - e @ weight - bias
        scale = left.square().mean(0).sqrt().clamp_min(_SMALLEST)
        self.weight.copy_(weight)
        self.bias.copy_(bias)
        self.scale.copy_(scale)
        if correlated:
            factor = torch.linalg.cholesky(_correlation(left / scale))
            self.factor.copy_(factor)
            self.inverse.copy_(torch.linalg.inv(factor))
        return self

    def residual(self, z: Tensor, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """``r[..., theta]`` of ``z``, and log |dr / dz| [...]."""
        r = (z - encoded @ self.weight - self.bias) / self.scale
        log_det = self.scale.log().sum() + self.factor.diagonal().log().sum().to(r.dtype)
        return r @ self.inverse.T.to(r.dtype), -log_det.expand(z.shape[:-1])

    def restore(self, r: Tensor, encoded: Tensor) -> Tensor:
        """``z[..., theta]`` of ``r``."""
        return r @ self.factor.T.to(r.dtype) * self.scale + encoded @ self.weight + self.bias


def _correlation(r: Tensor) -> Tensor:
    """Second moments [theta, theta] of ``r[row, theta]``, shrunk a little to independence."""
    n, dim = r.shape
    return (r.T @ r + dim * torch.eye(dim, dtype=r.dtype)) / (n + dim)


def ridge(z: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
    """Weight [column, theta] and bias [theta] of a regression of ``z`` on ``e``, in float64."""
    center, mean = e.mean(0), z.mean(0)
    e = e - center
    gram = e.T @ e + _RIDGE * len(e) * torch.eye(e.shape[1], dtype=e.dtype)
    weight = torch.linalg.solve(gram, e.T @ (z - mean))
    return weight, mean - center @ weight
