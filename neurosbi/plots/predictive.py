"""Recording and posterior predictive traces one above the other, and their features.

Top left: the recording, then simulations of posterior draws with noise, on one voltage scale;
below them the injected current. Top right: the first spikes (or the start of the response).
Bottom: features of the predictions, as deviations from the recording in prior spreads.
"""

__all__ = ["plot_predictive"]

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neurosbi.contract import Feature, SweepObservation
from neurosbi.plots.deviations import draw_deviations
from neurosbi.plots.style import BLUE, RECORDING, SKY, new_figure, styled, unit_text

SPIKE_LEVEL = -10.0  # mV; what crosses it upward is taken for a spike when choosing the window
_STACKED = 5
_LEAD = 30.0  # ms before the first spike, at most, in the enlarged window
_WIDEST = 60.0  # ms from the first spike to the end of the enlarged window


@styled
def plot_predictive(
    observation: SweepObservation,
    traces: xr.Dataset | None,
    *,
    features: Sequence[Feature],
    x: np.ndarray,
    prior_x: np.ndarray,
    spread: np.ndarray,
) -> Figure:
    """Plot ``traces`` (dims sim, time; ``v`` mV) and features ``x[draw, feature]`` of the posterior.

    ``prior_x[sim, feature]`` are prior simulations at the same stimulus, ``spread[feature]`` the
    unit of deviations. NaN are undefined features; ``traces=None`` shows the recording alone.
    """
    figure = new_figure(10.5, 7.6)
    outer = figure.add_gridspec(3, 2, height_ratios=[3.4, 0.75, 1.9], width_ratios=[2.5, 1])
    stack = figure.add_subplot(outer[0, 0])
    current = figure.add_subplot(outer[1, 0], sharex=stack)
    zoom = figure.add_subplot(outer[0:2, 1])
    row = figure.add_subplot(outer[2, :])
    _stack(stack, observation, traces)
    _current(current, observation)
    _zoom(zoom, observation, traces)
    draw_deviations(row, features, observation.x, x, prior_x, spread)
    return figure


def _stack(axes: Axes, observation: SweepObservation, traces: xr.Dataset | None) -> None:
    time = np.arange(len(observation.voltage)) * observation.dt
    rows = [(time, observation.voltage, RECORDING, "recording")]
    if traces is not None:
        for k in range(min(_STACKED, traces.sizes["sim"])):
            v, t = traces["v"].values[k], traces["time"].values
            rows.append((t, v, BLUE, f"prediction {k + 1}"))
    finite = np.concatenate([v[np.isfinite(v)] for _, v, _, _ in rows])
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (-80.0, 40.0)
    step = 1.12 * max(high - low, 1.0)
    for k, (t, v, colour, text) in enumerate(rows):
        axes.plot(t, v - low - k * step, color=colour, lw=0.8, rasterized=True)
        first = v[np.isfinite(v)][:1]
        base = float(first[0]) - low - k * step if len(first) else -k * step
        axes.annotate(
            text,
            (0, base),
            xytext=(-6, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            color=colour,
            annotation_clip=False,
        )
    axes.set_xlim(0, time[-1] + observation.dt if len(time) else 1)
    axes.set_ylim(-(len(rows) - 1) * step - 0.12 * step, step)
    _scale_bar(axes, high - low)
    axes.set(yticks=[])
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(bottom=False, labelbottom=False)
    title = "Recording and simulations of the posterior"
    axes.set_title(title if traces is not None else "Recording", loc="left")


def _scale_bar(axes: Axes, height: float) -> None:
    bar = next((b for b in (100, 50, 20, 10, 5, 2, 1) if b <= 0.8 * height), 0.5)
    low, high = axes.get_ylim()
    axes.annotate(
        "",
        (1.01, (0 - low) / (high - low)),
        xytext=(1.01, (bar - low) / (high - low)),
        xycoords="axes fraction",
        textcoords="axes fraction",
        arrowprops={"arrowstyle": "-", "lw": 2, "color": RECORDING, "shrinkA": 0, "shrinkB": 0},
        annotation_clip=False,
    )
    axes.text(
        1.02,
        (bar / 2 - low) / (high - low),
        f"{bar:g} mV",
        transform=axes.transAxes,
        va="center",
        fontsize=8,
    )


def _current(axes: Axes, observation: SweepObservation) -> None:
    sampled = observation.stimulus.sampled(observation.dt)[: len(observation.voltage)]
    axes.plot(np.arange(len(sampled)) * observation.dt, sampled, color=RECORDING, lw=1.1)
    axes.set_xlabel("time (ms)")
    axes.set_ylabel(f"current\n({unit_text(observation.stimulus.unit)})")
    axes.margins(y=0.15)


def _zoom(axes: Axes, observation: SweepObservation, traces: xr.Dataset | None) -> None:
    start, stop, title = _window(observation)
    time = np.arange(len(observation.voltage)) * observation.dt
    if traces is not None:
        t = traces["time"].values
        inside = (t >= start) & (t <= stop)
        for k, v in enumerate(traces["v"].values):
            label = "predictions" if k == 0 else None
            axes.plot(t[inside], v[inside], color=SKY, lw=0.8, alpha=0.65, label=label)
    inside = (time >= start) & (time <= stop)
    axes.plot(time[inside], observation.voltage[inside], color=RECORDING, lw=1.3, label="recording")
    axes.set(xlabel="time (ms)", ylabel="membrane voltage (mV)", xlim=(start, stop))
    axes.set_title(title, loc="left")
    axes.legend(loc="upper right", bbox_to_anchor=(1.0, 1.0), handlelength=1.2)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.16 * (high - low))  # room for the legend


def _window(observation: SweepObservation) -> tuple[float, float, str]:
    v, dt, stimulus = observation.voltage, observation.dt, observation.stimulus
    with np.errstate(invalid="ignore"):
        crossings = np.flatnonzero((v[1:] >= SPIKE_LEVEL) & (v[:-1] < SPIKE_LEVEL)) * dt
    crossings = crossings[crossings >= stimulus.onset]
    end = len(v) * dt
    if not len(crossings):
        start = max(0.0, stimulus.onset - 0.1 * stimulus.duration)
        return start, min(end, stimulus.onset + 0.4 * stimulus.duration), "Start of the response"
    first, last = crossings[0], crossings[min(2, len(crossings) - 1)]
    start = stimulus.onset - 2.0 if first - stimulus.onset < _LEAD else first - _LEAD / 2
    # Spikes far apart: show one of them well rather than three as needles.
    stop = last + 10.0 if last - first < _WIDEST else first + _WIDEST
    return max(0.0, start), min(end, max(stop, first + 20.0)), "First spikes"
