"""NEURON's variable-step solver on independently written channels as the reference.

Our scheme is of second order, so two step sizes give an extrapolated trace free of the leading
error; it is compared with CVODE at a tolerance of 1e-10. The activation of the T-type calcium
current follows V without delay, half a step early in a staggered scheme: of first order, so there
the tolerance is wider.
"""

import neuron_oracle
import numpy as np
import pytest
from hodgkin_cases import default_theta, voltage
from neurosbi_simulators.hodgkin_huxley import CorticalHodgkinHuxley, HodgkinHuxley

from neurosbi.contract import Stimulus

pytest.importorskip("neuron", reason="NEURON is not installed")
FINE = 0.0025  # ms
TOTAL, ONSET, DURATION = 120.0, 10.0, 100.0


@pytest.fixture(scope="session")
def interpreter():
    return neuron_oracle.load_mechanisms()


def extrapolated(model_class, theta, stimulus, *, start, settings):
    """(4 V(dt/2) - V(dt)) / 3 on the grid of the coarser step."""
    coarse, fine = (
        voltage(
            model_class(dt=dt, precision="double", initial_voltage=start, **settings),
            theta,
            stimulus=stimulus,
            stride=round(2 * FINE / dt),
        )[0]
        for dt in (2 * FINE, FINE)
    )
    return (4 * fine - coarse) / 3


def spike_times(v, dt):
    """Interpolated upward crossings of -10 mV in ms."""
    k = np.flatnonzero((v[:-1] <= -10) & (v[1:] > -10))
    return (k + (-10 - v[k]) / (v[k + 1] - v[k])) * dt


def compare(ours, theirs, *, spikes, time_tolerance, v_tolerance):
    """Spike times to ``time_tolerance`` ms; V to ``v_tolerance`` mV wherever it changes slowly."""
    t_ours, t_theirs = spike_times(ours, 2 * FINE), spike_times(theirs, 2 * FINE)
    assert len(t_theirs) == len(t_ours) >= spikes
    np.testing.assert_allclose(t_ours, t_theirs, atol=time_tolerance)
    slow = np.abs(np.gradient(theirs, 2 * FINE)) < 5.0
    assert slow.mean() > 0.5
    assert np.abs(ours - theirs)[slow].max() < v_tolerance


POSPISCHIL = {
    "default": ({}, {}),
    "strong M current": ({"g_M": 0.5, "tau_max": 200.0}, {}),
    "low threshold": ({"minus_V_T": 70.0, "g_Na": 30.0, "minus_E_leak": 80.0}, {}),
    "high-threshold calcium": ({"g_M": 0.03}, {"g_CaL": 0.1}),
    "low-threshold calcium": ({"minus_E_leak": 85.0, "g_leak": 0.05}, {"g_CaT": 0.4}),
    "both calcium currents": ({"g_K": 8.0}, {"g_CaL": 0.05, "g_CaT": 0.2}),
}


@pytest.mark.parametrize("case", POSPISCHIL)
def test_pospischil_neuron(interpreter, case):
    changes, settings = POSPISCHIL[case]
    theta = default_theta(HodgkinHuxley, sigma=0.0, **changes)
    p = dict(zip([q.name for q in HodgkinHuxley.parameters], theta[0], strict=True))
    stimulus = Stimulus.step(
        amplitude=3.0, onset=ONSET, duration=DURATION, total=TOTAL, unit="uA/cm2"
    )
    mechanisms = {
        "pas": {"g": p["g_leak"] * 1e-3, "e": -p["minus_E_leak"]},
        "pos_na": {"gbar": p["g_Na"] * 1e-3, "VT": -p["minus_V_T"]},
        "pos_kd": {"gbar": p["g_K"] * 1e-3, "VT": -p["minus_V_T"]},
        "pos_m": {"gbar": p["g_M"] * 1e-3, "taumax": p["tau_max"]},
        "pos_cal": {"gbar": settings.get("g_CaL", 0.0) * 1e-3},
        "pos_cat": {"gbar": settings.get("g_CaT", 0.0) * 1e-3},
    }
    theirs = neuron_oracle.voltage(
        interpreter,
        mechanisms,
        capacitance=1.0,
        current=3.0,
        onset=ONSET,
        duration=DURATION,
        total=TOTAL,
        initial=-70.0,
        dt=2 * FINE,
    )
    ours = extrapolated(HodgkinHuxley, theta, stimulus, start=-70.0, settings=settings)
    first_order = "g_CaT" in settings
    compare(ours, theirs, spikes=1, time_tolerance=5e-3 if first_order else 1e-3, v_tolerance=2e-2)


CORTICAL = {
    "default": ({}, 150.0),
    "Hay sodium alone": ({"g_Na": 0.0, "g_Nat": 120.0, "g_Kv31": 60.0}, 300.0),
    "Pospischil sodium alone": ({"g_Nat": 0.0, "g_Kv31": 0.0, "g_M": 0.4}, 200.0),
    "much calcium, slow gates": ({"g_L": 0.5, "r_SS": 0.6, "g_Kd": 10.0}, 200.0),
}


@pytest.mark.parametrize("case", CORTICAL)
@pytest.mark.parametrize("temperature", [25.0, 34.0])
def test_cortical_neuron(interpreter, case, temperature):
    changes, current = CORTICAL[case]
    theta = default_theta(CorticalHodgkinHuxley, **changes)
    p = dict(zip([q.name for q in CorticalHodgkinHuxley.parameters], theta[0], strict=True))
    stimulus = Stimulus.step(amplitude=current, onset=ONSET, duration=DURATION, total=TOTAL)
    area = p["tau"] / p["R_in"] / p["C_m"] * 1e-3  # cm2, from ms, MOhm and uF/cm2
    hay = 2.3 ** ((temperature - 21) / 10)
    pospischil = 2.3 ** ((temperature - 36) / 10)
    e_na, e_k, e_ca = 69.0, -98.4, 127.2
    shifted = {"VT": p["V_T"], "speed": pospischil / p["r_SS"]}
    mechanisms = {
        "pas": {"g": 1e-6 / p["R_in"] / area, "e": p["E_leak"]},
        "pos_na": {"gbar": p["g_Na"] * 1e-3, "e": e_na, **shifted},
        "pos_kd": {"gbar": p["g_Kd"] * 1e-3, "e": e_k, **shifted},
        "pos_m": {"gbar": p["g_M"] * 1e-3, "e": e_k, "taumax": p["tau_max"], "speed": pospischil},
        "pos_cal": {"gbar": p["g_L"] * 1e-3, "e": e_ca},
        "hay_nat": {"gbar": p["g_Nat"] * 1e-3, "e": e_na, "speed": hay},
        "hay_kv31": {"gbar": p["g_Kv31"] * 1e-3, "e": e_k, "speed": hay},
    }
    theirs = neuron_oracle.voltage(
        interpreter,
        mechanisms,
        capacitance=p["C_m"],
        current=current * 1e-6 / area,
        onset=ONSET,
        duration=DURATION,
        total=TOTAL,
        initial=-75.0,
        dt=2 * FINE,
    )
    ours = extrapolated(
        CorticalHodgkinHuxley, theta, stimulus, start=-75.0, settings={"temperature": temperature}
    )
    compare(ours, theirs, spikes=1, time_tolerance=1e-3, v_tolerance=5e-2)
