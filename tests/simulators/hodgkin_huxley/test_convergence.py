"""The integrator against analytic solutions, reference values and its own order."""

import numpy as np
import pytest
from hodgkin_cases import MODELS, default_theta, passive_theta, step_for, voltage
from neurosbi_simulators.hodgkin_huxley import CorticalHodgkinHuxley, HodgkinHuxley

from neurosbi.contract import Stimulus

# V in mV at 20 ms of the default parameter set without noise, from -70 mV, computed with an
# independent implementation of the same scheme in double precision
V_AT_20_MS = {
    0.08: 16.33,
    0.04: 11.864,
    0.02: 10.764,
    0.01: 10.482,
    0.005: 10.411,
    0.0025: 10.3937,
}


def v_at(model_class, time, dt, *, start, stimulus=None):
    model = model_class(dt=dt, precision="double", initial_voltage=start)
    drive = stimulus or step_for(model, total=110.0)
    return voltage(model, default_theta(model), stimulus=drive)[0, round(time / dt)]


@pytest.mark.parametrize(("dt", "expected"), V_AT_20_MS.items())
def test_reference_values_at_20_ms(dt, expected):
    digits = 0.006 if dt == 0.08 else 0.0006
    assert v_at(HodgkinHuxley, 20.0, dt, start=-70.0) == pytest.approx(expected, abs=digits)


@pytest.mark.parametrize(
    ("model_class", "time"), [(HodgkinHuxley, 20.0), (CorticalHodgkinHuxley, 20.0)]
)
def test_errors_fall_with_the_square_of_dt(model_class, time):
    steps = (0.04, 0.02, 0.01, 0.005)
    v = np.array([v_at(model_class, time, dt, start=-70.0) for dt in steps])
    ratios = (v[:-2] - v[1:-1]) / (v[1:-1] - v[2:])
    assert ratios[-1] == pytest.approx(4.0, rel=0.1)  # a first-order scheme would give 2


@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize("dt", [0.01, 0.05])
def test_passive_membrane_charges_as_the_analytic_solution(precision, dt):
    tolerance = {"single": 2e-5, "double": 1e-6}[precision]
    model = HodgkinHuxley(dt=dt, precision=precision)
    theta = passive_theta(model, g_leak=0.1, minus_E_leak=70.0)
    stimulus = step_for(model, amplitude=1.5, onset=10.0, duration=60.0, total=120.0)
    t = np.arange(round(120 / dt)) * dt
    rise = 15.0 * (1 - np.exp(-np.clip(t - 10, 0, 60) / 10))
    exact = -70 + rise * np.exp(-np.clip(t - 70, 0, None) / 10)
    np.testing.assert_allclose(voltage(model, theta, stimulus=stimulus)[0], exact, rtol=tolerance)


def test_passive_membrane_in_absolute_units():
    model = CorticalHodgkinHuxley(dt=0.02, precision="double", noise=0.0)
    theta = passive_theta(model, R_in=200.0, tau=15.0, E_leak=-80.0)
    stimulus = Stimulus.step(amplitude=100.0, onset=10.0, duration=80.0, total=100.0)
    t = np.arange(5000) * 0.02
    rise = 200 * 0.1 * (1 - np.exp(-np.clip(t - 10, 0, 80) / 15))
    exact = -80 + rise * np.exp(-np.clip(t - 90, 0, None) / 15)
    np.testing.assert_allclose(voltage(model, theta, stimulus=stimulus)[0], exact, rtol=1e-6)


@pytest.mark.parametrize("dt", [0.02, 0.1])
def test_stationary_variance_of_the_noise_does_not_depend_on_dt(dt):
    # an Ornstein-Uhlenbeck process: variance sigma^2 / (2 g C)
    sigma, g = 0.15, 0.2
    model = HodgkinHuxley(dt=dt, precision="single")
    theta = np.repeat(passive_theta(model, sigma=sigma, g_leak=g), 256, axis=0)
    silent = step_for(model, amplitude=0.0, onset=50.0, duration=400.0, total=450.0)
    v = voltage(model, theta, stimulus=silent, seed=11, noise=True)[:, round(50 / dt) :]
    expected = sigma**2 / (2 * g)
    # 256 runs of 400 ms with a correlation time of 5 ms: variance of the estimate 2 s^4 tau / T
    error = expected * np.sqrt(2 * 5.0 / (256 * 400.0))
    assert abs((v + 70.0).var() - expected) < 4.5 * error  # false alarm 1e-5
    assert abs(v.mean() + 70.0) < 4.5 * np.sqrt(expected * 2 * 5.0 / (256 * 400.0))


def test_noise_of_the_cortical_model_is_the_same_current_at_any_dt():
    # variance of V under white current: noise^2 R / (2 C_total), with C_total = tau / R
    noise, r, tau = 20.0, 100.0, 10.0
    expected = noise**2 * (r * 1e-3) ** 2 / (2 * tau)
    for dt in (0.025, 0.1):
        model = CorticalHodgkinHuxley(dt=dt, noise=noise)
        theta = np.repeat(passive_theta(model, R_in=r, tau=tau), 256, axis=0)
        silent = step_for(model, amplitude=0.0, onset=100.0, duration=400.0, total=500.0)
        v = voltage(model, theta, stimulus=silent, seed=3, noise=True)[:, round(100 / dt) :]
        assert abs(v.var() / expected - 1) < 4.5 * np.sqrt(2 * 10.0 / (256 * 400.0))


@pytest.mark.parametrize("model_class", MODELS)
def test_leak_alone_rests_at_its_reversal_potential(model_class):
    model = model_class(precision="double")
    name = "E_leak" if model_class is CorticalHodgkinHuxley else "minus_E_leak"
    theta = passive_theta(model, **{name: -63.0 if name == "E_leak" else 63.0})
    silent = step_for(model, amplitude=0.0, total=110.0)
    np.testing.assert_allclose(voltage(model, theta, stimulus=silent), -63.0, atol=1e-4)


@pytest.mark.parametrize("model_class", MODELS)
@pytest.mark.parametrize(("precision", "drift"), [("double", 1e-4), ("single", 1e-2)])
def test_rest_is_a_fixed_point(model_class, precision, drift):
    model = model_class(precision=precision, dt=0.05)
    theta = model.sample_prior(200, seed=5)
    silent = step_for(model, amplitude=0.0, onset=10.0, duration=190.0, total=200.0)
    v = voltage(model, theta, stimulus=silent)
    assert np.abs(v[:, 1] - v[:, 0]).max() < drift
    # V stays there for good, unless the fixed point is unstable: such a cell fires by itself
    moved = np.abs(v - v[:, :1]).max(axis=1)
    assert (moved < drift).mean() > 0.7
    assert np.all((moved < drift) | (moved > 10 * drift))


def test_rest_under_a_holding_current():
    model = HodgkinHuxley(precision="double")
    theta = passive_theta(model, g_leak=0.1)
    held = Stimulus.step(
        amplitude=0.0, onset=10, duration=90, total=100, holding=-0.5, unit="uA/cm2"
    )
    np.testing.assert_allclose(voltage(model, theta, stimulus=held), -75.0, atol=1e-4)
