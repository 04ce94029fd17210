"""Features against trace, as a table and in words: which of them told more."""

__all__ = ["input_sentence", "input_table"]

import numpy as np
import pandas as pd

from neurosbi.store.input_results import InputComparison

_CLEARLY = 0.02  # prior standard deviations; predictions that differ by less are equally good
_ERRORS = 2.0  # standard errors; averages that differ by less are not told apart
_SUBJECTS = {
    "features": "the features alone",
    "trace": "the trace alone",
    "both": "both together",
}
_LABELS = {"features": "features", "trace": "trace", "both": "both together"}


def input_table(comparison: InputComparison) -> pd.DataFrame:
    """One row per input: input, and the arrays of the comparison by their names."""
    return pd.DataFrame(
        {
            "input": [_LABELS[name] for name in comparison.inputs],
            "entropy": comparison.entropy,
            "information": comparison.information,
            "standard_error": comparison.standard_error,
            "information_here": comparison.information_here,
            "distance": comparison.distance,
        }
    )


def input_sentence(comparison: InputComparison) -> str:
    """Which input told more, on average and for this recording."""
    first = _on_average(comparison)
    if not np.all(np.isfinite(comparison.distance)):
        return f"{first}."
    return f"{first}; {_here(comparison)}."


def _on_average(comparison: InputComparison) -> str:
    nats, error = _by_input(comparison, "information"), _by_input(comparison, "standard_error")
    difference = nats["trace"] - nats["features"]
    if abs(difference) < _ERRORS * np.hypot(error["trace"], error["features"]):
        words = "the trace tells as much about the parameters as the features"
    elif difference > 0:
        words = "the trace tells more about the parameters than the features"
    else:
        words = "the features tell more about the parameters than the trace"
    return (
        f"On average over simulations, {words} ({nats['trace']:.2f} nats over the prior from the "
        f"trace, {nats['features']:.2f} from the features, {nats['both']:.2f} from both)"
    )


def _here(comparison: InputComparison) -> str:
    distance = _by_input(comparison, "distance")
    best = min(distance, key=lambda name: distance[name])
    equal = [n for n, d in distance.items() if n != best and d < distance[best] + _CLEARLY]
    if len(equal) == len(distance) - 1:
        words = "all inputs predict equally well"
    elif equal:
        (last,) = set(distance) - {best, *equal}
        words = (
            f"{_SUBJECTS[best]} and {_SUBJECTS[equal[0]]} predict equally well, better than "
            f"{_SUBJECTS[last]}"
        )
    else:
        words = f"{_SUBJECTS[best]} {'predicts' if best == 'trace' else 'predict'} best"
    return (
        f"for this recording {words} (mean distance "
        f"{distance['features']:.2f} prior standard deviations with the features, "
        f"{distance['trace']:.2f} with the trace, {distance['both']:.2f} with both)"
    )


def _by_input(comparison: InputComparison, name: str) -> dict[str, float]:
    return dict(zip(comparison.inputs, getattr(comparison, name).tolist(), strict=True))
