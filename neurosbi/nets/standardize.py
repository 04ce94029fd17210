r"""Standardisation of columns that may hold undefined values, outliers and constants.

    z = soft((x - center) / scale),   soft(z) = z up to |z| = 8, then sign(z) (8 + log(1 + |z| - 8))

Center and scale are mean and standard deviation over the defined values, winsorised at ten robust
standard deviations from the median, so that a few enormous values do not flatten the rest.
An undefined value (NaN or infinite) becomes 0, the column's mean; a column that never varies is 0.
"""

__all__ = ["Standardizer"]

import numpy as np
import torch
from torch import Tensor, nn

SOFT_LIMIT = 8.0  # standard deviations up to which a value is kept as it is
_WINSOR = 10.0
_ROBUST_WIDTH = 3.2897  # distance of the 5 % and 95 % quantiles of N(0, 1)


class Standardizer(nn.Module):
    """Columnwise map of ``x[..., column]`` to a finite single-precision tensor of that shape."""

    center: Tensor
    rate: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(width, dtype=torch.float64))
        self.register_buffer("rate", torch.ones(width, dtype=torch.float64))  # 1 / scale, or 0

    @classmethod
    def of(cls, x: np.ndarray) -> "Standardizer":
        """The standardisation of the columns of ``x[row, column]``."""
        standardizer = cls(x.shape[1])
        for column, values in enumerate(np.asarray(x, dtype=np.float64).T):
            center, scale = _center_and_scale(values[np.isfinite(values)])
            standardizer.center[column] = center
            standardizer.rate[column] = 1 / scale if scale > 0 else 0.0
        return standardizer

    def forward(self, x: Tensor) -> Tensor:
        """Standardised ``x``, float32, finite."""
        defined = torch.isfinite(x)
        z = (torch.where(defined, x.double(), self.center) - self.center) * self.rate
        beyond = (z.abs() - SOFT_LIMIT).clamp_min(0)
        z = torch.sign(z) * (z.abs() - beyond + torch.log1p(beyond))
        return z.float()


def _center_and_scale(values: np.ndarray) -> tuple[float, float]:
    if len(values) == 0:
        return 0.0, 0.0
    low, median, high = np.quantile(values, [0.05, 0.5, 0.95])
    width = (high - low) / _ROBUST_WIDTH
    if width > 0:
        values = np.clip(values, median - _WINSOR * width, median + _WINSOR * width)
    center = float(values.mean())
    scale = float(values.std())
    # rounding noise around a constant is not a scale
    return center, scale if scale > 1e-12 * max(abs(center), 1e-300) else 0.0
