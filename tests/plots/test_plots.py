from io import BytesIO

import matplotlib as mpl
import numpy as np
import pytest
from passive_cell import observe

from neurosbi.contract import Feature, Parameter
from neurosbi.errors import BadInputError
from neurosbi.plots import (
    pairplot,
    plot_calibration,
    plot_features,
    plot_predictive,
    plot_training,
)
from neurosbi.plots.style import axis_label, symbol, unit_text

PARAMETERS = (
    Parameter("g_Na", "mS/cm2", 0.5, 80.0),
    Parameter("tau_max", "ms", 50.0, 3000.0, scale="log"),
    Parameter("V_T", "mV", -90.0, -40.0),
)
RNG = np.random.default_rng(0)
THETA = np.column_stack(
    [RNG.uniform(30, 31, 500), np.exp(RNG.uniform(4, 8, 500)), RNG.uniform(-90, -40, 500)]
)


def draw(figure):
    figure.savefig(BytesIO(), format="png", dpi=50)
    return [a for a in figure.axes if a.get_visible()]


def test_pairplot_names_axes_with_units_and_shows_the_prior(monkeypatch):
    axes = draw(pairplot(THETA, PARAMETERS, true=np.array([30.5, 400.0, -60.0])))
    bottom = axes[-3:]
    assert [a.get_xlabel() for a in bottom] == ["$g_{Na}$ (mS/cm²)", "$\\tau_{max}$ (ms)", "$V_{T}$ (mV)"]  # fmt: skip
    assert bottom[1].get_xscale() == "log"
    assert bottom[1].get_xlim() == pytest.approx((50, 3000))  # wide posterior: whole prior range
    low, high = bottom[0].get_xlim()
    assert low < 30 < 31 < high < 33  # narrow posterior: enlarged
    assert "prior 0.5 to 80" in axes[0].get_title()


def test_pairplot_of_one_and_of_constant_parameters():
    assert len(draw(pairplot(THETA[:, :1], PARAMETERS[:1]))) == 1
    constant = THETA.copy()
    constant[:, 0] = 30.0
    draw(pairplot(constant, PARAMETERS))


def test_pairplot_needs_draws():
    with pytest.raises(BadInputError, match="at least 10 draws"):
        pairplot(THETA[:5], PARAMETERS)


def test_predictive_with_undefined_and_constant_features_and_without_traces():
    features = tuple(Feature(n, "mV") for n in ("rest", "deflection", "charging_time"))
    x = RNG.normal(size=(50, 3))
    x[:, 1] = np.nan
    figure = plot_predictive(
        observe(),
        None,
        features=features,
        x=x,
        prior_x=RNG.normal(size=(100, 3)),
        spread=np.array([1.0, 1.0, np.nan]),
    )
    axes = draw(figure)
    assert len(axes) == 4
    assert axes[1].get_ylabel() == "current\n(pA)"
    assert [t.get_text() for t in axes[3].texts] == ["constant"]


def test_features_show_the_recorded_value():
    features = tuple(Feature(f"f{i}", "mV") for i in range(5))
    observed = np.array([0.0, 1.0, np.nan, 3.0, 1e6])
    figure = plot_features(
        features, observed, x=RNG.normal(size=(50, 5)), prior_x=RNG.normal(size=(100, 5))
    )
    axes = draw(figure)
    assert len(axes) == 5
    for a, value in zip(axes, observed, strict=True):
        low, high = a.get_xlim()
        assert np.isnan(value) or low < value < high


def test_training_marks_the_lowest_validation_loss():
    axes = draw(plot_training({"train_loss": [3.0, 2.0, 1.0], "validation_loss": [3.0, 2.0, 2.5]}))
    (marked,) = [line for line in axes[0].lines if line.get_label() == "lowest"]
    assert (marked.get_xdata()[0], marked.get_ydata()[0]) == (2, 2.0)
    with pytest.raises(BadInputError, match="train_loss"):
        plot_training({"epoch": [1]})


def test_figures_leave_the_settings_of_the_user_alone():
    import matplotlib.pyplot as plt

    with mpl.rc_context({"font.size": 31.0}):
        before, open_figures = dict(mpl.rcParams), plt.get_fignums()
        draw(pairplot(THETA, PARAMETERS))
        assert dict(mpl.rcParams) == before
        assert plt.get_fignums() == open_figures


def test_names_and_units_for_print():
    assert unit_text("uA/cm2") == "µA/cm²"
    assert unit_text("1") == ""
    assert axis_label("spike_count", "1") == "spike count"
    assert symbol("sigma") == "$\\sigma$"


def test_calibration_figure_shows_every_parameter():
    rng = np.random.default_rng(0)
    ranks = rng.integers(0, 100, size=(300, 5))
    figure = plot_calibration(
        [f"g_{i}" for i in range(5)], ranks, draws=99, density=ranks[:, 0], ball=ranks[:, 1]
    )
    coverage, *panels = figure.axes
    assert sum(axes.get_visible() for axes in panels) == 5
    _diagonal, *curves = coverage.lines
    assert len(curves) == 7  # five parameters and two of the joint posterior
    for line in curves:
        x, y = line.get_data()
        assert np.abs(np.asarray(y) - np.asarray(x)).max() < 0.12
    # the histograms hold every case
    heights = panels[0].patches[-1].get_data().values
    assert heights.sum() == 300
