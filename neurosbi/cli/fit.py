"""``neurosbi fit``: from recordings to posteriors."""

__all__ = ["fit"]

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from neurosbi.cli.defects import describe_defect
from neurosbi.cli.options import Device, parse_settings
from neurosbi.errors import BadInputError, InterruptedRunError, NeuroSBIError

if TYPE_CHECKING:
    from neurosbi.steps.result import Result

NEEDS_ARGUMENTS = True


def fit(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE...",
            help="Recordings: current clamp (NWB 1, NWB 2, ABF), spike trains "
            "(NWB units, CSV with unit,time_ms,population) or measured features (CSV with feature,value).",
        ),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Fit the recording that comes with neurosbi.")
    ] = False,
    simulator: Annotated[
        str, typer.Option("--simulator", "-s", help="The model; see: neurosbi simulators.")
    ] = "hodgkin-huxley",
    method: Annotated[
        str,
        typer.Option(
            help="npe trains a network on simulations; mcmc runs Markov chains on the likelihood, "
            "for models that have one (mesogif)."
        ),
    ] = "npe",
    sweeps: Annotated[
        str | None,
        typer.Option(
            help="Fit these sweeps only, for example 12,14-18. Default: all usable steps."
        ),
    ] = None,
    simulations: Annotated[
        int | None,
        typer.Option(
            "--simulations",
            "-n",
            min=1,
            help=(
                "Simulations to train on. \\[default: 100000, fewer for slow models; three times "
                "that to fit several sweeps]"
            ),
        ),
    ] = None,
    samples: Annotated[int, typer.Option(min=100, help="Posterior samples.")] = 2_000,
    features: Annotated[
        str | None, typer.Option(help="Feature set; see: neurosbi simulators NAME.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change a setting of the simulator."),
    ] = None,
    area: Annotated[
        float | None,
        typer.Option(
            help="Membrane area in cm2 (hodgkin-huxley). Default: estimated from the "
            "subthreshold sweeps."
        ),
    ] = None,
    junction_potential: Annotated[
        float,
        typer.Option(help="Liquid-junction correction in mV, added to the voltage (Allen: -14)."),
    ] = 0.0,
    network: Annotated[
        Path | None, typer.Option(help="Use this trained network instead of the cached one.")
    ] = None,
    rounds: Annotated[
        int,
        typer.Option(
            help="Refine the posterior of each recording in up to this many rounds. Each further "
            "one simulates as many sweeps as -n says; without -n, a fifth of its default. It ends "
            "when two in a row came no nearer; the nearest one is the result."
        ),
    ] = 1,
    inputs: Annotated[
        Literal["features", "trace", "both"] | None,
        typer.Option(
            help="What a new network sees of a sweep: features, the voltage trace (in bins), or "
            "both; with both the report says which told more. One sweep at a time unless "
            "features. \\[default: features]"
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder of the result. Default: neurosbi-results/RECORDING/SIMULATOR-METHOD.",
        ),
    ] = None,
    device: Device = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads for simulating. Default: all cores.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Training epochs. Default: the method's.")
    ] = None,
    ensemble: Annotated[
        int | None,
        typer.Option(help="Networks trained together and mixed. Default: the method's."),
    ] = None,
    restrict: Annotated[
        bool,
        typer.Option(
            "--restrict",
            help=(
                "Restrict the prior to where all features are expected to be defined (see "
                "`neurosbi simulate --restrict`); for data that have them all."
            ),
        ),
    ] = False,
    chains: Annotated[
        int | None,
        typer.Option(min=2, help="Markov chains of the method mcmc. \\[default: 16]"),
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            min=1,
            help=(
                "Seconds after which the chains end where they are; with --existing overwrite "
                "the same fit goes on from there. \\[default: 3600]"
            ),
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random draw.")] = 0,
    existing: Annotated[
        Literal["error", "resume", "skip", "overwrite"],
        typer.Option(help="What to do where a result is already."),
    ] = "error",
    format: Annotated[
        Literal["text", "json"], typer.Option(help="What is printed on stdout.")
    ] = "text",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")] = False,
) -> None:
    """Fit a model to a recording: a posterior over its parameters, checks, and a report.

    The first fit of a configuration simulates and trains a network, which takes minutes; it is
    kept, so the next recording takes seconds. With --rounds, further rounds simulate where the
    posterior of this recording is and train a network for it alone, which takes minutes for each
    recording and usually brings predictions nearer to it. An interrupted fit continues when the
    same command is run again.

    [bold]Examples[/bold]

    neurosbi fit --demo

    neurosbi fit cell.nwb --sweeps 39 --junction-potential -14

    neurosbi fit cell.nwb --rounds 3

    neurosbi fit cell.nwb --sweeps 39 --inputs both

    neurosbi fit *.abf --simulator hodgkin-huxley-cortical --existing skip

    neurosbi fit data/pyloric/845_082_0044.csv --simulator pyloric --rounds 5

    neurosbi fit units.nwb --simulator mesogif --method mcmc
    """
    from neurosbi.recordings import demo_recording

    paths = [*(files or []), *([demo_recording()] if demo else [])]
    if not paths:
        raise BadInputError("give a recording (neurosbi fit FILE), or --demo")
    if output is not None and len(paths) > 1:
        raise BadInputError(
            f"-o names the folder of one result, but there are {len(paths)} recordings; leave it out"
        )
    from neurosbi.steps.fit import fit as fit_recording

    options = {
        "epochs": epochs,
        "ensemble": ensemble,
        "chains": chains,
        "time_limit": time_limit,
    }
    options = {name: value for name, value in options.items() if value is not None}
    _check_folders(paths)
    shown: list[dict[str, Any]] = []
    worst = 0

    def note_failure(path: Path, sentence: str, code: int) -> None:
        nonlocal worst
        print(f"neurosbi: {sentence}", file=sys.stderr)
        shown.append({"path": str(path), "error": sentence, "exit_code": code})
        worst = max(worst, code)

    try:
        chosen = parse_settings(settings or [])
        for path in paths:
            try:
                result = fit_recording(
                    path,
                    simulator=simulator,
                    method=method,
                    sweeps=sweeps,
                    simulations=simulations,
                    samples=samples,
                    features=features,
                    settings=chosen,
                    area=area,
                    junction_potential=junction_potential,
                    network=network,
                    rounds=rounds,
                    inputs=inputs,
                    restrict=restrict,
                    output=output,
                    device=device,
                    threads=threads,
                    seed=seed,
                    existing=existing,
                    progress=not quiet,
                    **options,
                )
                shown.append(_shown(result, format))
            except InterruptedRunError:
                raise
            except NeuroSBIError as error:
                if len(paths) == 1:
                    raise
                note_failure(path, str(error), error.exit_code)
            except Exception as error:  # a defect: the other recordings need not suffer from it
                if len(paths) == 1:
                    raise
                note_failure(path, f"{path}: {describe_defect(error)}", 1)
    finally:  # also after Ctrl-C: what is done is told
        if format == "json" and shown:
            print(json.dumps(shown[0] if len(paths) == 1 else shown, indent=2), flush=True)
    if worst:
        raise typer.Exit(worst)


def _check_folders(paths: list[Path]) -> None:
    """Refuse recordings whose results would go to the same folder."""
    from neurosbi.recordings import read_data
    from neurosbi.steps.plan import recording_folder

    names: dict[str, Path] = {}
    for path in paths if len(paths) > 1 else ():
        try:
            name = recording_folder(read_data(path)).name
        except Exception:
            continue  # said when its turn comes
        if name in names:
            raise BadInputError(
                f"{names[name]} and {path} are both called {name}, so that their results would go "
                "to the same folder; fit them one at a time, each with its own -o"
            )
        names[name] = path


def _shown(result: "Result", format: str) -> dict[str, Any]:
    """Print the result; returns it as plain data where that is printed at the end."""
    from neurosbi.report import print_summary, summary_json

    if format == "json":
        return summary_json(result, folder=result.folder)
    print_summary(result, folder=result.folder)
    return {}
