"""The simulator's side: invariance, traces, settings, spike trains, and what it refuses."""

import json
import platform
import re
from pathlib import Path

import numba
import numpy as np
import pytest
from mesogif_cases import TWO, counts_from, defaults
from neurosbi_simulators.mesogif import MesoGif
from neurosbi_simulators.mesogif import layout as rows
from neurosbi_simulators.mesogif.integrate import survive
from neurosbi_simulators.numerics.jit import FASTMATH

from neurosbi.contract import SpikeTrains, SpontaneousFamily, Status, Stimulus
from neurosbi.errors import BadInputError

SHORT = Stimulus.spontaneous(total=600.0, onset=100.0)


@pytest.fixture(scope="module")
def model():
    return MesoGif(history=100.0)


def test_rows_do_not_depend_on_batch_threads_or_start(model):
    theta = model.sample_prior(37, seed=0)
    whole = model.simulate(theta, stimulus=SHORT, seed=4, threads=1)
    threaded = model.simulate(theta, stimulus=SHORT, seed=4, threads=3)
    np.testing.assert_array_equal(threaded.x, whole.x)
    np.testing.assert_array_equal(threaded.status, whole.status)
    for a, b in ((0, 1), (5, 6), (16, 17), (3, 30), (30, 37)):
        part = model.simulate(theta[a:b], stimulus=SHORT, seed=4, start=a)
        np.testing.assert_array_equal(part.x, whole.x[a:b])
    assert not np.array_equal(model.simulate(theta, stimulus=SHORT, seed=5).x, whole.x)
    assert np.isfinite(whole.x[:, 0]).all()


def test_features_of_traces_are_those_of_the_simulation(model):
    theta = model.sample_prior(3, seed=1)
    batch = model.simulate(theta, stimulus=SHORT, seed=2)
    traces = model.traces(theta, stimulus=SHORT, seed=2)
    assert traces["counts"].dims == ("sim", "time", "population")
    assert traces["rate"].attrs["units"] == "Hz"
    assert next(iter(traces)) == "counts"  # what a fit stores, to be drawn beside recorded counts
    np.testing.assert_array_equal(model.features_of(traces), batch.x)
    tenfold = model.traces(theta, stimulus=SHORT, seed=2, stride=10)
    assert tenfold.sizes["time"] == 60
    assert tenfold["counts"].sum() == traces["counts"].sum()
    np.testing.assert_allclose(tenfold["rate"].mean("time"), traces["rate"].mean("time"))


def test_without_noise_counts_are_expectations(model):
    quiet = [model.traces(defaults(model), stimulus=SHORT, seed=s, noise=False) for s in (1, 2)]
    np.testing.assert_array_equal(*(q["counts"].values for q in quiet))
    assert np.any(quiet[0]["counts"].values % 1)


def test_precisions_agree(model):
    # the noise is the same, so short runs differ only where a rounding tips a draw
    double = MesoGif(history=100.0, precision="double")
    a, b = (counts_from(m, steps=100, seed=1) for m in (model, double))
    assert (a == b).mean() > 0.98
    quiet = [m.traces(defaults(m), stimulus=SHORT, seed=0, noise=False) for m in (model, double)]
    np.testing.assert_allclose(*(q["counts"].values for q in quiet), rtol=1e-3, atol=1e-3)


def test_the_whole_prior_ends_properly():
    model = MesoGif(infer="full")
    batch = model.simulate(model.sample_prior(64, seed=7), stimulus=SHORT, seed=1)
    assert np.all(batch.status != Status.BLOW_UP)


def test_settings_are_plain_data_and_rebuild_the_model():
    model = MesoGif(populations=TWO.to_dict(), sizes="50,10", infer="w_EE, tau_m_I")
    settings = json.loads(json.dumps(model.config()["settings"]))
    again = MesoGif(**settings)
    assert again.config() == model.config()
    assert [p.name for p in again.parameters] == ["w_EE", "tau_m_I"]
    assert again.network.size == (50, 10)


def test_networks_from_a_file(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(TWO.to_dict() | {"names": ["pyr", "pv"]}))
    model = MesoGif(populations=str(path))
    assert [p.name for p in model.parameters][:2] == ["w_pyr_pyr", "w_pyr_pv"]
    assert model.feature_set[0].name == "rate_pyr"
    path.write_text("{")
    with pytest.raises(BadInputError, match="not JSON"):
        MesoGif(populations=str(path))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dt": 2.0}, "2 ms"),
        ({"dt": 0.3}, "divide"),
        ({"dt": "fast"}, "must be a number in ms"),
        ({"duration": -1.0}, "duration is -1 ms, but it cannot be negative or zero"),
        ({"history": -5.0}, "history is -5 ms, but it cannot be negative or zero"),
        ({"populations": "three"}, "two-populations"),
        ({"populations": {"names": ["E"]}}, "lacks"),
        ({"populations": TWO.to_dict() | {"tau_m": [20.0, -1.0]}}, "tau_m"),
        ({"populations": TWO.to_dict() | {"p": [[0.1, 2.0], [0.1, 0.1]]}}, "probability"),
        ({"populations": TWO.to_dict() | {"w": [[0.1, 0.2]]}}, "2 x 2"),
        ({"infer": "w_EX"}, "w_EX"),
        ({"infer": "w_EE,w_EE"}, "once"),
        ({"infer": "J_th_I"}, "J_th_I"),
        ({"sizes": "500"}, "numbers of neurons"),
        ({"sizes": [500.9, 100.2]}, "numbers of neurons"),
        ({"populations": TWO.to_dict() | {"delay": 1.5}}, "delay of 1.5 ms is not a whole number"),
        ({"populations": TWO.to_dict() | {"t_ref": [4.4, 4.0]}}, "refractory period of E of 4.4"),
        ({"populations": TWO.to_dict() | {"t_ref": [0.0, 4.0]}}, "refractory period of E is 0 ms"),
        ({"precision": "half"}, "precision"),
        ({"synapses": 3}, "no setting"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(settings, message):
    with pytest.raises(BadInputError, match=message):
        MesoGif(**settings)


@pytest.mark.parametrize(
    ("stimulus", "message"),
    [
        (Stimulus.step(amplitude=1.0, onset=10, duration=100), "spontaneous"),
        (Stimulus.spontaneous(total=100.0, temperature=20.0), "temperature"),
        (Stimulus.spontaneous(total=1e9), "simulate less"),
        (Stimulus.spontaneous(total=101.0, onset=100.0), "burn-in"),
    ],
)
def test_bad_stimuli_are_refused_in_one_sentence(model, stimulus, message):
    with pytest.raises(BadInputError, match=message):
        model.simulate(defaults(model), stimulus=stimulus, seed=0)


def test_networks_over_temperatures_are_refused(model):
    family = SpontaneousFamily(total=500.0, onset=100.0, temperature=(10.0, 20.0))
    with pytest.raises(BadInputError, match="no temperature"):
        model.simulate(defaults(model), stimulus=family.sample(1, seed=0), seed=0)


def test_impossible_parameters_are_refused():
    model = MesoGif(infer="full")
    theta = defaults(model)
    names = [p.name for p in model.parameters]
    for name, value in (("tau_m_E", 0.0), ("Delta_u_I", -1.0), ("J_th_E", -0.1)):
        wrong = theta.copy()
        wrong[0, names.index(name)] = value
        with pytest.raises(BadInputError, match=name):
            model.simulate(wrong, stimulus=SHORT, seed=0)


def trains(n_units=(5, 3), labels=("E", "I"), duration=400.0):
    rng = np.random.default_rng(1)
    total = sum(n_units)
    times = tuple(np.sort(rng.uniform(0, duration, 20)) for _ in range(total))
    populations = tuple(label for label, n in zip(labels, n_units, strict=True) for _ in range(n))
    return SpikeTrains(
        path=Path("cell.nwb"),
        times=times,
        units=tuple(map(str, range(total))),
        populations=populations,
        start=0.0,
        stop=duration,
    )


def test_spike_trains_become_counts():
    model = MesoGif(sizes="5,3", burn_in=100.0)
    data = trains()
    observation = model.observe_spikes(data)
    assert observation.record.shape == (400, 2)
    np.testing.assert_array_equal(observation.record.sum(axis=0), [100, 60])
    late = [sum(np.sum(t >= 100) for t in part) for part in (data.times[:5], data.times[5:])]
    rates = [late[0] / (5 * 0.3), late[1] / (3 * 0.3)]
    names = [f.name for f in model.feature_set]
    found = [observation.x[names.index(f"rate_{p}")] for p in "EI"]
    np.testing.assert_allclose(found, rates)
    assert observation.notes == ()
    assert np.isfinite(model.log_likelihood(defaults(model), observation)).all()


def test_units_that_are_missing_are_noted_and_too_many_refused():
    notes = MesoGif(sizes="500,3", burn_in=100.0).observe_spikes(trains()).notes
    assert "5 units of E" in notes[0]
    assert len(notes) == 1
    with pytest.raises(BadInputError, match="setting sizes"):
        MesoGif(sizes="4,3", burn_in=100.0).observe_spikes(trains())
    with pytest.raises(
        BadInputError, match=r"belong to A, B, .* write E or I into the column popul"
    ):
        MesoGif(burn_in=100.0).observe_spikes(trains(labels=("A", "B")))
    with pytest.raises(BadInputError, match="add a column population with E or I in every row"):
        MesoGif(burn_in=100.0).observe_spikes(trains(labels=("all", "all")))
    with pytest.raises(BadInputError, match="no units of I, but the model needs"):
        MesoGif(burn_in=100.0).observe_spikes(trains(labels=("E", "E")))
    with pytest.raises(BadInputError, match="burn-in"):
        MesoGif(burn_in=400.0).observe_spikes(trains())


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="the mnemonics are those of x86-64"
)
def test_the_loop_over_ages_is_vectorised():
    @numba.njit(error_model="numpy", fastmath=FASTMATH)
    def ages(cells, state, n):
        for age in range(n, 0, -1):
            survive(cells[age * rows.RECORD : (age + 2) * rows.RECORD], state, np.float32)

    cells = np.zeros(12 * rows.RECORD, dtype=np.float32)
    ages(cells, np.zeros(rows.N_STATE_ROWS * rows.LANES, dtype=np.float32), 10)
    assembly = next(iter(ages.inspect_asm().values()))
    wide = len(re.findall(r"v(?:mul|add|sub|fn?madd\d*)ps", assembly))
    assert wide > 40
