"""``neurosbi train``: a network trained on stored simulations."""

__all__ = ["train"]

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from neurosbi.cli.options import Device, Existing, OutputFormat

if TYPE_CHECKING:
    from neurosbi.inference.network import Network

NEEDS_ARGUMENTS = True
_FEW_VALIDATED = 100  # below it the gain is mostly chance


def train(
    simulations: Annotated[
        Path, typer.Argument(help="A store of simulations, made by `neurosbi simulate`.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The network, a folder. \\[default: in the cache]"),
    ] = None,
    method: Annotated[str, typer.Option(help="Inference method.")] = "npe",
    inputs: Annotated[
        Literal["features", "trace", "both"] | None,
        typer.Option(
            help="What the network sees: features, the voltage trace, or both; traces need "
            "simulations made with --traces. \\[default: features]"
        ),
    ] = None,
    device: Device = "auto",
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Passes over the simulations. \\[default: 20 to 100, the fewer the more there are]",
        ),
    ] = None,
    ensemble: Annotated[
        int | None,
        typer.Option(help="Networks trained together and mixed. \\[default: the method's]"),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Simulations per step. \\[default: the method's]")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Highest learning rate. \\[default: the method's]")
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(help="Stop after so many minutes and keep the best network.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads. \\[default: 1, more are rarely faster]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of weights and shuffling.")] = 0,
    existing: Annotated[
        Existing,
        typer.Option(
            help=(
                "resume: continue, or open what is finished; overwrite: train anew (or go on with "
                "what was interrupted) and replace; error: refuse."
            )
        ),
    ] = Existing.resume,
    output_format: Annotated[
        OutputFormat, typer.Option("--format", help="How to print the summary.")
    ] = OutputFormat.text,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")] = False,
) -> None:
    """Train a network that turns features into a posterior.

    Stop it whenever you like: the same command goes on where it was, to the same network.

        neurosbi train sims.zarr -o network

        neurosbi train sims.zarr --inputs both -o network
    """
    from neurosbi.inference.methods import method_config
    from neurosbi.steps.train import network_key
    from neurosbi.steps.train import train as run
    from neurosbi.store import cache_directory, open_simulations

    options: dict[str, Any] = {
        "inputs": inputs,
        "epochs": epochs,
        "ensemble": ensemble,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "max_minutes": max_minutes,
        "threads": threads,
    }
    options = {name: value for name, value in options.items() if value is not None}
    store = open_simulations(simulations)
    config = method_config(method, **options)
    key = network_key(store, method=method, seed=seed, config=config)
    path = output if output is not None else cache_directory() / "networks" / key
    network = run(
        store,
        method=method,
        seed=seed,
        out=path,
        device=device,
        existing=existing.value,
        progress=not quiet,
        **options,
    )
    summary = _summary(network, path)
    if output_format is OutputFormat.json:
        print(json.dumps(summary, indent=2))
    else:
        for name, text in _lines(summary):
            print(f"{name:<22}{text}")


def _summary(network: "Network", path: Path) -> dict[str, Any]:
    card = network.card
    result, used = card["result"], card["simulations"]
    return {
        "network": str(path),
        "method": card["method"],
        "simulator": card["simulator"].get("simulator"),
        "simulations_used": used["used"],
        "simulations_dropped": used["dropped"],
        "epochs": len(result["history"]),
        "best_epoch": result["best_epoch"] + 1,
        "stopped_by": result["stopped"],
        "seconds": round(result["seconds"], 1),
        "device": result["device"],
        "validation_log_prob": result["validation_log_prob"],
        "information_gain": result["information_gain"],
        "validated_on": result["n_validation"],
        "information_by_input": {
            name: values["information"]
            for name, values in card.get("information", {}).get("inputs", {}).items()
        },
    }


def _lines(summary: dict[str, Any]) -> list[tuple[str, str]]:
    dropped = summary["simulations_dropped"]
    left_out = f", {dropped} that failed left out" if dropped else ""
    return [
        ("network", summary["network"]),
        ("method", f"{summary['method']} for {summary['simulator']}"),
        ("simulations", f"{summary['simulations_used']} used{left_out}"),
        (
            "training",
            f"{summary['epochs']} epochs in {summary['seconds']:.0f} s on {summary['device']}, "
            f"the best is epoch {summary['best_epoch']}",
        ),
        ("validation log-prob", f"{summary['validation_log_prob']:.3f} (units of the parameters)"),
        (
            "gain over the prior",
            f"{summary['information_gain']:.2f} nats on average: what a recording tells"
            + _caveat(summary),
        ),
        *(
            (f"  given {name}", f"{nats:.2f} nats")
            for name, nats in summary["information_by_input"].items()
        ),
    ]


def _caveat(summary: dict[str, Any]) -> str:
    n = summary["validated_on"]
    if n >= _FEW_VALIDATED:
        return ""
    return f" (measured on {n} held-out simulation{'s' if n != 1 else ''} only: train on more)"
