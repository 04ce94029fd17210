r"""Parameters that are Gaussian around a linear function of the data, cut off at the prior's walls.

With u the position of a parameter between the bounds of its prior, from 0 to 1,

    u ~ N(m, s^2) cut off at 0 and 1,  m = A e + b
    r = \Phi^{-1}( [\Phi((u - m)/s) - \Phi(-m/s)] / [\Phi((1 - m)/s) - \Phi(-m/s)] )

so r is standard normal. Exact where the prior is uniform and the data are linear in the parameters;
with a large s it is the prior itself. A, b and s maximise the likelihood: that of truncated
regression is concave in A/s, b/s and 1/s, hence has one maximum.

References: Orme & Ruud 2002, doi:10.1016/S0304-4076(01)00117-9 (concavity).
"""

__all__ = ["TruncatedTrend"]

import math
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neurosbi.nets.linear_trend import ridge

_WIDEST, _NARROWEST = 20.0, 1e-3  # s, in widths of the prior
_FARTHEST = 6.0  # of m from the box, in s: there is next to nothing beyond to tell apart
_SMALLEST = 1e-300  # share of the mass
_EDGE = 2.0**-53  # positions nearer to a wall count as this far
_MOST_ROWS = 20_000  # more would only take longer: there are few numbers to find
_STEPS = 60  # of L-BFGS, more than a concave function of this size needs
_PENALTY = 1e-6  # on A/s
_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


class TruncatedTrend(nn.Module):
    """Map between ``z[..., theta]`` and residuals, given ``encoded[..., column]``.

    ``z`` are unconstrained parameters, standardised: \\Phi(z spread + center) are the positions.
    Everything is computed in double precision, in the half of the distribution where differences
    of \\Phi are exact.
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
        u, e = self._position(z[some].double()), encoded[some].double()
        alpha, beta, raw = self._start(u, e)
        optimiser = torch.optim.LBFGS(
            [alpha, beta, raw], max_iter=_STEPS, history_size=20, line_search_fn="strong_wolfe"
        )

        def loss() -> Tensor:
            with torch.enable_grad():
                optimiser.zero_grad()
                gamma = _gamma(raw)
                shift = e @ alpha + beta
                log_prob = gamma.log() - 0.5 * (gamma * u - shift).square()
                value = (_log_mass(-shift, gamma - shift) - log_prob).sum(1).mean()
                value = value + _PENALTY * alpha.square().sum()
                value.backward()
            return value

        optimiser.step(loss)
        gamma = _gamma(raw)
        self.weight.copy_(alpha / gamma)
        self.bias.copy_(beta / gamma)
        self.scale.copy_(1 / gamma)
        return self

    @staticmethod
    def _start(u: Tensor, e: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A/s, b/s and the free form of 1/s of a plain regression, to be optimised."""
        weight, bias = ridge(u, e)
        gamma = 1 / (u - e @ weight - bias).square().mean(0).sqrt().clamp_min(_NARROWEST)
        raw = torch.special.expm1((gamma - 1 / _WIDEST).clamp_min(1e-3)).log()
        # where e^gamma is beyond double precision it is its own softplus
        raw = torch.where(torch.isfinite(raw), raw, gamma)
        return tuple(v.detach().contiguous().clone().requires_grad_(True) for v in (weight * gamma, bias * gamma, raw))  # type: ignore[return-value]  # fmt: skip

    def log_prob(self, z: Tensor, encoded: Tensor) -> Tensor:
        """Log density [...] of ``z`` where residuals are standard normal."""
        r, log_det = self.residual(z, encoded)
        return log_det - (0.5 * r.square() + _LOG_ROOT_2PI).sum(-1)

    @torch.no_grad()
    def residual(self, z: Tensor, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """``r[..., theta]`` of ``z``, and log |dr / dz| [...], in the precision of ``z``."""
        raw = z.double() * self.spread + self.center
        low, high = self._walls(encoded)
        t = low + (high - low) * self._position(z.double())
        mass = _log_mass(low, high)
        below, above = (_log_mass(low, t) - mass).exp(), (_log_mass(t, high) - mass).exp()
        near = torch.special.ndtri(torch.minimum(below, above).clamp_min(_SMALLEST))
        r = torch.where(below <= above, near, -near)
        log_slope = (
            0.5 * (r.square() - t.square() - raw.square())
            - mass
            - _LOG_ROOT_2PI
            - self.scale.log()
            + self.spread.log()
        )
        return r.to(z.dtype), log_slope.sum(-1).to(z.dtype)

    @torch.no_grad()
    def restore(self, r: Tensor, encoded: Tensor) -> Tensor:
        """``z[..., theta]`` of ``r``."""
        low, high = self._walls(encoded)
        mirrored = low + high > 0
        a, b = torch.where(mirrored, -high, low), torch.where(mirrored, -low, high)
        share = torch.special.ndtr(torch.where(mirrored, -r.double(), r.double()))
        t = torch.special.ndtri(torch.special.ndtr(a) * (1 - share) + torch.special.ndtr(b) * share)
        t = torch.minimum(torch.maximum(t, a), b)
        from_a, to_b = (t - a) / (b - a), (b - t) / (b - a)
        below, above = torch.where(mirrored, to_b, from_a), torch.where(mirrored, from_a, to_b)
        near = torch.special.ndtri(torch.minimum(below, above).clamp_min(_EDGE))
        raw = torch.where(below <= above, near, -near)
        return ((raw - self.center) / self.spread).to(r.dtype)

    def _position(self, z: Tensor) -> Tensor:
        return torch.special.ndtr(z * self.spread + self.center).clamp(_EDGE, 1 - _EDGE)

    def _walls(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """Distances of both walls from m, in s [..., theta]."""
        m = (encoded.double() @ self.weight.double() + self.bias) / self.scale
        m = m.clamp(min=-_FARTHEST).minimum(1 / self.scale + _FARTHEST)
        return -m, 1 / self.scale - m


def _gamma(raw: Tensor) -> Tensor:
    """1/s, between its limits."""
    return (1 / _WIDEST + F.softplus(raw)).clamp(max=1 / _NARROWEST)


def _log_mass(low: Tensor, high: Tensor) -> Tensor:
    """log(Phi(high) - Phi(low)) of ``low <= high``, without loss of digits in either tail."""
    mirrored = low + high > 0
    a, b = torch.where(mirrored, -high, low), torch.where(mirrored, -low, high)
    upper, lower = torch.special.log_ndtr(b), torch.special.log_ndtr(a)
    return upper + torch.log(-torch.expm1((lower - upper).clamp_max(-_SMALLEST)))
