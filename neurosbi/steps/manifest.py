"""``manifest.json`` of a result folder: what was fitted and how, size and checksum of every file."""

__all__ = [
    "MANIFEST",
    "STORE",
    "check_sizes",
    "listed_names",
    "refuse_among_others",
    "write_manifest",
]

import hashlib
import json
from pathlib import Path

from neurosbi.errors import BadInputError
from neurosbi.steps.result import Result
from neurosbi.store import write_json

MANIFEST = "manifest.json"
STORE = "results.zarr"
_WRITTEN = (STORE, "summary.csv", "pairplot.png", "predictive.png", "report.html")


def write_manifest(result: Result, folder: Path) -> None:
    """Write the manifest of ``folder``, whose files are all there."""
    stored = result.stored
    paths = [
        path
        for name in _WRITTEN
        for path in (
            sorted((folder / name).rglob("*")) if (folder / name).is_dir() else [folder / name]
        )
        if path.is_file()
    ]
    write_json(
        folder / MANIFEST,
        {
            "neurosbi": stored.versions.get("neurosbi"),
            "recording": json.loads(result.tree.attrs["recording"]),
            "sweep": stored.observation.sweep,
            "simulator": json.loads(result.tree.attrs["simulator"]),
            "config": json.loads(result.tree.attrs["config"]),
            "seed": stored.seed,
            "versions": dict(stored.versions),
            "verdict": {
                "level": result.verdict.level,
                "sentence": result.verdict.sentence,
                "reasons": list(result.verdict.reasons),
            },
            "seconds": dict(stored.seconds),
            "files": [
                {
                    "path": path.relative_to(folder).as_posix(),
                    "bytes": path.stat().st_size,
                    "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                }
                for path in paths
            ],
        },
    )


def refuse_among_others(folder: Path) -> None:
    """Raises `BadInputError` where a result without a manifest lies among files of others.

    Nothing says then which of them may be replaced.
    """
    if not folder.is_dir() or (folder / MANIFEST).is_file():
        return
    others = sorted({path.name for path in folder.iterdir()} - {*_WRITTEN})
    if others:
        raise BadInputError(
            f"{folder} has no {MANIFEST} and holds more than a result ({others[0]}); move its "
            f"{STORE} to a folder of its own"
        )


def listed_names(folder: Path) -> set[str]:
    """Names in ``folder`` that neurosbi wrote; of a broken manifest only its own."""
    try:
        listed = json.loads((folder / MANIFEST).read_text())["files"]
        return {MANIFEST, *(entry["path"].split("/")[0] for entry in listed)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {MANIFEST}


def check_sizes(folder: Path) -> None:
    """Raises `BadInputError` where a file of the store is missing or not as long as it was."""
    try:
        entries = json.loads((folder / MANIFEST).read_text())["files"]
        sizes = {entry["path"]: entry["bytes"] for entry in entries}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(
            f"{folder / MANIFEST} is damaged ({type(error).__name__}); delete it to open the "
            "results without checking that they are complete"
        ) from error
    for name, size in sizes.items():
        path = folder / name
        if name.startswith(STORE) and not (path.is_file() and path.stat().st_size == size):
            raise BadInputError(
                f"the result {folder} is damaged or incomplete ({name} is missing or has another "
                "size); run the fit again with --existing overwrite"
            )
