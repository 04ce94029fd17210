r"""The prior of a parameter table as a torch distribution, and its map to unconstrained space.

With position u = (t - low) / (high - low), t = theta or log theta,

    z = \Phi^{-1}(u),   log |dz / d theta| = z^2 / 2 + log sqrt(2 pi) - log(high - low) [- log theta]

so that the prior is exactly N(0, I) in z. Both tails are computed from the distance to the
nearer edge, in double precision, so that nothing is lost next to a bound.
"""

__all__ = ["BoxPrior", "UnconstrainedMap"]

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from neurosbi.contract import Parameter, prior_bounds
from neurosbi.errors import BadInputError

_NEAREST = 2.0**-53  # positions closer to an edge than this count as this far from it
_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


class BoxPrior(Distribution):
    """Independent uniform or log-uniform parameters: events [theta], with ``.support``.

    ``dtype`` is that of samples; sbi expects float32.
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012  (torch's own way to declare it)
    has_rsample = False

    def __init__(self, parameters: Sequence[Parameter], *, dtype: torch.dtype = torch.float32):
        low, high = _bounds(parameters)
        self.parameters = tuple(parameters)
        self.low, self.high = low.to(dtype), high.to(dtype)
        self._log = torch.tensor([p.scale == "log" for p in parameters])
        ends = [(p.low, p.high) if p.scale == "log" else (1.0, math.e) for p in parameters]
        self._ends = torch.tensor(ends, dtype=torch.float64).T  # of the log-uniform parameters
        super().__init__(torch.Size(), torch.Size([len(parameters)]), validate_args=False)

    @property
    def support(self) -> constraints.Constraint:  # type: ignore[override]
        """The closed box."""
        return constraints.independent(constraints.interval(self.low, self.high), 1)

    @property
    def mean(self) -> Tensor:
        """Mean of each parameter [theta]."""
        low, high = self.low.double(), self.high.double()
        log_mean = (high - low) / self._log_ratio()
        return torch.where(self._log, log_mean, (low + high) / 2).to(self.low.dtype)

    @property
    def variance(self) -> Tensor:
        """Variance of each parameter [theta]."""
        low, high = self.low.double(), self.high.double()
        ratio = self._log_ratio()
        log_variance = (high**2 - low**2) / (2 * ratio) - ((high - low) / ratio) ** 2
        return torch.where(self._log, log_variance, (high - low) ** 2 / 12).to(self.low.dtype)

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        """Draws [*sample_shape, theta] from torch's global generator, as sbi expects."""
        shape = torch.Size(sample_shape) + self.event_shape
        u = torch.rand(shape, dtype=torch.float64, device=self.low.device)
        low, high = self.low.double(), self.high.double()
        geometric = self._ends[0] * torch.exp(self._log_ratio() * u)
        values = torch.where(self._log, geometric, low + (high - low) * u)
        return values.to(self.low.dtype).clamp(self.low, self.high)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density [...] of ``value[..., theta]``; -inf outside the box."""
        low, high, v = self.low.double(), self.high.double(), value.double()
        inside = ((value >= self.low) & (value <= self.high)).all(-1)
        flat = -(high - low).log()
        falling = -v.clamp_min(1e-300).log() - self._log_ratio().log()
        total = torch.where(self._log, falling, flat).sum(-1)
        return torch.where(inside, total, -torch.inf).to(value.dtype)

    def to(self, device: str | torch.device) -> None:
        """Move the bounds (in place, as sbi expects)."""
        self.low, self.high = self.low.to(device), self.high.to(device)
        self._log, self._ends = self._log.to(device), self._ends.to(device)

    def _log_ratio(self) -> Tensor:
        return (self._ends[1] / self._ends[0]).log()


class UnconstrainedMap(torch.nn.Module):
    """The bijection between ``theta[..., theta]`` inside the prior's box and ``z`` in R^n."""

    low: Tensor
    high: Tensor
    log: Tensor

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        super().__init__()
        low, high = _bounds(parameters)
        log = torch.tensor([p.scale == "log" for p in parameters])
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("high", high, persistent=False)
        self.register_buffer("log", log, persistent=False)

    def forward(self, theta: Tensor) -> Tensor:
        """Unconstrained ``z``, float64; a value on a bound counts as 1e-16 of the box inside it."""
        theta = theta.double()
        # distances to either edge, each exact where it is small
        from_low, to_high = self._distances(theta)
        lower_half = from_low <= to_high
        near = torch.where(lower_half, from_low, to_high).clamp_min(_NEAREST)
        z = torch.special.ndtri(near)
        return torch.where(lower_half, z, -z)

    def inverse(self, z: Tensor) -> Tensor:
        """``theta`` inside the closed box, float64."""
        z = z.double()
        # torch's ndtr loses digits in the tail, and abs has no slope at 0
        near = 0.5 * torch.erfc(torch.where(z < 0, -z, z) * math.sqrt(0.5))
        linear = torch.where(
            z < 0,
            self.low + (self.high - self.low) * near,
            self.high - (self.high - self.low) * near,
        )
        ratio = self._log_ratio()
        geometric = torch.where(
            z < 0, self.low * torch.exp(ratio * near), self.high * torch.exp(-ratio * near)
        )
        theta = torch.where(self.log, geometric, linear)
        return torch.minimum(torch.maximum(theta, self.low), self.high)

    def log_det(self, theta: Tensor, z: Tensor | None = None) -> Tensor:
        """log |det dz / d theta| [...], float64; pass ``z`` if it is known already."""
        theta = theta.double()
        position = self(theta) if z is None else z.double()
        per_width = torch.where(
            self.log,
            -self._log_ratio().log() - theta.clamp_min(1e-300).log(),
            -(self.high - self.low).log(),
        )
        return (0.5 * position.square() + _LOG_ROOT_2PI + per_width).sum(-1)

    def inside(self, theta: Tensor) -> Tensor:
        """bool [...]: every parameter lies in its closed range (in the precision of ``theta``)."""
        low, high = self.low.to(theta.dtype), self.high.to(theta.dtype)
        return ((theta >= low) & (theta <= high)).all(-1)

    def _distances(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        width = self.high - self.low
        ratio = self._log_ratio()
        safe = torch.where(self.log, theta.clamp_min(1e-300), 1.0)
        low, high = torch.where(self.log, self.low, 1.0), torch.where(self.log, self.high, 1.0)
        # log1p of the relative distance keeps digits next to an edge
        log_low = torch.log1p((safe - low) / low) / ratio
        log_high = -torch.log1p((safe - high) / high) / ratio
        return (
            torch.where(self.log, log_low, (theta - self.low) / width),
            torch.where(self.log, log_high, (self.high - theta) / width),
        )

    def _log_ratio(self) -> Tensor:
        return torch.where(self.log, self.high / torch.where(self.log, self.low, 1.0), math.e).log()


def _bounds(parameters: Sequence[Parameter]) -> tuple[Tensor, Tensor]:
    if not parameters:
        raise BadInputError("a prior needs at least one parameter, the table is empty")
    low, high = prior_bounds(parameters)
    return torch.as_tensor(low), torch.as_tensor(high)
