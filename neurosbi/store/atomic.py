"""Write a file or a folder so that it appears whole or not at all."""

__all__ = ["atomic_path", "write_json"]

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neurosbi.errors import FitError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary sibling of ``path`` to write to; renamed onto ``path`` when the block succeeds.

    A file or folder that already exists is replaced only then. After an error nothing of the
    new one is left, and the old one is untouched. A full disk becomes a `FitError` that says so.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    _remove(temporary)
    try:
        yield temporary
        if path.is_dir() and temporary.exists():
            retired = path.with_name(f".{path.name}.{os.getpid()}.old")
            path.rename(retired)
            temporary.rename(path)
            _remove(retired)
        else:
            temporary.replace(path)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise FitError(
                f"the disk is full: {path} could not be written; free some space and run the "
                "same command again"
            ) from error
        raise
    finally:
        _remove(temporary)


def write_json(path: Path, values: Any) -> None:
    """Write plain data as indented JSON, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2, sort_keys=False) + "\n")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
