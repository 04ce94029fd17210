"""The posterior, parameter against parameter: what the recording pins down and what it trades off.

Diagonal: marginal density over the prior density. Below: regions that hold 50 % and 90 % of the
posterior. Above: rank correlations, because a strong one means that the two parameters compensate
each other and neither interval alone tells the story. Of many parameters those are shown that the
data tell most of, and the figure names the others.
"""

__all__ = ["pairplot"]

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from scipy.stats import rankdata

from neurosbi.contract import Parameter
from neurosbi.errors import BadInputError
from neurosbi.plots.most_told import MOST_SHOWN, RULE, most_told
from neurosbi.plots.style import (
    BLUE,
    GREY,
    MINUS,
    ORANGE,
    PRIOR,
    new_figure,
    styled,
    symbol,
    unit_text,
)

_BINS = 36
_LEVELS = (0.9, 0.5)  # posterior mass inside the drawn regions
_FILL = LinearSegmentedColormap.from_list("posterior", ["#d6e6f2", "#7fb2d6", BLUE])
_CORRELATION = LinearSegmentedColormap.from_list("correlation", [ORANGE, "#ffffff", BLUE])
_NARROW = 0.3  # a posterior that fills less of the prior range than this is shown enlarged
# Width and height (inches) of a panel where there are up to so many parameters.
_PANELS = ((1, 4.2, 2.8), (2, 1.95, 1.6), (4, 1.5, 1.2), (8, 1.2, 0.95), (MOST_SHOWN, 0.9, 0.7))
_LINE = 1.3 / 72  # inches per line and point of font size
_NOTE_FONT = 8.5
_LONGEST_WORDS = 16  # characters of a name in one line


@styled
def pairplot(
    theta: np.ndarray, parameters: Sequence[Parameter], *, true: np.ndarray | None = None
) -> Figure:
    """Plot posterior draws ``theta[draw, theta]``; ``true[theta]`` are known values, if any.

    Of more than `MOST_SHOWN` parameters those that `most_told` picks.
    Raises `BadInputError` when there are fewer than 10 draws or widths do not agree.
    """
    theta = np.asarray(theta, dtype=np.float64)
    n = len(parameters)
    if theta.ndim != 2 or theta.shape[1] != n or len(theta) < 10:
        raise BadInputError(
            f"a pair plot of {n} parameters needs at least 10 draws of shape [draw, {n}], got "
            f"{theta.shape}"
        )
    correlation = _rank_correlation(theta)
    note = ""
    if n > MOST_SHOWN:
        shown = most_told(theta, parameters, correlation, MOST_SHOWN)
        note = _note(parameters, shown)
        theta, correlation = theta[:, shown], correlation[np.ix_(shown, shown)]
        true = None if true is None else np.asarray(true)[shown]
        parameters, n = [parameters[i] for i in shown], MOST_SHOWN
    font = 9.0 if n <= 4 else 8.0
    names = [_wrapped(symbol(p.name)) for p in parameters]
    figure, grid = _grid(names, font, _note_height(note))
    limits = [_limits(theta[:, i], p) for i, p in enumerate(parameters)]
    for row in range(n):
        for column in range(n):
            axes = grid[row, column]
            if column > row:
                _correlation(axes, float(correlation[row, column]), font)
                continue
            if column == row:
                _marginal(axes, theta[:, row], parameters[row], limits[row])
                _title(axes, names[row], parameters[row], font)
            else:
                pair = (theta[:, column], theta[:, row])
                scales = (parameters[column].scale, parameters[row].scale)
                _joint(axes, pair, (limits[column], limits[row]), scales)
                _axis(axes.yaxis, parameters[row], limits[row])
            _axis(axes.xaxis, parameters[column], limits[column])
            if true is not None:
                axes.axvline(true[column], color=ORANGE, lw=1.1)
                if column != row:
                    axes.axhline(true[row], color=ORANGE, lw=1.1)
            _labels(axes, (row, column), names, parameters, font)
    figure.align_xlabels(list(grid[-1]))
    figure.align_ylabels(list(grid[:, 0]))
    _legend(figure, n, true is not None, note)
    return figure


def _note(parameters: Sequence[Parameter], shown: Sequence[int]) -> str:
    """Which parameters are left out, and why these."""
    left_out = ", ".join(p.name for i, p in enumerate(parameters) if i not in shown)
    text = f"{len(shown)} of {len(parameters)} parameters are shown: {RULE}. Not shown: {left_out}."
    return textwrap.fill(text, 180, break_long_words=False, break_on_hyphens=False)


def _note_height(note: str) -> float:
    """Height (inches) that the note takes at the top of a figure."""
    return 0.1 + _NOTE_FONT * _LINE * (note.count("\n") + 1) if note else 0.0


def _grid(names: Sequence[str], font: float, above: float) -> tuple[Figure, np.ndarray]:
    """A figure with a panel for each pair, and ``above`` inches that are kept free above them.

    Sizes are fixed: an automatic layout of 144 panels takes ten seconds and makes them unequal.
    """
    n = len(names)
    wide, high = next((w, h) for most, w, h in _PANELS if n <= most)
    lines = 1 + max(name.count("\n") + 1 for name in names)  # the other is the unit or the prior
    text = font * _LINE * lines
    gap, title = 0.18, text + 0.06
    left, right = (0.6 + text if n > 1 else 0.2), 0.15
    bottom, top = 0.6 + text, above + title + (0.3 if n > 4 else 0.45)
    width = left + n * wide + (n - 1) * gap + right
    height = bottom + n * high + (n - 1) * title + top
    figure = new_figure(width, height, layout="none")
    figure.subplots_adjust(
        left=left / width,
        right=1 - right / width,
        bottom=bottom / height,
        top=1 - top / height,
        wspace=gap / wide,
        hspace=title / high,
    )
    return figure, np.asarray(figure.subplots(n, n, squeeze=False))


def _rank_correlation(theta: np.ndarray) -> np.ndarray:
    ranks = rankdata(theta, axis=0)
    with np.errstate(invalid="ignore"):  # of a parameter that does not vary
        return np.nan_to_num(np.atleast_2d(np.corrcoef(ranks, rowvar=False)))


def _limits(values: np.ndarray, parameter: Parameter) -> tuple[float, float]:
    z = _to_linear(values, parameter)
    low, high = _to_linear(np.array([parameter.low, parameter.high]), parameter)
    inside_low, inside_high = np.quantile(z, [0.002, 0.998])
    extent = inside_high - inside_low
    if extent < _NARROW * (high - low):
        margin = 0.5 * max(extent, 1e-3 * (high - low))
        low, high = max(low, inside_low - margin), min(high, inside_high + margin)
    return (10.0**low, 10.0**high) if parameter.scale == "log" else (float(low), float(high))


def _to_linear(values: np.ndarray, parameter: Parameter) -> np.ndarray:
    return np.log10(values) if parameter.scale == "log" else values


def _edges(limits: tuple[float, float], scale: str) -> np.ndarray:
    space = np.geomspace if scale == "log" else np.linspace
    return space(*limits, _BINS + 1)


def _marginal(
    axes: Axes,
    values: np.ndarray,
    parameter: Parameter,
    limits: tuple[float, float],
) -> None:
    from scipy.ndimage import gaussian_filter1d

    edges = _edges(limits, parameter.scale)
    counts = np.histogram(values, edges)[0].astype(float)
    counts = gaussian_filter1d(counts, 1.0, mode="reflect")
    # Densities per bin: bins are equally wide on the scale on which the prior is uniform.
    z_edges = _to_linear(edges, parameter)
    z_prior = _to_linear(np.array([parameter.low, parameter.high]), parameter)
    prior = len(values) * (z_edges[1] - z_edges[0]) / (z_prior[1] - z_prior[0])
    top = 1.12 * max(counts.max(), prior)
    axes.fill_between(limits, 0, prior, color=PRIOR, lw=0)
    axes.stairs(counts, edges, fill=True, color=BLUE, alpha=0.25, lw=0)
    axes.stairs(counts, edges, color=BLUE, lw=1.2)
    axes.set_ylim(0, top)
    axes.yaxis.set_major_locator(NullLocator())
    axes.spines["left"].set_visible(False)


def _title(axes: Axes, name: str, parameter: Parameter, font: float) -> None:
    title = axes.set_title(
        f"{name}\nprior {_number(parameter.low)} to {_number(parameter.high)}",
        fontsize=font - 0.5,
        color="#555555",
        pad=3,
    )
    _fit(title, axes)


def _joint(
    axes: Axes,
    pair: tuple[np.ndarray, np.ndarray],
    limits: tuple[tuple[float, float], tuple[float, float]],
    scales: tuple[str, str],
) -> None:
    from scipy.ndimage import gaussian_filter

    edges = [_edges(limit, scale) for limit, scale in zip(limits, scales, strict=True)]
    counts = np.histogram2d(*pair, bins=edges)[0]
    # Smooth more where draws are few, so that the regions do not fall into islands.
    width = float(np.clip(2.2 * (1000 / max(len(pair[0]), 1)) ** (1 / 6), 0.9, 3.0))
    density = gaussian_filter(counts, width, mode="reflect")
    ordered = np.sort(density.ravel())[::-1]
    mass = np.cumsum(ordered) / ordered.sum() if ordered.sum() > 0 else ordered
    levels = [float(ordered[np.searchsorted(mass, level)]) for level in _LEVELS]
    levels = sorted({*levels, float(ordered[0]) * 1.001})
    if len(levels) < 2 or levels[0] <= 0:
        axes.plot(*pair, ".", color=BLUE, ms=1, alpha=0.3, rasterized=True)
    else:
        centres = [
            np.sqrt(e[1:] * e[:-1]) if scale == "log" else 0.5 * (e[1:] + e[:-1])
            for e, scale in zip(edges, scales, strict=True)
        ]
        # The outermost half bins belong to the picture too.
        centres = [np.r_[e[0], c[1:-1], e[-1]] for e, c in zip(edges, centres, strict=True)]
        axes.contourf(*centres, density.T, levels=levels, cmap=_FILL)
        axes.contour(*centres, density.T, levels=levels[:-1], colors=BLUE, linewidths=0.7)


def _correlation(axes: Axes, r: float, font: float) -> None:
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    r = 0.0 if not np.isfinite(r) else r
    axes.set_facecolor(_CORRELATION(0.5 + 0.35 * r))
    strong = abs(r) >= 0.3
    axes.text(
        0.5,
        0.5,
        f"{r:+.2f}".replace("-", MINUS),
        ha="center",
        va="center",
        transform=axes.transAxes,
        fontsize=font + (1.0 if strong else -0.5),
        color="#111111" if strong else GREY,
        fontweight="bold" if abs(r) >= 0.6 else "normal",
    )


def _axis(axis: Any, parameter: Parameter, limits: tuple[float, float]) -> None:
    name = axis.axis_name
    axis.axes.set(**{f"{name}scale": parameter.scale, f"{name}lim": limits})
    if parameter.scale == "log" and limits[1] / limits[0] > 10:
        axis.set_major_locator(LogLocator(numticks=5))
    else:
        axis.set_major_locator(MaxNLocator(2, steps=[1, 2, 2.5, 5, 10], min_n_ticks=2))
        axis.set_major_formatter(FuncFormatter(lambda value, _: _number(value)))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _labels(
    axes: Axes,
    place: tuple[int, int],
    names: Sequence[str],
    parameters: Sequence[Parameter],
    font: float,
) -> None:
    row, column = place
    bottom, left = row == len(names) - 1, column == 0 < row
    axes.tick_params(labelsize=font - 0.5, labelbottom=bottom, labelleft=left)
    if bottom:
        # Upright, because the outermost of two panels would run into each other.
        axes.tick_params(axis="x", rotation=90 if len(names) > 1 else 0)
        axes.set_xlabel(_label(names[column], parameters[column].unit), fontsize=font)
        _fit(axes.xaxis.label, axes)
    if left:
        axes.set_ylabel(_label(names[row], parameters[row].unit), fontsize=font)
        _fit(axes.yaxis.label, axes)


def _wrapped(name: str) -> str:
    """A name in lines that fit a panel; a formula stays whole."""
    return name if "$" in name else textwrap.fill(name, _LONGEST_WORDS, break_long_words=False)


def _label(name: str, unit: str) -> str:
    """Name and, in a line of its own, unit: side by side they are wider than a panel."""
    text = unit_text(unit)
    return f"{name}\n({text})" if text else name


def _fit(text: Text, axes: Axes) -> None:
    """Make ``text`` so small that it is no longer than the side of the panel it stands at."""
    box, panel = text.get_window_extent(), axes.get_window_extent()
    upright = text is axes.yaxis.label
    length, most = (box.height, panel.height) if upright else (box.width, panel.width)
    if length > most:
        text.set_fontsize(float(text.get_fontsize()) * most / length)


def _legend(figure: Figure, n: int, true: bool, note: str) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list = [
        Patch(facecolor="#d6e6f2", edgecolor=BLUE, lw=0.8, label="posterior (50 % and 90 %)"),
        Patch(facecolor=PRIOR, label="prior"),
    ]
    if true:
        handles.append(Line2D([], [], color=ORANGE, lw=1.2, label="true value"))
    if n > 1:
        handles.append(Patch(facecolor="none", label="above the diagonal: rank correlation"))
    width, height = figure.get_size_inches()
    figure.text(0.1 / width, 1 - 0.08 / height, note, va="top", fontsize=_NOTE_FONT)
    figure.legend(
        handles=handles,
        loc="upper right",
        bbox_to_anchor=(1, 1 - _note_height(note) / height),
        ncols=4 if n > 4 else 2,
    )


def _number(value: float) -> str:
    text = f"{value:.3g}" if abs(value) < 1e3 or abs(value) >= 1e5 else f"{value:.0f}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("-", MINUS)
