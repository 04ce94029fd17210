"""The figures of a result, by the name of the file each is written to."""

__all__ = ["calibration_figure", "figures", "png"]

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from neurosbi.checks import Calibration
from neurosbi.checks.spread import defined_values
from neurosbi.contract import SweepObservation, is_valid
from neurosbi.report.findings import Findings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150


def figures(findings: Findings) -> dict[str, "Figure"]:
    """pairplot, predictive, features; protocol of several sweeps; training and calibration of a network."""
    from neurosbi.plots import (
        pairplot,
        plot_features,
        plot_protocol,
        plot_training,
    )

    stored, check = findings.stored, findings.predictive
    x = defined_values(check.x, check.valid)
    prior_x = defined_values(stored.prior_x, is_valid(stored.prior_status))
    drawn = {
        "pairplot": pairplot(stored.theta, stored.parameters, true=stored.true_theta),
        "predictive": _predictive(findings, x, prior_x),
        "features": plot_features(
            stored.features,
            stored.observation.x,
            x=x,
            prior_x=prior_x,
            not_measured=stored.observation.not_measured,
        ),
    }
    sweeps = stored.sweeps
    if sweeps is not None and len(sweeps.number) > 1:
        gain = sweeps.gain
        drawn["protocol"] = plot_protocol(
            stored.features,
            sweeps.amplitude,
            unit=sweeps.unit,
            x=sweeps.x,
            given=sweeps.given,
            predicted=sweeps.predictive_x,
            size=None if gain is None else gain.size,
            width=None if gain is None else gain.width,
        )
    if findings.calibration is not None:
        drawn["calibration"] = calibration_figure(findings.calibration)
    history = stored.history or {}
    if "train_loss" in history or "validation_loss" in history:
        drawn["training"] = plot_training(history)
    return drawn


def _predictive(findings: Findings, x: np.ndarray, prior_x: np.ndarray) -> "Figure":
    """Data and simulations of the posterior, as traces and features."""
    from neurosbi.plots import plot_activity, plot_predictive

    stored = findings.stored
    values = {
        "features": stored.features,
        "x": x,
        "prior_x": prior_x,
        "spread": findings.predictive.spread,
    }
    if isinstance(stored.observation, SweepObservation):
        return plot_predictive(stored.observation, stored.traces, **values)
    return plot_activity(stored.observation, stored.traces, **values)


def calibration_figure(calibration: Calibration) -> "Figure":
    """Coverage and ranks of a network."""
    from neurosbi.plots import plot_calibration

    return plot_calibration(
        calibration.parameters,
        calibration.theta,
        draws=calibration.draws,
        density=calibration.density,
        ball=calibration.ball,
    )


def png(figure: "Figure") -> bytes:
    """The figure as a PNG file; the same figure gives the same bytes."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": "neurosbi"})
    return buffer.getvalue()
