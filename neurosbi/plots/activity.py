"""Simulated activity of a posterior, and its features: for data that are not a voltage sweep.

Above: one row per posterior draw (and, where counts were recorded, one for the recording), each
with a line per cell or population. Spike counts and rates are drawn in bins of time, a few hundred
at most, because those of single time steps are a comb. Below: features of the predictions, as
deviations from the data in prior spreads.
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
_MOST_BINS = 250
_COUNTS = "spikes per bin"  # what simulators call counts
_ROUNDING = 1e-6  # ms
_WIDTHS = (1.0, 2.0, 5.0)  # of bins, times a power of ten, in ms


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
        _draw_row(axes, _binned(_cut(values, start, stop), stop - start), colour, start, stop)
        axes.set_title(title, loc="left")
        if k == len(rows) - 1:
            axes.set_xlabel("time (ms)")
        else:
            axes.tick_params(labelbottom=False)
    draw_deviations(
        figure.add_subplot(grid[len(rows)]),
        features,
        observation.x,
        x,
        prior_x,
        spread,
        observation.not_measured,
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
        # A record ends with the stimulus, whether or not it has the burn-in before it.
        time = observation.stimulus.total + np.arange(-len(record), 0) * observation.dt
        recorded = xr.DataArray(record, dims=("time", "channel"), coords={"time": time})
        recorded = _with_names_of(traces, recorded)
        rows.append(("Recording", recorded.assign_attrs(units="1", long_name=_COUNTS), RECORDING))
    if traces is not None:
        (values,) = traces.data_vars.values()
        for k in range(min(_ROWS, values.sizes["sim"])):
            row = values.isel(sim=k)
            row = row if row.ndim == 2 else row.expand_dims("channel", axis=-1)
            rows.append((f"Simulation of the posterior, draw {k + 1}", row, BLUE))
    return rows


def _with_names_of(traces: xr.Dataset | None, recorded: xr.DataArray) -> xr.DataArray:
    """The record with the names of the channels of the simulations, where these have as many."""
    if traces is None:
        return recorded
    (values,) = traces.data_vars.values()
    channel = str(values.dims[-1])
    if channel not in values.coords or values.sizes[channel] != recorded.sizes["channel"]:
        return recorded
    return recorded.rename(channel=channel).assign_coords({channel: values[channel].values})


def _cut(row: xr.DataArray, start: float, stop: float) -> xr.DataArray:
    time = row["time"].values
    return row[(time >= start - _ROUNDING) & (time < stop - _ROUNDING)]


def _binned(row: xr.DataArray, duration: float) -> xr.DataArray:
    """Counts added up, and rates averaged, in bins that are few enough to be seen in ``duration`` ms.

    The ``bin`` among the attributes is their width (ms). Other quantities stay as they are.
    """
    counts, rates = row.attrs.get("long_name") == _COUNTS, row.attrs.get("units") == "Hz"
    if not (counts or rates) or row.sizes["time"] < 2:
        return row
    dt = float(np.diff(row["time"].values[:2])[0])
    each = min(max(1, round(_bin_width(duration) / dt)), row.sizes["time"])
    n = row.sizes["time"] // each
    blocks = row.values[: n * each].reshape(n, each, -1)
    binned = row[: n * each : each].copy(data=blocks.sum(axis=1) if counts else blocks.mean(axis=1))
    return binned.assign_attrs(bin=each * dt)


def _bin_width(duration: float) -> float:
    """The smallest round width (ms) that gives no more than `_MOST_BINS` bins."""
    least = duration / _MOST_BINS
    power = 10.0 ** np.floor(np.log10(least))
    return float(next(w for w in (*(w * power for w in _WIDTHS), 10 * power) if w >= least))


def _draw_row(axes: Axes, row: xr.DataArray, colour: str, start: float, stop: float) -> None:
    """The channels of one row, each on a baseline of its own."""
    time, values = row["time"].values, row.values.astype(np.float64)
    bin_width = row.attrs.get("bin")
    channel = str(row.dims[-1])
    names = [str(n) for n in row[channel].values] if channel in row.coords else []
    finite = values[np.isfinite(values)]
    step = 1.1 * max(float(np.ptp(finite)) if len(finite) else 1.0, 1e-9)
    base = float(finite.min()) if len(finite) else 0.0
    for i in range(values.shape[1]):
        line = values[:, i] - base - i * step
        if bin_width:
            edges = np.append(time, time[-1] + bin_width)
            axes.stairs(line, edges, baseline=None, color=colour, lw=0.8, rasterized=True)
        else:
            axes.plot(time, line, color=colour, lw=0.7, rasterized=True)
    if names:
        axes.set_yticks([-i * step + 0.3 * step for i in range(len(names))], names)
    else:
        axes.set_yticks([])
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)
    axes.set(xlim=(start, stop), ylim=(-(values.shape[1] - 0.95) * step, step))
    axes.annotate(
        f"{step:.3g} {_quantity(row)}".strip() + " from base to base",
        (1, 1), xycoords="axes fraction", ha="right", va="bottom", fontsize=8,
    )  # fmt: skip


def _quantity(row: xr.DataArray) -> str:
    """Unit of a row, with the width of its bins."""
    unit = unit_text(str(row.attrs.get("units", "")))
    if "bin" not in row.attrs:
        return unit or str(row.attrs.get("long_name", ""))
    width = f"{row.attrs['bin']:g} ms"
    return f"{unit} (means of {width})" if unit else f"spikes per bin of {width}"
