"""The verb fit: exit codes and sentences, and what is printed."""

import json
from pathlib import Path

import pytest

from neurosbi.cli import main
from neurosbi.recordings import demo_recording
from neurosbi.steps import fit as fit_step

DATA = Path(__file__).parents[2] / "data"
ALLEN = DATA / "allen_cell_types"
QUICK = ["-n", "2000", "--samples", "150", "--epochs", "3", "--quiet"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _workplace(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(cache))
    monkeypatch.chdir(tmp_path)


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    printed = capsys.readouterr()
    return stop.value.code, printed.out, printed.err


def test_demo_prints_the_verdict_first_and_writes_the_default_folder(capsys, tmp_path):
    code, out, _ = run(capsys, "fit", "--demo", *QUICK)
    assert code == 0
    lines = [line for line in out.splitlines() if line.strip()]
    assert any(word in lines[0] for word in ("trusted", "caution", "Do not use"))
    assert (
        tmp_path / "neurosbi-results" / "18713001" / "hodgkin-huxley-npe" / "report.html"
    ).is_file()
    code, out, err = run(capsys, "fit", "--demo", *QUICK)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "--existing" in err


def test_json_is_plain_data(capsys):
    code, out, _ = run(
        capsys, "fit", ALLEN / "specimen_518290966" / "ephys.nwb", *QUICK, "--format", "json"
    )
    assert code == 0
    result = json.loads(out)
    assert {p["parameter"] for p in result["parameters"]} >= {"g_Na", "minus_V_T"}
    assert result["verdict"]["level"] in ("trust", "caution", "do not use")


def test_several_files_go_on_after_a_bad_one(capsys, tmp_path):
    bad = tmp_path / "bad.nwb"
    bad.write_text("not a recording")
    good = ALLEN / "specimen_532571720" / "ephys.nwb"
    code, out, err = run(capsys, "fit", bad, good, *QUICK)
    assert code == 2
    assert "bad.nwb" in err
    assert "specimen_532571720" in out or "532571720" in out


def test_recordings_with_one_folder_are_refused_before_any_work(capsys, tmp_path):
    cell = ALLEN / "specimen_518290966" / "ephys.nwb"
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cell.abf").write_bytes(demo_recording().read_bytes())
    for pair in (["a/cell.abf", "b/cell.abf"], [cell, cell]):
        code, out, err = run(capsys, "fit", *pair, *QUICK)
        assert (code, out) == (2, "")
        assert "same folder" in err
        assert "-o" in err
    assert not (tmp_path / "neurosbi-results").exists()


def test_json_of_several_files_tells_failures_too(capsys, tmp_path, monkeypatch):
    """Also an unexpected error of one file, and what was done before Ctrl-C."""
    (tmp_path / "bad.nwb").write_text("not a recording")
    names = ["specimen_518290966", "specimen_532571720", "specimen_569469018"]
    cells = [ALLEN / name / "ephys.nwb" for name in names]
    fit_recording = fit_step.fit

    def with_accidents(path, **arguments):
        if path == cells[0]:
            raise ZeroDivisionError("by accident")
        if path == cells[2]:
            raise KeyboardInterrupt
        return fit_recording(path, **arguments)

    monkeypatch.setattr(fit_step, "fit", with_accidents)
    code, out, err = run(capsys, "fit", cells[0], "bad.nwb", *cells[1:], *QUICK, "--format", "json")
    assert code == 130
    accident, bad, good = json.loads(out)
    assert accident["exit_code"] == 1
    assert accident["path"] == str(cells[0])
    assert "ZeroDivisionError: by accident" in accident["error"]
    assert (bad["path"], bad["exit_code"]) == ("bad.nwb", 2)
    assert good["recording"]["name"] == names[1]
    assert [line.split(":")[0] for line in err.splitlines()] == ["neurosbi"] * 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.nwb"], ["missing.nwb"]),
        (["--sweeps", "99", ALLEN / "specimen_518290966" / "ephys.nwb"], ["no sweep 99"]),
        (["--sweeps", "a-b", ALLEN / "specimen_518290966" / "ephys.nwb"], ["12,14-18"]),
        (["--simulator", "hh", ALLEN / "specimen_518290966" / "ephys.nwb"], ["no simulator"]),
        (["--method", "abc", ALLEN / "specimen_518290966" / "ephys.nwb"], ["no method", "npe"]),
        (["--samples", "1", ALLEN / "specimen_518290966" / "ephys.nwb"], ["samples"]),
        (["--set", "area=abc", ALLEN / "specimen_518290966" / "ephys.nwb"], ["area is abc"]),
        (["--set", "dt=5", ALLEN / "specimen_518290966" / "ephys.nwb"], ["dt", "0.1"]),
        (["a.nwb", "b.nwb", "-o", "x"], ["-o"]),
        (["--device", "tpu", "a.nwb"], ["device"]),
    ],
)
def test_bad_input_ends_with_2_one_sentence_and_nothing_written(capsys, tmp_path, arguments, words):
    code, out, err = run(capsys, "fit", *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("neurosbi: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err
    assert not (tmp_path / "neurosbi-results").exists()


def test_help_teaches(capsys):
    code, out, _ = run(capsys, "fit", "--help")
    assert code == 0
    for word in ("--demo", "--junction-potential", "--area", "Examples"):
        assert word in out
