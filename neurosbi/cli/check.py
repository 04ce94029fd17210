"""``neurosbi check``: can a network, and its posterior of a recording, be trusted?"""

__all__ = ["check"]

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from neurosbi.cli.options import Device

if TYPE_CHECKING:
    from neurosbi.checks import Calibration

NEEDS_ARGUMENTS = True

_OPENINGS = {
    "trust": ("green", "This network is calibrated"),
    "caution": ("yellow", "Use this network with caution"),
    "do not use": ("red", "Do not use this network"),
}


def check(
    target: Annotated[
        Path,
        typer.Argument(
            metavar="RESULT_OR_NETWORK",
            help="A folder that neurosbi fit wrote, or a network of neurosbi train.",
        ),
    ],
    simulations: Annotated[
        int, typer.Option("--simulations", "-n", min=1, help="Fresh simulations to test on.")
    ] = 2_000,
    draws: Annotated[int, typer.Option(min=19, help="Posterior draws for each of them.")] = 199,
    time_limit: Annotated[
        float | None,
        typer.Option(help="Seconds after which what was tested by then is used. Default: none."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random draw.")] = 0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads for simulating. Default: all cores.")
    ] = None,
    device: Device = "auto",
    format: Annotated[
        Literal["text", "json"], typer.Option(help="What is printed on stdout.")
    ] = "text",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")] = False,
) -> None:
    """Test whether a network tells the truth, and whether it does so at your recording.

    Three questions. Is the network calibrated: do its 90 % intervals hold the true parameters of
    90 % of fresh simulations? Is its posterior right at this recording (a local two-sample test)?
    Is the recording of a kind that the network has learned from, also when features are looked at
    together?

    For a result all three are asked, and verdict, report and results.zarr are renewed; a network
    that was refined with --rounds is not asked the second, one that reads traces only the first.
    For a network the first one is asked. The calibration is kept beside the network, so that every
    fit with it knows. The exit code is 0 whatever the verdict is.

    [bold]Examples[/bold]

    neurosbi check neurosbi-results/cell/hodgkin-huxley-npe

    neurosbi check my-network -n 5000 --time-limit 60
    """
    from neurosbi.checks import Calibration
    from neurosbi.report import print_summary, summary_json
    from neurosbi.steps.check import check as run

    found = run(
        target,
        simulations=simulations,
        draws=draws,
        time_limit=time_limit,
        seed=seed,
        threads=threads,
        device=device,
        progress=not quiet,
    )
    if isinstance(found, Calibration):
        shown = _shown(found)
        if format == "text":
            _print(found, shown)
    elif format == "json":
        shown = summary_json(found, folder=found.folder)
    else:
        print_summary(found, folder=found.folder)
        return
    if format == "json":
        print(json.dumps(shown, indent=2))


def _shown(calibration: "Calibration") -> dict[str, Any]:
    from neurosbi.checks import verdict_of
    from neurosbi.report.checks import calibration_json

    reasons = calibration.reasons
    verdict = verdict_of(reasons, otherwise=reasons[0].sentence)
    told = tuple(dict.fromkeys(verdict.reasons))
    return {
        "verdict": {
            "level": verdict.level,
            "reasons": list(told),
            "remedies": list(verdict.remedies),
        },
        "calibration": calibration_json(calibration),
    }


def _print(calibration: "Calibration", shown: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    colour, opening = _OPENINGS[shown["verdict"]["level"]]
    console.print(f"[bold {colour}]{opening}[/]")
    for reason in shown["verdict"]["reasons"]:
        console.print(f"  - {escape(reason)}")
    for remedy in shown["verdict"]["remedies"]:
        console.print(f"  What may help: {escape(remedy)}")
    console.print()
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("parameter")
    for name in ("truth in 50 % intervals", "in 90 % intervals", "below the median"):
        table.add_column(name, justify="right")
    columns = (calibration.coverage(0.5), calibration.coverage(), calibration.curve_at_half)
    for name, *shares in zip(calibration.parameters, *columns, strict=True):
        table.add_row(escape(name), *(f"{100 * share:.0f} %" for share in shares))
    joint = (calibration.joint_coverage(0.5), calibration.joint_coverage())
    table.add_row("all together", *(f"{100 * share:.0f} %" for share in joint), "")
    console.print(table)
    console.print()
    console.print(escape(calibration.sentence))
