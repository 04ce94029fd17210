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

from neurosbi.contract import Feature, Observation
from neurosbi.plots.style import (
    BLUE,
    GREY,
    ORANGE,
    PRIOR,
    RECORDING,
    SKY,
    new_figure,
    styled,
    unit_text,
)

SPIKE_LEVEL = -10.0  # mV; what crosses it upward is taken for a spike when choosing the window
_STACKED = 5
_LEAD = 30.0  # ms before the first spike, at most, in the enlarged window
_WIDEST = 60.0  # ms from the first spike to the end of the enlarged window
_LIMIT = 3.0  # prior spreads; what lies beyond is drawn at the rim


@styled
def plot_predictive(
    observation: Observation,
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
    _features(row, features, observation.x, x, prior_x, spread)
    return figure


def _stack(axes: Axes, observation: Observation, traces: xr.Dataset | None) -> None:
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


def _current(axes: Axes, observation: Observation) -> None:
    sampled = observation.stimulus.sampled(observation.dt)[: len(observation.voltage)]
    axes.plot(np.arange(len(sampled)) * observation.dt, sampled, color=RECORDING, lw=1.1)
    axes.set_xlabel("time (ms)")
    axes.set_ylabel(f"current\n({unit_text(observation.stimulus.unit)})")
    axes.margins(y=0.15)


def _zoom(axes: Axes, observation: Observation, traces: xr.Dataset | None) -> None:
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


def _window(observation: Observation) -> tuple[float, float, str]:
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


def _features(
    axes: Axes,
    features: Sequence[Feature],
    x_observed: np.ndarray,
    x: np.ndarray,
    prior_x: np.ndarray,
    spread: np.ndarray,
) -> None:
    axes.axhline(0, color=RECORDING, lw=1.2, zorder=1)
    for i in range(len(features)):
        if not (np.isfinite(x_observed[i]) and np.isfinite(spread[i])):
            word = "undefined" if not np.isfinite(x_observed[i]) else "constant"
            axes.text(
                i,
                0,
                word,
                rotation=90,
                ha="center",
                va="center",
                color=GREY,
                fontsize=7.5,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
            )
            continue
        for values, kind in ((prior_x[:, i], "prior"), (x[:, i], "posterior")):
            z = (values[np.isfinite(values)] - x_observed[i]) / spread[i]
            if not len(z):
                continue
            q = np.clip(np.quantile(z, [0.05, 0.25, 0.5, 0.75, 0.95]), -_LIMIT, _LIMIT)
            if kind == "prior":
                axes.bar(i, q[4] - q[0], 0.62, bottom=q[0], color=PRIOR, alpha=0.75, zorder=0)
                continue
            axes.plot([i, i], [q[0], q[4]], color=BLUE, lw=1.2, zorder=3)
            axes.plot([i, i], [q[1], q[3]], color=BLUE, lw=4.5, solid_capstyle="butt", zorder=3)
            rim = abs(q[2]) >= _LIMIT
            axes.plot(
                i,
                q[2],
                "^" if rim and q[2] > 0 else "v" if rim else "o",
                color=ORANGE if rim else "white",
                mec=ORANGE if rim else BLUE,
                mew=1.2,
                ms=5.5,
                zorder=4,
            )
    n = len(features)
    axes.set_xticks(
        range(n),
        [f.name.replace("_", " ") for f in features],
        rotation=30 if n > 4 else 0,
        ha="right" if n > 4 else "center",
    )
    axes.set(xlim=(-0.6, n - 0.4), ylim=(-1.08 * _LIMIT, 1.08 * _LIMIT))
    axes.set_ylabel("deviation from recording\n(prior spreads)")
    axes.set_title(
        "Features: prediction minus recording (dot: median, bars: 50 % and 90 %; grey: 90 % of the "
        "prior)",
        loc="left",
    )
