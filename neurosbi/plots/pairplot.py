"""The posterior, parameter against parameter: what the recording pins down and what it trades off.

Diagonal: marginal density over the prior density. Below: regions that hold 50 % and 90 % of the
posterior. Above: rank correlations, because a strong one means that the two parameters compensate
each other and neither interval alone tells the story.
"""

__all__ = ["pairplot"]

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from neurosbi.contract import Parameter
from neurosbi.errors import BadInputError
from neurosbi.plots.style import (
    BLUE,
    GREY,
    MINUS,
    ORANGE,
    PRIOR,
    axis_label,
    new_figure,
    styled,
    symbol,
)

_BINS = 36
_LEVELS = (0.9, 0.5)  # posterior mass inside the drawn regions
_FILL = LinearSegmentedColormap.from_list("posterior", ["#d6e6f2", "#7fb2d6", BLUE])
_CORRELATION = LinearSegmentedColormap.from_list("correlation", [ORANGE, "#ffffff", BLUE])
_NARROW = 0.3  # a posterior that fills less of the prior range than this is shown enlarged


@styled
def pairplot(
    theta: np.ndarray, parameters: Sequence[Parameter], *, true: np.ndarray | None = None
) -> Figure:
    """Plot posterior draws ``theta[draw, theta]``; ``true[theta]`` are known values, if any.

    Raises `BadInputError` when there are fewer than 10 draws or widths do not agree.
    """
    theta = np.asarray(theta, dtype=np.float64)
    n = len(parameters)
    if theta.ndim != 2 or theta.shape[1] != n or len(theta) < 10:
        raise BadInputError(
            f"a pair plot of {n} parameters needs at least 10 draws of shape [draw, {n}], got "
            f"{theta.shape}"
        )
    size = float(np.clip(1.2 * n, 4.5, 13.5))
    # Fixed margins: an automatic layout of 169 panels takes ten seconds and makes them unequal.
    figure = new_figure(size, size, layout="none")
    figure.subplots_adjust(
        left=0.75 / size,
        right=1 - 0.15 / size,
        bottom=0.65 / size,
        top=1 - 0.75 / size,
        wspace=0.12 if n > 4 else 0.25,
        hspace=0.5 if n > 4 else 0.35,
    )
    grid = np.asarray(figure.subplots(n, n, squeeze=False))
    limits = [_limits(theta[:, i], p) for i, p in enumerate(parameters)]
    ranks = np.argsort(np.argsort(theta, axis=0), axis=0)
    correlation = np.atleast_2d(np.corrcoef(ranks, rowvar=False))
    font = float(np.clip(90.0 / n, 7.0, 9.0))
    for row in range(n):
        for column in range(n):
            axes = grid[row, column]
            if column > row:
                _correlation(axes, float(correlation[row, column]), font)
                continue
            if column == row:
                _marginal(axes, theta[:, row], parameters[row], limits[row], font)
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
            _labels(axes, row, column, n, parameters, font)
    figure.align_xlabels(list(grid[-1]))
    figure.align_ylabels(list(grid[:, 0]))
    _legend(figure, n, true is not None)
    return figure


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
    font: float,
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
    axes.set_title(
        f"{symbol(parameter.name)}\nprior {_number(parameter.low)} to {_number(parameter.high)}",
        fontsize=font - 0.5,
        color="#555555",
        pad=3,
    )


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
        axis.set_major_locator(LogLocator(numticks=3))
    else:
        axis.set_major_locator(MaxNLocator(2, steps=[1, 2, 2.5, 5, 10], min_n_ticks=2))
        axis.set_major_formatter(FuncFormatter(lambda value, _: _number(value)))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _labels(
    axes: Axes, row: int, column: int, n: int, parameters: Sequence[Parameter], font: float
) -> None:
    axes.tick_params(labelsize=font - 0.5, labelbottom=row == n - 1, labelleft=column == 0 < row)
    if row == n - 1:
        axes.set_xlabel(axis_label(parameters[column].name, parameters[column].unit), fontsize=font)
        if n > 6:
            axes.tick_params(axis="x", rotation=45)
    if column == 0 and row > 0:
        axes.set_ylabel(axis_label(parameters[row].name, parameters[row].unit), fontsize=font)


def _legend(figure: Figure, n: int, true: bool) -> None:
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
    figure.legend(handles=handles, loc="upper right", ncols=4 if n > 4 else 2)


def _number(value: float) -> str:
    text = f"{value:.3g}" if abs(value) < 1e3 or abs(value) >= 1e5 else f"{value:.0f}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("-", MINUS)
