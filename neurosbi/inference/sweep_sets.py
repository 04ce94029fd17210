"""Sets of sweeps as training data and as an observation."""

__all__ = ["EncodedSets", "encode_set"]

import numpy as np
import torch
from torch import Tensor

from neurosbi.contract import SweepSets
from neurosbi.errors import BadInputError
from neurosbi.inference.simulations import Simulations, given_features
from neurosbi.nets import SetEncoder
from neurosbi.priors import UnconstrainedMap


class EncodedSets:
    """Sets of valid sweeps as pairs of unconstrained parameters and encoded condition.

    A `RowSource` for the training loop, one row per set; sweeps that did not end properly are
    left out of their set, and sets without any are left out. Features are withheld per sweep, as
    `EncodedRows` does per simulation.
    """

    def __init__(
        self,
        simulations: Simulations,
        *,
        encoder: SetEncoder,
        bijection: UnconstrainedMap,
        center: Tensor,
        scale: Tensor,
        withheld: float = 0.0,
        seed: int = 0,
    ) -> None:
        if not isinstance(simulations.family, SweepSets):
            raise BadInputError("these simulations are single sweeps, not sets of sweeps")
        self.simulations, self.family = simulations, simulations.family
        self.encoder, self.bijection = encoder, bijection
        self.center, self.scale = center, scale
        self.withheld, self.seed = withheld, seed
        rows = np.flatnonzero(np.asarray(simulations.valid, dtype=bool))
        self.sets = np.unique(self.family.set_of(rows))

    def __len__(self) -> int:
        return len(self.sets)

    def read(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Standardised z [set, theta] and encoding [set, column], float32."""
        wanted = self.sets[start:stop]
        if not len(wanted):
            return torch.empty((0, len(self.center))), torch.empty((0, self.encoder.width))
        first, end = self.family.first_row(np.array([wanted[0], wanted[-1] + 1]))
        rows = np.arange(first, min(end, self.simulations.n))
        batch = self.simulations.read(int(rows[0]), int(rows[-1]) + 1)
        sets = self.family.set_of(rows)
        used = np.asarray(batch.valid, dtype=bool) & np.isin(sets, wanted)
        place = (rows - self.family.first_row(sets))[used]
        owner = np.searchsorted(wanted, sets[used])
        x = np.asarray(batch.x, dtype=np.float64)[used]
        given = np.ones(x.shape, dtype=bool)
        if self.withheld > 0:
            given = given_features(
                x.shape[1], len(rows), share=self.withheld, seed=self.seed, start=int(first)
            )[used]
        encoded = self.encoder(
            torch.as_tensor(x),
            torch.as_tensor(np.asarray(batch.stimulus, dtype=np.float64)[used]),
            torch.as_tensor(owner),
            torch.as_tensor(place),
            n=len(wanted),
            given=torch.as_tensor(given),
        )
        one_of_each = np.unique(owner, return_index=True)[1]
        theta = np.asarray(batch.theta, dtype=np.float64)[used][one_of_each]
        z = (self.bijection(torch.as_tensor(theta)) - self.center) / self.scale
        return z.float(), encoded


def encode_set(
    encoder: SetEncoder, x: np.ndarray, stimulus: np.ndarray, given: np.ndarray | None = None
) -> Tensor:
    """One set of sweeps as a condition, float32 [1, column].

    ``x[sweep, feature]``, ``stimulus[sweep, parameter]``, ``given[sweep, feature]`` (None: all).
    Raises `BadInputError` for no sweep or more than the network can take.
    """
    if not 1 <= len(x) <= encoder.most:
        raise BadInputError(
            f"this network takes sets of 1 to {encoder.most} sweeps, got {len(x)}; choose fewer "
            "with --sweeps"
        )
    if given is None:
        given = np.ones(x.shape, dtype=bool)
    return encoder(
        torch.as_tensor(x, dtype=torch.float64),
        torch.as_tensor(np.array(stimulus, dtype=np.float64)),
        torch.zeros(len(x), dtype=torch.long),
        torch.arange(len(x)),
        n=1,
        given=torch.as_tensor(given),
    )
