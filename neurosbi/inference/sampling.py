"""Draws inside the prior's box from any estimator, in bounded time."""

__all__ = ["sample_inside"]

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from neurosbi.contract import percent
from neurosbi.errors import FitError
from neurosbi.seeds import derive_seed

Draw = Callable[[int, torch.Generator], Tensor]

_BATCH = 2000


def sample_inside(
    draw: Draw,
    inside: Callable[[Tensor], Tensor],
    *,
    n: int,
    seed: int,
    time_limit: float = 60.0,
    batch: int = _BATCH,
) -> np.ndarray:
    """``n`` of the draws for which ``inside`` holds, float64 [n, theta].

    ``draw(count, generator) -> [count, theta]``. Blocks of ``batch`` draws have a generator each,
    seeded by the block, so the first draws do not depend on ``n``. torch's global generator is
    left as it is. Raises `FitError` if the time limit (seconds) passes first.
    """
    kept: list[Tensor] = []
    n_kept = n_drawn = block = 0
    began = time.monotonic()
    while n_kept < n:
        generator = torch.Generator().manual_seed(derive_seed(seed, f"posterior block {block}"))
        theta = draw(batch, generator)
        accepted = theta[inside(theta)].double().cpu()
        kept.append(accepted)
        n_kept, n_drawn, block = n_kept + len(accepted), n_drawn + len(theta), block + 1
        if n_kept < n and time.monotonic() - began > time_limit:
            raise FitError(
                f"only {n_kept} of {n} posterior samples lay inside the prior after "
                f"{time_limit:g} s ({percent(n_kept / n_drawn)} of all draws); the network "
                "leaks out of the prior for this observation, which mostly means that the "
                "observation is unlike all simulations or that training was too short"
            )
    return torch.cat(kept)[:n].numpy()
