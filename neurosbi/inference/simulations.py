"""What inference needs of a set of simulations, and its rows as training data."""

__all__ = [
    "EncodedRows",
    "Simulations",
    "given_features",
    "read_rows",
    "representative_rows",
    "usable_rows",
]

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from neurosbi.contract import Feature, Parameter, StimulusFamily, TraceBins
from neurosbi.errors import BadInputError
from neurosbi.nets import FeatureEncoder
from neurosbi.priors import UnconstrainedMap
from neurosbi.seeds import uniform_rows

_STATISTICS_ROWS = 200_000  # rows that standardisation is computed from
MOST_WITHHELD = 0.6  # the largest share of its features that a simulation is trained without
_GAP = 4096  # rows apart from which two reads are cheaper than one


class Simulations(Protocol):
    """A store of simulations: see `neurosbi.store` for the one on disk.

    ``read(start, stop)`` has the attributes ``theta[sim, theta]``, ``x[sim, feature]``,
    ``valid[sim]`` and ``stimulus[sim, parameter]`` of these rows, as the whole store has.
    """

    @property
    def n(self) -> int:
        """Number of simulations."""
        ...

    @property
    def valid(self) -> np.ndarray:
        """bool [sim]: the simulation ended properly."""
        ...

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The columns of theta, with their prior."""
        ...

    @property
    def features(self) -> tuple[Feature, ...]:
        """The columns of x."""
        ...

    @property
    def family(self) -> StimulusFamily:
        """The stimuli that were given."""
        ...

    @property
    def trace_bins(self) -> TraceBins | None:
        """The bins of `read_traces`, None where only features are kept."""
        ...

    @property
    def simulator_config(self) -> Mapping[str, Any]:
        """What ``simulator.config()`` returned."""
        ...

    @property
    def config_hash(self) -> str:
        """Short name of simulator, prior and stimuli together."""
        ...

    @property
    def seed(self) -> int:
        """The seed of the simulations."""
        ...

    def read(self, start: int, stop: int) -> Any:
        """Rows ``start .. stop``."""
        ...

    def read_traces(self, start: int, stop: int) -> np.ndarray:
        """Binned voltage of rows ``start .. stop``, float32 [sim, channel, bin]."""
        ...


class EncodedRows:
    """Valid simulations as pairs of unconstrained parameters and encoded condition.

    A `RowSource` for the training loop; rows are encoded as they are read. ``rows`` are the
    indices of the simulations that are used, in order. From a share ``withheld`` of them a random
    subset of the features is withheld, so that the network learns the posterior given any subset.
    """

    def __init__(
        self,
        simulations: Simulations,
        rows: np.ndarray,
        *,
        encoder: FeatureEncoder,
        bijection: UnconstrainedMap,
        center: Tensor,
        scale: Tensor,
        withheld: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.simulations, self.rows = simulations, rows
        self.encoder, self.bijection = encoder, bijection
        self.center, self.scale = center, scale
        self.withheld, self.seed = withheld, seed

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Standardised z [row, theta] and encoding [row, column], float32."""
        theta, x, stimulus = read_rows(self.simulations, self.rows[start:stop])
        z = (self.bijection(torch.as_tensor(theta)) - self.center) / self.scale
        given = None
        if self.withheld > 0:
            given = torch.as_tensor(
                given_features(
                    x.shape[1], stop - start, share=self.withheld, seed=self.seed, start=start
                )
            )
        return z.float(), self.encoder(torch.as_tensor(x), torch.as_tensor(stimulus), given)


def given_features(width: int, n: int, *, share: float, seed: int, start: int = 0) -> np.ndarray:
    """Which features rows ``start .. start+n`` may see, bool [row, feature].

    A row keeps all features with probability ``1 - share``; otherwise each is withheld with a
    probability that is itself uniform from 0 to ``MOST_WITHHELD`` for the row: most often a few
    are, which is what a fit needs, and large subsets occur.
    """
    draws = uniform_rows(n, width + 1, seed=seed, purpose="withheld features", start=start)
    rate = MOST_WITHHELD * np.maximum(draws[:, :1] - (1 - share), 0.0) / max(share, 1e-12)
    return draws[:, 1:] >= rate


def usable_rows(simulations: Simulations) -> np.ndarray:
    """Indices of the simulations that ended properly. Raises `BadInputError` if there are none."""
    rows = np.flatnonzero(np.asarray(simulations.valid, dtype=bool))
    if len(rows) == 0:
        raise BadInputError(
            f"none of the {simulations.n} simulations ended properly, so there is nothing to "
            "train on; check the prior ranges and the stimulus"
        )
    return rows


def representative_rows(rows: np.ndarray) -> np.ndarray:
    """At most 200,000 of ``rows``, evenly spread in blocks (cheap to read)."""
    if len(rows) <= _STATISTICS_ROWS:
        return rows
    blocks = np.array_split(rows, -(-len(rows) // 2000))
    keep = np.linspace(0, len(blocks) - 1, _STATISTICS_ROWS // 2000).astype(int)
    return np.concatenate([blocks[i] for i in np.unique(keep)])


def read_rows(
    simulations: Simulations, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """theta, x and stimulus of sorted ``rows``, float64, read in contiguous ranges."""
    parts = []
    for run in np.split(rows, np.flatnonzero(np.diff(rows) > _GAP) + 1):
        if len(run) == 0:
            continue
        first = int(run[0])
        batch = simulations.read(first, int(run[-1]) + 1)
        inside = run - first
        parts.append(
            tuple(
                np.asarray(column, dtype=np.float64)[inside]
                for column in (batch.theta, batch.x, batch.stimulus)
            )
        )
    if not parts:
        empty = simulations.read(0, 0)
        return empty.theta, empty.x, empty.stimulus
    theta, x, stimulus = (np.concatenate(column) for column in zip(*parts, strict=True))
    return theta, x, stimulus
