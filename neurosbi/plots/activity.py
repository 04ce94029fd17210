"""Simulated activity of a posterior, and its features: for data that are not a voltage sweep.

Above: one row per posterior draw (and, where counts were recorded, one for the recording), each
with a line per cell or population. Below: features of the predictions, as deviations from the data
in prior spreads.
"""

__all__ = ["plot_activity"]

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from neurosbi.contract import Feature, Observation
from neurosbi.plots.deviations import draw_deviations
from neurosbi.plots.style import BLUE, RECORDING, new_figure, styled, unit_text

_ROWS = 3  # draws shown
_LONGEST = 4000.0  # ms of each that are shown, from the end of the burn-in


@styled
def plot_activity(
    observation: Observation,
    traces: xr.Dataset | None,
    *,
    features: Sequence[Feature],
    x: np.ndarray,
    prior_x: np.ndarray,
    spread: np.ndarray,
):
    """Plot ``traces`` (dims sim, time[, channel]) and features ``x[draw, feature]`` of the posterior.

    ``prior_x[sim, feature]`` are prior simulations, ``spread[feature]`` the unit of deviations. NaN
    are undefined features. Returns a `matplotlib.figure.Figure`.
    """
    rows = _rows(observation, traces)
    figure = new_figure(10.5, 2.6 + 1.5 * len(rows))
    grid = figure.add_gridspec(len(rows) + 1, 1, height_ratios=[1.5] * len(rows) + [2.2])
    start, stop = observation.stimulus.onset, observation.stimulus.offset
    stop = min(stop, start + _LONGEST)
    for k, (title, values, colour) in enumerate(rows):
        axes = figure.add_subplot(grid[k])
        _draw_row(axes, values, colour, start, stop)
        axes.set_title(title, loc="left")
        if k == len(rows) - 1:
            axes.set_xlabel("time (ms)")
        else:
            axes.tick_params(labelbottom=False)
    draw_deviations(
        figure.add_subplot(grid[len(rows)]), features, observation.x, x, prior_x, spread
    )
    return figure


def _rows(
    observation: Observation, traces: xr.Dataset | None
) -> list[tuple[str, xr.DataArray, str]]:
    """Title, values (dims time, channel) and colour of each row."""
    rows = []
    if observation.record is not None and observation.dt is not None:
        record = np.asarray(observation.record, dtype=np.float64)
        record = record.reshape(len(record), -1)
        time = observation.stimulus.onset + np.arange(len(record)) * observation.dt
        recorded = xr.DataArray(record, dims=("time", "channel"), coords={"time": time})
        rows.append(("Recording", recorded.assign_attrs(long_name="count"), RECORDING))
    if traces is not None:
        (values,) = traces.data_vars.values()
        for k in range(min(_ROWS, values.sizes["sim"])):
            row = values.isel(sim=k)
            row = row if row.ndim == 2 else row.expand_dims("channel", axis=-1)
            rows.append((f"Simulation of the posterior, draw {k + 1}", row, BLUE))
    return rows


def _draw_row(axes: Axes, row: xr.DataArray, colour: str, start: float, stop: float) -> None:
    """The channels of one row, each on a baseline of its own."""
    time = row["time"].values
    inside = (time >= start) & (time <= stop)
    values = row.values[inside].astype(np.float64)
    channel = str(row.dims[-1])
    names = [str(n) for n in row[channel].values] if channel in row.coords else []
    finite = values[np.isfinite(values)]
    step = 1.1 * max(float(np.ptp(finite)) if len(finite) else 1.0, 1e-9)
    base = float(finite.min()) if len(finite) else 0.0
    for i in range(values.shape[1]):
        axes.plot(
            time[inside], values[:, i] - base - i * step, color=colour, lw=0.7, rasterized=True
        )
    if names:
        axes.set_yticks([-i * step + 0.3 * step for i in range(len(names))], names)
    else:
        axes.set_yticks([])
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)
    unit = unit_text(str(row.attrs.get("units", "")))
    axes.set(xlim=(start, stop), ylim=(-(values.shape[1] - 0.95) * step, step))
    axes.annotate(
        f"{step / 1.1:.3g} {unit or row.attrs.get('long_name', '')}".strip() + " from base to base",
        (1, 1), xycoords="axes fraction", ha="right", va="bottom", fontsize=8,
    )  # fmt: skip
