"""The rounds of a refined fit, as a table and in words."""

__all__ = ["rounds_sentence", "rounds_table"]

from collections.abc import Mapping

import numpy as np
import pandas as pd

from neurosbi.contract import percent


def rounds_table(rounds: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """One row per round.

    Columns: round; simulations (new draws of the parameters); used (all that its network was
    trained on, 0 for a network that was there); prior_share (prior mass of the region they come
    from); distance (mean predictive distance); answer (whether it is the result).
    """
    table = pd.DataFrame({name: np.asarray(values) for name, values in rounds.items()})
    table.insert(0, "round", np.arange(1, len(table) + 1))
    return table


def rounds_sentence(rounds: Mapping[str, np.ndarray], *, sweeps: int = 1) -> str:
    """What the rounds after the first bought, in words; distances are means over ``sweeps``."""
    distance, share = np.asarray(rounds["distance"]), np.asarray(rounds["prior_share"])
    answer = int(np.argmax(rounds["answer"]))
    n = len(distance)
    if n == 1:
        return (
            "No round after the first was made: simulations near the recording would have told no "
            "more than the others, or could not be drawn."
        )
    made = f"{n} rounds were made"
    over = f" on average over the {sweeps} sweeps" if sweeps > 1 else ""
    if answer == 0:
        return (
            f"{made}; none after the first brought predictions nearer to the recording (mean "
            f"distance {distance[0]:.3f} prior standard deviations{over}), so the first is the "
            "result."
        )
    return (
        f"{made}, and round {answer + 1} is the result: its predictions are {distance[answer]:.3f} "
        f"prior standard deviations away from the recording{over}, those of the first round "
        f"{distance[0]:.3f}; its parameters were drawn from {percent(share[answer])} of the "
        "prior."
    )
