"""Figures. Each function takes arrays and gives a matplotlib Figure; none reads or writes files."""

from neurosbi.plots.activity import plot_activity
from neurosbi.plots.calibration import plot_calibration
from neurosbi.plots.features import plot_features
from neurosbi.plots.pairplot import pairplot
from neurosbi.plots.predictive import plot_predictive
from neurosbi.plots.protocol import plot_protocol
from neurosbi.plots.training import plot_training

__all__ = [
    "pairplot",
    "plot_activity",
    "plot_calibration",
    "plot_features",
    "plot_predictive",
    "plot_protocol",
    "plot_training",
]
