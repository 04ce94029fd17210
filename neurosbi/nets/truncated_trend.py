r"""Parameters that are Gaussian around a linear function of the data, cut off at the prior's walls.

With u the position of a parameter between the bounds of its prior, from 0 to 1,

    u ~ N(m, s^2) cut off at 0 and 1,  m = A e + b
    r = \Phi^{-1}( [\Phi((u - m)/s) - \Phi(-m/s)] / [\Phi((1 - m)/s) - \Phi(-m/s)] )

so r is standard normal. Exact where the prior is uniform and the data are linear in the parameters;
with a large s it is the prior itself. A, b and s maximise the likelihood (`truncated_regression`).
"""

__all__ = ["TruncatedTrend"]

import math
from typing import Self

import torch
from torch import Tensor

from neurosbi.nets.residual_map import ResidualMap
from neurosbi.nets.truncated_normal import log_mass, normal_cdf
from neurosbi.nets.truncated_regression import truncated_regression

_FARTHEST = 6.0  # of m from the box, in s: no data are believed to say more
_EDGE = 2.0**-53  # positions nearer to a wall count as this far
_TINY = 1e-300
_MOST_ROWS = 20_000  # more would only take longer: there are few numbers to find
_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


class TruncatedTrend(ResidualMap):
    """Map between ``z[..., theta]`` and residuals, given ``encoded[..., column]``.

    ``z`` are unconstrained parameters, standardised: \\Phi(z spread + center) are the positions.
    Everything is computed in double precision, from the nearer wall.
    """

    weight: Tensor
    bias: Tensor
    scale: Tensor
    center: Tensor
    spread: Tensor

    def __init__(self, columns: int, dim: int) -> None:
        super().__init__()
        for name, shape in (("weight", (columns, dim)), ("bias", (dim,)), ("center", (dim,))):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        for name in ("scale", "spread"):
            self.register_buffer(name, torch.ones(dim, dtype=torch.float64))

    @torch.no_grad()
    def fit(self, z: Tensor, encoded: Tensor, *, center: Tensor, spread: Tensor) -> Self:
        """Regress rows ``z[row, theta]`` on ``encoded[row, column]``."""
        self.center.copy_(center)
        self.spread.copy_(spread)
        some = torch.linspace(0, len(z) - 1, min(len(z), _MOST_ROWS)).long()
        u = normal_cdf(self._raw(z[some])).clamp(_EDGE, 1 - _EDGE)
        weight, bias, scale = truncated_regression(u, encoded[some].double())
        self.weight.copy_(weight)
        self.bias.copy_(bias)
        self.scale.copy_(scale)
        return self

    def residual(self, z: Tensor, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """``r[..., theta]`` of ``z``, and log |dr / dz| [...], in the precision of ``z``."""
        raw = self._raw(z)
        low, high = self._walls(encoded)
        mass = log_mass(low, high - low)
        # widths from either wall, in s
        from_low, to_high = (normal_cdf(x).clamp_min(_TINY) / self.scale for x in (raw, -raw))
        below = log_mass(low, from_low) - mass
        above = log_mass(-high, to_high) - mass
        near = torch.special.ndtri(torch.minimum(below, above).exp().clamp_min(_TINY))
        r = torch.where(below <= above, near, -near)
        t = torch.where(from_low <= to_high, low + from_low, high - to_high)
        log_slope = (
            0.5 * (r.square() - t.square() - raw.square())
            - mass
            - _LOG_ROOT_2PI
            - self.scale.log()
            + self.spread.log()
        )
        return r.to(z.dtype), log_slope.sum(-1).to(z.dtype)

    def restore(self, r: Tensor, encoded: Tensor) -> Tensor:
        """``z[..., theta]`` of ``r``."""
        low, high = self._walls(encoded)
        mirrored = low + high > 0  # so that \Phi is small, hence exact, at both ends
        a, b = torch.where(mirrored, -high, low), torch.where(mirrored, -low, high)
        sign = torch.where(mirrored, -1.0, 1.0)
        below, above = normal_cdf(sign * r.double()), normal_cdf(-sign * r.double())
        t = torch.special.ndtri(normal_cdf(a) * above + normal_cdf(b) * below)
        t = torch.minimum(torch.maximum(t, a), b)
        from_a, to_b = (t - a) / (b - a), (b - t) / (b - a)
        near = torch.special.ndtri(torch.minimum(from_a, to_b).clamp_min(_EDGE))
        raw = sign * torch.where(from_a <= to_b, near, -near)
        return ((raw - self.center) / self.spread).to(r.dtype)

    def _raw(self, z: Tensor) -> Tensor:
        return z.double() * self.spread + self.center

    def _walls(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """Distances of both walls from m, in s [..., theta]."""
        m = (encoded.double() @ self.weight.double() + self.bias) / self.scale
        m = m.clamp(min=-_FARTHEST).minimum(1 / self.scale + _FARTHEST)
        return -m, 1 / self.scale - m
