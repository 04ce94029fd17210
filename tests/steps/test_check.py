"""The step check: on results, on networks, and what a fit takes from it."""

import json
import shutil
import time
from dataclasses import replace

import passive_cell
import pytest
import xarray as xr
from exact_networks import exact_network
from memory_simulations import MemorySimulations
from passive_cell import SIMULATOR
from toys import LinearGaussian

import neurosbi as nb
from neurosbi.checks import Calibration, Reason
from neurosbi.checks.calibration import FEWEST
from neurosbi.errors import BadInputError
from neurosbi.steps.check import calibration_for_fit
from neurosbi.steps.judging import judge_again
from neurosbi.steps.result_folder import write_result
from neurosbi.store.calibrations import CALIBRATION

CHECK = {"simulations": 250, "draws": 99, "progress": False}


@pytest.fixture(autouse=True)
def _installed(monkeypatch, tmp_path):
    """The passive membrane counts as installed; the cache is empty."""
    monkeypatch.setattr("neurosbi.steps.check.make_simulator", installed)
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(tmp_path / "cache"))


def installed(name, **settings):
    if name != SIMULATOR.name:
        raise BadInputError(f"there is no simulator {name!r}")
    return SIMULATOR


@pytest.fixture(scope="module")
def network_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks") / "passive"
    simulations = MemorySimulations(SIMULATOR, 1500)
    options = {"epochs": 5, "transforms": 1, "hidden": (16,), "min_steps": 1}
    nb.train(simulations, out=folder, device="cpu", progress=False, **options)
    return folder


@pytest.fixture
def fitted(network_folder, tmp_path):
    """A result in a folder, of a network in another."""
    result = passive_cell.fitted(config={"method": "npe", "network_path": str(network_folder)})
    folder = write_result(result, tmp_path / "cell")
    return replace(result, folder=folder)


def levels(result):
    return {(r["source"], r["level"]) for r in result.stored.verdict["further"]}


def test_a_fit_takes_any_calibration_that_is_kept(network_folder):
    network = nb.open_network(network_folder)
    (network_folder / CALIBRATION).unlink(missing_ok=True)
    first = calibration_for_fit(network, SIMULATOR, progress=False)
    assert first.n == 200
    nb.check(network_folder, **CHECK)
    again = calibration_for_fit(network, SIMULATOR, progress=False)
    assert (again.n, again.draws) == (250, 99)


def test_training_leaves_a_calibration_on_what_it_held_out(tmp_path):
    options = {"epochs": 1, "transforms": 1, "hidden": (8,), "device": "cpu", "progress": False}
    network = nb.train(MemorySimulations(SIMULATOR, 1500), out=tmp_path / "many", **options)
    kept = calibration_for_fit(network, SIMULATOR, progress=False)
    assert (kept.held_out, kept.n) == (True, 150)
    fresh = nb.check(tmp_path / "many", **CHECK)
    assert not fresh.held_out
    assert not calibration_for_fit(network, SIMULATOR, progress=False).held_out
    # an interrupted run is made up for, but what is there is not made again
    nb.check(tmp_path / "many", **CHECK)
    nb.train(MemorySimulations(SIMULATOR, 1500), out=tmp_path / "many", **options)
    assert not calibration_for_fit(network, SIMULATOR, progress=False).held_out
    (tmp_path / "many" / CALIBRATION).unlink()
    nb.train(MemorySimulations(SIMULATOR, 1500), out=tmp_path / "many", **options)
    assert calibration_for_fit(network, SIMULATOR, progress=False).held_out
    nb.train(MemorySimulations(SIMULATOR, 300), out=tmp_path / "few", **options)
    assert not (tmp_path / "few" / CALIBRATION).exists()


def test_a_simulator_that_allows_few_cases_is_said(monkeypatch, network_folder, capsys):
    clock = iter(range(10**6))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr("neurosbi.steps.check.FIT_LIMIT", 4.5)
    (network_folder / CALIBRATION).unlink(missing_ok=True)
    network = nb.open_network(network_folder)
    for _ in range(2):  # the few cases are not kept either
        assert calibration_for_fit(network, SIMULATOR) is None
        told = capsys.readouterr().err
        assert "allowed only" in told
        assert "neurosbi check" in told


def test_a_short_check_does_not_replace_a_calibration(monkeypatch, tmp_path, capsys):
    options = {"epochs": 1, "transforms": 1, "hidden": (8,), "device": "cpu", "progress": False}
    nb.train(MemorySimulations(SIMULATOR, 1500), out=tmp_path / "net", **options)
    before = (tmp_path / "net" / CALIBRATION).read_text()
    clock = iter(range(10**6))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    kept = nb.check(tmp_path / "net", **(CHECK | {"time_limit": 4.5, "progress": True}))
    assert kept.held_out
    assert "the calibration on 150 earlier ones stays" in capsys.readouterr().err
    assert (tmp_path / "net" / CALIBRATION).read_text() == before


def test_a_simulator_that_is_too_slow_for_a_fit_is_said(monkeypatch, network_folder, capsys):
    monkeypatch.setattr("neurosbi.steps.check.FIT_LIMIT", 1e-9)
    (network_folder / CALIBRATION).unlink(missing_ok=True)
    network = nb.open_network(network_folder)
    assert calibration_for_fit(network, SIMULATOR) is None
    assert "too short for one batch" in capsys.readouterr().err


def test_a_result_is_checked_and_its_folder_renewed(fitted):
    (fitted.folder / "notes.txt").write_text("mine")
    checked = nb.check(fitted.folder, **CHECK)
    assert checked.calibration.n == 250
    assert checked.local_calibration.n == 1000
    assert {"calibration", "local_calibration", "misspecification"} <= set(checked.tree.children)
    opened = nb.open_result(fitted.folder)
    assert opened.verdict == checked.verdict
    assert opened.check_sentences == checked.check_sentences
    xr.testing.assert_identical(opened.posterior, fitted.posterior)
    assert (fitted.folder / "notes.txt").read_text() == "mine"
    manifest = json.loads((fitted.folder / "manifest.json").read_text())
    assert manifest["verdict"]["sentence"] == checked.verdict.sentence
    text = (fitted.folder / "report.html").read_text()
    for sentence in checked.check_sentences:
        assert sentence in text
    assert "Calibration of the network" in text
    # a second check changes nothing
    assert nb.check(opened, **CHECK).verdict == checked.verdict


def test_a_result_whose_manifest_was_deleted_is_checked_and_gets_one(fitted):
    (fitted.folder / "manifest.json").unlink()
    checked = nb.check(fitted.folder, **CHECK)
    assert nb.open_result(fitted.folder).verdict == checked.verdict
    assert (fitted.folder / "manifest.json").is_file()


def test_a_result_whose_folder_is_gone_is_written_again(fitted):
    shutil.rmtree(fitted.folder)
    assert nb.check(fitted, **CHECK).verdict == nb.open_result(fitted.folder).verdict


def test_a_result_without_manifest_among_files_of_others_is_left_alone(fitted):
    (fitted.folder / "manifest.json").unlink()
    (fitted.folder / "raw.abf").write_text("mine")
    before = sorted(fitted.folder.rglob("*"))
    with pytest.raises(BadInputError, match=r"holds more than a result \(raw.abf\); move its"):
        nb.check(fitted.folder, **CHECK)
    assert sorted(fitted.folder.rglob("*")) == before


def test_what_is_wrong_reaches_the_verdict(fitted, network_folder):
    network = nb.open_network(network_folder)
    network.estimator.scale.mul_(0.3)  # every posterior becomes much too narrow
    result = replace(fitted, network=network, folder=None)
    config = {**fitted.config, "network_path": str(fitted.folder / "no-network")}
    result = replace(result, stored=replace(result.stored, config=config))
    assert fitted.verdict.level == "trust"
    checked = nb.check(result, **CHECK)
    assert checked.verdict.level == "do not use"
    assert any("far too narrow" in reason for reason in checked.verdict.reasons)
    assert any("at this recording" in reason for reason in checked.verdict.reasons)


def test_without_its_simulator_a_result_is_checked_at_the_recording(fitted, monkeypatch, capsys):
    def nothing(name, **settings):
        raise BadInputError(f"there is no simulator {name!r}")

    monkeypatch.setattr("neurosbi.steps.check.make_simulator", nothing)
    checked = nb.check(fitted, **(CHECK | {"progress": True}))
    assert checked.calibration is None
    assert checked.local_calibration is not None
    assert "calibration of the network is not tested" in capsys.readouterr().err
    given = nb.check(fitted, simulator=SIMULATOR, **CHECK)
    assert given.calibration.n == 250


def test_checks_replace_their_own_reasons_only(fitted):
    verdict = {
        **fitted.stored.verdict,
        "further": [
            {"level": "do not use", "sentence": "old", "source": "calibration"},
            {"level": "caution", "sentence": "from elsewhere", "source": "rounds"},
        ],
    }
    result = replace(fitted, stored=replace(fitted.stored, verdict=verdict))
    new = judge_again(result, [Reason("caution", "new", "calibration")], sources=["calibration"])
    assert {"new", "from elsewhere"} <= set(new.verdict.reasons)
    assert "old" not in new.verdict.reasons
    assert levels(new) == {("rounds", "caution"), ("calibration", "caution")}


def test_a_network_is_checked_by_itself_and_remembers(network_folder):
    calibration = nb.check(network_folder, **CHECK)
    assert isinstance(calibration, Calibration)
    kept = (network_folder / CALIBRATION).read_bytes()
    again = nb.check(network_folder, **CHECK)
    assert (network_folder / CALIBRATION).read_bytes() == kept
    assert again.seconds == pytest.approx(calibration.seconds, abs=1e-3)
    assert (
        nb.check(network_folder, **(CHECK | {"simulations": calibration.n + 20})).n > calibration.n
    )


def test_a_weaker_check_does_not_replace_a_stronger_one(network_folder, capsys):
    more = nb.check(network_folder, **CHECK).n
    kept = (network_folder / CALIBRATION).read_bytes()
    weaker = CHECK | {"simulations": FEWEST, "progress": True}
    assert nb.check(network_folder, **weaker).n == more > FEWEST
    assert "that test stays" in capsys.readouterr().err
    assert (network_folder / CALIBRATION).read_bytes() == kept


def test_a_check_that_ran_out_of_time_does_not_replace_a_whole_one(
    network_folder, monkeypatch, capsys
):
    more = nb.check(network_folder, **CHECK).n
    kept = (network_folder / CALIBRATION).read_bytes()
    clock = iter(range(10**6))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    long = CHECK | {"simulations": 5000, "time_limit": 4.5, "progress": True}
    assert nb.check(network_folder, **long).n == more
    assert f"the calibration on {more} earlier ones stays" in capsys.readouterr().err
    assert (network_folder / CALIBRATION).read_bytes() == kept


def test_a_time_limit_is_above_zero(network_folder):
    with pytest.raises(BadInputError, match="above 0, got -3"):
        nb.check(network_folder, **(CHECK | {"time_limit": -3.0}))


@pytest.mark.parametrize("text", ["{", "[]", '{"layout": 1, "network": "other"}'])
def test_a_damaged_or_foreign_calibration_is_computed_again(network_folder, text):
    path = network_folder / CALIBRATION
    path.write_text(text)
    assert nb.check(network_folder, **(CHECK | {"simulations": FEWEST})).n == FEWEST
    assert json.loads(path.read_text())["layout"] == 2


def test_a_network_in_memory_needs_its_simulator():
    network = exact_network()
    with pytest.raises(BadInputError, match=r"linear-gaussian .*simulator=\.\.\."):
        nb.check(network, **CHECK)
    calibration = nb.check(network, simulator=LinearGaussian(), **CHECK)
    assert calibration.n == 250 >= FEWEST


def test_a_result_without_its_network_is_a_sentence(fitted, tmp_path):
    def with_config(**changes):
        return replace(fitted, stored=replace(fitted.stored, config={**fitted.config, **changes}))

    with pytest.raises(BadInputError, match=r"not at .*gone any more"):
        nb.check(with_config(network_path=str(tmp_path / "gone")), **CHECK)
    with pytest.raises(BadInputError, match="not the one of this result"):
        nb.check(with_config(network="0123"), **CHECK)
    with pytest.raises(BadInputError, match="no result"):
        nb.check(tmp_path / "nothing", **CHECK)


def test_too_short_a_limit_leaves_the_result_as_it_was(fitted):
    before = {p: p.read_bytes() for p in fitted.folder.rglob("*") if p.is_file()}
    with pytest.raises(BadInputError, match="too short for one batch"):
        nb.check(fitted.folder, simulations=333, draws=19, time_limit=1e-9, progress=False)
    assert {p: p.read_bytes() for p in fitted.folder.rglob("*") if p.is_file()} == before


def test_no_fresh_cases_for_a_network_refined_for_one_recording(fitted, network_folder, tmp_path):
    folder = shutil.copytree(network_folder, tmp_path / "net")
    (folder / CALIBRATION).unlink(missing_ok=True)
    network = nb.open_network(folder)
    network.card["round"] = 2
    with pytest.raises(BadInputError, match="refined for one recording"):
        nb.check(network, simulator=SIMULATOR, **CHECK)
    stored = fitted.stored
    config = {**stored.config, "network_path": str(folder)}
    result = replace(fitted, network=network, folder=None, stored=replace(stored, config=config))
    checked = nb.check(result, **CHECK)
    assert checked.calibration is None
    assert checked.local_calibration is None
    assert checked.misspecification is not None
