"""The step spikes: the spikes of simulations of a network, kept in a Zarr store."""

__all__ = ["simulate_spikes"]

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neurosbi.contract import Simulator, Stimulus
from neurosbi.errors import BadInputError
from neurosbi.progress import progress_bar, say
from neurosbi.store.simulation_layout import is_vacant
from neurosbi.store.spikes import StoredSpikes, open_spikes, write_spikes

if TYPE_CHECKING:
    import xarray as xr

_TOGETHER = 16  # simulations whose spikes are in memory at a time


def simulate_spikes(
    simulator: Simulator,
    n: int,
    path: str | Path,
    *,
    stimulus: Stimulus | None = None,
    seed: int = 0,
    existing: str = "error",
    progress: bool = True,
) -> StoredSpikes:
    """The spikes of simulations 0 .. n of the prior; their features are what `simulate` keeps.

    The store appears whole or not at all; with ``existing`` "resume" one of the same spikes is
    returned as it is. Raises `BadInputError` for a simulator without spikes
    or a path that is taken, before any simulation where it can be known.
    """
    if n < 1:
        raise BadInputError(f"the number of simulations is at least 1, got {n}")
    path = Path(path)
    if existing == "resume" and not is_vacant(path):
        kept = open_spikes(path)
        if kept.n == n and kept.are_of(simulator, stimulus=stimulus, seed=seed):
            say(f"{path} holds these spikes already", show=progress)
            return kept
    with progress_bar(f"spikes of {simulator.name}", n, show=progress) as bar:

        def pieces() -> Iterator[tuple[np.ndarray, "xr.Dataset"]]:
            for start in range(0, n, _TOGETHER):
                theta = simulator.sample_prior(min(_TOGETHER, n - start), seed=seed, start=start)
                yield theta, simulator.traces(theta, stimulus=stimulus, seed=seed, start=start)
                bar(len(theta))

        return write_spikes(
            path, simulator, pieces(), stimulus=stimulus, seed=seed, existing=existing
        )
