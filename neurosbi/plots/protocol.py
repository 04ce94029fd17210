"""All sweeps of a fit: how features change with the step, and what more sweeps bought."""

__all__ = ["plot_protocol"]

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neurosbi.contract import Feature, in_words
from neurosbi.plots.style import (
    BLUE,
    GREY,
    ORANGE,
    PRIOR,
    RECORDING,
    new_figure,
    styled,
    unit_text,
)

_MOST_FEATURES = 5


@styled
def plot_protocol(
    features: Sequence[Feature],
    amplitude: np.ndarray,
    *,
    unit: str,
    x: np.ndarray,
    given: np.ndarray,
    predicted: np.ndarray,
    size: np.ndarray | None = None,
    width: np.ndarray | None = None,
) -> Figure:
    """Observed features ``x[sweep, feature]`` over those of ``predicted[sweep, draw, feature]``.

    ``given[sweep, feature]`` False marks values that were left out of the fit. The last panel
    shows ``width[subset, theta]`` of the 90 % intervals, relative to the prior, against the number
    of sweeps ``size[subset]``. NaN are undefined features.
    """
    told = [i for i in range(len(features)) if np.isfinite(x[:, i]).sum() > 1][:_MOST_FEATURES]
    panels = len(told) + (size is not None)
    columns = min(3, max(1, panels))
    rows = -(-max(1, panels) // columns)
    figure = new_figure(3.5 * columns, 2.7 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    order = np.argsort(amplitude, kind="stable")
    for axis, i in zip(axes, told, strict=False):
        _feature(
            axis,
            features[i],
            amplitude[order],
            x=x[order, i],
            given=given[order, i],
            predicted=predicted[order, :, i],
        )
        axis.set_xlabel(f"step ({unit_text(unit)})")
    used = len(told)
    if size is not None and width is not None:
        _gain(axes[used], size, width)
        used += 1
    for axis in axes[used:]:
        axis.set_axis_off()
    if told:
        axes[0].legend(loc="best")
    return figure


def _feature(
    axes: Axes,
    feature: Feature,
    amplitude: np.ndarray,
    *,
    x: np.ndarray,
    given: np.ndarray,
    predicted: np.ndarray,
) -> None:
    bands = np.full((3, len(amplitude)), np.nan)
    for k, values in enumerate(predicted):
        values = values[np.isfinite(values)]
        if len(values):
            bands[:, k] = np.quantile(values, [0.05, 0.5, 0.95])
    known = np.isfinite(bands[1])
    axes.fill_between(
        amplitude[known],
        bands[0, known],
        bands[2, known],
        color=BLUE,
        alpha=0.2,
        lw=0,
        label="predicted, 90 %",
    )
    axes.plot(amplitude[known], bands[1, known], color=BLUE, lw=1.2)
    used = given & np.isfinite(x)
    axes.plot(amplitude[used], x[used], "o", color=RECORDING, ms=3.5, label="recording")
    left_out = ~given & np.isfinite(x)
    if left_out.any():
        axes.plot(
            amplitude[left_out],
            x[left_out],
            "o",
            mfc="white",
            mec=ORANGE,
            ms=3.5,
            label="left out of the fit",
        )
    name, text = in_words(feature.name), unit_text(feature.unit)
    axes.set_ylabel(f"{name} ({text})" if text else name)


def _gain(axes: Axes, size: np.ndarray, width: np.ndarray) -> None:
    axes.plot(size, width, color=PRIOR, lw=0.9)
    axes.plot(size, width.mean(axis=1), "o-", color=BLUE, ms=3.5, lw=1.5, label="mean")
    axes.axhline(1.0, color=GREY, lw=0.7, ls=":")
    axes.set_xscale("log", base=2)
    axes.set_xticks(size, [str(n) for n in size])
    axes.minorticks_off()
    axes.set_ylim(0, 1.1)
    axes.set_xlabel("sweeps fitted together")
    axes.set_ylabel("90 % interval / prior's")
