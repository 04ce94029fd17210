"""A result as a folder: write it, open it, draw its report again.

A result folder holds ``results.zarr`` (everything), ``summary.csv``, ``pairplot.png``,
``predictive.png``, ``report.html`` and, written last, ``manifest.json``. All but ``results.zarr``
can be rebuilt from it.
"""

__all__ = ["open_result", "rebuild_report", "write_result"]

import shutil
from pathlib import Path
from typing import Literal

from neurosbi.checks import Verdict, compare_predictive, prior_predictive_check
from neurosbi.errors import BadInputError
from neurosbi.report import render_report
from neurosbi.report.figures import figures, png
from neurosbi.steps.manifest import MANIFEST, STORE, check_sizes, listed_names, write_manifest
from neurosbi.steps.result import Result
from neurosbi.store import atomic_path
from neurosbi.store.results import read_results, write_results

Existing = Literal["error", "skip", "overwrite"]


def write_result(result: Result, folder: str | Path, *, existing: Existing = "error") -> Path:
    """Write the result folder, whole or not at all; returns the folder.

    ``existing`` says what to do where there is a result already: refuse ("error"), leave it as it
    is ("skip") or replace it ("overwrite"; files that no fit wrote are kept). A folder without a
    result in it is never touched. Raises `BadInputError` then, `FitError` on a full disk.
    """
    folder = Path(folder)
    if _refuses(folder, existing):
        return folder
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        write_results(result.tree, temporary / STORE)
        result.summary.to_csv(temporary / "summary.csv", index=False)
        _write_figures_and_report(result, temporary, folder)
        if folder.is_dir():
            _keep_foreign_files(folder, temporary)
        write_manifest(result, temporary)
    return folder


def open_result(path: str | Path) -> Result:
    """Open a result folder or the ``results.zarr`` in it.

    Raises `BadInputError` when there is none or when files are missing or damaged.
    """
    path = Path(path)
    if path.name != STORE and (path / STORE).is_dir():
        path = path / STORE
    if (path.parent / MANIFEST).is_file() and path.is_dir():
        check_sizes(path.parent)
    stored, _ = read_results(path)
    predictive = compare_predictive(
        stored.features,
        stored.observation.x,
        x=stored.predictive_x,
        status=stored.predictive_status,
        prior_x=stored.prior_x,
        prior_status=stored.prior_status,
        traces=stored.traces,
    )
    prior_predictive = prior_predictive_check(
        stored.features,
        stored.observation.x,
        prior_x=stored.prior_x,
        prior_status=stored.prior_status,
        measured=stored.measured,
    )
    verdict = Verdict(
        stored.verdict["level"],
        tuple(stored.verdict["reasons"]),
        tuple(stored.verdict.get("remedies", ())),
    )
    return Result(stored, predictive, prior_predictive, verdict, folder=path.parent)


def rebuild_report(folder: str | Path) -> Path:
    """Draw figures and report of a result folder anew from its ``results.zarr``; returns the report."""
    folder = Path(folder)
    folder = folder.parent if folder.name == STORE else folder
    result = open_result(folder)
    _write_figures_and_report(result, folder, folder)
    write_manifest(result, folder)
    return folder / "report.html"


def _write_figures_and_report(result: Result, folder: Path, final: Path) -> None:
    images = {name: png(figure) for name, figure in figures(result).items()}
    for name in ("pairplot", "predictive"):
        with atomic_path(folder / f"{name}.png") as temporary:
            temporary.write_bytes(images[name])
    text = render_report(result, folder=final, images=images)
    with atomic_path(folder / "report.html") as temporary:
        temporary.write_text(text, encoding="utf-8")


def _refuses(folder: Path, existing: Existing) -> bool:
    """True to leave the folder as it is; raises where writing would lose something."""
    if existing not in ("error", "skip", "overwrite"):
        raise BadInputError(f"existing is error, skip or overwrite, not {existing!r}")
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"{folder} is a file: give a folder for the results")
    if not folder.is_dir() or not any(folder.iterdir()):
        return False
    if not (folder / MANIFEST).is_file():
        raise BadInputError(
            f"the folder {folder} holds files that are no result of neurosbi: choose another with -o"
        )
    if existing == "error":
        raise BadInputError(
            f"there is a result in {folder} already: choose another folder with -o, or "
            "--existing overwrite to replace it"
        )
    return existing == "skip"


def _keep_foreign_files(old: Path, new: Path) -> None:
    ours = listed_names(old)
    for entry in old.iterdir():
        if entry.name in ours or (new / entry.name).exists():
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, new / entry.name, symlinks=True)
        else:
            shutil.copy2(entry, new / entry.name, follow_symlinks=False)
