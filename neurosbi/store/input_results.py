"""The trace that a posterior was conditioned on, and which input told more, as a result's group.

Group ``inputs`` holds ``trace`` (dims channel, bin: the observed voltage) and, where the network
can do with either input alone, one value per input (dim input): what it tells on average over
held-out simulations, and what at this recording.
"""

__all__ = ["InputComparison", "InputResults", "input_groups", "input_results"]

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import xarray as xr

from neurosbi.contract import TraceBins

_NOTES = {
    "entropy": "expected posterior entropy in nats, parameters in their own units",
    "information": "nats gained over the prior, on average over held-out simulations",
    "standard_error": "of that average",
    "information_here": "nats gained over the prior at this recording",
    "distance": "mean predictive distance at this recording, in prior standard deviations",
}


@dataclass(frozen=True, eq=False)
class InputComparison:
    """Arrays [input] in the order of ``inputs`` ("features", "trace", "both"); see the group's notes.

    ``entropy``, ``information`` and ``standard_error`` are averages over ``simulations`` held out
    of the training; ``information_here`` and ``distance`` belong to the recording.
    """

    inputs: tuple[str, ...]
    simulations: int
    entropy: np.ndarray
    information: np.ndarray
    standard_error: np.ndarray
    information_here: np.ndarray
    distance: np.ndarray


@dataclass(frozen=True, eq=False)
class InputResults:
    """The observed ``trace[channel, bin]`` in ``bins`` (NaN: absent), and a comparison or None."""

    trace: np.ndarray
    bins: TraceBins
    comparison: InputComparison | None = None


def input_groups(results: InputResults) -> dict[str, xr.Dataset]:
    """The group, by path."""
    group = xr.Dataset(
        {"trace": (("channel", "bin"), results.trace, {"units": results.bins.unit})},
        coords={
            "channel": np.array(results.bins.channels, dtype=object),
            "bin": ("bin", results.bins.time, {"units": "ms", "description": "from the onset"}),
        },
        attrs={"bins": json.dumps(results.bins.to_dict())},
    )
    comparison = results.comparison
    if comparison is not None:
        group = group.assign(
            {
                name: ("input", getattr(comparison, name), {"description": text})
                for name, text in _NOTES.items()
            }
        ).assign_coords(input=np.array(comparison.inputs, dtype=object))
        group.attrs["simulations"] = comparison.simulations
    return {"/inputs": group}


def input_results(groups: Mapping[str, xr.Dataset]) -> InputResults | None:
    """Inverse of `input_groups`; None if the posterior is conditioned on features only."""
    if "inputs" not in groups:
        return None
    group, comparison = groups["inputs"], None
    if "input" in group.coords:
        comparison = InputComparison(
            inputs=tuple(map(str, group["input"].values)),
            simulations=int(group.attrs["simulations"]),
            **{f.name: group[f.name].values for f in fields(InputComparison)[2:]},
        )
    bins = TraceBins.from_dict(json.loads(group.attrs["bins"]))
    return InputResults(group["trace"].values, bins, comparison)
