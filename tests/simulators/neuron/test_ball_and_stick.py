"""The ball and stick: cable theory where it is passive, sense where it is active."""

import numpy as np
import pytest
from hodgkin_cases import default_theta, passive_theta
from neurosbi_simulators.neuron import BallAndStick

from neurosbi.contract import Status, StepFamily, Stimulus, StimulusBatch
from neurosbi.errors import BadInputError

pytest.importorskip("neuron", reason="NEURON is not installed")
GEOMETRIES = (
    {},
    {"soma_diameter": 12.0, "dendrite_length": 1200.0, "dendrite_diameter": 1.2},
    {"axon_length": 900.0, "axon_diameter": 0.8, "C_m": 0.8},
)


@pytest.fixture(scope="module")
def model():
    simulator = BallAndStick(dt=0.05)
    yield simulator
    simulator.close()


def input_resistance(settings, *, g_leak, r_a):
    """MOhm at the middle of the soma: a tree of cables, all ends sealed; g_leak in S/cm2."""

    def end_conductance(length, diameter, load):
        """Of a cable with a conductance ``load`` (S) at its far end; lengths in um."""
        length, diameter = length * 1e-4, diameter * 1e-4  # cm
        constant = np.sqrt(diameter / (4 * r_a * g_leak))
        endless = np.pi * diameter * constant * g_leak  # conductance of an endless cable
        t = np.tanh(length / constant)
        return endless * (load + endless * t) / (endless + load * t)

    half, size = settings["soma_diameter"] / 2, settings["soma_diameter"]
    total = 0.0
    for branch in ("dendrite", "axon"):
        load = end_conductance(settings[f"{branch}_length"], settings[f"{branch}_diameter"], 0.0)
        total += end_conductance(half, size, load)
    return 1e-6 / total


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize(("g_leak", "r_a"), [(0.05, 60.0), (0.3, 250.0)])
def test_input_resistance_is_that_of_cable_theory(geometry, g_leak, r_a):
    model = BallAndStick(dt=0.05, noise=0.0, **geometry)
    theta = passive_theta(BallAndStick, g_leak=g_leak, R_a=r_a)
    step = Stimulus.step(amplitude=-20.0, onset=20.0, duration=500.0)
    v = model.traces(theta, stimulus=step, seed=0)["v"].values[0]
    assert v[0] == pytest.approx(-70.0, abs=1e-3)
    resistance = (v[-1] - v[0]) / -20.0 * 1e3  # MOhm
    expected = input_resistance(model.settings, g_leak=g_leak * 1e-3, r_a=r_a)
    assert resistance == pytest.approx(expected, rel=2e-3)
    model.close()


def test_the_slowest_time_constant_is_that_of_the_membrane(model):
    theta = passive_theta(BallAndStick, g_leak=0.1)  # C_m / g_leak = 10 ms
    pulse = Stimulus.step(amplitude=-100.0, onset=20.0, duration=50.0, total=170.0)
    v = model.traces(theta, stimulus=pulse, seed=0, noise=False)["v"].values[0]
    late = v[round(100 / 0.05) :] + 70.0
    decay = np.polyfit(np.arange(len(late)) * 0.05, np.log(-late), 1)[0]
    assert -1 / decay == pytest.approx(10.0, rel=2e-3)


def test_voltage_noise_of_a_passive_cell_does_not_depend_on_dt():
    spread = []
    for dt in (0.025, 0.1):
        model = BallAndStick(dt=dt, noise=20.0)
        quiet = Stimulus.step(amplitude=0.0, onset=100.0, duration=3900.0)
        v = model.traces(passive_theta(BallAndStick), stimulus=quiet, seed=1)["v"].values[0]
        spread.append(v[round(100 / dt) :].std())
        model.close()
    assert spread[0] > 0.1
    assert spread[0] == pytest.approx(spread[1], rel=0.15)


def test_every_parameter_of_every_section_changes_the_voltage(model):
    step = Stimulus.step(amplitude=250.0, onset=20.0, duration=100.0)
    base = default_theta(BallAndStick)
    names = [p.name for p in model.parameters]
    theta = np.repeat(base, 1 + len(names), axis=0)
    theta[1:] *= 1 + 0.2 * np.eye(len(names))
    v = model.traces(theta, stimulus=step, seed=0, noise=False)["v"].values
    assert v[0].max() > 0.0
    moved = np.abs(v[1:] - v[0]).max(axis=1)
    assert dict(zip(names, moved > 0.1, strict=True)) == dict.fromkeys(names, True)


def test_sodium_of_the_axon_makes_spikes_earlier_and_its_absence_later(model):
    step = Stimulus.step(amplitude=200.0, onset=20.0, duration=150.0)
    theta = np.concatenate(
        [default_theta(BallAndStick, g_Na_axon=g, V_T=-58.0) for g in (0.5, 60.0, 250.0)]
    )
    x = model.simulate(theta, stimulus=step, seed=0).x
    latency = x[:, [f.name for f in model.feature_set].index("latency")]
    assert latency[0] > latency[1] > latency[2]


def test_warmth_makes_the_gates_faster():
    step = Stimulus.step(amplitude=300.0, onset=20.0, duration=100.0)
    width = []
    for temperature in (26.0, 36.0):
        model = BallAndStick(temperature=temperature, features="spikes")
        x = model.simulate(default_theta(BallAndStick), stimulus=step, seed=0).x[0]
        width.append(x[[f.name for f in model.feature_set].index("width")])
        model.close()
    assert 1.5 < width[0] / width[1] < 2.5  # 2.3 per 10 degC for the gates, nothing for C_m


def test_results_do_not_depend_on_workers_batches_or_order(model):
    theta = model.sample_prior(9, seed=4)
    family = model.stimulus_family
    stimuli = family.sample(9, seed=4)
    stimuli.values[:, 2] = np.linspace(200, 230, 9)
    serial = model.simulate(theta, stimulus=stimuli, seed=7, threads=1)
    parallel = model.simulate(theta, stimulus=stimuli, seed=7, threads=2)
    np.testing.assert_array_equal(serial.x, parallel.x)
    np.testing.assert_array_equal(serial.status, parallel.status)
    late = model.simulate(theta[5:], stimulus=stimuli[5:], seed=7, start=5)
    np.testing.assert_array_equal(late.x, serial.x[5:])
    again = model.simulate(theta[::-1], stimulus=stimuli[np.arange(9)[::-1]], seed=7)
    assert np.isfinite(serial.x).any(axis=1).all()
    quiet = serial.status == Status.NO_SPIKES
    np.testing.assert_array_equal(again.status[::-1][quiet], serial.status[quiet])


@pytest.mark.parametrize("current", [1e8, -1e8])
def test_a_huge_current_is_flagged_and_spares_the_next_simulation(model, current):
    family = StepFamily(unit="pA", amplitude=(1.0, 2.0), onset=(1.0, 50.0), duration=(1.0, 80.0))
    values = np.tile([150.0, 20.0, 60.0], (3, 1))
    theta = np.repeat(default_theta(BallAndStick), 3, axis=0)
    healthy = model.simulate(theta, stimulus=StimulusBatch(family, values), seed=0, threads=1)
    values[1, 0] = current
    sick = model.simulate(theta, stimulus=StimulusBatch(family, values), seed=0, threads=1)
    assert not sick.valid[1]
    assert np.all(np.isnan(sick.x[1]))
    np.testing.assert_array_equal(sick.x[[0, 2]], healthy.x[[0, 2]])
    assert healthy.valid.all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"g_Na_axon": -1.0}, "row 0 has g_Na_axon = -1 mS/cm2, but it cannot be negative"),
        (
            {"R_a": 0.0},
            "R_a = 0 Ohm cm, but it cannot be negative or zero; its prior goes from 50 to 300",
        ),
        ({"tau_max": 0.0}, "tau_max = 0 ms, but it cannot be negative or zero"),
    ],
)
def test_impossible_parameters_are_refused(model, change, words):
    with pytest.raises(BadInputError, match=words):
        model.simulate(default_theta(BallAndStick, **change), seed=0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dendrite_length": 0.0}, "dendrite_length is 0 um, but it cannot be negative or zero"),
        ({"noise": -1.0}, "noise is -1 pA ms"),
        ({"dt": 0.5}, "dt is 0.5 ms"),
        ({"temperature": "warm"}, "temperature is 'warm', but it must be a number in degC"),
    ],
)
def test_impossible_settings_are_refused(settings, words):
    with pytest.raises(BadInputError, match=words):
        BallAndStick(**settings)
