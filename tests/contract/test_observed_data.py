"""Spontaneous activity, spike trains and tables of features as data to fit."""

import json
from pathlib import Path

import numpy as np
import pytest
from toys import LinearGaussian

from neurosbi.contract import (
    FeatureTable,
    SpikeTrains,
    SpontaneousFamily,
    Stimulus,
    family_from_dict,
)
from neurosbi.errors import BadInputError


def trains(times, *, stop=100.0, populations=None, stop_known=True):
    n = len(times)
    return SpikeTrains(
        path=Path("toy.csv"),
        times=tuple(np.asarray(t, dtype=float) for t in times),
        units=tuple(f"u{i}" for i in range(n)),
        populations=tuple(populations or ["all"] * n),
        start=0.0,
        stop=stop,
        stop_known=stop_known,
    )


def test_nothing_is_injected_in_spontaneous_activity():
    stimulus = Stimulus.spontaneous(total=50.0, onset=10.0, temperature=11.0)
    assert stimulus.is_spontaneous
    assert not stimulus.is_step
    assert stimulus.duration == 40.0
    np.testing.assert_array_equal(stimulus.sampled(0.5), np.zeros(100))
    back = Stimulus.from_dict(json.loads(json.dumps(stimulus.to_dict())))
    assert back.to_dict() == stimulus.to_dict()
    assert back.temperature == 11.0


def test_a_recording_shorter_than_its_burn_in_is_refused():
    with pytest.raises(BadInputError, match="nothing left after a burn-in of 1000 ms"):
        Stimulus.spontaneous(total=900.0, onset=1000.0)


def test_one_family_serves_many_temperatures():
    family = SpontaneousFamily(total=50.0, onset=10.0, temperature=(8.0, 30.0))
    assert [p.name for p in family.parameters] == ["temperature"]
    batch = family.sample(500, seed=3)
    assert 8 <= batch.values.min() < 10 < 28 < batch.values.max() <= 30
    np.testing.assert_array_equal(family.sample(100, seed=3, start=400).values, batch.values[400:])
    stimulus = family.stimulus(batch.values[7])
    assert family.why_not(stimulus) is None
    np.testing.assert_array_equal(family.vector(stimulus), batch.values[7])
    assert family_from_dict(json.loads(json.dumps(family.to_dict()))) == family


@pytest.mark.parametrize(
    ("stimulus", "words"),
    [
        (Stimulus.step(amplitude=1.0, onset=1.0, duration=2.0), "a current is injected"),
        (Stimulus.spontaneous(total=50.0, onset=10.0), "temperature is not known"),
        (Stimulus.spontaneous(total=60.0, onset=10.0, temperature=9.0), "it lasts 60 ms"),
        (Stimulus.spontaneous(total=50.0, onset=10.0, temperature=40.0), "40 degC lies outside"),
    ],
)
def test_why_activity_is_not_of_the_family(stimulus, words):
    family = SpontaneousFamily(total=50.0, onset=10.0, temperature=(8.0, 30.0))
    assert words in family.why_not(stimulus)


def test_spikes_are_counted_by_population_and_bin():
    data = trains([[0.0, 9.99, 10.0], [5.0, 99.0], []], populations=["E", "I", "E"])
    counts = data.counts(10.0)
    assert counts.shape == (10, 2)
    np.testing.assert_array_equal(counts[:, 0], [2, 1] + [0] * 8)
    np.testing.assert_array_equal(counts[:, 1], [1] + [0] * 8 + [1])
    np.testing.assert_array_equal(data.counts(10.0, populations=("I", "E")), counts[:, ::-1])


def test_bin_edges_do_not_round():
    times = np.arange(1000) * 0.2  # on the edges, in a width that binary numbers cannot hold
    counts = trains([times], stop=200.0).counts(0.2)
    np.testing.assert_array_equal(counts, np.ones((1000, 1)))


def test_a_bin_that_is_not_filled_is_left_out():
    assert trains([[1.0, 98.0]], stop=98.5).counts(10.0).sum() == 1


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ([[3.0, 1.0]], "not sorted"),
        ([[np.nan]], "not finite"),
        ([[101.0]], "outside the recording"),
        ([], "one of each per unit"),
    ],
)
def test_impossible_spike_trains(times, words):
    with pytest.raises(BadInputError, match=words):
        trains(times)


def table(values, **units):
    return FeatureTable(path=Path("table.csv"), values=values, units=units)


def test_a_table_is_put_in_the_order_of_the_features():
    seen = LinearGaussian().observe_table(table({"y3": 4.0, "y0": 1.0, "y1": 2.0}))
    np.testing.assert_array_equal(seen.x, [1.0, 2.0, np.nan, 4.0])
    assert seen.notes == ("not measured: y2",)
    assert seen.measured(LinearGaussian().feature_set).tolist() == [True, True, False, True]
    lacking = LinearGaussian().observe_table(table({"y0": 1.0, "y1": 2.0, "y2": np.nan}))
    assert lacking.not_measured == ("y3",)  # y2 was looked for, and is not there
    assert seen.stimulus.to_dict() == LinearGaussian().stimulus.to_dict()


def test_tables_that_do_not_fit_the_simulator():
    model = LinearGaussian()
    with pytest.raises(BadInputError, match="no feature 'z' in the set default; it has y0, y1"):
        model.observe_table(table({"z": 1.0}))
    with pytest.raises(BadInputError, match="y0 is given in mV, but linear-gaussian has it in 1"):
        model.observe_table(table({"y0": 1.0}, y0="mV"))
    with pytest.raises(BadInputError, match="no feature with a value"):
        table({"y0": np.nan})


def test_spike_trains_are_refused_by_models_without_spikes():
    with pytest.raises(BadInputError, match="linear-gaussian cannot be fitted; name another"):
        LinearGaussian().observe_spikes(trains([[1.0]]))


def test_a_recording_whose_end_is_known_reaches_no_further():
    data = trains([np.arange(0.0, 100.0, 2.0)], stop=99.0)
    assert data.reaches(99.0)
    assert not data.reaches(99.1)


def test_where_the_last_spike_ends_it_a_silence_as_before_is_believed():
    data = trains([np.arange(0.0, 100.0, 4.0), [97.0]], stop=97.5, stop_known=False)
    assert data.reaches(97.5)
    assert data.reaches(101.5)  # 4 ms, as between the spikes before
    assert not data.reaches(101.6)


def test_a_long_pause_does_not_stand_for_a_missing_part():
    data = trains([[0.0, 90.0, 95.0]], stop=95.0001, stop_known=False)
    assert data.reaches(100.0)  # 5 %
    assert not data.reaches(101.0)
    assert not trains([[95.0]], stop=95.0001, stop_known=False).reaches(96.0)


def test_spike_trains_are_shown_in_a_line():
    shown = repr(trains([np.arange(0.0, 90.0, 0.05), []], populations=["E", "I"]))
    assert shown == "SpikeTrains(toy.csv: 2 units of E, I, 1,800 spikes in 0 to 100 ms)"
