"""The result of a fit: put it together, write it as a folder, open it again.

A result folder holds ``results.zarr`` (everything), ``summary.csv``, ``pairplot.png``,
``predictive.png``, ``report.html`` and, written last, ``manifest.json`` with the size and checksum
of each. All but ``results.zarr`` can be rebuilt from it.
"""

__all__ = ["Result", "assemble_result", "open_result", "rebuild_report", "write_result"]

import hashlib
import json
import platform
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

import neurosbi
from neurosbi.checks import (
    PredictiveCheck,
    Reason,
    Verdict,
    compare_predictive,
    judge_importance,
    prior_predictive_check,
)
from neurosbi.contract import Observation, Simulator, Stimulus
from neurosbi.errors import BadInputError
from neurosbi.report import Findings, render_report
from neurosbi.report.figures import figures, png
from neurosbi.steps.judging import judge_fit
from neurosbi.store import atomic_path, cache_directory, write_json
from neurosbi.store.input_results import InputResults
from neurosbi.store.results import StoredResult, read_results, result_tree, write_results
from neurosbi.store.sweep_results import SweepResults

if TYPE_CHECKING:
    import arviz

    from neurosbi.inference._sbi import DirectPosterior
    from neurosbi.inference.importance import ImportanceSamples
    from neurosbi.inference.network import Network

MANIFEST = "manifest.json"
STORE = "results.zarr"
_PACKAGES = ("numpy", "scipy", "numba", "torch", "sbi", "xarray", "zarr", "matplotlib")

Existing = Literal["error", "skip", "overwrite"]


@dataclass(frozen=True, eq=False)
class Result(Findings):
    """The posterior of one recording, with checks; made by `assemble_result` or `open_result`.

    ``folder`` is where it lies on disk, None if it was not written; ``network`` is the trained
    network, None after `open_result` (it is then looked up where it was kept, when needed).
    """

    folder: Path | None = None
    network: "Network | None" = None

    @cached_property
    def tree(self) -> xr.DataTree:
        """All arrays as an xarray DataTree in ArviZ's schema."""
        check, prior = self.predictive, self.prior_predictive
        arrays = {
            "distance": check.distance,
            "prior_distance": check.prior_distance,
            "spread": check.spread,
            "quantile": check.quantile,
            "prior_quantile": check.prior_quantile,
            "defined": check.defined,
            "range_low": prior.low,
            "range_high": prior.high,
            "outside": prior.outside,
        }
        return result_tree(self.stored, checks=arrays)

    @property
    def posterior(self) -> xr.Dataset:
        """Posterior draws, one variable per parameter, dims (chain, draw); units in the attrs."""
        return self.tree["posterior"].to_dataset()

    @property
    def prior(self) -> xr.Dataset:
        """Prior draws, as `posterior`."""
        return self.tree["prior"].to_dataset()

    @property
    def observation(self) -> Observation:
        """The sweep that was fitted: stimulus, voltage (mV), features."""
        return self.stored.observation

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of the fit, as plain data."""
        return dict(self.stored.config)

    def check(self) -> pd.DataFrame:
        """The feature table of the predictive checks; see `neurosbi.report.summary.feature_table`.

        `neurosbi.check` tests the calibration of the network and of the posterior at the recording.
        """
        return self.feature_table

    def report(self, path: str | Path) -> Path:
        """Write the HTML report to ``path``; returns the path."""
        path = Path(path)
        text = render_report(self, folder=self.folder)
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return path

    def to_sbi(self) -> "DirectPosterior":
        """The posterior as an sbi object, conditioned on the recording.

        Raises `BadInputError` for an opened result whose network is no longer where it was.
        """
        observation, left_out = self.observation, self.stored.verdict.get("left_out", ())
        given = np.array([f.name not in left_out for f in self.stored.features])
        network = self.trained_network()
        sweeps = self.stored.sweeps
        if sweeps is not None:
            stimuli = np.array([network.family.vector(s) for s in sweeps.stimuli])
            return network.posterior(sweeps.x, stimuli, sweeps.given).to_sbi()
        inputs = self.stored.inputs
        trace = None if inputs is None else inputs.trace
        return network.posterior(observation.x, observation.stimulus, given, trace).to_sbi()

    @property
    def network_folder(self) -> Path:
        """Where the network of this result was kept."""
        if "network_path" in self.config:
            return Path(self.config["network_path"])
        return cache_directory() / "networks" / str(self.config.get("network"))

    def trained_network(self) -> "Network":
        """The network of this result.

        Raises `BadInputError` for an opened result whose network is no longer where it was.
        """
        from neurosbi.steps.train import open_network

        if self.network is not None:
            return self.network
        if "sampling" in self.stored.diagnostics:
            raise BadInputError(
                "this posterior was sampled by Markov chains, without a network; how they went is in "
                "the group sampling of results.zarr"
            )
        path = self.network_folder
        if not path.is_dir():
            raise BadInputError(
                f"the network of this result is not at {path} any more; run the fit again to "
                "train it, or use the stored samples (result.posterior)"
            )
        return open_network(path)

    def simulate(
        self,
        n: int = 100,
        *,
        seed: int = 0,
        simulator: str | Simulator | None = None,
        stimulus: Stimulus | None = None,
        traces: bool = False,
        threads: int | None = None,
    ) -> xr.Dataset:
        """The first ``n`` posterior draws, run through a simulator.

        ``simulator`` is a name or a `Simulator` with parameters of the same names (None: that of
        the fit, with its settings); ``stimulus`` is in its units (None: the recorded one). Gives
        ``x`` (sim, feature) and ``status`` (sim), or with ``traces`` what `Simulator.traces` gives;
        the parameters are coordinates of ``sim``. Raises `BadInputError` for more draws than there
        are, or a simulator with other parameters.
        """
        from neurosbi.steps.resimulate import simulate_draws

        return simulate_draws(
            self.stored,
            n,
            seed=seed,
            simulator=simulator,
            stimulus=stimulus,
            traces=traces,
            threads=threads,
        )

    def to_arviz(self) -> "arviz.InferenceData":
        """The result as ArviZ's InferenceData."""
        import warnings

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, module="arviz")
            from arviz import InferenceData

        return InferenceData.from_datatree(self.tree)


def assemble_result(
    simulator: Simulator,
    observation: Observation,
    *,
    theta: np.ndarray,
    log_prob: np.ndarray,
    predictive: PredictiveCheck,
    prior_theta: np.ndarray,
    prior_x: np.ndarray,
    prior_status: np.ndarray,
    seed: int,
    recording: Mapping[str, Any],
    config: Mapping[str, Any],
    history: Mapping[str, Sequence[float] | np.ndarray] | None = None,
    seconds: Mapping[str, float] | None = None,
    papers: Sequence[str] = (),
    given: np.ndarray | None = None,
    further: Iterable[Reason] = (),
    true_theta: np.ndarray | None = None,
    sweeps: SweepResults | None = None,
    diagnostics: Mapping[str, xr.Dataset] | None = None,
    rounds: Mapping[str, np.ndarray] | None = None,
    importance: "ImportanceSamples | None" = None,
    inputs: InputResults | None = None,
) -> Result:
    """Checks, verdict and arrays of one fit, together.

    ``theta[draw, theta]`` and ``log_prob[draw]`` are the posterior; ``predictive`` comes from
    `predictive_check`; ``prior_theta``, ``prior_x``, ``prior_status`` [sim, ...] are prior
    simulations at the observed stimulus. ``recording`` (name, path, format, junction_potential,
    ...) and ``config`` (method, simulations, ...) are plain data shown in the report as they are;
    ``papers`` are to be cited besides the simulator's; ``given[feature]`` says which features the
    posterior is conditioned on (None: all); ``further`` adds reasons to the verdict; ``sweeps``
    are all sweeps of a fit to several, ``observation`` the first of them; ``diagnostics`` are the
    further checks as they store themselves (see `neurosbi.store.results.DIAGNOSTICS`); ``rounds``
    are columns [round] of a refinement; ``importance`` weighs the very draws ``theta``;
    ``inputs`` is the trace, if the posterior is conditioned on it.

    Raises `BadInputError` for arrays that do not fit together or hold values that are not finite.
    """
    theta = simulator.check_theta(theta)
    prior_theta = simulator.check_theta(prior_theta)
    log_prob = np.asarray(log_prob, dtype=np.float64)
    for name, values, length in (
        ("log_prob", log_prob, len(theta)),
        ("prior_x", prior_x, len(prior_theta)),
        ("prior_status", prior_status, len(prior_theta)),
    ):
        if len(values) != length:
            raise BadInputError(f"a result needs {length} rows of {name}, got {len(values)}")
    features = simulator.feature_set
    prior_predictive = prior_predictive_check(
        features, observation.x, prior_x=prior_x, prior_status=prior_status
    )
    kept = np.ones(len(features), dtype=bool) if given is None else np.asarray(given, dtype=bool)
    further = (*further, *judge_importance(importance))
    verdict = judge_fit(
        predictive,
        prior_predictive,
        prior_x=np.asarray(prior_x),
        prior_status=prior_status,
        kept=kept,
        sweeps=sweeps,
        further=further,
    )
    stored = StoredResult(
        parameters=tuple(simulator.parameters),
        features=tuple(features),
        theta=theta,
        log_prob=log_prob,
        prior_theta=prior_theta,
        prior_x=np.asarray(prior_x, dtype=np.float64),
        prior_status=np.asarray(prior_status, dtype=np.int8),
        observation=observation,
        predictive_x=predictive.x,
        predictive_status=predictive.status,
        traces=_single_precision(predictive.traces),
        history=_equal_columns(history),
        seed=seed,
        recording=dict(recording),
        simulator={
            "name": simulator.name,
            "version": simulator.version,
            "summary": simulator.summary,
            "papers": [*simulator.papers, *papers],
            "config": simulator.config(),
            "settings": dict(simulator.settings),
        },
        config=dict(config),
        versions=_versions(),
        verdict={
            "level": verdict.level,
            "reasons": list(verdict.reasons),
            "left_out": [f.name for f, k in zip(features, kept, strict=True) if not k],
            "further": [asdict(reason) for reason in further],
        },
        seconds=dict(seconds or {}),
        true_theta=true_theta,
        sweeps=sweeps,
        diagnostics=dict(diagnostics or {}),
        rounds=rounds,
        importance=None if importance is None else importance.columns(),
        inputs=inputs,
    )
    return Result(stored, predictive, prior_predictive, verdict)


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
        _write_manifest(result, temporary)
    return folder


def open_result(path: str | Path) -> Result:
    """Open a result folder or the ``results.zarr`` in it.

    Raises `BadInputError` when there is none or when files are missing or damaged.
    """
    path = Path(path)
    if path.name != STORE and (path / STORE).is_dir():
        path = path / STORE
    if (path.parent / MANIFEST).is_file() and path.is_dir():
        _check_sizes(path.parent)
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
    )
    verdict = Verdict(stored.verdict["level"], tuple(stored.verdict["reasons"]))
    return Result(stored, predictive, prior_predictive, verdict, folder=path.parent)


def rebuild_report(folder: str | Path) -> Path:
    """Draw figures and report of a result folder anew from its ``results.zarr``; returns the report."""
    folder = Path(folder)
    folder = folder.parent if folder.name == STORE else folder
    result = open_result(folder)
    _write_figures_and_report(result, folder, folder)
    _write_manifest(result, folder)
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
    try:
        listed = json.loads((old / MANIFEST).read_text())["files"]
        ours = {MANIFEST, *(entry["path"].split("/")[0] for entry in listed)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        ours = {MANIFEST}  # a broken manifest: what the new result does not replace is kept
    for entry in old.iterdir():
        if entry.name in ours or (new / entry.name).exists():
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, new / entry.name, symlinks=True)
        else:
            shutil.copy2(entry, new / entry.name, follow_symlinks=False)


_WRITTEN = (STORE, "summary.csv", "pairplot.png", "predictive.png", "report.html")


def _write_manifest(result: Result, folder: Path) -> None:
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


def _check_sizes(folder: Path) -> None:
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


def _single_precision(traces: xr.Dataset | None) -> xr.Dataset | None:
    """The first variable of traces that has a time axis, as it is stored.

    In single precision, so that figures drawn now and from disk are the same.
    """
    for name, values in {} if traces is None else traces.data_vars.items():
        channels = [str(d) for d in values.dims if d not in ("sim", "time")]
        if {"sim", "time"} <= set(values.dims) and len(channels) <= 1:
            values = values.astype(np.float32).transpose("sim", "time", *channels)
            return xr.Dataset({str(name): values})
    return None


def _equal_columns(
    history: Mapping[str, Sequence[float] | np.ndarray] | None,
) -> dict[str, np.ndarray] | None:
    columns = {k: np.asarray(v) for k, v in (history or {}).items() if np.ndim(v) == 1}
    columns = {k: v for k, v in columns.items() if v.dtype.kind in "fiub"}
    lengths = {len(v) for v in columns.values()}
    if len(lengths) > 1:
        raise BadInputError(
            "a training history needs columns of equal length, got "
            + ", ".join(f"{k} {len(v)}" for k, v in columns.items())
        )
    return columns if columns and lengths != {0} else None


def _versions() -> dict[str, str]:
    versions = {"neurosbi": neurosbi.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
