"""Write a file or a folder so that it appears whole or not at all."""

__all__ = ["atomic_path", "check_writable", "disk_full", "refuse_working_folder", "write_json"]

import errno
import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neurosbi.errors import BadInputError, FitError, MissingResourceError, NeuroSBIError
from neurosbi.store.cache import cache_directory

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary sibling of ``path`` to write to; renamed onto ``path`` when the block succeeds.

    A file or folder that already exists is replaced only then. After an error nothing of the
    new one is left, and the old one is untouched. A full disk becomes a `FitError` that says so,
    a place that cannot be written a `BadInputError`, or a `MissingResourceError` in the cache.
    The name of the sibling is unique, also among the machines of a cluster that share a disk.
    """
    path = Path(path).absolute()
    tag = uuid.uuid4().hex[:12]
    temporary = path.with_name(f".{path.name}.{tag}.part")
    with disk_full(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno in _FULL:
                raise
            raise _not_writable(path, error) from error
        try:
            yield temporary
            _replace(temporary, path, path.with_name(f".{path.name}.{tag}.old"))
        except OSError as error:
            if error.errno in _FORBIDDEN and _concerns(error, path.parent):
                raise _not_writable(path, error) from error
            raise
        finally:
            _remove(temporary)


def refuse_working_folder(path: Path) -> None:
    """Raises `BadInputError` for the working folder or one above it: these cannot be replaced."""
    try:
        here = Path.cwd()
    except OSError:  # it was deleted
        return
    if here.is_relative_to(Path(path).resolve()):
        raise BadInputError(
            f"{path} is the folder this command runs in, which cannot be replaced as a whole; give "
            "another one, or run the command from the folder above"
        )


def check_writable(path: Path) -> None:
    """Find out, before any work, whether ``path`` can be written; leaves nothing behind.

    Raises `BadInputError`, or `MissingResourceError` for a path in the cache.
    """
    refuse_working_folder(path)
    place = Path(path).absolute().parent
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        # permissions do not tell all (read-only disks, quotas, access lists): try it
        with tempfile.TemporaryDirectory(dir=place, prefix=".neurosbi."):
            pass
    except OSError as error:
        raise _not_writable(path, error) from error


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


def _not_writable(path: Path, error: OSError) -> NeuroSBIError:
    reason = error.strerror or type(error).__name__
    cache = cache_directory()
    if Path(path).absolute().is_relative_to(cache.absolute()):
        return MissingResourceError(
            f"the cache {cache} cannot be written ({reason}); set NEUROSBI_CACHE_DIR to a folder "
            "that can"
        )
    refusal = _NotWritable(
        f"{path} cannot be written ({reason}); choose another place with -o, or change the "
        "permissions"
    )
    refusal.strerror = reason
    return refusal


class _NotWritable(BadInputError, OSError):
    """Also an `OSError`, for callers that can do without the file."""


def _concerns(error: OSError, folder: Path) -> bool:
    """Whether the error is about something within the folder, not about a file read meanwhile."""
    if error.filename is None:
        return False
    return Path(error.filename).absolute().is_relative_to(folder.absolute())


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
