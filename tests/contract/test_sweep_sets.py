"""The family of sets of sweeps."""

from dataclasses import replace

import numpy as np
import pytest
from toys import FAMILY, LinearGaussian

from neurosbi.contract import StepFamily, Stimulus, SweepSets, family_from_dict
from neurosbi.errors import BadInputError

SETS = SweepSets(FAMILY, sizes=(1, 3, 2), hyperpolarising=0.3)


def test_rows_belong_to_sets_of_the_pattern():
    assert SETS.set_of(np.arange(14)).tolist() == [0, 1, 1, 1, 2, 2, 3, 4, 4, 4, 5, 5, 6, 7]
    assert SETS.first_row(np.arange(6)).tolist() == [0, 1, 4, 6, 7, 10]
    rows = np.arange(200)
    assert np.all(SETS.first_row(SETS.set_of(rows)) <= rows)


def test_parameters_are_shared_within_a_set_whatever_the_range():
    simulator = LinearGaussian()
    whole = simulator.sample_sets(SETS, 100, seed=3)
    sets = SETS.set_of(np.arange(100))
    for s in np.unique(sets):
        assert len(np.unique(whole[sets == s], axis=0)) == 1
    assert len(np.unique(whole, axis=0)) == len(np.unique(sets))
    np.testing.assert_array_equal(simulator.sample_sets(SETS, 37, seed=3, start=51), whole[51:88])
    assert simulator.sample_sets(SETS, 0, seed=3, start=5).shape == (0, 3)


def test_steps_are_drawn_as_stated():
    values = SETS.sample(40_000, seed=0).values
    negative = values[:, 3] < 0
    assert negative.mean() == pytest.approx(0.3, abs=0.01)
    low, high = FAMILY.amplitude
    # log-uniform magnitudes: the median is the geometric mean of the bounds
    assert np.median(values[~negative, 0]) == pytest.approx(np.sqrt(low * high), rel=0.03)
    assert values[negative, 0].max() <= 0.3 * high
    np.testing.assert_array_equal(SETS.sample(10, seed=0, start=500).values, values[500:510])


def test_a_step_and_its_columns_are_inverse():
    for amplitude in (-20.0, 35.0):
        stimulus = Stimulus.step(amplitude=amplitude, onset=60, duration=150)
        assert SETS.why_not(stimulus) is None
        again = SETS.stimulus(SETS.vector(stimulus))
        assert again.amplitude == pytest.approx(amplitude)
        assert (again.onset, again.duration) == (60, 150)


def test_what_does_not_belong_is_told():
    def step(amplitude):
        return Stimulus.step(amplitude=amplitude, onset=60, duration=150)

    assert "-30 to -10" in (SETS.why_not(step(-80.0)) or "")
    assert "outside" in (SETS.why_not(step(500.0)) or "")
    with pytest.raises(BadInputError, match="at least 1 sweep"):
        SweepSets(FAMILY, sizes=(2, 0))
    with pytest.raises(BadInputError, match="share"):
        SweepSets(FAMILY, hyperpolarising=1.0)
    with pytest.raises(BadInputError, match="raise negative_part"):
        SweepSets(FAMILY, negative_part=1e-3)


def test_negative_steps_have_the_holding_current_of_the_family():
    held = SweepSets(replace(FAMILY, holding=-50.0))
    step = Stimulus.step(amplitude=-20.0, onset=60, duration=150, holding=-50.0)
    assert held.why_not(step) is None
    assert "holding current is 50" in (held.why_not(replace(step, holding=50.0)) or "")


def test_plain_data_give_the_family_back():
    again = family_from_dict(SETS.to_dict())
    assert again == SETS
    assert isinstance(again.steps, StepFamily)
