"""From features and stimulus to a context vector: a fixed encoding, then a learned embedding.

The encoding has no weights and is applied once, before training: standardised features with 0 where
they are undefined, a flag per feature that says whether it was defined, undefined, or not given at
all, and the parameters of the stimulus (their logarithm where they are log-uniform), standardised.
The embedding is a module of its own, so that a method may replace it by one for sets of sweeps or
for whole traces.
"""

__all__ = ["ContextEmbedding", "FeatureEncoder"]

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neurosbi.contract import Parameter
from neurosbi.nets.standardize import Standardizer


class FeatureEncoder(nn.Module):
    """Raw ``x[..., feature]`` (NaN: undefined) and ``stimulus[..., parameter]`` to finite columns.

    Columns are the features, their flags (1 defined, -1 undefined, 0 not given: nobody looked) and
    the stimulus. Buffers ``low`` and ``high`` [feature] hold the
    range of the training simulations (NaN for a feature that none of them had).
    """

    log_stimulus: Tensor
    low: Tensor
    high: Tensor
    defined: Tensor

    def __init__(self, features: int, stimulus: Sequence[Parameter] = ()) -> None:
        super().__init__()
        self.n_features, self.n_stimulus = features, len(stimulus)
        self.features = Standardizer(features)
        self.stimulus = Standardizer(len(stimulus))
        log = torch.tensor([p.scale == "log" for p in stimulus], dtype=torch.bool)
        self.register_buffer("log_stimulus", log, persistent=False)
        for name in ("low", "high", "defined"):
            self.register_buffer(name, torch.full((features,), torch.nan, dtype=torch.float64))

    @property
    def width(self) -> int:
        """Number of columns of the encoding."""
        return 2 * self.n_features + self.n_stimulus

    @classmethod
    def of(
        cls, x: np.ndarray, stimulus: np.ndarray, *, family: Sequence[Parameter] = ()
    ) -> "FeatureEncoder":
        """The encoder standardised on ``x[sim, feature]`` and ``stimulus[sim, parameter]``."""
        encoder = cls(x.shape[1], family)
        encoder.features = Standardizer.of(x)
        encoder.stimulus = Standardizer.of(encoder._in_log(torch.as_tensor(stimulus)).numpy())
        defined = np.isfinite(x)
        part = defined.mean(0) if len(x) else np.zeros(x.shape[1])
        encoder.defined.copy_(torch.as_tensor(part))
        low = np.where(defined, x, np.inf).min(0, initial=np.inf)
        high = np.where(defined, x, -np.inf).max(0, initial=-np.inf)
        encoder.low.copy_(torch.as_tensor(np.where(part > 0, low, np.nan)))
        encoder.high.copy_(torch.as_tensor(np.where(part > 0, high, np.nan)))
        return encoder

    @torch.no_grad()
    def forward(self, x: Tensor, stimulus: Tensor, given: Tensor | None = None) -> Tensor:
        """float32 [..., column]; ``given[..., feature]`` False withholds a feature (None: none)."""
        values, flags = self.features(x), 2.0 * torch.isfinite(x) - 1.0
        if given is not None:
            values, flags = values * given, flags * given
        columns = (values, flags.float(), self.stimulus(self._in_log(stimulus)))
        return torch.cat(columns, dim=-1)

    def _in_log(self, stimulus: Tensor) -> Tensor:
        stimulus = stimulus.double()
        log = self.log_stimulus
        return torch.where(log, stimulus.clamp_min(1e-300).log(), stimulus)


class ContextEmbedding(nn.Module):
    """Residual perceptron: encoded ``[batch, column]`` to context ``[batch, width]``."""

    def __init__(self, columns: int, width: int = 48, *, hidden: int = 96, blocks: int = 1) -> None:
        super().__init__()
        self.first = nn.Linear(columns, hidden)
        self.blocks = nn.ModuleList(_Residual(hidden) for _ in range(blocks))
        self.last = nn.Linear(hidden, width)

    def forward(self, encoded: Tensor) -> Tensor:
        """The context vector."""
        h = self.first(encoded)
        for block in self.blocks:
            h = block(h)
        return self.last(F.silu(h))


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.outer(F.silu(self.inner(F.silu(h))))
