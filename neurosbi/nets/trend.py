r"""What a regression already knows about the parameters is taken out before the flow.

The flow learns the density of the residuals of a regression on the encoded condition, given that
condition. Where the posterior is Gaussian around a linear function of the data, or such a Gaussian
cut off at the walls of the prior, the residuals are standard normal from the start; elsewhere the
flow undoes what is wrong, since it sees the condition too. With few simulations this is worth more
than any regularisation: a linear map of 10 features to 10 parameters is otherwise learned from
noise, and the corners of a box are hard for any flow.

Where the parameters depend on the data in a clearly nonlinear way the regression is only one more
thing to undo, and costs accuracy. So the better of the two is used only if it is enough: if the
same regression on the columns and their squares predicts held-out rows better by ``ENOUGH`` nats
or more, there is no trend. Nor is there where the prior alone predicts them as well.
"""

__all__ = ["Trend"]

from collections.abc import Callable

import torch
from torch import Tensor, nn

from neurosbi.nets.linear_trend import LinearTrend
from neurosbi.nets.residual_map import ResidualMap
from neurosbi.nets.truncated_trend import TruncatedTrend

ENOUGH = 0.1  # nats
_BEND = 3.0  # standard deviations up to which a column is squared
_HELD_OUT = 5  # every fifth row tests the regression
_NONE, _LINEAR, _TRUNCATED = range(3)


class Trend(ResidualMap):
    """A `LinearTrend`, a `TruncatedTrend` or none, whichever the simulations speak for."""

    kind: Tensor

    def __init__(self, columns: int, dim: int) -> None:
        super().__init__()
        self.linear = LinearTrend(columns, dim)
        self.truncated = TruncatedTrend(columns, dim)
        self.register_buffer("kind", torch.tensor(_NONE))
        # the same beside the buffer: to ask a GPU for it would hold up every step
        self._kind = _NONE
        self.register_load_state_dict_post_hook(_read_kind)

    @property
    def name(self) -> str:
        """ "none", "linear" or "truncated"."""
        return ("none", "linear", "truncated")[self._kind]

    @torch.no_grad()
    def fit(self, z: Tensor, encoded: Tensor, *, center: Tensor, spread: Tensor) -> None:
        """Choose and fit from rows ``z[row, theta]``, ``encoded[row, column]``.

        ``center`` and ``spread`` [theta] are what unconstrained parameters were standardised by.
        """
        if len(z) < 2 * _HELD_OUT:
            return
        z, e = z.double(), encoded.double()
        bent = torch.cat((e, e.clamp(-_BEND, _BEND).square()), dim=1)
        dim = z.shape[1]

        def linear(z: Tensor, e: Tensor) -> LinearTrend:
            return LinearTrend(e.shape[1], dim).double().fit(z, e)

        def truncated(z: Tensor, e: Tensor) -> TruncatedTrend:
            return TruncatedTrend(e.shape[1], dim).fit(z, e, center=center, spread=spread)

        kinds: dict[int, Callable[[Tensor, Tensor], ResidualMap]]
        kinds = {_LINEAR: linear, _TRUNCATED: truncated}
        scores = {kind: _score(fit, z, e) for kind, fit in kinds.items()}
        best = max(scores, key=lambda kind: scores[kind])
        if scores[best] <= _score(lambda *_: LinearTrend(e.shape[1], dim).double(), z, e):
            return  # the prior
        if _score(kinds[best], z, bent) - scores[best] >= ENOUGH:
            return
        chosen = self.linear if best == _LINEAR else self.truncated
        chosen.load_state_dict(kinds[best](z, e).state_dict())
        self.kind.fill_(best)
        self._kind = best

    def residual(self, z: Tensor, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """``r[..., theta]`` of ``z``, and log |dr / dz| [...]."""
        used = self._used
        return used.residual(z, encoded) if used else (z, z.new_zeros(z.shape[:-1]))

    def restore(self, r: Tensor, encoded: Tensor) -> Tensor:
        """``z[..., theta]`` of ``r``."""
        used = self._used
        return used.restore(r, encoded) if used else r

    @property
    def _used(self) -> ResidualMap | None:
        return {_NONE: None, _LINEAR: self.linear, _TRUNCATED: self.truncated}[self._kind]


def _read_kind(trend: nn.Module, _: object) -> None:
    if isinstance(trend, Trend):
        trend._kind = int(trend.kind)


def _score(fit: Callable[[Tensor, Tensor], ResidualMap], z: Tensor, e: Tensor) -> float:
    """Mean log density of held-out rows, in nats."""
    test = torch.arange(len(z)) % _HELD_OUT == 0
    score = fit(z[~test], e[~test]).log_prob(z[test], e[test]).mean()
    return float(torch.nan_to_num(score, nan=-torch.inf))
