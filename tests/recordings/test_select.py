from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recording_files import LANTYER, TWO_STEPS, passive_voltage, step_current, with_spikes

from neurosbi.errors import BadInputError
from neurosbi.recordings import (
    default_sweep,
    demo_recording,
    format_sweeps,
    parse_sweeps,
    read_recording,
    select_sweeps,
    why_no_fit,
)
from neurosbi.recordings.assemble import RawSweep, assemble


def steps(spec, *, clamp="current"):
    """A recording from (amplitude, number of spikes) per sweep."""
    raw = []
    for n, (amplitude, spikes) in enumerate(spec):
        current = step_current(amplitude)
        v = with_spikes(passive_voltage(current, seed=n), np.linspace(110, 290, spikes))
        raw.append(RawSweep(n, v, current, 20000.0, clamp=clamp))
    return assemble(Path("x.nwb"), raw, format="", junction_potential=0.0, metadata={})


def test_parse():
    assert parse_sweeps("12,14-18") == (12, 14, 15, 16, 17, 18)
    assert parse_sweeps(" 3 , 1 - 2,2") == (1, 2, 3)


@given(st.sets(st.integers(0, 300), min_size=1))
def test_parse_inverts_format(numbers):
    assert parse_sweeps(format_sweeps(numbers)) == tuple(sorted(numbers))


@pytest.mark.parametrize("text", ["", " "])
def test_no_sweep_is_named(text):
    with pytest.raises(BadInputError, match="no sweeps are named"):
        parse_sweeps(text)


@pytest.mark.parametrize("text", ["a", "1,,2", "3-1", "-3", "1.5", "1-2-3", "0-999999999"])
def test_parse_refuses(text):
    with pytest.raises(BadInputError):
        parse_sweeps(text)


def test_select():
    recording = read_recording(LANTYER)
    assert [s.number for s in select_sweeps(recording, "3,1")] == [1, 3]
    assert [s.number for s in select_sweeps(recording, [4])] == [4]
    assert len(select_sweeps(recording)) == 10
    with pytest.raises(BadInputError, match="has no sweep 0,11; it has 1-10"):
        select_sweeps(recording, "0-11")
    with pytest.raises(BadInputError, match="no sweep was chosen"):
        select_sweeps(recording, [])


@pytest.mark.parametrize(
    ("spec", "number"),
    [
        ([(-50, 0), (40, 1), (50, 4), (60, 6), (80, 9), (100, 12)], 3),  # rheobase 40: from 60 on
        ([(100, 12), (80, 9), (60, 6), (40, 1)], 2),
        ([(40, 1), (60, 2), (80, 3), (100, 4)], 3),  # never 5 spikes: the most
        ([(100, 7)], 0),
        ([(40, 6), (41, 6)], 0),  # nothing above 1.5 x rheobase
        ([(40, 2), (60, 8), (60, 9)], 1),
    ],
)
def test_default_sweep(spec, number):
    assert default_sweep(steps(spec)).number == number


def test_default_sweep_of_real_files():
    assert default_sweep(read_recording(demo_recording())).number == 12  # 120 = 1.5 x 80 pA
    assert default_sweep(read_recording(TWO_STEPS)).test_step.amplitude == 150  # 5 spikes


@pytest.mark.parametrize(
    ("recording", "words"),
    [
        (steps([(50, 0), (150, 0)]), "does not spike in any sweep up to 150 pA"),
        (steps([(-50, 0), (-150, 0)]), "no depolarising step"),
        (steps([(50, 3)], clamp="voltage"), "its only sweep is voltage clamp"),
        (steps([(50, 3)] * 2, clamp="voltage"), "all 2 sweeps are voltage clamp"),
        (steps([(0, 3), (0, 0)]), "2 of 2 sweeps: no stimulus: the current is flat"),
    ],
)
def test_why_no_fit(recording, words):
    assert words in why_no_fit(recording)
    with pytest.raises(BadInputError, match=words):
        default_sweep(recording)


def test_a_waveform_can_be_fitted():
    t = np.arange(20000) * 0.05
    current = np.where(t < 50, 0.0, 100 * np.sin(2 * np.pi * t / 200))
    v = with_spikes(passive_voltage(current), [150, 350, 550])
    raw = RawSweep(4, v, current, 20000.0)
    recording = assemble(Path("x"), [raw], format="", junction_potential=0.0, metadata={})
    assert why_no_fit(recording) is None
    sweep = default_sweep(recording)
    assert (sweep.test_step, sweep.spikes, sweep.problem) == (None, 3, None)


@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_a_waveform_without_any_rest_before_it_is_told(noise):
    t = np.arange(20000) * 0.05
    measured = noise * np.random.default_rng(0).normal(size=len(t))
    for rest, told in ((0.0, True), (50.0, False)):
        current = np.where(t < rest, 0.0, 100 * np.sin(2 * np.pi * t / 200)) + measured
        raw = RawSweep(4, with_spikes(passive_voltage(current), [350]), current, 20000.0)
        recording = assemble(Path("x"), [raw], format="", junction_potential=0.0, metadata={})
        assert ("flows from the start" in (why_no_fit(recording) or "")) == told
