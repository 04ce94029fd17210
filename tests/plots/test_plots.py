from io import BytesIO

import matplotlib as mpl
import numpy as np
import pytest
from passive_cell import observe
from scipy.stats import spearmanr

import neurosbi as nb
from neurosbi.contract import Feature, Parameter, at_positions, in_words
from neurosbi.errors import BadInputError
from neurosbi.plots import (
    pairplot,
    plot_calibration,
    plot_features,
    plot_predictive,
    plot_training,
)
from neurosbi.plots.most_told import most_told
from neurosbi.plots.style import symbol, unit_text

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
    assert [a.get_xlabel() for a in bottom] == ["$g_{Na}$\n(mS/cm²)", "$\\tau_{max}$\n(ms)", "$V_{T}$\n(mV)"]  # fmt: skip
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


def narrowed(parameters, n=400):
    """Correlated draws that fill a part of the prior, different for each parameter."""
    rng = np.random.default_rng(len(parameters))
    k = len(parameters)
    z = rng.normal(size=(n, k)) + rng.normal(size=(n, 2)) @ rng.normal(size=(2, k))
    return at_positions(parameters, np.tanh(z * rng.uniform(0.02, 0.8, k)))


LONG = (
    Parameter("membrane_time_constant", "ms", 0.5, 80.0),
    Parameter("g_leak", "1/nA", 1e-5, 1e-1, "log"),
    Parameter("release_probability", "1", -0.025, 0.025),
    Parameter("x", "mV", -12000.0, 15000.0),
)
TABLES = {
    "2": PARAMETERS[:2],
    "4": LONG,
    "8": nb.simulator("hodgkin-huxley").parameters,
    "13": nb.simulator("hodgkin-huxley-cortical").parameters,
    "31": nb.simulator("pyloric").parameters,
}


@pytest.mark.parametrize("table", TABLES)
def test_texts_of_pairplots_run_neither_into_each_other_nor_out_of_the_figure(table):
    parameters = TABLES[table]
    theta = narrowed(parameters)
    figure = pairplot(theta, parameters, true=theta[0])
    figure.draw_without_rendering()
    texts = drawn_texts(figure)
    boxes = [t.get_window_extent().padded(-0.5) for t in texts]
    for i, box in enumerate(boxes):
        assert all(figure.bbox.contains(*corner) for corner in (box.min, box.max)), texts[i]
        for j in range(i):
            assert not box.overlaps(boxes[j]), (texts[i], texts[j])
    panels = [a.get_window_extent().padded(-0.5) for a in figure.axes]
    for title in (a.title for a in figure.axes if a.get_title()):
        assert not any(title.get_window_extent().overlaps(panel) for panel in panels), title


def drawn_texts(figure):
    """All texts of a figure but those of ticks outside of the axes."""
    texts = [*figure.texts, *figure.legends[0].get_texts()]
    for axes in figure.axes:
        texts += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            texts += [
                tick.label1
                for tick in axis.get_major_ticks()
                if tick.label1.get_visible() and low <= tick.get_loc() <= high
            ]
    return [t for t in texts if t.get_text().strip()]


def test_pairplot_of_many_shows_twelve_and_names_the_others():
    parameters = TABLES["31"]
    theta = narrowed(parameters)
    figure = pairplot(theta, parameters)
    assert len(figure.axes) == 12**2
    shown = most_told(theta, parameters, spearmanr(theta).statistic, 12)
    (note,) = figure.texts
    text = note.get_text().replace("\n", " ")
    assert text.startswith("12 of 31 parameters are shown: those with the largest shrinkage")
    left_out = text.partition("Not shown: ")[2].rstrip(".").split(", ")
    assert len(left_out) == 31 - 12
    assert set(left_out) == {p.name for i, p in enumerate(parameters) if i not in shown}
    labels = [a.get_xlabel().split("\n")[0] for a in figure.axes[-12:]]
    assert labels == [symbol(parameters[i].name) for i in shown]
    assert not any(t.get_text() for t in pairplot(THETA, PARAMETERS).texts)


def test_most_told_are_the_narrow_and_the_correlated():
    parameters = tuple(Parameter(f"g_{i}", "nS", 1.0, 100.0, "log") for i in range(14))
    position = np.random.default_rng(0).uniform(-1, 1, (2000, 14))
    position[:, 9] = -position[:, 5]  # as wide as the prior, but only together
    position[:, 13] *= 0.2
    correlation = np.corrcoef(position, rowvar=False)
    assert most_told(at_positions(parameters, position), parameters, correlation, 3) == [5, 9, 13]
    equal = np.tile(position[:, :1], 14)
    told = most_told(at_positions(parameters, equal), parameters, np.zeros((14, 14)), 4)
    assert told == [0, 1, 2, 3]


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
    assert axes[3].get_ylabel().endswith("(prior spreads)")
    assert "prior spread: standard deviation" in axes[3].get_xlabel()


def test_features_show_the_recorded_value():
    features = tuple(Feature(f"f{i}", "mV") for i in range(5))
    observed = np.array([0.0, 1.0, np.nan, 3.0, 1e6])
    figure = plot_features(
        features, observed, x=RNG.normal(size=(50, 5)), prior_x=RNG.normal(size=(100, 5))
    )
    axes = draw(figure)
    assert len(axes) == 5
    assert [t.get_text() for t in axes[2].texts] == ["undefined in\nthe recording"]
    values = np.zeros((50, 1))
    missing = plot_features(
        features[:1], np.array([np.nan]), x=values, prior_x=values, not_measured=("f0",)
    )
    assert [t.get_text() for t in missing.axes[0].texts] == ["not measured"]
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
    assert unit_text("1/nA") == "1/nA"
    assert symbol("sigma") == "$\\sigma$"
    assert symbol("PD.g_CaT") == "PD $g_{CaT}$"
    assert symbol("soma.length") == "soma.length"
    for feature, words in (
        ("spike_count", "spike count"),
        ("power_1_4_E", "power 1-4 E"),
        ("power_13_30_I", "power 13-30 I"),
        ("autocorrelation_10_E", "autocorrelation 10 E"),
        ("cv2_E", "cv2 E"),
        ("v1_2", "v1 2"),
        ("power_1_4, rate_1_2b", "power 1-4, rate 1 2b"),
    ):
        assert in_words(feature) == words
    figure = plot_features(
        (Feature("power_1_4_E", "log10 Hz"),), np.zeros(1), x=THETA[:, :1], prior_x=THETA[:, :1]
    )
    assert figure.axes[0].get_title() == "power 1-4 E"


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
