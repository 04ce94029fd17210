import json

import numpy as np
import pytest
from scipy import stats

from neurosbi.contract import FixedStimulus, StepFamily, Stimulus, StimulusBatch, family_from_dict
from neurosbi.errors import BadInputError

STEP = Stimulus.step(amplitude=50.0, onset=10.0, duration=20.0, total=40.0, holding=-5.0)
FAMILY = StepFamily(
    unit="pA", amplitude=(10.0, 1000.0), onset=(50.0, 100.0), duration=(100.0, 200.0), holding=3.0
)


@pytest.mark.parametrize("dt", [0.01, 0.02, 0.1, 0.5, 1.0])
def test_a_sampled_step_has_its_charge(dt):
    current = STEP.sampled(dt)
    assert len(current) == round(40.0 / dt)
    t = (np.arange(len(current)) + 0.5) * dt
    np.testing.assert_allclose(current, np.where((t > 10) & (t < 30), 45.0, -5.0))
    assert current.sum() * dt == pytest.approx(50.0 * 20.0 - 5.0 * 40.0)


@pytest.mark.parametrize("factor", [1, 2, 5])
def test_a_waveform_is_held_between_its_samples(factor):
    samples = np.array([0.0, 0.0, 3.0, -1.0, 2.0, 0.0])
    wave = Stimulus.waveform(samples, dt=0.1)
    np.testing.assert_array_equal(wave.sampled(0.1 / factor), np.repeat(samples, factor))
    assert (wave.onset, wave.offset, wave.total) == pytest.approx((0.2, 0.5, 0.6))
    assert not wave.is_step


def test_a_coarser_grid_takes_the_sample_in_the_middle_of_a_step():
    wave = Stimulus.waveform(np.arange(9.0), dt=0.1)
    np.testing.assert_array_equal(wave.sampled(0.3), [1.0, 4.0, 7.0])


def test_a_constant_waveform_is_a_stimulus_all_along():
    wave = Stimulus.waveform(np.full(10, 2.0), dt=0.5)
    assert (wave.onset, wave.offset) == (0.0, 5.0)


@pytest.mark.parametrize("stimulus", [STEP, Stimulus.waveform(np.array([0.0, 1.5, 0.1]), dt=0.02)])
def test_stimuli_survive_json(stimulus):
    again = Stimulus.from_dict(json.loads(json.dumps(stimulus.to_dict())))
    assert again.to_dict() == stimulus.to_dict()
    np.testing.assert_array_equal(again.sampled(0.01), stimulus.sampled(0.01))


@pytest.mark.parametrize("stimulus", [STEP, Stimulus.waveform(np.array([0.0, 1.5, 0.1]), dt=0.02)])
def test_scaling_scales_the_whole_current(stimulus):
    scaled = stimulus.scaled(0.5, "uA/cm2")
    assert scaled.unit == "uA/cm2"
    np.testing.assert_allclose(scaled.sampled(0.02), 0.5 * stimulus.sampled(0.02))


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"unit": "nA"}, "unit 'nA' is unknown: use one of pA, uA/cm2"),
        ({"amplitude": np.nan}, "finite amplitude"),
        ({"onset": -1.0}, "0 <= onset < offset <= total"),
        ({"duration": 0.0}, "0 <= onset < offset <= total"),
        ({"total": 20.0}, "0 <= onset < offset <= total"),
    ],
)
def test_impossible_steps(keywords, words):
    values = {"amplitude": 1.0, "onset": 5.0, "duration": 20.0} | keywords
    with pytest.raises(BadInputError, match=words):
        Stimulus.step(**values)


@pytest.mark.parametrize(
    ("current", "dt", "words"),
    [
        ([], 0.1, "one row of currents"),
        ([[1.0, 2.0]], 0.1, "one row of currents"),
        ([1.0, np.nan], 0.1, "finite currents"),
        ([1.0, 2.0], 0.0, "onset"),
    ],
)
def test_impossible_waveforms(current, dt, words):
    with pytest.raises(BadInputError, match=words):
        Stimulus.waveform(np.array(current), dt=dt)


def test_a_family_samples_log_uniform_amplitudes_and_uniform_times():
    batch = FAMILY.sample(20_000, seed=1)
    amplitude, onset, duration = batch.values.T
    log_range = (np.log(10), np.log(1000) - np.log(10))
    assert stats.kstest(np.log(amplitude), "uniform", args=log_range).pvalue > 1e-4
    assert stats.kstest(onset, "uniform", args=(50, 50)).pvalue > 1e-4
    assert stats.kstest(duration, "uniform", args=(100, 100)).pvalue > 1e-4


def test_family_samples_do_not_depend_on_the_batch():
    whole = FAMILY.sample(50, seed=1).values
    np.testing.assert_array_equal(FAMILY.sample(20, seed=1, start=30).values, whole[30:])
    assert not np.array_equal(FAMILY.sample(50, seed=2).values, whole)


def test_every_sample_of_a_family_belongs_to_it_and_comes_back():
    for row in FAMILY.sample(100, seed=0).values:
        stimulus = FAMILY.stimulus(row)
        assert FAMILY.why_not(stimulus) is None
        np.testing.assert_allclose(FAMILY.vector(stimulus), row, rtol=1e-12)
        assert stimulus.holding == 3.0


@pytest.mark.parametrize(
    ("stimulus", "words"),
    [
        (Stimulus.waveform(np.arange(3.0), dt=1.0), "waveform"),
        (Stimulus.step(amplitude=50, onset=60, duration=150, unit="uA/cm2", holding=3), "unit"),
        (Stimulus.step(amplitude=50, onset=60, duration=150), "holding current is 0 pA"),
        (Stimulus.step(amplitude=5, onset=60, duration=150, holding=3), "amplitude of 5 pA lies"),
        (Stimulus.step(amplitude=50, onset=60, duration=201, holding=3), "duration of 201 ms lies"),
    ],
)
def test_why_a_stimulus_is_not_of_the_family(stimulus, words):
    assert words in FAMILY.why_not(stimulus)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"unit": "nA"}, "unit"),
        ({"amplitude": (0.0, 10.0)}, "log scale needs a positive lower bound"),
        ({"onset": (-1.0, 10.0)}, "onsets >= 0"),
        ({"duration": (0.0, 10.0)}, "durations > 0"),
        ({"duration": (20.0, 10.0)}, "duration: the lower bound"),
    ],
)
def test_impossible_families_are_refused_at_once(change, words):
    values = {"unit": "pA", "amplitude": (1, 2), "onset": (1, 2), "duration": (1, 2)}
    with pytest.raises(BadInputError, match=words):
        StepFamily(**(values | change))


@pytest.mark.parametrize("family", [FAMILY, FixedStimulus(STEP)])
def test_families_survive_json(family):
    again = family_from_dict(json.loads(json.dumps(family.to_dict())))
    assert type(again) is type(family)
    assert again.to_dict() == family.to_dict()


def test_a_fixed_stimulus_is_a_family_of_one():
    family = FixedStimulus(STEP)
    batch = family.sample(7, seed=0)
    assert batch.values.shape == (7, 0)
    assert family.stimulus(batch.values[0]) is STEP
    assert family.why_not(STEP) is None
    assert family.why_not(STEP.scaled(2.0, "pA")) == "it is another stimulus"
    assert family.unit == "pA"
    rest = FixedStimulus(Stimulus.spontaneous(total=1000.0))
    assert rest.why_not(Stimulus.spontaneous(total=800.0)) == "they last 800 ms, not 1000 ms"
    assert rest.why_not(STEP) == "it is another stimulus"


def test_batches_can_be_sliced():
    batch = FAMILY.sample(10, seed=0)
    part = batch[3:6]
    assert isinstance(part, StimulusBatch)
    assert len(part) == 3
    np.testing.assert_array_equal(part.values, batch.values[3:6])
