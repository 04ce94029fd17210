"""Run the calibration of a network: test cases, posterior draws of each, ranks, a time limit.

Test cases are simulated for the purpose, or are those that the training held out: nothing is
learned from these, and for a slow simulator they are the only affordable ones.
"""

__all__ = ["calibrate", "calibrate_held_out"]

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosbi.checks.calibration import Calibration
from neurosbi.contract import Simulator
from neurosbi.errors import BadInputError, FitError
from neurosbi.progress import progress_bar
from neurosbi.seeds import derive_seed

if TYPE_CHECKING:
    from neurosbi.inference.network import Network
    from neurosbi.inference.ranks import Ranks
    from neurosbi.inference.simulations import Simulations

_BATCH = 100  # cases simulated and drawn for at once
_FIRST_ENDS = (10, 20, 40, 80)  # the first ones are smaller: a slow simulator is found out early


def calibrate(
    network: "Network",
    simulator: Simulator,
    *,
    simulations: int = 1000,
    draws: int = 99,
    seed: int = 0,
    time_limit: float | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> Calibration:
    """Test ``network`` on fresh simulations of its prior and stimuli, ``draws`` for each.

    After ``time_limit`` seconds the cases done by then are used. The first cases, though not the
    draws, are the same for any number of them. Raises `BadInputError` for another simulator than
    the network's, numbers that make no sense, or a limit too short for one batch; `FitError` if no
    simulation ended properly.
    """
    from neurosbi.inference.pairs import family_pairs
    from neurosbi.inference.ranks import rank_pairs

    network.check_simulator(simulator)
    if simulations < 1 or draws < 19:
        raise BadInputError(
            f"calibration needs at least 1 simulation and 19 draws, got {simulations} and {draws}"
        )
    if time_limit is not None and not time_limit > 0:
        raise BadInputError(f"a time limit is a number of seconds above 0, got {time_limit:g}")
    began = time.monotonic()
    parts, done, stopped = [], 0, False
    with progress_bar("calibration", simulations, show=progress) as advance:
        while done < simulations and not stopped:
            n = min(_end_after(done), simulations) - done
            cases = derive_seed(seed, "calibration")
            pairs = family_pairs(network, simulator, n, seed=cases, start=done, threads=threads)
            block_seed = derive_seed(cases, f"ranks from {done}")
            parts.append(rank_pairs(network, pairs, draws=draws, seed=block_seed))
            done += n
            advance(n)
            elapsed = time.monotonic() - began
            stopped = time_limit is not None and elapsed > time_limit and done < simulations
            if time_limit is not None and elapsed > time_limit and len(parts) == 1:
                raise BadInputError(
                    f"the time limit is too short for one batch: {n} simulations with {draws} "
                    f"draws each took {elapsed:.3g} s and had {time_limit:g} s; allow more "
                    "(--time-limit)"
                )
    if not any(len(p) for p in parts):
        raise FitError(
            f"none of {done} simulations of the prior ended properly, so the calibration of the "
            "network cannot be tested; look at what the simulator reports of a few"
        )
    return _calibration(
        network,
        parts,
        draws=draws,
        wanted=simulations,
        seed=seed,
        seconds=time.monotonic() - began,
        stopped=stopped,
    )


def calibrate_held_out(
    network: "Network", simulations: "Simulations", *, most: int = 1000, draws: int = 99
) -> Calibration:
    """Test ``network`` on up to ``most`` of the simulations that its training held out.

    Nothing is simulated. Works for networks of every input. Raises `BadInputError` where
    ``simulations`` are not those that the network was trained on.
    """
    from neurosbi.inference.pairs import held_out_pairs
    from neurosbi.inference.ranks import rank_pairs

    began = time.monotonic()
    pairs = held_out_pairs(network, simulations, most=most)
    seed = int(network.card["seed"])
    ranks = rank_pairs(network, pairs, draws=draws, seed=derive_seed(seed, "held-out ranks"))
    return _calibration(
        network,
        [ranks],
        draws=draws,
        wanted=len(pairs),
        seed=seed,
        seconds=time.monotonic() - began,
        held_out=True,
    )


def _end_after(done: int) -> int:
    """Where the batch ends that begins with case ``done``, for any number of cases."""
    return next((end for end in _FIRST_ENDS if end > done), _BATCH * (done // _BATCH + 1))


def _calibration(network: "Network", parts: "Sequence[Ranks]", **facts: Any) -> Calibration:
    return Calibration(
        parameters=tuple(p.name for p in network.parameters),
        theta=np.concatenate([p.theta for p in parts]),
        density=np.concatenate([p.density for p in parts]),
        ball=np.concatenate([p.ball for p in parts]),
        **facts,
    )
