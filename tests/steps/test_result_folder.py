import errno
import hashlib
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from passive_cell import SIMULATOR, fitted, observe

from neurosbi.checks import verdict_of
from neurosbi.errors import BadInputError, FitError
from neurosbi.steps import result_folder as steps
from neurosbi.steps.result_folder import open_result, rebuild_report, write_result

FILES = {
    "results.zarr", "summary.csv", "pairplot.png", "predictive.png", "report.html", "manifest.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def result():
    return fitted()


@pytest.fixture(scope="module")
def folder(result, tmp_path_factory):
    return write_result(result, tmp_path_factory.mktemp("out") / "cell")


def snapshot(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def no_figures(monkeypatch):
    """Drawing takes a second and is tested elsewhere."""
    names = ("pairplot", "predictive", "features")
    monkeypatch.setattr(steps, "figures", lambda findings: dict.fromkeys(names))
    monkeypatch.setattr(steps, "png", lambda figure: b"figure")


@pytest.fixture
def own_folder(result, tmp_path, no_figures):
    return write_result(result, tmp_path / "cell")


def test_the_folder_is_complete_and_its_manifest_true(folder):
    assert {p.name for p in folder.iterdir()} == FILES
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["verdict"]["level"] == "trust"
    assert manifest["config"]["method"] == "npe"
    listed = {entry["path"]: entry for entry in manifest["files"]}
    on_disk = {str(p) for p in snapshot(folder)} - {"manifest.json"}
    assert set(listed) == on_disk
    for name, entry in listed.items():
        content = (folder / name).read_bytes()
        assert entry["bytes"] == len(content)
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()


def test_summary_csv_equals_numpy(folder, result):
    table, theta = pd.read_csv(folder / "summary.csv"), result.stored.theta
    assert table["parameter"].tolist() == ["R", "tau", "V_rest"]
    assert table["unit"].tolist() == ["MOhm", "ms", "mV"]
    np.testing.assert_allclose(table["mean"], theta.mean(axis=0))
    np.testing.assert_allclose(table["sd"], theta.std(axis=0, ddof=1))
    for column, q in (("q5", 0.05), ("median", 0.5), ("q95", 0.95)):
        np.testing.assert_allclose(table[column], np.quantile(theta, q, axis=0))
    prior_sd = np.array([250.0, 35.0, 20.0]) / np.sqrt(12)
    np.testing.assert_allclose(table["shrinkage"], 1 - theta.std(axis=0, ddof=1) / prior_sd)


def test_opened_is_what_was_written(folder, result):
    for path in (folder, folder / "results.zarr"):
        again = open_result(path)
        assert again.verdict == result.verdict
        pd.testing.assert_frame_equal(again.summary, result.summary)
        pd.testing.assert_frame_equal(again.check(), result.check())
        assert again.config == result.config
    np.testing.assert_array_equal(again.posterior["tau"].values[0], result.stored.theta[:, 1])
    assert again.posterior["tau"].attrs["units"] == "ms"
    assert again.to_arviz()["posterior"].sizes["draw"] == len(result.stored.theta)


def test_the_verdict_of_further_checks_survives(result, tmp_path, no_figures):
    verdict = verdict_of([], otherwise="calibration passed")
    stored = replace(
        result.stored, verdict={"level": verdict.level, "reasons": list(verdict.reasons)}
    )
    write_result(replace(result, stored=stored, verdict=verdict), tmp_path / "r")
    assert open_result(tmp_path / "r").verdict.reasons == ("calibration passed",)


def test_the_report_is_reproducible_from_the_store_alone(folder):
    before = snapshot(folder)
    rebuild_report(folder)
    assert snapshot(folder) == before


def test_existing_results_are_refused_kept_or_replaced(own_folder, result):
    before = snapshot(own_folder)
    with pytest.raises(BadInputError, match="overwrite"):
        write_result(result, own_folder)
    write_result(fitted(seed=1), own_folder, existing="skip")
    assert snapshot(own_folder) == before
    (own_folder / "notes.txt").write_text("my notes")
    write_result(replace_seed(result, 99), own_folder, existing="overwrite")
    assert open_result(own_folder).stored.seed == 99
    assert (own_folder / "notes.txt").read_text() == "my notes"


def replace_seed(result, seed):
    return replace(result, stored=replace(result.stored, seed=seed))


def test_a_folder_of_someone_else_is_never_replaced(result, tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    for existing in ("error", "skip", "overwrite"):
        with pytest.raises(BadInputError, match="no result of neurosbi"):
            write_result(result, tmp_path, existing=existing)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("stage", ["write_results", "png", "render_report", "write_manifest"])
def test_a_full_disk_leaves_the_old_result_and_nothing_else(own_folder, result, monkeypatch, stage):
    before = snapshot(own_folder)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(steps, stage, full)
    with pytest.raises(FitError, match="disk is full"):
        write_result(result, own_folder, existing="overwrite")
    assert snapshot(own_folder) == before
    assert [p.name for p in own_folder.parent.iterdir()] == [own_folder.name]
    with pytest.raises(FitError, match="disk is full"):
        write_result(result, own_folder.parent / "new")
    assert [p.name for p in own_folder.parent.iterdir()] == [own_folder.name]


def test_a_missing_chunk_is_named(own_folder):
    chunk = next(p for p in (own_folder / "results.zarr" / "prior").rglob("c/*/*"))
    chunk.unlink()
    with pytest.raises(BadInputError, match="damaged or incomplete"):
        open_result(own_folder)


def test_a_folder_of_results_is_not_called_damaged(own_folder):
    with pytest.raises(BadInputError, match=f"holds no result.* such as {own_folder}"):
        open_result(own_folder.parent)
    (own_folder.parent / "empty").mkdir()
    with pytest.raises(BadInputError, match=r"give a folder that neurosbi fit wrote$"):
        open_result(own_folder.parent / "empty")


def test_rows_that_do_not_fit_together():
    with pytest.raises(BadInputError, match="log_prob"):
        fitted(log_prob=np.zeros(3))
    with pytest.raises(BadInputError, match="equal length"):
        fitted(history={"epoch": [1, 2], "train_loss": [1.0]})


def test_an_observation_with_undefined_features_gives_a_whole_result(tmp_path):
    observation = observe()
    x = observation.x.copy()
    x[2] = np.nan
    result = fitted(
        replace(observation, x=x), theta=SIMULATOR.sample_prior(50, seed=2), history=None
    )
    write_result(result, tmp_path / "r")
    text = (tmp_path / "r" / "report.html").read_text()
    assert "No training curve is stored" in text
    assert "undefined in the recording" in text
    assert "nan" not in text.lower().split("<img")[0].replace("constant", "")
