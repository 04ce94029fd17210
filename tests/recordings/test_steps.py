import numpy as np
import pytest
from recording_files import step_current

from neurosbi.contract import CurrentStep
from neurosbi.recordings import choose_test_steps, find_steps

RNG = np.random.default_rng


@pytest.mark.parametrize("dt", [0.005, 0.02, 0.05, 0.1])
@pytest.mark.parametrize(("amplitude", "holding"), [(170, 0), (-20, 0), (50, -75), (-110, 30)])
def test_command_step_is_exact(amplitude, holding, dt):
    (step,) = find_steps(step_current(amplitude, dt=dt, holding=holding), dt=dt)
    assert step == CurrentStep(100.0, 300.0, amplitude, holding)


@pytest.mark.parametrize("noise", [0.05, 2.0, 5.0])
@pytest.mark.parametrize("dt", [0.02, 0.05])
def test_recorded_step_with_noise(noise, dt):
    clean = step_current(40, dt=dt, holding=-12)
    (step,) = find_steps(clean + noise * RNG(1).standard_normal(len(clean)), dt=dt)
    assert step.onset == pytest.approx(100, abs=0.3)
    assert step.offset == pytest.approx(300, abs=0.3)
    assert step.amplitude == pytest.approx(40, abs=max(0.2, 0.3 * noise))
    assert step.holding == pytest.approx(-12, abs=max(0.2, 0.3 * noise))


def test_filtered_edges_and_hum():
    dt = 0.05
    current = step_current(200, dt=dt)
    current = np.convolve(current, np.ones(4) / 4, mode="same")
    current += 1.0 * np.sin(2 * np.pi * 50e-3 * np.arange(len(current)) * dt)
    (step,) = find_steps(current, dt=dt)
    assert step.onset == pytest.approx(100, abs=0.15)
    assert step.amplitude == pytest.approx(200, abs=2)


def test_several_steps_with_and_without_a_gap():
    dt = 0.05
    current = np.zeros(20000)
    current[1000:3000], current[6000:8000], current[8000:12000] = 5.0, -100, 75
    found = [(s.onset, s.offset, s.amplitude) for s in find_steps(current, dt=dt)]
    assert found == [(50, 150, 5), (300, 400, -100), (400, 600, 75)]


def test_test_pulse_and_long_square():
    dt = 0.02
    current = np.zeros(110000)
    current[1000:1150], current[51000:101000] = -40, 90  # 3 ms
    found = [(s.onset, s.duration) for s in find_steps(current, dt=dt)]
    assert found == [(20, pytest.approx(3)), (1020, 1000)]


def test_glitches_are_no_steps():
    current = step_current(60)
    current[[500, 3000, 7000]] = [4000, -3000, 900]
    assert find_steps(current, dt=0.05) == (CurrentStep(100.0, 300.0, 60.0, 0.0),)


def ramp(slope):
    t = np.arange(40000) * 0.05
    return slope * 1e-3 * np.clip(t - 200, 0, 1500) * (t < 1700)


def coloured_noise(tau, sd, seed=3):
    from scipy.signal import lfilter

    a = np.exp(-0.05 / tau)
    white = RNG(seed).standard_normal(40000)
    return lfilter([np.sqrt(1 - a**2)], [1, -a], white) * sd


@pytest.mark.parametrize(
    "current",
    [
        np.zeros(8000),
        0.3 * RNG(0).standard_normal(8000),
        ramp(25),
        ramp(200),
        ramp(1000),
        coloured_noise(3.0, 50),
        coloured_noise(20.0, 50),
        np.repeat(RNG(5).normal(0, 80, 2000), 20),  # held for 1 ms
        100 * np.sin(2 * np.pi * 5e-3 * np.arange(40000) * 0.05),
        50 + 50 * np.sin(2 * np.pi * (np.arange(40000) * 0.05 / 300) ** 2),
    ],
    ids=["zero", "noise floor", "ramp", "steeper ramp", "steep ramp", "OU 3 ms", "OU 20 ms",
         "held noise", "sine", "chirp"],
)  # fmt: skip
def test_other_waveforms_are_no_steps(current):
    assert find_steps(current, dt=0.05) == ()


def test_step_before_a_ramp_is_found():
    current = ramp(100)
    current[1000:2000] = 80
    assert [(s.onset, s.offset) for s in find_steps(current, dt=0.05)] == [(50, 100)]


def test_noise_on_top_of_a_step_is_a_waveform():
    current = step_current(100, total=2000, onset=200, offset=1800) + coloured_noise(3.0, 60)
    assert find_steps(current, dt=0.05) == ()


def test_sweep_that_starts_within_a_step():
    current = np.zeros(10000)
    current[:1000], current[4000:6000] = 300, 50
    assert [(s.onset, s.amplitude, s.holding) for s in find_steps(current, dt=0.05)] == [
        (200, 50, 0)
    ]


def test_nan_and_short_traces():
    current = step_current(100)
    current[10] = np.nan
    assert find_steps(current, dt=0.05) == ()
    assert find_steps(np.zeros(3), dt=0.05) == ()


def S(onset, offset, amplitude):
    return CurrentStep(float(onset), float(offset), float(amplitude))


def test_the_varying_step_is_the_test_step():
    fixed = S(20, 320, -100)
    sweeps = [(fixed,), *[(fixed, S(820, 1320, 10 * i)) for i in range(1, 6)]]
    assert choose_test_steps(sweeps) == (None, *[s[1] for s in sweeps[1:]])


def test_first_of_two_varying_steps():
    sweeps = [(S(100, 600, a), S(1100, 1600, -100), S(1600, 2100, a)) for a in (-50, 50, 100)]
    assert [s.onset for s in choose_test_steps(sweeps)] == [100] * 3
    assert choose_test_steps(sweeps[::-1]) == choose_test_steps(sweeps)[::-1]


def test_single_sweeps_and_repeats():
    assert choose_test_steps([(S(10, 20, -50), S(100, 600, 80))])[0] == S(100, 600, 80)
    assert choose_test_steps([(S(10, 20, -50),)]) == (None,)
    assert choose_test_steps([(S(0, 300, -100), S(400, 600, 90))]) == (S(400, 600, 90),)
    assert choose_test_steps([(S(10, 310, -100),)]) == (S(10, 310, -100),)
    assert choose_test_steps([(S(1, 101, 50), S(200, 300, 60))] * 4) == (S(200, 300, 60),) * 4
    assert choose_test_steps([()]) == (None,)


def test_mixed_protocols():
    pulse = S(10, 20, -20)
    long_square = [(pulse, S(1020, 2020, a)) for a in (-50, 30, 90)]
    short_square = [(pulse, S(1020, 1023, a)) for a in (500, 900)]
    repeats = [(pulse, S(1020, 3020, 150))] * 2
    chosen = choose_test_steps([*long_square, *short_square, *repeats, (pulse,)])
    assert chosen == (
        *[s[1] for s in long_square], None, None, S(1020, 3020, 150), S(1020, 3020, 150), None
    )  # fmt: skip
