"""Loss of the network over training epochs: whether it converged, and where it was stopped."""

__all__ = ["plot_training"]

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neurosbi.errors import BadInputError
from neurosbi.plots.style import BLUE, GREY, ORANGE, new_figure, styled


@styled
def plot_training(history: Mapping[str, np.ndarray]) -> Figure:
    """Plot ``train_loss`` and ``validation_loss`` [epoch] against ``epoch``; lower is better.

    Raises `BadInputError` when the history has none of the two losses.
    """
    losses = {
        name: np.asarray(history[name], dtype=np.float64)
        for name in ("train_loss", "validation_loss")
        if name in history
    }
    if not losses:
        raise BadInputError(
            "a training curve needs train_loss or validation_loss, the history has "
            f"{', '.join(history) or 'nothing'}"
        )
    length = len(next(iter(losses.values())))
    epoch = np.asarray(history.get("epoch", np.arange(1, length + 1)))
    figure = new_figure(6.2, 2.9)
    axes = figure.subplots()
    if "train_loss" in losses:
        axes.plot(epoch, losses["train_loss"], color=GREY, lw=1.3, label="training simulations")
    if "validation_loss" in losses:
        loss = losses["validation_loss"]
        axes.plot(epoch, loss, color=BLUE, lw=1.8, label="held-out simulations")
        if np.isfinite(loss).any():
            best = int(np.nanargmin(loss))
            axes.plot(epoch[best], loss[best], "o", color=ORANGE, ms=5, label="lowest", zorder=5)
    _limit(axes, list(losses.values()))
    axes.set(xlabel="epoch", ylabel="loss (nats)")
    axes.legend()
    return figure


def _limit(axes: Axes, losses: list[np.ndarray]) -> None:
    # The first epochs can be orders of magnitude worse and would flatten everything after them.
    values = np.concatenate([loss[np.isfinite(loss)] for loss in losses])
    if len(values) < 8:
        return
    low, high = float(values.min()), float(np.quantile(values, 0.95))
    if high > low:
        axes.set_ylim(low - 0.08 * (high - low), high + 0.25 * (high - low))
