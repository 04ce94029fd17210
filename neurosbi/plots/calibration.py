"""Calibration of a network: coverage curves, and the ranks of the true parameters."""

__all__ = ["plot_calibration"]

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neurosbi.plots.style import BLUE, GREY, ORANGE, PRIOR, new_figure, styled, symbol

_COLUMNS = 4
_BAND = 0.99  # of the values that an exact network shows, panel by panel
_MOST_BINS = 20


@styled
def plot_calibration(
    parameters: Sequence[str],
    ranks: np.ndarray,
    *,
    draws: int,
    density: np.ndarray,
    ball: np.ndarray,
) -> Figure:
    """Coverage against credibility, and rank histograms, of ``ranks[case, theta]`` from 0 to ``draws``.

    ``density[case]`` and ``ball[case]`` are the ranks of the joint posterior: of its density, and
    of balls around random points (TARP). Grey bands hold 99 % of what exact posteriors show.
    """
    rows = -(-len(parameters) // _COLUMNS)
    height = max(3.2, 1.35 * rows + 0.4)
    figure = new_figure(10.0, height)
    left, right = np.asarray(figure.subfigures(1, 2, width_ratios=(0.36, 0.64)))
    _coverage(left.subplots(), np.asarray(ranks), draws, density, ball)
    grid = np.asarray(right.subplots(rows, _COLUMNS, squeeze=False)).ravel()
    for axes in grid[len(parameters) :]:
        axes.set_visible(False)
    for axes, name, column in zip(grid, parameters, np.asarray(ranks).T, strict=False):
        _histogram(axes, name, column, draws)
    right.supxlabel("rank of the truth among the posterior draws", fontsize=9)
    return figure


def _coverage(
    axes: Axes, ranks: np.ndarray, draws: int, density: np.ndarray, ball: np.ndarray
) -> None:
    from scipy.stats import binom

    n = len(ranks)
    level = np.linspace(0, 1, 101)
    low, high = (binom.ppf(q, n, level) / n for q in ((1 - _BAND) / 2, (1 + _BAND) / 2))
    axes.fill_between(level, low, high, color=PRIOR, alpha=0.6, lw=0)
    axes.plot([0, 1], [0, 1], color=GREY, lw=0.8)
    for i, column in enumerate(ranks.T):
        centred = np.abs((column + 0.5) / (draws + 1) - 0.5) * 2
        label = "each parameter" if i == 0 else None
        axes.plot(level, _share(centred, level), color=GREY, lw=0.9, label=label)
    for values, colour, label in (
        (ball, ORANGE, "joint, around random points"),
        (density, BLUE, "joint, highest density"),
    ):
        axes.plot(
            level, _share((values + 0.5) / (draws + 1), level), color=colour, lw=1.6, label=label
        )
    axes.set(
        xlim=(0, 1), ylim=(0, 1), xlabel="posterior probability of a region",
        ylabel="share of truths inside",
    )  # fmt: skip
    axes.set_box_aspect(1)
    axes.text(0.04, 0.97, "too wide", va="top", fontsize=7.5, color=GREY)
    axes.text(0.97, 0.5, "too narrow", ha="right", fontsize=7.5, color=GREY)
    axes.legend(loc="lower right", fontsize=7)


def _share(values: np.ndarray, level: np.ndarray) -> np.ndarray:
    return np.searchsorted(np.sort(values), level, side="right") / len(values)


def _histogram(axes: Axes, name: str, ranks: np.ndarray, draws: int) -> None:
    from scipy.stats import binom

    n = len(ranks)
    fits = [b for b in range(1, _MOST_BINS + 1) if (draws + 1) % b == 0 and b <= max(1, n // 20)]
    bins = max(fits, default=1)
    edges = np.linspace(0, draws + 1, bins + 1)
    counts = np.histogram(ranks + 0.5, edges)[0]
    low, high = binom.ppf([(1 - _BAND) / 2, (1 + _BAND) / 2], n, 1 / bins)
    axes.axhspan(low, high, color=PRIOR, alpha=0.6, lw=0)
    axes.axhline(n / bins, color=GREY, lw=0.8)
    axes.stairs(counts, edges, fill=True, color=BLUE, alpha=0.65, lw=0)
    axes.set(xlim=(0, draws + 1), ylim=(0, max(1.6 * n / bins, 1.1 * counts.max())), yticks=[])
    axes.set_xticks([0, draws])
    axes.spines["left"].set_visible(False)
    axes.set_title(symbol(name), fontsize=9)
