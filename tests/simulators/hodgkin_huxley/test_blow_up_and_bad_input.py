"""A simulation that leaves all bounds is flagged; input that cannot be meant is refused in words."""

import numpy as np
import pytest
from hodgkin_cases import MODELS, default_theta, step_for
from neurosbi_simulators.hodgkin_huxley import CorticalHodgkinHuxley, HodgkinHuxley

from neurosbi.contract import Status, StepFamily, Stimulus, StimulusBatch
from neurosbi.errors import BadInputError


@pytest.mark.parametrize("model_class", MODELS)
@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize("current", [1e9, -1e9, 1e7])
def test_a_huge_current_is_flagged_and_spares_its_neighbours(model_class, precision, current):
    model = model_class(precision=precision, dt=0.05)
    normal = model.stimulus.amplitude
    family = StepFamily(
        unit=model.stimulus.unit, amplitude=(1.0, 2.0), onset=(1.0, 50.0), duration=(1.0, 80.0)
    )
    values = np.tile([normal, 20.0, 60.0], (66, 1))
    theta = np.repeat(default_theta(model), 66, axis=0)
    healthy = model.simulate(theta, stimulus=StimulusBatch(family, values), seed=0)
    values[5, 0] = current
    sick = model.simulate(theta, stimulus=StimulusBatch(family, values), seed=0)
    assert sick.status[5] == Status.BLOW_UP
    assert not sick.valid[5]
    assert np.all(np.isnan(sick.x[5]))
    others = np.delete(np.arange(66), 5)
    np.testing.assert_array_equal(sick.x[others], healthy.x[others])
    np.testing.assert_array_equal(sick.status[others], healthy.status[others])
    assert np.all(healthy.valid)


@pytest.mark.parametrize(
    ("model", "changed", "current"),
    [
        (CorticalHodgkinHuxley, {"R_in": 800.0}, -140.0),
        (HodgkinHuxley, {"g_leak": 0.02, "g_M": 1e-4}, -2.6),
    ],
)
def test_far_below_rest_both_precisions_agree(model, changed, current):
    """About -185 mV, where the closing rates of some gates are beyond single precision."""
    settings = {"g_CaL": 0.1} if model is HodgkinHuxley else {}
    lowest = []
    for precision in ("single", "double"):
        made = model(precision=precision, **settings)
        theta = default_theta(made)
        for name, value in changed.items():
            theta[0, [p.name for p in made.parameters].index(name)] = value
        stimulus = Stimulus.step(
            amplitude=current, onset=20.0, duration=400.0, unit=made.stimulus.unit
        )
        assert made.simulate(theta, stimulus=stimulus, seed=1).valid.all()
        traces = made.traces(theta, stimulus=stimulus, seed=1, noise=False)
        lowest.append(float(traces["v"].min()))
    assert lowest[0] == pytest.approx(lowest[1], abs=0.01)
    assert -210 < lowest[1] < -140


def test_a_resting_potential_is_found_far_down():
    model = CorticalHodgkinHuxley(precision="double")
    theta = default_theta(model)
    theta[0, [p.name for p in model.parameters].index("R_in")] = 1000.0
    held = Stimulus.step(amplitude=10.0, onset=150.0, duration=100.0, holding=-100.0)
    v = model.traces(theta, stimulus=held, seed=0, noise=False)["v"].values[0]
    assert v[0] < -150
    assert abs(v[0] - v[round(149 / model.settings["dt"])]) < 0.1


def test_no_autocorrelation_at_lags_longer_than_the_stimulus():
    model = HodgkinHuxley(features="moments-13")
    short = Stimulus.step(amplitude=2.0, onset=20.0, duration=2.0, unit="uA/cm2")
    x = model.simulate(default_theta(model), stimulus=short, seed=0).x[0]
    values = dict(zip([f.name for f in model.feature_set], x, strict=True))
    assert np.isfinite(values["autocorrelation_1"])
    assert all(np.isnan(values[f"autocorrelation_{lag}"]) for lag in (2, 3, 4, 5))


@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize("when", [40.0, 99.9])  # during the stimulus; in the very last step
def test_an_infinite_or_undefined_voltage_is_flagged(precision, when):
    model = HodgkinHuxley(precision=precision, dt=0.05)
    current = np.zeros(2000)
    current[400:1500] = 2.0
    current[round(when / 0.05) :] = 3e38
    wave = Stimulus.waveform(current, dt=0.05, unit="uA/cm2", onset=20.0, offset=75.0)
    batch = model.simulate(np.repeat(default_theta(model), 3, axis=0), stimulus=wave, seed=0)
    assert np.all(batch.status == Status.BLOW_UP)
    assert np.all(np.isnan(batch.x))


def test_no_spikes_is_not_a_failure():
    model = HodgkinHuxley(features="spikes")
    batch = model.simulate(default_theta(model), stimulus=step_for(model, amplitude=0.0), seed=0)
    assert batch.status[0] == Status.NO_SPIKES
    assert batch.valid[0]
    assert batch.x[0, 0] == 0
    assert np.isnan(batch.x[0, 2])


def test_nothing_to_simulate():
    model = HodgkinHuxley()
    batch = model.simulate(np.empty((0, 8)), seed=0)
    assert batch.x.shape == (0, len(model.feature_set))
    assert batch.status.shape == (0,)


def refuse(words, call):
    with pytest.raises(BadInputError) as caught:
        call()
    message = str(caught.value)
    for word in words:
        assert word in message
    assert "\n" not in message


@pytest.mark.parametrize("model_class", MODELS)
def test_bad_parameters(model_class):
    model = model_class()
    theta = default_theta(model)
    first = model.parameters[0].name
    refuse((model.name, first, "shape"), lambda: model.simulate(theta[:, :-1], seed=0))
    broken = np.repeat(theta, 3, axis=0)
    broken[2, 0] = np.nan
    refuse(("row 2", first), lambda: model.simulate(broken, seed=0))
    names = [p.name for p in model.parameters]
    impossible = np.repeat(theta, 3, axis=0)
    impossible[1, names.index("g_M")] = -0.5
    refuse(("row 1", "g_M = -0.5 mS/cm2", "negative"), lambda: model.simulate(impossible, seed=0))


@pytest.mark.parametrize("name", ["C_m", "R_in", "tau", "tau_max", "r_SS"])
def test_what_cannot_even_be_zero(name):
    model = CorticalHodgkinHuxley()
    theta = default_theta(model)
    theta[:, [p.name for p in model.parameters].index(name)] = 0.0
    refuse(
        ("row 0", f"{name} = 0", "cannot be negative or zero", "prior"),
        lambda: model.simulate(theta, seed=0),
    )


def test_a_leak_may_depolarise():
    model = HodgkinHuxley()
    theta = default_theta(model)
    theta[:, -1] = -30.0  # minus_E_leak
    assert model.simulate(theta, seed=0).valid.all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dt": 0.2}, ("dt is 0.2 ms", "0.1 ms")),
        ({"dt": 0.0}, ("dt", "0.025")),
        ({"dt": -0.1}, ("dt",)),
        ({"dt": "fine"}, ("dt", "ms")),
        ({"dt": float("nan")}, ("dt",)),
        ({"precision": "half"}, ("'single' or 'double'", "'half'")),
        ({"initial_voltage": "cold"}, ("initial_voltage", "'rest'")),
        ({"initial_voltage": float("nan")}, ("initial_voltage",)),
        ({"E_Na": "53"}, ("E_Na", "mV")),
        ({"E_K": float("inf")}, ("E_K",)),
        ({"gravity": 9.8}, ("no setting", "gravity", "dt")),
    ],
)
@pytest.mark.parametrize("model_class", MODELS)
def test_bad_settings(model_class, settings, words):
    refuse((model_class.name, *words), lambda: model_class(**settings))


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"C_m": 0.0}, "C_m"),
        ({"C_m": -1.0}, "C_m"),
        ({"g_CaT": -0.1}, "g_CaT"),
        ({"area": 2.0}, "area"),
    ],
)
def test_bad_settings_of_the_density_model(settings, word):
    refuse((word, "cm2"), lambda: HodgkinHuxley(**settings))


def test_bad_noise_and_feature_set():
    refuse(("noise", "negative"), lambda: CorticalHodgkinHuxley(noise=-1.0))
    refuse(("feature set", "moments-7"), lambda: HodgkinHuxley(features="all"))


def test_bad_stimuli():
    density, cortical = HodgkinHuxley(), CorticalHodgkinHuxley()
    in_pa = Stimulus.step(amplitude=100.0, onset=10, duration=50)
    theta = default_theta(density)
    refuse(("area", "cm2"), lambda: density.simulate(theta, stimulus=in_pa, seed=0))
    per_area = Stimulus.step(amplitude=1.0, onset=10, duration=50, unit="uA/cm2")
    refuse(
        ("pA", "uA/cm2"),
        lambda: cortical.simulate(default_theta(cortical), stimulus=per_area, seed=0),
    )
    batch = density.stimulus_family.sample(4, seed=0)
    refuse(
        ("3 parameter sets", "4 stimuli"),
        lambda: density.simulate(np.repeat(theta, 3, axis=0), stimulus=batch, seed=0),
    )
    blink = Stimulus.step(amplitude=1.0, onset=10, duration=0.001, total=20, unit="uA/cm2")
    refuse(("shorter than one time step",), lambda: density.simulate(theta, stimulus=blink, seed=0))
    endless = Stimulus.step(amplitude=1.0, onset=10, duration=1e6, unit="uA/cm2")
    refuse(("longer than",), lambda: density.simulate(theta, stimulus=endless, seed=0))
