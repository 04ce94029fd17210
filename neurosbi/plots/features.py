"""Each feature on its own: the recording, the posterior's predictions, and what the prior gives."""

__all__ = ["plot_features"]

from collections.abc import Collection, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neurosbi.contract import Feature, in_words
from neurosbi.plots.style import BLUE, GREY, ORANGE, PRIOR, new_figure, styled, unit_text

_COLUMNS = 4
_BINS = 40


@styled
def plot_features(
    features: Sequence[Feature],
    x_observed: np.ndarray,
    *,
    x: np.ndarray,
    prior_x: np.ndarray,
    not_measured: Collection[str] = (),
) -> Figure:
    """Distributions of ``x[draw, feature]`` and ``prior_x[sim, feature]`` with the recorded values.

    NaN are undefined values, or features ``not_measured`` (their names); the share of simulations
    without a value is written into the panel.
    """
    n = len(features)
    columns = min(_COLUMNS, n)
    rows = -(-n // columns)
    figure = new_figure(2.6 * columns + 0.4, 1.75 * rows + 0.5)
    grid = np.asarray(figure.subplots(rows, columns, squeeze=False)).ravel()
    for axes in grid[n:]:
        axes.set_visible(False)
    for i, feature in enumerate(features):
        lacking = "not measured" if feature.name in not_measured else "undefined in\nthe recording"
        _panel(grid[i], feature, float(x_observed[i]), x[:, i], prior_x[:, i], lacking)
    _legend(figure)
    return figure


def _panel(
    axes: Axes,
    feature: Feature,
    observed: float,
    values: np.ndarray,
    prior: np.ndarray,
    lacking: str,
) -> None:
    defined, prior_defined = values[np.isfinite(values)], prior[np.isfinite(prior)]
    low, high = _range(observed, defined, prior_defined)
    edges = np.linspace(low, high, _BINS + 1)
    # Each distribution to its own maximum: the question is where they lie, not how high they are.
    for sample, colour, alpha in ((prior_defined, PRIOR, 0.9), (defined, BLUE, 0.65)):
        counts = np.histogram(sample, edges)[0]
        if counts.max(initial=0) > 0:
            axes.stairs(counts / counts.max(), edges, fill=True, color=colour, alpha=alpha, lw=0)
    if np.isfinite(observed):
        axes.axvline(observed, color=ORANGE, lw=1.6)
    else:
        axes.text(0.98, 0.95, lacking, transform=axes.transAxes, ha="right", va="top",
                  fontsize=7.5, color=ORANGE)  # fmt: skip
    undefined = 100 * (1 - len(defined) / max(len(values), 1))
    if undefined >= 1:
        axes.text(0.02, 0.95, f"{undefined:.0f} % of\npredictions\nundefined",
                  transform=axes.transAxes, va="top", fontsize=7, color=GREY)  # fmt: skip
    axes.set(xlim=(low, high), ylim=(0, 1.12), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=4)
    axes.set_title(in_words(feature.name), fontsize=9)
    axes.set_xlabel(unit_text(feature.unit) or "(no unit)", fontsize=8)


def _range(observed: float, values: np.ndarray, prior: np.ndarray) -> tuple[float, float]:
    ends = [float(observed)] if np.isfinite(observed) else []
    for sample in (values, prior):
        if len(sample):
            ends += [float(q) for q in np.quantile(sample, [0.01, 0.99])]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    margin = 0.06 * (high - low) or max(abs(low), 1.0) * 0.1
    return low - margin, high + margin


def _legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color=ORANGE, lw=1.6, label="recording"),
        Patch(facecolor=BLUE, alpha=0.65, label="simulations of the posterior"),
        Patch(facecolor=PRIOR, label="simulations of the prior"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
