import pytest
from passive_cell import fitted

from neurosbi.cli import main
from neurosbi.steps.result_folder import write_result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_result(fitted(), tmp_path_factory.mktemp("cli") / "cell")


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return stop.value.code


def test_report_is_rebuilt_in_place(folder, capsys):
    text = (folder / "report.html").read_text()
    (folder / "report.html").unlink()
    assert run("report", folder) == 0
    assert capsys.readouterr().out == f"{folder / 'report.html'}\n"
    assert (folder / "report.html").read_text() == text


def test_report_to_another_file_leaves_the_folder_alone(folder, tmp_path, capsys):
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    assert run("report", folder, "-o", tmp_path / "cell.html") == 0
    text = (tmp_path / "cell.html").read_text()
    assert "can be trusted" in text
    assert (
        f"nb.open_result(&#34;{folder}&#34;)" in text
    )  # the folder of the result, not of the file
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before


@pytest.mark.parametrize("name", ["nothing", "."])
def test_what_is_no_result_is_bad_input(tmp_path, name, capsys):
    assert run("report", tmp_path / name) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
