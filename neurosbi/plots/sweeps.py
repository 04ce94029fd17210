"""All sweeps of a recording: voltage over current, and how many spikes each current evoked.

The sweep that a fit takes is drawn in colour, the other usable ones in grey, those that cannot be
fitted in orange.
"""

__all__ = ["plot_sweeps"]

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neurosbi.contract import Recording, Sweep
from neurosbi.plots.style import BLUE, GREY, ORANGE, PRIOR, RECORDING, new_figure, styled

_MOST_POINTS = 4000  # per trace: each pair of points is the minimum and maximum of a bin


@styled
def plot_sweeps(recording: Recording, *, chosen: Sweep | None = None) -> Figure:
    """Plot the current-clamp sweeps of ``recording`` and highlight ``chosen``.

    Left: voltage (mV) over current (pA). Right, where there are several steps: spikes in the test
    step against its amplitude. Voltage-clamp sweeps are drawn only if there are no others.
    """
    sweeps = [s for s in recording.sweeps if s.clamp == "current"] or list(recording.sweeps)
    stepped = [s for s in sweeps if s.test_step is not None and s.problem is None]
    stepped = stepped if len(stepped) > 1 else []
    figure = new_figure(10.5 if stepped else 8.0, 4.8)
    grid = figure.add_gridspec(
        2, 2 if stepped else 1, height_ratios=[3, 1], width_ratios=[2.6, 1] if stepped else None
    )
    voltage = figure.add_subplot(grid[0, 0])
    current = figure.add_subplot(grid[1, 0], sharex=voltage)
    unit, scale = ("s", 1e-3) if max(s.duration for s in sweeps) > 3000 else ("ms", 1.0)
    for sweep in sorted(sweeps, key=lambda s: _is(s, chosen)):
        style = _style(sweep, chosen, len(sweeps))
        for axes, values in ((voltage, sweep.voltage), (current, sweep.current)):
            t, v = _envelope(sweep, values)
            axes.plot(t * scale, v, rasterized=True, **style)
    _label(voltage, current, unit)
    _title(voltage, recording, sweeps, chosen)
    if stepped:
        _spike_counts(figure.add_subplot(grid[:, 1]), stepped, chosen)
    return figure


def _is(sweep: Sweep, chosen: Sweep | None) -> bool:
    return chosen is not None and sweep.number == chosen.number


def _style(sweep: Sweep, chosen: Sweep | None, n: int) -> dict[str, Any]:
    if _is(sweep, chosen):
        return {"color": BLUE, "lw": 1.0, "zorder": 3}
    if sweep.problem is not None:
        return {"color": ORANGE, "lw": 0.6, "alpha": 0.7}
    return {"color": GREY, "lw": 0.5, "alpha": 0.85 if n <= 5 else 0.5}


def _envelope(sweep: Sweep, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Time (ms) and values thinned to the extremes of each bin, so that no spike is lost."""
    values = values[sweep.usable_from :]
    start = sweep.usable_from * sweep.dt
    width = max(1, int(np.ceil(2 * len(values) / _MOST_POINTS)))
    if width < 3:
        return start + np.arange(len(values)) * sweep.dt, values
    n = len(values) // width
    bins = values[: n * width].reshape(n, width)
    first, last = bins.argmin(axis=1), bins.argmax(axis=1)
    order = np.sort(np.stack([first, last], axis=1), axis=1)
    index = (order + np.arange(n)[:, None] * width).ravel()
    return start + index * sweep.dt, values[index]


def _label(voltage: Axes, current: Axes, unit: str) -> None:
    voltage.set_ylabel("voltage (mV)")
    current.set_ylabel("current (pA)")
    current.set_xlabel(f"time ({unit})")
    voltage.tick_params(labelbottom=False)
    voltage.margins(x=0.01)


def _title(axes: Axes, recording: Recording, sweeps: Sequence[Sweep], chosen: Sweep | None) -> None:
    n = len(sweeps)
    text = f"{recording.name}: {n} sweep{'s' if n != 1 else ''}"
    axes.set_title(text, loc="left", color=RECORDING)
    bad = sum(s.problem is not None for s in sweeps)
    notes = []
    if chosen is not None:
        step = chosen.test_step
        amplitude = f", {step.amplitude:.4g} pA" if step is not None else ""
        notes.append((f"sweep {chosen.number}{amplitude}: taken by a fit", BLUE))
    if bad:
        notes.append((f"{bad} that cannot be fitted", ORANGE))
    for row, (note, colour) in enumerate(notes):
        axes.annotate(
            note,
            (1, 1),
            (0, 4 + 11 * row),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=8.5,
            color=colour,
        )


def _spike_counts(axes: Axes, sweeps: Sequence[Sweep], chosen: Sweep | None) -> None:
    steps = [(s.test_step.amplitude, s.spikes, s) for s in sweeps if s.test_step is not None]
    steps.sort(key=lambda row: row[:2])
    axes.plot([a for a, *_ in steps], [n for _, n, _ in steps], color=PRIOR, lw=1.0, zorder=1)
    axes.scatter([a for a, *_ in steps], [n for _, n, _ in steps], s=18, color=GREY, zorder=2)
    for amplitude, spikes, sweep in steps:
        if _is(sweep, chosen):
            axes.scatter([amplitude], [spikes], s=55, color=BLUE, zorder=3)
            axes.annotate(
                f"sweep {sweep.number}",
                (amplitude, spikes),
                (7, -9),
                textcoords="offset points",
                color=BLUE,
                fontsize=8.5,
            )
    durations = sorted({round(s.test_step.duration) for s in sweeps if s.test_step is not None})
    lasting = (
        f"{durations[0]:g} ms" if len(durations) == 1 else f"{durations[0]}-{durations[-1]} ms"
    )
    axes.set_title("spikes in the test step", loc="left", color=RECORDING)
    axes.set_xlabel("step amplitude (pA)")
    axes.set_ylabel(f"spikes in {lasting}")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=min(-0.3, -0.02 * max(n for _, n, _ in steps)))
    axes.margins(x=0.12)
