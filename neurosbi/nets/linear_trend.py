r"""What a linear regression already knows about the parameters is taken out before the flow.

    r = (z - A e - b) / s

z are the standardised, unconstrained parameters and e the encoded condition; A and b are a ridge
regression, s the standard deviation of its residuals, all in closed form. The flow then learns
the density of r given e. Where the posterior is Gaussian with a mean linear in the data, r is
standard normal from the start; elsewhere the flow undoes what is wrong, since it sees e too. With
few simulations this is worth more than any regularisation: a linear map of 10 features to 10
parameters is otherwise learned from noise.

Where the parameters depend on the data in a clearly nonlinear way the regression is only one more
thing to undo, and costs accuracy. So it is used only if it is enough: if a regression on the
columns and their squares predicts held-out rows better by ``ENOUGH`` nats or more, r is z.
"""

__all__ = ["LinearTrend"]

import torch
from torch import Tensor, nn

ENOUGH = 0.1  # nats
_RIDGE = 1e-3  # of the number of rows, for standardised columns
_BEND = 3.0  # standard deviations up to which a column is squared
_HELD_OUT = 5  # every fifth row tests the regression
_SMALLEST = 0.01  # residual sd in units of the prior's: what is nearly determined keeps a width


class LinearTrend(nn.Module):
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
    def fit(self, z: Tensor, encoded: Tensor) -> None:
        """Set the regression from rows ``z[row, theta]``, ``encoded[row, column]``, if it is enough."""
        z, e = z.double(), encoded.double()
        if len(z) < 2 * _HELD_OUT or _nats_of_squares(z, e) >= ENOUGH:
            return
        regression = _ridge(z, e)
        self.weight.copy_(regression[0])
        self.bias.copy_(regression[1])
        self.scale.copy_(_residual_sd(z, e, regression).clamp_min(_SMALLEST))

    def residual(self, z: Tensor, encoded: Tensor) -> Tensor:
        """``r[..., theta]`` of ``z``."""
        return (z - self._mean(encoded)) / self.scale

    def restore(self, r: Tensor, encoded: Tensor) -> Tensor:
        """``z[..., theta]`` of ``r``."""
        return r * self.scale + self._mean(encoded)

    @property
    def log_det(self) -> Tensor:
        """log |dr / dz|."""
        return -self.scale.log().sum()

    def _mean(self, encoded: Tensor) -> Tensor:
        return encoded @ self.weight + self.bias


def _ridge(z: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
    """Weight [column, theta] and bias [theta]."""
    center, mean = e.mean(0), z.mean(0)
    e = e - center
    gram = e.T @ e + _RIDGE * len(e) * torch.eye(e.shape[1], dtype=e.dtype)
    weight = torch.linalg.solve(gram, e.T @ (z - mean))
    return weight, mean - center @ weight


def _residual_sd(z: Tensor, e: Tensor, regression: tuple[Tensor, Tensor]) -> Tensor:
    weight, bias = regression
    return (z - e @ weight - bias).square().mean(0).sqrt()


def _nats_of_squares(z: Tensor, e: Tensor) -> float:
    """What squares of the columns add to the prediction of held-out rows, summed over theta."""
    test = torch.arange(len(z)) % _HELD_OUT == 0
    bent = torch.cat((e, e.clamp(-_BEND, _BEND).square()), dim=1)
    sd = [
        _residual_sd(z[test], columns[test], _ridge(z[~test], columns[~test]))
        for columns in (e, bent)
    ]
    return float((sd[0] / sd[1]).log().sum())
