"""A residual 1-D convolution over binned voltage, learned together with the flow.

Each section of bins (see `neurosbi.contract.TraceBins`) has filters of its own:

    h = conv_7, stride 4, of (values, presence)
    h = h + conv_3(silu(h))
    h = conv_5, stride 2, of silu(h);  h = h + conv_3(silu(h))

After every step, positions that cover no present bin are set to 0, and values of absent bins are
not read, so that padding has no influence. What remains along time is flattened, because when
something happens tells as much as what happens, and joined with the columns of features and
stimulus.

If the network is to do with either input, rows without a trace have an embedding of their own, the
one that networks of features have, and in training a third of the others, new ones in every pass,
see the trace alone.

References: He et al. (2016), arXiv:1512.03385, for residual steps; Greenberg et al. (2019),
arXiv:1905.07488, and Goncalves et al. (2020), doi:10.7554/eLife.56261, learn features of raw
traces together with the posterior. We convolve binned traces, which have any duration.
"""

__all__ = ["TraceEmbedding"]

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neurosbi.nets.context import ContextEmbedding

_ALONE = 1 / 3  # share of the rows with a trace that see it alone in a training pass


class TraceEmbedding(nn.Module):
    """Encoded ``[batch, column]`` (see `TraceEncoder`) to context ``[batch, width]``.

    ``sections`` are the numbers of bins of each section, ``channels`` those of the encoding
    including presence; the columns before them are ``features`` (with flags) and stimulus.
    ``either`` makes a network that does with features or trace alone.
    """

    def __init__(
        self,
        columns: int,
        sections: Sequence[int],
        width: int = 48,
        *,
        features: int = 0,
        either: bool = False,
        channels: int = 4,
        filters: int = 24,
        hidden: int = 96,
        blocks: int = 1,
    ) -> None:
        super().__init__()
        self.sizes, self.channels = tuple(sections), channels
        self.n_features, self.either = features, either
        self.n_trace = channels * sum(sections)
        self.sections = nn.ModuleList(_Section(channels, n, filters, hidden) for n in sections)
        joined = columns - self.n_trace + hidden * len(self.sizes)
        self.joined = ContextEmbedding(joined, width, hidden=hidden, blocks=blocks)
        if either:
            others = columns - self.n_trace
            self.without_trace = ContextEmbedding(others, width, hidden=hidden, blocks=blocks)

    def forward(self, encoded: Tensor) -> Tensor:
        """The context vector."""
        there = encoded[:, -self.n_trace :].any(1, keepdim=True)
        if self.either and not there.any():
            return self.without_trace(encoded[:, : -self.n_trace])
        if self.either and self.training:
            encoded = self._trace_alone(encoded, there)
        others = encoded[:, : -self.n_trace]
        trace = encoded[:, -self.n_trace :].unflatten(1, (self.channels, -1))
        parts = trace.split(self.sizes, dim=2)
        read = [section(part) for section, part in zip(self.sections, parts, strict=True)]
        context = self.joined(torch.cat((others, *read), dim=1))
        if not self.either or there.all():
            return context
        return torch.where(there, context, self.without_trace(others))

    def _trace_alone(self, encoded: Tensor, there: Tensor) -> Tensor:
        """Without features in a third of the rows that have a trace."""
        draw = torch.rand((len(encoded), 1), device=encoded.device)
        features = encoded[:, : self.n_features] * ~(there & (draw < _ALONE))
        return torch.cat((features, encoded[:, self.n_features :]), dim=1)


class _Section(nn.Module):
    """``[batch, channel, bin]``, presence last, to ``[batch, hidden]``."""

    def __init__(self, channels: int, n: int, filters: int, hidden: int) -> None:
        super().__init__()
        wide = filters + filters // 2
        self.first = nn.Conv1d(channels, filters, 7, stride=4, padding=3)
        self.second = nn.Conv1d(filters, filters, 3, padding=1)
        self.third = nn.Conv1d(filters, wide, 5, stride=2, padding=2)
        self.fourth = nn.Conv1d(wide, wide, 3, padding=1)
        positions = math.ceil(math.ceil(n / 4) / 2)
        self.last = nn.Linear(wide * positions, hidden)

    def forward(self, trace: Tensor) -> Tensor:
        present = trace[:, -1:]
        fine = F.max_pool1d(present, 7, stride=4, padding=3)
        coarse = F.max_pool1d(fine, 5, stride=2, padding=2)
        h = self.first(trace * present) * fine
        h = (h + self.second(F.silu(h))) * fine
        h = self.third(F.silu(h)) * coarse
        h = (h + self.fourth(F.silu(h))) * coarse
        return F.silu(self.last(F.silu(h).flatten(1)))
