"""The sweeps of a fit to several of them, as arrays and as groups of the result's DataTree.

Group ``sweeps`` (dims sweep, feature, draw, sim; coordinate sweep: its number in the recording)
holds the steps, the observed features, which of them the posterior is conditioned on, and the
simulations of posterior and prior at every step. Group ``sweep_gain`` (dim subset) says what more
sweeps bought: posteriors given nested subsets, and how well they predict sweeps held out.
"""

__all__ = ["SweepGain", "SweepResults", "sweep_groups", "sweep_results"]

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from neurosbi.contract import Stimulus


@dataclass(frozen=True, eq=False)
class SweepGain:
    """Posteriors given the first ``size[subset]`` of ``order``; the last one has all sweeps.

    ``width[subset, theta]`` is the width of the 90 % interval relative to that of the prior,
    ``information[subset]`` the nats gained over the prior, ``distance[subset]`` the mean predictive
    distance on the sweeps ``held_out`` (NaN where a subset holds them).
    """

    order: tuple[int, ...]
    held_out: tuple[int, ...]
    size: np.ndarray
    width: np.ndarray
    information: np.ndarray
    distance: np.ndarray


@dataclass(frozen=True, eq=False)
class SweepResults:
    """All sweeps fitted together, the one of the figures first.

    ``step[sweep, 4]``: amplitude and holding current (``unit``), onset and duration (ms);
    ``x[sweep, feature]`` observed, ``given[sweep, feature]`` what the posterior is conditioned on;
    ``predictive_x[sweep, draw, feature]`` and ``prior_x[sweep, sim, feature]`` with their status.
    """

    number: tuple[int, ...]
    unit: str
    step: np.ndarray
    x: np.ndarray
    given: np.ndarray
    predictive_x: np.ndarray
    predictive_status: np.ndarray
    prior_x: np.ndarray
    prior_status: np.ndarray
    gain: SweepGain | None = None

    @property
    def stimuli(self) -> tuple[Stimulus, ...]:
        """The step of each sweep."""
        return tuple(
            Stimulus.step(
                amplitude=amplitude,
                holding=holding,
                onset=onset,
                duration=duration,
                unit=self.unit,
            )
            for amplitude, holding, onset, duration in self.step.tolist()
        )

    @property
    def amplitude(self) -> np.ndarray:
        """Amplitude of each step [sweep], in ``unit``."""
        return self.step[:, 0]


_STEP = ("amplitude", "holding", "onset", "duration")


def sweep_groups(
    results: SweepResults, feature_coordinate: Mapping[str, object], parameters: tuple[str, ...]
) -> dict[str, xr.Dataset]:
    """The groups of these sweeps, by path."""
    units = (results.unit, results.unit, "ms", "ms")
    variables = {
        name: ("sweep", results.step[:, i], {"units": units[i]}) for i, name in enumerate(_STEP)
    }
    arrays = {
        "x": (("sweep", "feature"), results.x),
        "given": (("sweep", "feature"), results.given),
        "predictive_x": (("sweep", "draw", "feature"), results.predictive_x),
        "predictive_status": (("sweep", "draw"), results.predictive_status),
        "prior_x": (("sweep", "sim", "feature"), results.prior_x.astype(np.float32)),
        "prior_status": (("sweep", "sim"), results.prior_status),
    }
    groups = {
        "/sweeps": xr.Dataset(
            variables | arrays,  # type: ignore[arg-type]
            coords={"sweep": np.array(results.number)} | dict(feature_coordinate),
            attrs={"unit": results.unit},
        )
    }
    gain = results.gain
    if gain is not None:
        groups["/sweep_gain"] = xr.Dataset(
            {
                "width": (("subset", "parameter"), gain.width),
                "information": ("subset", gain.information, {"units": "nats"}),
                "distance": ("subset", gain.distance),
            },
            coords={
                "size": ("subset", gain.size),
                "parameter": ("parameter", np.array(parameters, dtype=object)),
            },
            attrs={"order": json.dumps(gain.order), "held_out": json.dumps(gain.held_out)},
        )
    return groups


def sweep_results(groups: Mapping[str, xr.Dataset]) -> SweepResults | None:
    """Inverse of `sweep_groups`; None if the result is of a single sweep."""
    if "sweeps" not in groups:
        return None
    sweeps, gain = groups["sweeps"], None
    if "sweep_gain" in groups:
        group = groups["sweep_gain"]
        gain = SweepGain(
            order=tuple(json.loads(group.attrs["order"])),
            held_out=tuple(json.loads(group.attrs["held_out"])),
            size=group["size"].values,
            width=group["width"].values,
            information=group["information"].values,
            distance=group["distance"].values,
        )
    return SweepResults(
        number=tuple(int(n) for n in sweeps["sweep"].values),
        unit=sweeps.attrs["unit"],
        step=np.stack([sweeps[name].values for name in _STEP], axis=1),
        **{
            name: sweeps[name].values
            for name in (
                "x",
                "given",
                "predictive_x",
                "predictive_status",
                "prior_x",
                "prior_status",
            )
        },
        gain=gain,
    )
