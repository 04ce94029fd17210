"""Several sweeps of a recording fitted together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import neurosbi as nb
from neurosbi.contract import PriorRegion, Stimulus, SweepSets
from neurosbi.errors import BadInputError
from neurosbi.report.sweeps import gain_sentence, sweep_table
from neurosbi.steps.fit import _warn_of_few_sets, plan_fit
from neurosbi.steps.sweeps import _order_of_adding
from neurosbi.store.sweep_results import SweepGain

DATA = Path(__file__).parents[2] / "data"
CELL = DATA / "current_clamp" / "171116sh_0018.abf"
ALLEN = DATA / "allen_cell_types" / "specimen_518290966" / "ephys.nwb"
QUICK = {"simulations": 3060, "samples": 200, "epochs": 4, "progress": False}


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _cache(shared_cache, monkeypatch):
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(shared_cache))


@pytest.fixture(scope="module")
def recording():
    return nb.read_recording(CELL)


@pytest.fixture(scope="module")
def fitted(shared_cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "cell"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEUROSBI_CACHE_DIR", str(shared_cache))
        return nb.fit(CELL, output=folder, seed=1, **QUICK)


def test_all_usable_steps_are_fitted_also_hyperpolarising_ones(recording):
    plan = plan_fit(recording)
    assert isinstance(plan.family, SweepSets)
    amplitudes = [o.stimulus.amplitude for o in plan.observations]
    assert min(amplitudes) < 0 < max(amplitudes)
    assert plan.observation.sweep == plan.config["sweep"]
    assert len(plan.config["sweeps"]) == len(plan.observations) > 10
    # a step of 0 pA is no step
    assert any("left out" in note for note in plan.observation.notes)


def test_sweeps_can_be_named_and_one_of_many_uses_the_same_network(recording):
    some = plan_fit(recording, sweeps="10,12-14")
    assert some.config["sweeps"] == [10, 12, 13, 14]
    one = plan_fit(recording, sweeps="10")
    assert one.config["sweeps"] == [10]
    assert one.family == some.family == plan_fit(recording).family


def test_few_sets_of_sweeps_are_told_of(recording, capsys):
    plan = plan_fit(recording, sweeps="10")
    _warn_of_few_sets(plan, 3000, show=True)
    assert "3,000 simulated sweeps are only 4" in capsys.readouterr().err  # 413 sets
    _warn_of_few_sets(plan, 300_000, show=True)
    _warn_of_few_sets(plan_fit(nb.read_recording(ALLEN)), 10, show=True)
    assert capsys.readouterr().err == ""


def test_a_recording_with_one_step_is_fitted_as_before():
    plan = plan_fit(ALLEN)
    assert not plan.together
    assert len(plan.observations) == 1


def test_named_sweeps_of_different_sampling_are_refused_others_left_out(recording):
    def coarser(sweep):
        return replace(
            sweep, voltage=sweep.voltage[::2], current=sweep.current[::2], dt=2 * sweep.dt
        )

    mixed = replace(
        recording,
        sweeps=tuple(coarser(s) if s.number == 12 else s for s in recording.sweeps),
    )
    with pytest.raises(BadInputError, match=r"10,14 are sampled every .* but 12 every .*--sweeps"):
        plan_fit(mixed, sweeps="10,12,14")
    plan = plan_fit(mixed)
    assert 12 not in plan.config["sweeps"]
    assert any("sweep 12 left out: it is sampled" in note for note in plan.observation.notes)


def test_more_sweeps_than_a_network_takes_are_thinned_over_the_amplitudes(recording):
    many = [replace(s, number=100 * k + s.number) for k in range(3) for s in recording.sweeps]
    plan = plan_fit(replace(recording, sweeps=tuple(many)))
    assert len(plan.observations) == plan.family.most == 20
    assert plan.observation.sweep == plan.config["sweep"]
    amplitudes = np.array([o.stimulus.amplitude for o in plan.observations])
    everything = [s.test_step.amplitude for s in recording.sweeps if s.test_step]
    ratio = amplitudes.max() / max(everything)
    assert amplitudes.min() / min(everything) == pytest.approx(ratio)


def test_the_result_tells_every_sweep_and_what_they_bought(fitted):
    sweeps = fitted.stored.sweeps
    assert set(sweeps.number) == set(fitted.config["sweeps"])
    assert sweeps.number[0] == fitted.observation.sweep
    table = fitted.sweep_table
    assert table["amplitude"].is_monotonic_increasing
    assert np.isfinite(table["distance"]).any()
    gain = sweeps.gain
    assert gain.size[0] == 1
    assert gain.size[-1] == len(sweeps.number)
    assert set(gain.order) | set(gain.held_out) == set(sweeps.number)
    assert np.isfinite(gain.distance[:-1]).all()
    assert np.isnan(gain.distance[-1])
    text = (fitted.folder / "report.html").read_text()
    assert "What more sweeps bought" in text
    assert fitted.gain_sentence in text


def test_a_result_opened_again_is_the_same(fitted):
    again = nb.open_result(fitted.folder)
    mine, other = fitted.stored.sweeps, again.stored.sweeps
    assert other.number == mine.number
    for name in ("step", "x", "given", "predictive_x", "predictive_status"):
        np.testing.assert_array_equal(getattr(other, name), getattr(mine, name))
    np.testing.assert_array_equal(other.gain.width, mine.gain.width)
    assert again.gain_sentence == fitted.gain_sentence
    draws = again.to_sbi().sample((5,), show_progress_bars=False)
    assert draws.shape == (5, len(fitted.stored.parameters))


def test_other_sweeps_of_the_same_cell_need_no_new_network(fitted, tmp_path, capsys):
    result = nb.fit(
        CELL, output=tmp_path / "b", seed=1, sweeps="9-11", **(QUICK | {"progress": True})
    )
    assert "is in the cache" in capsys.readouterr().err
    assert result.config["network"] == fitted.config["network"]
    assert sorted(result.stored.sweeps.number) == [9, 10, 11]


def test_a_network_given_is_not_trained_on_more(fitted):
    with pytest.raises(BadInputError, match="leave --simulations out, or leave --network out"):
        nb.fit(CELL, network=fitted.network_folder, simulations=77, progress=False)


def test_a_refined_network_does_not_tell_what_fewer_sweeps_would_have(fitted, tmp_path):
    refined = nb.fit(
        CELL, sweeps="10,14", rounds=2, output=tmp_path / "refined", seed=1, **QUICK | {"epochs": 2}
    )
    first = bool(refined.stored.rounds["answer"][0])
    assert (refined.stored.sweeps.gain is not None) == first
    assert refined.stored.sweeps.predictive_x.shape[0] == 2


def test_a_network_of_sets_serves_a_recording_with_one_step(fitted, tmp_path, shared_cache):
    network = shared_cache / "networks" / fitted.config["network"]
    result = nb.fit(
        ALLEN, output=tmp_path / "c", seed=1, network=network, samples=200, progress=False
    )
    assert result.stored.sweeps.gain is None
    assert "What more sweeps bought" not in (tmp_path / "c" / "report.html").read_text()


def test_sweeps_are_added_far_apart_and_a_third_is_held_out():
    class Step:
        def __init__(self, amplitude):
            self.stimulus = Stimulus.step(amplitude=amplitude, onset=10, duration=100)

    observations = [Step(a) for a in (50, 10, 20, 30, 40, 60, 70)]
    order, held_out = _order_of_adding(observations)
    assert held_out == [2, 5]  # every third by amplitude
    assert order[:2] == [0, 1]  # 50 pA, then the farthest, 10 pA
    assert sorted(order + held_out) == list(range(7))


def test_the_sentence_says_what_more_sweeps_bought():
    gain = SweepGain(
        order=(3, 5),
        held_out=(4,),
        size=np.array([1, 2, 3]),
        width=np.array([[0.8, 0.4], [0.5, 0.4], [0.3, 0.3]]),
        information=np.array([2.0, 3.0, 3.5]),
        distance=np.array([0.9, 0.4, np.nan]),
    )
    sentence = gain_sentence(gain)
    assert "all 3 sweeps" in sentence
    assert "50 % narrower than with sweep 3 alone (+1.5 nats)" in sentence
    assert "2 sweeps predict the held-out sweep 4 better" in sentence


def test_the_table_names_what_was_left_out(fitted):
    sweeps = fitted.stored.sweeps
    given = sweeps.given.copy()
    given[0, 2] = False
    table = sweep_table(fitted.stored.features, replace(sweeps, given=given))
    row = table[table["sweep"] == sweeps.number[0]].iloc[0]
    assert fitted.stored.features[2].name in row["left_out"]


def test_a_network_of_a_restricted_prior_serves_sweeps(fitted, recording):
    simulator = plan_fit(recording).simulator
    width = len(simulator.parameters)
    nowhere_left_out = PriorRegion(
        np.zeros((1 + width + width * (width + 1) // 2, 0)), np.ones(1 + width), -1e9
    )
    network = nb.open_network(fitted.network_folder)
    network.card["simulator"] = simulator.restricted(nowhere_left_out).config()
    plan = plan_fit(recording, network=network)
    assert plan.simulator.prior_region.digest == nowhere_left_out.digest


def test_rounds_with_traces_are_refused_before_they_begin(fitted):
    with pytest.raises(BadInputError, match="leave --rounds out, or use --inputs features"):
        nb.fit(CELL, network=fitted.network_folder, rounds=2, inputs="trace", progress=False)


def shortened(recording, *, steps_of):
    """The recording as if its steps had ended after ``steps_of`` ms."""
    return replace(
        recording,
        sweeps=tuple(
            replace(s, test_step=replace(s.test_step, offset=s.test_step.onset + steps_of))
            if s.test_step
            else s
            for s in recording.sweeps
        ),
    )


def test_sweeps_that_cannot_be_fitted_together_are_told(recording):
    short = shortened(recording, steps_of=100.0)
    with pytest.raises(BadInputError, match=r"the 3 sweeps named cannot .* duration.*name one"):
        plan_fit(short, sweeps="10,12,14")
    plan = plan_fit(short)
    assert not plan.together
    assert any("one sweep by itself, because of sweep" in note for note in plan.observation.notes)
    assert len(plan_fit(short, sweeps="10").observations) == 1
