"""Where a current that is no step begins and ends."""

import numpy as np
import pytest

from neurosbi.contract.waveform import waveform_window

DT = 0.05
T = np.arange(20_000) * DT  # ms


def ramp(onset=200.0, offset=700.0):
    return np.where((onset <= T) & (offset > T), 0.2 * (T - onset) + 20.0, -15.0)


def test_a_commanded_waveform_is_found_to_the_sample():
    assert waveform_window(ramp(), dt=DT) == pytest.approx((200.0, 700.0))


@pytest.mark.parametrize("noise", [0.2, 2.0, 5.0])
def test_a_measured_one_is_found_in_its_noise(noise):
    measured = ramp() + noise * np.random.default_rng(1).normal(size=len(T))
    assert waveform_window(measured, dt=DT) == pytest.approx((200.0, 700.0), abs=4.0)


def test_what_flows_from_the_start_has_no_rest_before_it():
    sine = 100 * np.sin(2 * np.pi * T / 200)
    noise = 2.0 * np.random.default_rng(2).normal(size=len(T))
    for current in (sine, sine + noise, ramp(onset=0.0), ramp(onset=5.0)):
        assert waveform_window(current, dt=DT)[0] < 20.0


def test_a_flat_current_has_no_window_of_its_own():
    assert waveform_window(np.full(1000, -20.0), dt=DT) == (0.0, 50.0)
