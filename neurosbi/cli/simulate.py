"""``neurosbi simulate``: simulations of a model, kept in a Zarr store."""

__all__ = ["simulate"]

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurosbi.cli.options import (
    Existing,
    OutputFormat,
    parse_settings,
    parse_shards,
    parse_stimulus,
)
from neurosbi.errors import BadInputError

if TYPE_CHECKING:
    from neurosbi.steps.simulate import SimulationRun

NEEDS_ARGUMENTS = True


def simulate(
    simulator: Annotated[
        str, typer.Argument(help="Name of the simulator; `neurosbi simulators` lists them.")
    ],
    n: Annotated[int, typer.Option("-n", "--simulations", min=1, help="How many simulations.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The store, a folder. (default: in the cache)"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of parameters, stimuli and noise.")] = 0,
    features: Annotated[
        str | None, typer.Option(help="Feature set. (default: the simulator's)")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change a setting; may be repeated."),
    ] = None,
    stimulus: Annotated[
        str,
        typer.Option(
            help=(
                "family: stimuli drawn from the simulator's family; default: its default "
                "stimulus; or a step: amplitude=170,onset=205,duration=1000,unit=pA (ms; "
                "or unit=uA/cm2). "
                "Ranges low:high make a family of steps."
            )
        ),
    ] = "family",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads or processes. (default: all cores)")
    ] = None,
    shard_size: Annotated[
        int | None,
        typer.Option(min=1, help="Simulations written at a time. (default: n / 64 or so)"),
    ] = None,
    shards: Annotated[
        str | None,
        typer.Option(help="Compute these shards only, like 0-9 or 3,5: one call per cluster job."),
    ] = None,
    traces: Annotated[
        bool,
        typer.Option(
            "--traces",
            help="Keep the voltage in bins of time too, for networks that read traces.",
        ),
    ] = False,
    spikes: Annotated[
        Path | None,
        typer.Option(
            help="Keep the spikes of the simulations too, in this folder (networks of neurons)."
        ),
    ] = None,
    restrict: Annotated[
        bool,
        typer.Option(
            "--restrict",
            help=(
                "Restrict the prior to where all features are expected to be defined, by a "
                "classifier trained on --pilot simulations."
            ),
        ),
    ] = False,
    pilot: Annotated[
        int | None,
        typer.Option(min=1, help="Simulations for --restrict. (default: 10,000)"),
    ] = None,
    existing: Annotated[
        Existing,
        typer.Option(
            help=(
                "resume: compute what is missing or damaged, or add simulations; overwrite: "
                "replace the store once the new one is complete; error: refuse."
            )
        ),
    ] = Existing.resume,
    output_format: Annotated[
        OutputFormat, typer.Option("--format", help="How to print the summary.")
    ] = OutputFormat.text,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")] = False,
) -> None:
    """Simulate parameter sets drawn from the prior and keep their features.

    Stop it whenever you like: the same command goes on where it was (spikes
    begin anew unless all were written). What a store holds depends on the
    simulator, the stimulus and the seed alone, not on threads or shards.

    Example, 100,000 cells of 1.9e-4 cm2 that each get a step of 170 pA:

        neurosbi simulate hodgkin-huxley -n 100000 -o sims.zarr
        --set area=1.9e-4 --stimulus amplitude=170,onset=205,duration=1000

    Open the store with xarray.open_zarr("sims.zarr"), or, checked, with
    neurosbi.open_simulations("sims.zarr").
    """
    from neurosbi.registry import simulator as build
    from neurosbi.steps.simulate import run_simulations

    model = build(simulator, features=features, **parse_settings(settings or []))
    stimuli = parse_stimulus(stimulus, model)
    if restrict:
        from neurosbi.steps.restrict import PILOT
        from neurosbi.steps.restrict import restrict as restricted

        model = restricted(
            model,
            pilot=pilot or PILOT,
            stimulus=stimuli,
            seed=seed,
            threads=threads,
            progress=not quiet,
        )
    elif pilot is not None:
        raise BadInputError("--pilot is the number of simulations for --restrict; give both")
    if spikes is not None:  # first, because a path that is taken is refused
        from neurosbi.contract import Stimulus
        from neurosbi.steps.spikes import simulate_spikes

        simulate_spikes(
            model,
            n,
            spikes,
            stimulus=stimuli if isinstance(stimuli, Stimulus) else None,
            seed=seed,
            existing=existing.value,
            progress=not quiet,
        )
    run = run_simulations(
        model,
        n,
        store=output,
        stimulus=stimuli,
        seed=seed,
        shard_size=shard_size,
        shards=None if shards is None else parse_shards(shards),
        threads=threads,
        existing=existing.value,
        traces=traces,
        progress=not quiet,
    )
    report = _report(run)
    print(json.dumps(report, indent=2) if output_format is OutputFormat.json else _text(report))


def _report(run: "SimulationRun") -> dict[str, Any]:
    summary = run.store.summary()

    def fraction(value: float) -> float | None:
        return None if value != value else value

    report = {
        "store": str(run.store.path),
        "simulator": run.store.config.name,
        "seed": run.store.seed,
        "n": run.store.n,
        "done": summary.done,
        "complete": run.store.complete,
        "shards": run.store.n_shards,
        "shard_size": run.store.shard_size,
        "simulated_now": run.simulated,
        "simulations_per_second": run.rate,
        "valid_fraction": fraction(summary.valid_fraction),
        "undefined_fraction": {k: fraction(v) for k, v in summary.undefined_fraction.items()},
    }
    region = run.store.config.simulator.get("prior_region")
    if region is not None:
        from neurosbi.steps.restrict import complete_fraction

        report["restriction"] = {
            "digest": region["digest"],
            **region["facts"],
            "valid_restricted": fraction(complete_fraction(run.store)),
        }
    return report


def _text(report: dict[str, Any]) -> str:
    from neurosbi.contract import percent

    done = f"{report['done']:,} of {report['n']:,} simulations of {report['simulator']}"
    lines = [f"{report['store']}: {done}, seed {report['seed']}"]
    if report["simulated_now"]:
        rate = report["simulations_per_second"]
        lines.append(
            f"simulated now: {report['simulated_now']:,} ({rate:,.{1 if rate < 10 else 0}f} per second)"
        )
    else:
        lines.append("simulated now: none, the store had them")
    if report["valid_fraction"] is not None:
        lines.append(f"ended properly: {100 * report['valid_fraction']:.2f} %")
    if "restriction" in report:
        facts = report["restriction"]
        after = facts["valid_restricted"]
        lines.append(
            f"all features defined: {100 * facts['valid']:.2f} % of the prior, "
            f"{'unknown' if after is None else f'{100 * after:.2f} %'} of the restricted prior "
            f"({percent(facts['kept_of_prior'])} of the prior)"
        )
    undefined = {k: v for k, v in report["undefined_fraction"].items() if v}
    if undefined:
        width = max(map(len, undefined))
        lines.append("undefined features (of simulations that ended properly):")
        lines += [f"  {name:<{width}}  {100 * v:6.2f} %" for name, v in undefined.items()]
    elif report["valid_fraction"]:
        lines.append("undefined features: none")
    if not report["complete"]:
        lines.append("not complete: other shards are still to be computed")
    return "\n".join(lines)
