import dataclasses
from pathlib import Path

import numpy as np
import pytest
from recording_files import (
    DATA,
    FAST_SPIKING,
    LANTYER,
    TWO_STEPS,
    passive_voltage,
    step_current,
    with_spikes,
)

from neurosbi.recordings import demo_recording, estimate_passive, read_recording, rheobase
from neurosbi.recordings.assemble import RawSweep, assemble


def recorded(sweeps, *, rate=20000.0, **metadata):
    raw = [RawSweep(n, v, i, rate) for n, (v, i) in enumerate(sweeps)]
    return assemble(Path("x.nwb"), raw, format="", junction_potential=0.0, metadata=metadata)


@pytest.mark.parametrize(
    ("resistance", "tau", "rest"), [(50, 8, -78), (150, 15, -70), (300, 30, -62), (600, 45, -66)]
)
@pytest.mark.parametrize("amplitudes", [(-40, -20, 20), (10, 15), (-30,)])
def test_known_membrane(resistance, tau, rest, amplitudes):
    sweeps = []
    for n, amplitude in enumerate(amplitudes):
        scaled = amplitude * 150 / resistance
        current = step_current(scaled, total=900, offset=600, holding=5.0)
        v = passive_voltage(current, resistance=resistance, tau=tau, rest=rest, seed=n, noise=0.15)
        sweeps.append((v, current))
    passive = estimate_passive(recorded(sweeps))
    assert passive.input_resistance == pytest.approx(resistance, rel=0.1)
    assert passive.tau == pytest.approx(tau, rel=0.25)
    assert passive.v_rest == pytest.approx(rest + 5e-3 * resistance, abs=1.0)
    assert passive.capacitance == pytest.approx(1e3 * passive.tau / passive.input_resistance)
    assert passive.area == pytest.approx(passive.capacitance * 1e-6)
    down = [n for n, a in enumerate(amplitudes) if a < 0]
    assert passive.sweeps == tuple(down or range(len(amplitudes)))
    assert passive.rheobase is None


def test_repeats_are_averaged():
    current = step_current(-20, total=900, offset=600)
    noisy = [
        (passive_voltage(current, resistance=200, tau=20, noise=2.0, seed=n), current)
        for n in range(20)
    ]
    passive = estimate_passive(recorded(noisy))
    assert passive.input_resistance == pytest.approx(200, rel=0.04)
    assert passive.tau == pytest.approx(20, rel=0.1)
    assert len(passive.sweeps) == 20


def test_sag_does_not_bias_tau():
    current = step_current(-50, total=900, offset=600)
    v = passive_voltage(current, resistance=200, tau=15)
    t = np.arange(len(v)) * 0.05
    during = (t >= 100) & (t < 600)
    v[during] += 4 * (1 - np.exp(-np.clip(t[during] - 150, 0, None) / 80))
    passive = estimate_passive(recorded([(v, current)]))
    assert passive.input_resistance == pytest.approx(200, rel=0.08)
    assert passive.tau == pytest.approx(15, rel=0.2)


def test_nothing_to_trust():
    current = step_current(100)
    spiking = with_spikes(passive_voltage(current), [120, 160, 220])
    assert estimate_passive(recorded([(spiking, current)])) is None
    rng = np.random.default_rng(0)
    walk = np.clip(np.cumsum(rng.normal(0, 0.3, 8000)), -10, 10) - 70
    assert estimate_passive(recorded([(walk, step_current(-10))])) is None
    tiny = passive_voltage(step_current(-2.5), resistance=100)
    assert estimate_passive(recorded([(tiny, step_current(-2.5))])) is None
    brief = step_current(-50, offset=110)
    assert estimate_passive(recorded([(passive_voltage(brief), brief)])) is None


def test_database_fills_in():
    current = step_current(100)
    spiking = with_spikes(passive_voltage(current), [120, 160, 220])
    values = {
        "input_resistance_MOhm": 200.0,
        "tau_ms": 20.0,
        "v_rest_mV": -71.0,
        "rheobase_pA": 50.0,
    }
    recording = recorded([(spiking, current)], database=values)
    passive = estimate_passive(recording)
    assert passive.source == "the Allen database"
    assert passive.capacitance == pytest.approx(100)
    assert passive.area == pytest.approx(1e-4)
    assert passive.v_rest == pytest.approx(-70, abs=0.1)
    assert passive.rheobase == 50
    values |= {"rheobase_pA": 500.0}
    assert rheobase(dataclasses.replace(recording, metadata={"database": values})) == 100


def test_real_cells():
    """Against the plateau of the response, read off without a fit."""
    for path, amplitude, window, expected_rheobase in (
        (demo_recording(), -100, (100, 130), 80),
        (TWO_STEPS, -50, (100, 180), 50),
        (LANTYER, 40.28, (50, 130), 161),
    ):
        recording = read_recording(path)
        passive = estimate_passive(recording)
        deflections = []
        for sweep in recording.sweeps:
            for step in sweep.steps:
                if abs(step.amplitude - amplitude) < 1 and step.onset < 200:
                    v, dt, on = sweep.voltage, sweep.dt, step.onset
                    end = v[round((on + window[0]) / dt) : round((on + window[1]) / dt)]
                    deflections.append(
                        np.mean(end) - np.mean(v[round((on - 20) / dt) : round(on / dt)])
                    )
        direct = 1e3 * np.mean(deflections) / amplitude
        assert passive.input_resistance == pytest.approx(direct, rel=0.1)
        assert passive.rheobase == pytest.approx(expected_rheobase, abs=0.5)
        assert 5 < passive.tau < 50
    # fires without a stimulus, and 25 pA move it by 28 mV: no passive regime
    assert estimate_passive(read_recording(FAST_SPIKING)) is None


def test_the_table_of_the_database_is_found_from_within_the_folder(monkeypatch):
    monkeypatch.chdir(DATA / "allen_cell_types" / "specimen_509881736")
    inside = estimate_passive(read_recording("ephys.nwb"))
    assert inside is not None
    assert inside.input_resistance == pytest.approx(183.9, abs=0.1)
