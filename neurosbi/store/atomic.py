"""Write a file or a folder so that it appears whole or not at all."""

__all__ = ["atomic_path", "disk_full", "write_json"]

import errno
import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neurosbi.errors import FitError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary sibling of ``path`` to write to; renamed onto ``path`` when the block succeeds.

    A file or folder that already exists is replaced only then. After an error nothing of the
    new one is left, and the old one is untouched. A full disk becomes a `FitError` that says so.
    The name of the sibling is unique, also among the machines of a cluster that share a disk.
    """
    path = Path(path)
    tag = uuid.uuid4().hex[:12]
    temporary = path.with_name(f".{path.name}.{tag}.part")
    with disk_full(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _replace(temporary, path, path.with_name(f".{path.name}.{tag}.old"))
        finally:
            _remove(temporary)


@contextmanager
def disk_full(path: Path) -> Iterator[None]:
    """Turns the error of a full disk or quota while writing ``path`` into a `FitError`."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise FitError(
                f"the disk is full: {path} could not be written; free some space and run the "
                "same command again"
            ) from error
        raise


def write_json(path: Path, values: Any) -> None:
    """Write plain data as indented JSON, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2, sort_keys=False) + "\n")


def _replace(new: Path, path: Path, retired: Path) -> None:
    if not (path.is_dir() or new.is_dir()) or not path.exists() or not new.exists():
        new.replace(path)
        return
    # no system call replaces a folder that is not empty: move the old one aside, and back if
    # the new one cannot take its place
    path.rename(retired)
    try:
        new.rename(path)
    except BaseException:
        retired.rename(path)
        raise
    _remove(retired)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
