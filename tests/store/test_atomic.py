import errno
import json
import os

import pytest

from neurosbi.errors import BadInputError, FitError, MissingResourceError
from neurosbi.store import atomic_path, write_json
from neurosbi.store.atomic import check_writable


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_file_appears_whole(tmp_path):
    with atomic_path(tmp_path / "deep" / "a.txt") as temporary:
        temporary.write_text("new")
        assert not (tmp_path / "deep" / "a.txt").exists()
    assert names(tmp_path / "deep") == ["a.txt"]


def test_the_working_folder_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (".", "..", tmp_path):
        with pytest.raises(BadInputError, match="run the command from the folder above"):
            check_writable(path)
    check_writable(tmp_path / "new")


@pytest.mark.parametrize("old", ["file", "folder", "nothing"])
@pytest.mark.parametrize("new", ["file", "folder"])
def test_replaces_whatever_was_there(tmp_path, old, new):
    path = tmp_path / "out"
    make(path, old, "old")
    with atomic_path(path) as temporary:
        make(temporary, new, "new")
    assert content(path) == "new"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("old", ["file", "folder"])
@pytest.mark.parametrize("new", ["file", "folder"])
def test_an_error_leaves_the_old_one_and_nothing_else(tmp_path, old, new):
    path = tmp_path / "out"
    make(path, old, "old")
    with pytest.raises(RuntimeError, match="half way"):
        make_half(path, new)
    assert content(path) == "old"
    assert names(tmp_path) == ["out"]


def test_a_block_that_writes_nothing_keeps_the_old_folder(tmp_path):
    path = tmp_path / "out"
    make(path, "folder", "old")
    with pytest.raises(FileNotFoundError), atomic_path(path):
        pass
    assert content(path) == "old"


def test_the_old_folder_comes_back_if_the_last_rename_fails(tmp_path, monkeypatch):
    path = tmp_path / "out"
    make(path, "folder", "old")
    rename = os.rename

    def failing(source, target):
        if str(source).endswith(".part"):
            raise OSError(errno.EIO, "the disk died")
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="the disk died"), atomic_path(path) as temporary:
        make(temporary, "folder", "new")
    assert content(path) == "old"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_in_words(tmp_path, code):
    with pytest.raises(FitError, match=r"disk is full.*a\.json"), atomic_path(tmp_path / "a.json"):
        raise OSError(code, "no space")
    assert names(tmp_path) == []


def test_other_errors_of_the_system_pass(tmp_path):
    with pytest.raises(PermissionError), atomic_path(tmp_path / "a"):
        raise PermissionError(errno.EACCES, "denied")


def test_two_writers_do_not_share_a_temporary_file(tmp_path):
    with atomic_path(tmp_path / "a") as first, atomic_path(tmp_path / "a") as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert (tmp_path / "a").read_text() == "first"  # the outer block ends last


def test_json_keeps_the_order_of_keys(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": [0.1, None]})
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {"b": 1, "a": [0.1, None]}
    assert text.index('"b"') < text.index('"a"')


def make(path, kind, text):
    if kind == "file":
        path.write_text(text)
    elif kind == "folder":
        path.mkdir()
        (path / "inside").write_text(text)


def make_half(path, kind):
    with atomic_path(path) as temporary:
        make(temporary, kind, "new")
        raise RuntimeError("half way")


def content(path):
    return (path / "inside" if path.is_dir() else path).read_text()


def test_a_place_that_cannot_be_written_is_said_in_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    place = tmp_path / "file" / "deep" / "result"
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(BadInputError, match="cannot be written"), atomic_path(place):
        pass
    with pytest.raises(BadInputError, match=r"cannot be written.*-o"):
        check_writable(place)
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(MissingResourceError, match="NEUROSBI_CACHE_DIR"):
        check_writable(tmp_path / "file" / "cache" / "networks")
    assert (tmp_path / "file").read_text() == "mine"
    check_writable(tmp_path / "new" / "deep")
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_forbidden_write_is_said_but_not_a_forbidden_read(tmp_path, code):
    with (
        pytest.raises(BadInputError, match=r"a\.json cannot be written"),
        atomic_path(tmp_path / "a.json") as temporary,
    ):
        raise OSError(code, "forbidden", str(temporary))
    with pytest.raises(OSError, match="secret"), atomic_path(tmp_path / "a.json"):
        raise OSError(code, "forbidden", "/elsewhere/secret")
    assert names(tmp_path) == []
