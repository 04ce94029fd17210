r"""Regression of quantities between 0 and 1 that are normal, cut off there, by maximum likelihood.

With \eta = A e + b in units of s and \gamma = 1/s, a row u has the log density

    \log \gamma - (\gamma u - \eta)^2 / 2 - \log \sqrt{2\pi} - \log[\Phi(\gamma - \eta) - \Phi(-\eta)]

which is concave in (A/s, b/s, \gamma): Newton's method finds the one maximum in a few steps.

References: Orme & Ruud 2002, Economics Letters 75:209 (concavity).
"""

__all__ = ["truncated_regression"]

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from neurosbi.nets.linear_trend import ridge
from neurosbi.nets.truncated_normal import log_mass

_WIDEST, _NARROWEST = 20.0, 1e-3  # s: wider is next to uniform; narrower is known to the digit
_PENALTY = 1e-6  # on (A/s)^2, so that columns which say the same have one answer
_STEPS, _HALVINGS = 50, 30
_CLOSE = 1e-9  # nats that the next step may still gain
_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


def truncated_regression(u: Tensor, e: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``A[column, theta]``, ``b[theta]`` and ``s[theta]`` of ``u[row, theta]`` given ``e[row, column]``.

    ``u`` lies strictly between 0 and 1; both are float64.
    """
    columns = torch.cat((e, e.new_ones(len(e), 1)), dim=1)
    weight, bias = ridge(u, e)
    sd = (u - e @ weight - bias).square().mean(0).sqrt().clamp(_NARROWEST, _WIDEST)
    start = torch.cat((weight, bias[None]), dim=0) / sd
    found = [
        _maximised(_Point(start[:, i], float(1 / sd[i])), u[:, i], columns)
        for i in range(u.shape[1])
    ]
    scale = u.new_tensor([1 / point.gamma for point in found])
    line = torch.stack([point.slopes for point in found], dim=1) * scale
    return line[:-1], line[-1], scale


@dataclass(frozen=True)
class _Point:
    """``slopes[column]``, A/s and b/s of one quantity, and ``gamma`` = 1/s."""

    slopes: Tensor
    gamma: float

    def moved(self, step: Tensor, share: float) -> "_Point":
        gamma = self.gamma + share * float(step[-1])
        return _Point(self.slopes + share * step[:-1], min(max(gamma, 1 / _WIDEST), 1 / _NARROWEST))


def _maximised(point: _Point, u: Tensor, columns: Tensor) -> _Point:
    value = _objective(point, u, columns)
    for _ in range(_STEPS):
        gradient, curvature = _derivatives(point, u, columns)
        step = torch.linalg.solve(curvature, gradient)
        at_end = (point.gamma <= 1 / _WIDEST and step[-1] < 0) or (
            point.gamma >= 1 / _NARROWEST and step[-1] > 0
        )
        if at_end:  # s stays, the others move on
            rest = torch.linalg.solve(curvature[:-1, :-1], gradient[:-1])
            step = torch.cat((rest, rest.new_zeros(1)))
        if not float(gradient @ step) > 2 * _CLOSE:
            break
        for halving in range(_HALVINGS):
            ahead = point.moved(step, 0.5**halving)
            there = _objective(ahead, u, columns)
            if there > value:
                break
        else:
            break
        point, value = ahead, there
    return point


def _objective(point: _Point, u: Tensor, columns: Tensor) -> float:
    """Mean log density of the rows, less the penalty."""
    eta = columns @ point.slopes
    mass = log_mass(-eta, torch.full_like(eta, point.gamma))
    density = math.log(point.gamma) - 0.5 * (point.gamma * u - eta).square() - mass
    return float(density.mean() - _PENALTY * point.slopes.square().sum()) - _LOG_ROOT_2PI


def _derivatives(point: _Point, u: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient and negative second derivatives of the objective by (slopes, gamma)."""
    gamma, eta = point.gamma, columns @ point.slopes
    a, b = -eta, gamma - eta
    mass = log_mass(a, torch.full_like(a, gamma))
    # densities of the cut-off normal at its two ends
    at_a, at_b = (torch.exp(-0.5 * end.square() - _LOG_ROOT_2PI - mass) for end in (a, b))
    t = gamma * u - eta
    by_eta = t - at_a + at_b
    by_gamma = 1 / gamma - t * u - at_b
    eta_eta = 1 + a * at_a - b * at_b - (at_a - at_b).square()
    eta_gamma = b * at_b + at_b.square() - u - at_a * at_b
    gamma_gamma = 1 / gamma**2 + u.square() - b * at_b - at_b.square()

    n, width = columns.shape
    penalty = torch.full((width,), 2 * _PENALTY, dtype=u.dtype)
    gradient = torch.cat((columns.T @ by_eta / n - penalty * point.slopes, by_gamma.mean()[None]))
    curvature = u.new_empty(width + 1, width + 1)
    curvature[:-1, :-1] = columns.T @ (columns * eta_eta[:, None]) / n + torch.diag(penalty)
    curvature[:-1, -1] = curvature[-1, :-1] = columns.T @ eta_gamma / n
    curvature[-1, -1] = gamma_gamma.mean()
    return gradient, curvature
