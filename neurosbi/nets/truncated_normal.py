r"""The standard normal on an interval, without loss of digits where the interval is short or far out."""

__all__ = ["log_mass", "normal_cdf"]

import math

import torch
from torch import Tensor

_SHORT = 1e-2  # width times 1 + |middle| below which the density hardly changes over the interval
_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


def normal_cdf(x: Tensor) -> Tensor:
    """\\Phi(x), to the last digits also where it is small (torch's ndtr is not)."""
    return 0.5 * torch.erfc(-math.sqrt(0.5) * x)


def log_mass(low: Tensor, width: Tensor) -> Tensor:
    """log(\\Phi(low + width) - \\Phi(low)) of positive ``width``, in double precision."""
    middle = low + 0.5 * width
    short = width * (1 + middle.abs()) < _SHORT
    # the integral of the Taylor series about the middle; what is left out is below 1e-11
    series = (
        width.log()
        - 0.5 * middle.square()
        - _LOG_ROOT_2PI
        + torch.log1p((middle.square() - 1) * width.square() / 24)
    )
    # the branch that is not taken must be finite, or its derivative would spoil the other's
    span = torch.where(short, 1.0, width)
    begin = torch.where(short, 0.0, low)
    mirrored = 2 * begin + span > 0  # differences of \Phi are exact in its lower half
    a = torch.where(mirrored, -begin - span, begin)
    upper, lower = torch.special.log_ndtr(a + span), torch.special.log_ndtr(a)
    return torch.where(short, series, upper + torch.log(-torch.expm1(lower - upper)))
