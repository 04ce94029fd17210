"""The point neuron in NEURON and our compiled kernel: one model, two programs, the same noise."""

import numpy as np
import pytest
from hodgkin_cases import default_theta
from neurosbi_simulators.hodgkin_huxley import HodgkinHuxley
from neurosbi_simulators.neuron import NeuronPoint

from neurosbi.contract import Stimulus, StimulusBatch

pytest.importorskip("neuron", reason="NEURON is not installed")
FINE = 0.01  # ms


@pytest.fixture(scope="module")
def point():
    simulator = NeuronPoint(dt=FINE)
    yield simulator
    simulator.close()


def kernel(**settings):
    return HodgkinHuxley(**({"dt": FINE, "precision": "double"} | settings))


def both(point, theta, **keywords):
    return tuple(m.traces(theta, **keywords)["v"].values for m in (point, kernel()))


def test_subthreshold_voltage_with_noise_agrees_to_microvolts(point):
    theta = np.repeat(default_theta(HodgkinHuxley), 3, axis=0)
    theta[:, 0] = [1.0, 0.6, 2.0]  # too little sodium for a spike
    theta[:, 6] = 0.15
    ours, kernels = both(point, theta, seed=3, start=5)
    assert np.ptp(kernels, axis=1).min() > 5.0
    np.testing.assert_allclose(ours, kernels, atol=1e-4)


def test_spikes_come_at_the_same_time(point):
    theta = point.sample_prior(12, seed=1)
    ours, kernels = both(point, theta, seed=3)
    pairs = 0
    for a, b in zip(ours, kernels, strict=True):
        times = [np.flatnonzero((v[:-1] < -10) & (v[1:] >= -10)) * FINE for v in (a, b)]
        assert len(times[0]) == len(times[1])
        np.testing.assert_allclose(times[0], times[1], atol=0.05)
        pairs += len(times[0])
    assert pairs > 20


def test_the_start_is_the_lowest_resting_potential(point):
    theta = point.sample_prior(40, seed=2)
    stimulus = Stimulus.step(amplitude=1.0, onset=1.0, duration=1.0, holding=-0.05, unit="uA/cm2")
    ours, kernels = both(point, theta, stimulus=stimulus, seed=0, noise=False)
    np.testing.assert_allclose(ours[:, 0], kernels[:, 0], atol=2e-3)


def test_a_given_start_a_waveform_and_other_constants():
    settings = {"initial_voltage": -75.0, "C_m": 1.3, "E_Na": 60.0, "E_K": -90.0, "g_CaL": 0.02}
    point = NeuronPoint(dt=FINE, **settings)
    time = np.arange(0, 100, 0.05)
    stimulus = Stimulus.waveform(
        np.where(time > 20, 8 * np.sin(time / 7), 0.0), dt=0.05, unit="uA/cm2"
    )
    theta = default_theta(HodgkinHuxley)
    ours, kernels = (
        m.traces(theta, stimulus=stimulus, seed=1)["v"].values[0]
        for m in (point, kernel(**settings))
    )
    assert ours[0] == -75.0
    quiet = np.abs(np.gradient(kernels, FINE)) < 5.0
    assert quiet.mean() > 0.5
    assert np.abs(ours - kernels)[quiet].max() < 0.1
    assert kernels.max() > 0
    point.close()


def test_features_of_the_default_set_agree(point):
    theta = np.repeat(default_theta(HodgkinHuxley, sigma=0.02), 4, axis=0)
    family = point.stimulus_family
    values = np.array([[3.0, 30.0, 100.0], [5.0, 20.0, 200.0], [2.5, 40.0, 150.0], [0.5, 30, 100]])
    batch = StimulusBatch(family, values)
    a = point.simulate(theta, stimulus=batch, seed=2)
    b = kernel().simulate(theta, stimulus=batch, seed=2)
    np.testing.assert_array_equal(a.status, b.status)
    assert a.x[:3, 0].min() >= 1
    np.testing.assert_allclose(a.x, b.x, rtol=0.01, atol=0.05)


def test_a_recorded_sweep_gives_the_same_features():
    from recorded_cells import DEMO

    from neurosbi import read_recording

    sweep = read_recording(DEMO).sweeps[-1]
    ours, kernels = (m(area=1e-4).observe(sweep) for m in (NeuronPoint, HodgkinHuxley))
    np.testing.assert_array_equal(ours.x, kernels.x)
    assert ours.stimulus.to_dict() == kernels.stimulus.to_dict()
