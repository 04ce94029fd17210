"""The step fit on real recordings and on simulated ones with a known answer."""

import hashlib
import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from filelock import FileLock

import neurosbi as nb
from neurosbi.contract import CurrentStep, FixedStimulus, StepFamily, Stimulus
from neurosbi.errors import BadInputError, MissingResourceError
from neurosbi.steps.execution import Execution
from neurosbi.steps.fit import plan_fit
from neurosbi.steps.fit_network import new_network

DATA = Path(__file__).parents[2] / "data"
OTHER = DATA / "allen_cell_types" / "specimen_569469018" / "ephys.nwb"
ALLEN = DATA / "allen_cell_types" / "specimen_518290966" / "ephys.nwb"
QUICK = {"simulations": 3000, "samples": 200, "epochs": 6, "progress": False}


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _cache(shared_cache, monkeypatch):
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(shared_cache))


@pytest.fixture(scope="module")
def fitted(shared_cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "cell"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEUROSBI_CACHE_DIR", str(shared_cache))
        return nb.fit(ALLEN, output=folder, seed=1, **QUICK)


def test_a_real_recording_ends_as_a_folder_of_results(fitted):
    names = {path.name for path in fitted.folder.iterdir()}
    assert names >= {
        "results.zarr",
        "summary.csv",
        "pairplot.png",
        "predictive.png",
        "report.html",
        "manifest.json",
    }
    manifest = json.loads((fitted.folder / "manifest.json").read_text())
    assert manifest["sweep"] == 57
    assert manifest["config"]["simulator"]["simulator"] == "hodgkin-huxley"
    assert set(manifest["seconds"]) >= {"simulating", "training", "sampling"}


def test_a_fit_calibrates_its_network_and_says_so(fitted):
    assert fitted.calibration.n > 150
    assert fitted.misspecification.n > 3000
    assert fitted.local_calibration is None  # that is for neurosbi check
    assert (fitted.network_folder / "calibration.json").is_file()
    text = (fitted.folder / "report.html").read_text()
    assert fitted.calibration.sentence in text
    told = [r for r in fitted.stored.verdict["further"] if r["source"] == "calibration"]
    assert [r["sentence"] for r in told] == [r.sentence for r in fitted.calibration.reasons]
    assert {r["sentence"] for r in told if r["level"] != "trust"} <= set(fitted.verdict.reasons)


def test_posterior_lies_in_the_prior_and_opens_with_xarray_and_arviz(fitted):
    sim = nb.simulator("hodgkin-huxley")
    tree = xr.open_datatree(fitted.folder / "results.zarr", engine="zarr")
    for parameter in sim.parameters:
        values = tree["posterior"][parameter.name].values
        assert values.shape == (1, 200)
        assert np.all((values >= parameter.low) & (values <= parameter.high))
    assert fitted.to_arviz().posterior.sizes["draw"] == 200


def test_the_area_comes_from_the_database_of_the_cell_and_is_said(fitted):
    # specimen 518290966: tau 23.4 ms, input resistance 126 MOhm
    area = fitted.config["preparation"]["area"]
    assert area == pytest.approx(23.4e-3 / 126e6 * 1e6, rel=0.01)
    assert any("Allen database" in note for note in fitted.observation.notes)
    density = 170e-6 / area
    assert fitted.observation.stimulus.amplitude == pytest.approx(density, rel=1e-3)


def test_padding_of_the_shipped_file_is_not_used(fitted):
    # samples before 40750 are constant padding, the step begins at sample 51000
    stimulus = fitted.observation.stimulus
    assert stimulus.onset <= (51000 - 40750) * 0.02
    assert np.unique(fitted.observation.voltage[:200]).size > 5


def test_the_second_recording_uses_the_network_of_the_first(fitted, tmp_path, capsys):
    other = DATA / "allen_cell_types" / "specimen_569469018" / "ephys.nwb"
    result = nb.fit(other, output=tmp_path / "b", seed=1, **(QUICK | {"progress": True}))
    assert "is in the cache" in capsys.readouterr().err
    assert result.config["network"] == fitted.config["network"]
    assert "training" not in json.loads((tmp_path / "b" / "manifest.json").read_text())["seconds"]


def test_the_same_seed_gives_the_same_samples(fitted, tmp_path):
    again = nb.fit(ALLEN, output=tmp_path / "again", seed=1, **QUICK)
    xr.testing.assert_identical(again.posterior, fitted.posterior)


def test_to_sbi_samples_the_same_distribution(fitted):
    import torch

    torch.manual_seed(0)
    draws = fitted.to_sbi().sample((2000,), show_progress_bars=False).numpy()
    ours = np.stack(
        [fitted.posterior[p.name].values[0] for p in nb.simulator("hodgkin-huxley").parameters], 1
    )
    spread = ours.std(0)
    assert np.all(np.abs(draws.mean(0) - ours.mean(0)) < 5 * spread / np.sqrt(len(ours)))
    opened = nb.open_result(fitted.folder)
    assert opened.to_sbi().sample((3,), show_progress_bars=False).shape == (3, 8)


def test_the_recording_is_known_by_its_content(fitted, tmp_path):
    digest = hashlib.sha256(ALLEN.read_bytes()).hexdigest()
    manifest = json.loads((fitted.folder / "manifest.json").read_text())
    assert manifest["config"]["recording"] == digest
    for existing in ("skip", "resume"):
        with pytest.raises(BadInputError, match="another recording"):
            nb.fit(OTHER, output=fitted.folder, seed=1, existing=existing, **QUICK)
    moved = tmp_path / "moved.nwb"
    moved.write_bytes(ALLEN.read_bytes())
    assert plan_fit(moved, area=1.9e-4).config["recording"] == digest
    # a recording that is in no file is known by its sweep
    loose = replace(nb.read_recording(ALLEN), path=tmp_path / "nowhere.nwb")
    config = plan_fit(loose).config
    assert config["recording"] == config["sweep_data"] == fitted.config["sweep_data"]
    louder = replace(loose, sweeps=tuple(replace(s, voltage=s.voltage + 1) for s in loose.sweeps))
    assert plan_fit(louder).config["recording"] != config["recording"]


def test_what_is_skipped_is_said_to_be_another_configuration(fitted, capsys):
    arguments = QUICK | {"seed": 2, "progress": True}
    kept = nb.fit(ALLEN, output=fitted.folder, existing="skip", **arguments)
    assert kept.stored.seed == fitted.stored.seed == 1
    assert (
        "of another configuration (sampling seed, seed) and is left as it is"
        in capsys.readouterr().err
    )


def test_a_given_network_is_recorded_as_what_it_is(fitted, shared_cache, tmp_path):
    network = tmp_path / "network"
    shutil.copytree(shared_cache / "networks" / fitted.config["network"], network)
    arguments = {"samples": 200, "seed": 7, "network": network, "progress": False}
    result = nb.fit(ALLEN, output=tmp_path / "a", **arguments)
    assert result.config["simulations"] == QUICK["simulations"]
    assert result.config["seed"] == 1
    assert result.config["sampling_seed"] == result.stored.seed == 7
    assert result.config["stimulus_family"] == "steps"
    nb.fit(ALLEN, output=tmp_path / "a", existing="resume", **arguments)
    other = nb.open_network(network)
    other.card["config_hash"] = "another"
    with pytest.raises(BadInputError, match="another configuration"):
        nb.fit(ALLEN, output=tmp_path / "a", existing="resume", **(arguments | {"network": other}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEUROSBI_CACHE_DIR", str(tmp_path / "empty"))
        draws = nb.open_result(tmp_path / "a").to_sbi().sample((3,), show_progress_bars=False)
    assert draws.shape == (3, 8)
    with pytest.raises(BadInputError, match="epochs would change a training"):
        nb.fit(ALLEN, output=tmp_path / "b", epochs=3, **arguments)
    with pytest.raises(BadInputError, match="not trained for this stimulus"):
        nb.fit(ALLEN, output=tmp_path / "b", area=1e-6 * 12, **arguments)


def test_a_damaged_network_in_the_cache_is_trained_again(fitted, shared_cache, tmp_path, capsys):
    cache = tmp_path / "cache"
    shutil.copytree(shared_cache, cache)
    weights = cache / "networks" / fitted.config["network"] / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEUROSBI_CACHE_DIR", str(cache))
        again = nb.fit(ALLEN, output=tmp_path / "a", seed=1, **(QUICK | {"progress": True}))
    assert "cannot be used, it is trained again" in capsys.readouterr().err
    xr.testing.assert_identical(again.posterior, fitted.posterior)


def test_who_waited_for_a_network_does_not_train_it_again(fitted, shared_cache, capsys):
    plan = plan_fit(ALLEN)
    path = shared_cache / "networks" / fitted.config["network"]
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    lock.acquire()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(
            new_network,
            plan,
            Execution(seed=1, device="cpu", threads=1),
            simulations=3000,
            options={"epochs": 6},
        )
        time.sleep(0.5)
        assert not waiting.done()
        lock.release()
        assert waiting.result(60).card["config_hash"] == fitted.config["network"]
    said = capsys.readouterr().err
    assert "waiting for it" in said
    assert "has trained the network meanwhile" in said


def test_arguments_without_effect_are_refused():
    recording, sim = nb.read_recording(ALLEN), nb.simulator("hodgkin-huxley", area=1.9e-4)
    with pytest.raises(BadInputError, match="is read already"):
        plan_fit(recording, junction_potential=-14.0)
    for arguments in ({"area": 1e-4}, {"settings": {"dt": 0.02}}, {"features": "all"}):
        with pytest.raises(BadInputError, match="was given ready made"):
            plan_fit(recording, simulator=sim, **arguments)


def test_the_area_follows_from_the_capacitance_of_the_membrane():
    plain, dense = plan_fit(ALLEN), plan_fit(ALLEN, settings={"C_m": 2.0})
    area = [plan.simulator.settings["area"] for plan in (plain, dense)]
    assert area[1] == pytest.approx(area[0] / 2)
    assert any("at 2 uF/cm2" in note for note in dense.observation.notes)


def test_places_that_cannot_be_written_are_said_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInputError, match=r"cannot be written.*-o"):
        nb.fit(ALLEN, output=tmp_path / "file" / "result", **QUICK)
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(MissingResourceError, match="NEUROSBI_CACHE_DIR"):
        nb.fit(ALLEN, output=tmp_path / "result", **QUICK)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("existing", ["resume", "skip"])
def test_a_finished_result_is_opened_not_repeated(fitted, existing):
    before = (fitted.folder / "manifest.json").stat().st_mtime_ns
    result = nb.fit(ALLEN, output=fitted.folder, seed=1, existing=existing, **QUICK)
    assert (fitted.folder / "manifest.json").stat().st_mtime_ns == before
    xr.testing.assert_identical(result.posterior, fitted.posterior)


def test_a_result_in_the_way_is_not_lost(fitted):
    before = sorted((p, p.stat().st_mtime_ns) for p in fitted.folder.rglob("*") if p.is_file())
    with pytest.raises(BadInputError, match="there is a result in"):
        nb.fit(ALLEN, output=fitted.folder, seed=1, **QUICK)
    with pytest.raises(BadInputError, match="another configuration"):
        nb.fit(ALLEN, output=fitted.folder, seed=2, existing="resume", **QUICK)
    after = sorted((p, p.stat().st_mtime_ns) for p in fitted.folder.rglob("*") if p.is_file())
    assert after == before


def test_a_foreign_folder_is_refused_before_any_work(tmp_path):
    (tmp_path / "thesis.txt").write_text("important")
    with pytest.raises(BadInputError, match="holds no result"):
        nb.fit(ALLEN, output=tmp_path, existing="overwrite", **QUICK)
    assert (tmp_path / "thesis.txt").read_text() == "important"


def test_a_network_of_another_simulator_is_refused(fitted, tmp_path, shared_cache):
    network = shared_cache / "networks" / fitted.config["network"]
    with pytest.raises(BadInputError, match="trained on hodgkin-huxley version"):
        nb.fit(
            ALLEN,
            simulator="hodgkin-huxley-cortical",
            network=network,
            output=tmp_path / "x",
            progress=False,
        )
    assert not (tmp_path / "x").exists()


def test_a_network_of_another_version_is_refused(fitted, tmp_path, shared_cache):
    network = nb.open_network(shared_cache / "networks" / fitted.config["network"])
    network.card["simulator"] = network.card["simulator"] | {"version": "0.9"}
    with pytest.raises(BadInputError, match=r"version 0\.9"):
        nb.fit(ALLEN, network=network, output=tmp_path / "x", progress=False)


def test_stimuli_outside_the_family_get_a_network_of_their_own():
    plan = plan_fit(ALLEN, area=1e-6)  # an absurdly small cell: the current density is too high
    assert isinstance(plan.family, FixedStimulus)
    assert any("a network for this stimulus alone" in note for note in plan.observation.notes)
    assert isinstance(plan_fit(ALLEN).family, StepFamily)


def test_the_junction_potential_shifts_every_voltage():
    plain, shifted = plan_fit(ALLEN), plan_fit(ALLEN, junction_potential=-14.0)
    difference = shifted.observation.voltage - plain.observation.voltage
    assert np.allclose(difference, -14.0, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"sweeps": "99"}, "has no sweep 99"),
        ({"area": 3.0}, "a neuron has about"),
        ({"settings": {"area": "abc"}}, "area is abc"),
        ({"settings": {"C_m": 0.0}}, "C_m is 0"),
        ({"simulator": "hodgkin-huxley-cortical", "area": 1e-4}, "needs no membrane area"),
        ({"simulator": "hodgkin-huxly"}, "did you mean"),
        ({"settings": {"E_na": 50.0}}, "no setting 'E_na'"),
        ({"features": "nice"}, "no feature set"),
    ],
)
def test_bad_input_is_one_sentence(arguments, sentence):
    with pytest.raises(BadInputError, match=sentence):
        plan_fit(ALLEN, **arguments)


def simulated_recording(sim, theta, stimulus, *, area, seed, path=Path("simulated.abf")):
    """One sweep of the model itself, as a recording in pA."""
    trace = sim.traces(theta[None], stimulus=stimulus, seed=seed)
    v = trace["v"].values[0].astype(float)
    to_pa = area / 1e-6
    step = CurrentStep(
        onset=stimulus.onset, offset=stimulus.offset, amplitude=stimulus.amplitude * to_pa
    )
    sweep = nb.Sweep(
        number=0,
        voltage=v,
        current=stimulus.sampled(sim.dt) * to_pa,
        dt=sim.dt,
        steps=(step,),
        test_step=step,
        spikes=int(np.sum((v[1:] > -10) & (v[:-1] <= -10))),
    )
    return nb.Recording(path=path, format="simulated", sweeps=(sweep,))


@pytest.mark.slow
def test_known_parameters_are_recovered(tmp_path):
    """Over 20 simulated cells: what the features identify is found, and coverage is as stated."""
    area, n_cells = 1.5e-4, 20
    sim = nb.simulator("hodgkin-huxley", area=area)
    stimulus = Stimulus.step(amplitude=2.0, onset=150, duration=800, total=950, unit="uA/cm2")
    theta = sim.sample_prior(2000, seed=11)
    spikes = sim.features(theta, stimulus=stimulus, seed=11)[:, 0]
    chosen = theta[(spikes >= 5) & (spikes <= 60)][:n_cells]
    inside, errors = [], []
    for i, truth in enumerate(chosen):
        recording = simulated_recording(sim, truth, stimulus, area=area, seed=100 + i)
        result = nb.fit(
            recording,
            area=area,
            simulations=30_000,
            samples=1000,
            output=tmp_path / str(i),
            progress=False,
        )
        draws = np.stack([result.posterior[p.name].values[0] for p in sim.parameters], 1)
        low, high = np.quantile(draws, [0.05, 0.95], axis=0)
        inside.append((truth >= low) & (truth <= high))
        width = np.array([p.high - p.low for p in sim.parameters])
        errors.append(np.abs(np.median(draws, axis=0) - truth) / width)
    names = [p.name for p in sim.parameters]
    error = dict(zip(names, np.median(errors, axis=0), strict=True))
    assert error["minus_V_T"] < 0.03
    assert error["g_Na"] < 0.15
    # 160 intervals of 90 %: fewer than 75 % covering has a probability below 1e-6 if independent
    assert np.mean(inside) > 0.75


def test_simulated_recording_has_the_features_of_the_simulation():
    area = 1.5e-4
    sim = nb.simulator("hodgkin-huxley", area=area)
    stimulus = Stimulus.step(amplitude=2.0, onset=150, duration=800, total=950, unit="uA/cm2")
    theta = np.array([p.default for p in sim.parameters], dtype=float)
    recording = simulated_recording(sim, theta, stimulus, area=area, seed=3)
    observed = sim.features_of(recording.sweep(0))
    streamed = sim.features(theta[None], stimulus=replace(stimulus), seed=3)[0]
    np.testing.assert_allclose(observed, streamed, rtol=1e-4)
