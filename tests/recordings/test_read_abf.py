import numpy as np
import pyabf
import pytest
from pyabf.abfWriter import writeABF1
from recording_files import FAST_SPIKING, TWO_STEPS, passive_voltage, step_current

from neurosbi.errors import BadInputError
from neurosbi.recordings import demo_recording, read_recording, why_no_fit


def test_demo_has_a_fixed_pulse_and_a_test_step():
    recording = read_recording(demo_recording())
    assert len(recording.sweeps) == 30
    assert recording.sweeps[0].test_step is None  # the step of 0 pA
    for n, sweep in enumerate(recording.sweeps[1:], start=1):
        assert [(s.onset, s.offset) for s in sweep.steps] == [(23.4, 323.4), (823.4, 1323.4)]
        assert sweep.steps[0].amplitude == -100
        assert sweep.test_step == sweep.steps[1]
        assert sweep.test_step.amplitude == 10 * n
        assert sweep.problem is None
    spikes = [s.spikes for s in recording.sweeps]
    assert spikes[:9] == [0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert spikes[29] == 9


def test_a_recording_and_its_sweeps_are_shown_in_a_line_each():
    recording = read_recording(demo_recording())
    assert repr(recording) == "Recording(18713001.abf: ABF, 30 sweeps of 1500 ms, mV and pA)"
    assert repr(recording.sweep(29)) == (
        "Sweep(29: current clamp, 1500 ms every 0.05 ms, mV and pA; step of 290 pA, 9 spikes)"
    )
    assert repr(recording.sweep(0)).endswith(" mV and pA; 0 spikes)")


@pytest.mark.parametrize("path", [TWO_STEPS, FAST_SPIKING])
def test_first_of_two_varying_steps(path):
    recording = read_recording(path)
    for n, sweep in enumerate(recording.sweeps):
        if n == 4:
            assert sweep.test_step is None  # 0 pA
            continue
        assert (sweep.test_step.onset, sweep.test_step.offset) == (146.85, 646.85)
        assert sweep.test_step.amplitude == -100 + 25 * n


def test_samples_are_those_of_pyabf():
    abf = pyabf.ABF(str(TWO_STEPS))
    sweep = read_recording(TWO_STEPS).sweep(9)
    abf.setSweep(9)
    np.testing.assert_array_equal(sweep.voltage, abf.sweepY.astype(float))
    np.testing.assert_array_equal(sweep.current, abf.sweepC)
    assert sweep.dt == 0.05


def write(path, unit, scale=1.0):
    v = np.stack([passive_voltage(step_current(a), seed=a) for a in (20, 40)])
    writeABF1(v * scale, str(path), 20000, units=unit)
    return v


@pytest.mark.parametrize(("unit", "scale"), [("mV", 1.0), ("V", 1e-3)])
def test_units_of_the_voltage(tmp_path, unit, scale):
    v = write(tmp_path / "a.abf", unit, scale)
    recording = read_recording(tmp_path / "a.abf")
    for sweep, mv in zip(recording.sweeps, v, strict=True):
        np.testing.assert_allclose(sweep.voltage, mv, atol=0.05)
        assert "no stimulus" in sweep.problem
        assert repr(sweep).endswith(f"mV and pA; {sweep.problem})")
    assert "no sweep can be used" in why_no_fit(recording)


def test_current_only_is_voltage_clamp(tmp_path):
    write(tmp_path / "a.abf", "pA")
    recording = read_recording(tmp_path / "a.abf")
    assert {s.clamp for s in recording.sweeps} == {"voltage"}
    assert "all 2 sweeps are voltage clamp" in why_no_fit(recording)


class TwoChannels:
    """The part of a pyABF object that the reader sees: recorded current, then voltage."""

    sweepList = (0, 1)
    sweepCount = 2
    channelCount = 2
    dataRate = 20000
    protocol = ""

    def __init__(self, adc, dac, command):
        self.adcUnits, self.dacUnits = adc, dac
        self.traces = {
            "mV": passive_voltage(step_current(40)),
            "V": passive_voltage(step_current(40)) * 1e-3,
            "nA": step_current(40) * 1e-3,
            "pA": step_current(40),
        }
        self.command = command

    def setSweep(self, number, channel=0):
        self.sweepY = self.traces[self.adcUnits[channel]]
        self.sweepC = self.command[channel]


@pytest.mark.parametrize(
    ("adc", "dac", "command"),
    [
        (["V", "nA"], ["nA", "mV"], [step_current(0.04), np.zeros(8000)]),
        (["pA", "mV"], ["pA", "pA"], [np.zeros(8000), step_current(40)]),
        (["mV", "nA"], ["pA", "mV"], [np.zeros(8000), np.zeros(8000)]),  # recorded current
    ],
)
def test_channels_and_units(adc, dac, command):
    from pathlib import Path

    from neurosbi.recordings.abf import _read_sweeps

    for raw in _read_sweeps(TwoChannels(adc, dac, command), Path("x.abf")):
        assert raw.clamp == "current"
        np.testing.assert_allclose(raw.voltage, passive_voltage(step_current(40)), atol=1e-9)
        np.testing.assert_allclose(raw.current, step_current(40), atol=1e-9)


def test_lost_waveform_file():
    from pathlib import Path

    from neurosbi.recordings.abf import _read_sweeps

    abf = TwoChannels(["mV", "mV"], ["pA", "mV"], [np.full(8000, np.nan)] * 2)
    raw = _read_sweeps(abf, Path("x.abf"))[0]
    assert raw.current is None
    assert "waveform file" in raw.missing


@pytest.mark.parametrize("keep", [300, 3000, 20_000, 900_000])
def test_truncated(tmp_path, keep):
    whole = demo_recording().read_bytes()
    (tmp_path / "cut.abf").write_bytes(whole[:keep])
    with pytest.raises(BadInputError, match="damaged or unfinished ABF"):
        read_recording(tmp_path / "cut.abf")
