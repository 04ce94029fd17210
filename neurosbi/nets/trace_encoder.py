r"""From features, stimulus and binned voltage to columns; the fixed part, without weights.

Each bin holds mean, highest and lowest voltage (see `neurosbi.contract.TraceBins`). They become

    mean,   log(highest - mean + e),   log(mean - lowest + e),   presence,      e = 0.05 mV

the first three standardised, one scale for all bins of a channel. The logarithms keep both what
a spike does (100 mV) and what channel noise does (0.1 mV) within a few standard deviations. Bins
that are absent, or withheld, are 0 in all four.
"""

__all__ = ["TraceEncoder"]

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neurosbi.contract import TraceBins
from neurosbi.nets.context import FeatureEncoder
from neurosbi.nets.standardize import Standardizer

_FLOOR = 0.05  # mV, below what an amplifier resolves


class TraceEncoder(nn.Module):
    """A sweep with its trace to one row: the columns of ``sweep``, then [channel, bin], flat."""

    def __init__(self, sweep: FeatureEncoder, bins: TraceBins) -> None:
        super().__init__()
        self.sweep, self.bins = sweep, bins
        self.trace = Standardizer(len(bins.channels))

    @property
    def width(self) -> int:
        """Number of columns of the encoding."""
        return self.sweep.width + (len(self.bins.channels) + 1) * self.bins.n

    @classmethod
    def of(cls, sweep: FeatureEncoder, bins: TraceBins, trace: np.ndarray) -> "TraceEncoder":
        """The encoder standardised on ``trace[sim, channel, bin]``."""
        encoder = cls(sweep, bins)
        channels = _contrasts(torch.as_tensor(trace)).movedim(1, -1).flatten(0, -2)
        encoder.trace = Standardizer.of(channels.numpy())
        return encoder

    @torch.no_grad()
    def forward(
        self,
        x: Tensor,
        stimulus: Tensor,
        given: Tensor | None = None,
        trace: Tensor | None = None,
        trace_given: Tensor | None = None,
    ) -> Tensor:
        """float32 [sim, column].

        ``given[sim, feature]`` False withholds a feature, ``trace_given[sim]`` False the whole
        ``trace[sim, channel, bin]`` (None: there is none).
        """
        columns = self.sweep(x, stimulus, given)
        if trace is None:
            return F.pad(columns, (0, self.width - self.sweep.width))
        present = torch.isfinite(trace).all(1, keepdim=True)
        if trace_given is not None:
            present = present & trace_given[:, None, None]
        values = self.trace(_contrasts(trace).movedim(1, -1)).movedim(-1, 1)
        values = torch.where(present, values, 0.0)
        return torch.cat((columns, values.flatten(1), present.flatten(1).float()), dim=1)


def _contrasts(trace: Tensor) -> Tensor:
    mean, highest, lowest = trace.float().unbind(1)
    above, below = (highest - mean).clamp_min(0), (mean - lowest).clamp_min(0)
    return torch.stack((mean, (above + _FLOOR).log(), (below + _FLOOR).log()), dim=1)
