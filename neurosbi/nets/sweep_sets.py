"""Sets of sweeps to a context vector, whatever their number and order.

A set is encoded as ``most`` blocks, each the columns of one sweep (`FeatureEncoder`) and a 1 where
there is a sweep, 0 where the block is empty. The embedding is a deep set: every sweep goes through
the same perceptron, the results are averaged and their maximum is taken over the sweeps that are
there, and a second perceptron sees both and the number of sweeps. Averages of products of linear
maps of the columns are added, since second moments are what a regression over sweeps (the slope of
a current-voltage curve, say) is made of. Blocks may be filled in any
order and anywhere.

In training, half of the sets lose a random part of their sweeps in every pass, so that the network
has seen subsets of every kind.

References: Zaheer et al. (2017), Deep Sets, arXiv:1703.06114. Chan et al. (2018),
arXiv:1802.06153, use it for exchangeable data in simulation-based inference.
"""

__all__ = ["SetEmbedding", "SetEncoder"]

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neurosbi.nets.context import ContextEmbedding, FeatureEncoder

_PRODUCTS = 32
_THINNED = 0.5  # share of the sets that lose sweeps in a training pass


class SetEncoder(nn.Module):
    """Sets of at most ``most`` sweeps, each encoded by ``sweep``, to one row each."""

    def __init__(self, sweep: FeatureEncoder, most: int) -> None:
        super().__init__()
        self.sweep, self.most = sweep, most

    @property
    def width(self) -> int:
        """Number of columns of the encoding."""
        return self.most * (self.sweep.width + 1)

    @torch.no_grad()
    def forward(
        self, x: Tensor, stimulus: Tensor, owner: Tensor, place: Tensor, *, n: int, given: Tensor
    ) -> Tensor:
        """float32 [n, column] of ``x[sweep, feature]``, ``stimulus[sweep, parameter]``.

        Sweep ``i`` fills block ``place[i]`` of set ``owner[i]``; ``given[sweep, feature]`` False
        withholds a feature.
        """
        columns = self.sweep(x, stimulus, given)
        encoded = torch.zeros((n, self.most, self.sweep.width + 1))
        encoded[owner, place] = torch.cat((columns, torch.ones((len(columns), 1))), dim=1)
        return encoded.flatten(1)


class SetEmbedding(nn.Module):
    """Encoded sets ``[batch, column]`` (see `SetEncoder`) to context ``[batch, width]``."""

    def __init__(
        self, columns: int, most: int, width: int = 48, *, hidden: int = 96, blocks: int = 1
    ) -> None:
        super().__init__()
        self.most = most
        self.first = nn.Linear(columns // most - 1, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.factors = nn.Linear(columns // most - 1, 2 * _PRODUCTS)
        self.of_set = ContextEmbedding(
            2 * hidden + _PRODUCTS + 1, width, hidden=hidden, blocks=blocks
        )

    def forward(self, encoded: Tensor) -> Tensor:
        """The context vector of every set."""
        sets = encoded.unflatten(1, (self.most, -1))
        there = sets[..., -1] > 0
        if self.training:
            there = _thinned(there)
        owner = there.nonzero()[:, 0]
        sweeps = sets[there][:, :-1]
        h = F.silu(self.second(F.silu(self.first(sweeps))))
        left, right = self.factors(sweeps).chunk(2, dim=1)
        n = there.sum(1, keepdim=True).clamp_min(1).to(h.dtype)
        averaged = torch.cat((h, left * right), dim=1)
        mean = averaged.new_zeros((len(sets), averaged.shape[1])).index_add(0, owner, averaged) / n
        highest = h.new_zeros((len(sets), h.shape[1])).scatter_reduce(
            0, owner[:, None].expand_as(h), h, "amax", include_self=False
        )
        return self.of_set(torch.cat((mean, highest, n.log()), dim=1))


def _thinned(there: Tensor) -> Tensor:
    """Half of the rows keep all sweeps, the others a random part of them, at least one."""
    kept_share = torch.rand((len(there), 1), device=there.device)
    draws = torch.rand(there.shape, device=there.device)
    whole = torch.rand((len(there), 1), device=there.device) >= _THINNED
    # the sweep with the smallest draw always stays
    smallest = draws.masked_fill(~there, torch.inf).amin(1, keepdim=True)
    return there & (whole | (draws <= kept_share.clamp_min(smallest)))
