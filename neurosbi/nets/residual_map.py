"""What regressions before the flow have in common: their residuals are standard normal where they hold."""

__all__ = ["ResidualMap"]

import math

from torch import Tensor, nn

_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


class ResidualMap(nn.Module):
    """A bijection between ``z[..., theta]`` and residuals, given ``encoded[..., column]``."""

    def residual(self, z: Tensor, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """``r[..., theta]`` of ``z``, and log |dr / dz| [...]."""
        raise NotImplementedError

    def restore(self, r: Tensor, encoded: Tensor) -> Tensor:
        """``z[..., theta]`` of ``r``."""
        raise NotImplementedError

    def log_prob(self, z: Tensor, encoded: Tensor) -> Tensor:
        """Log density [...] of ``z`` where residuals are standard normal."""
        r, log_det = self.residual(z, encoded)
        return log_det - (0.5 * r.square() + _LOG_ROOT_2PI).sum(-1)
