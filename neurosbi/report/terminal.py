"""A result in the terminal: the verdict first, then the table, then where the files are.

`print_summary` writes for people, `summary_json` gives plain data for programs.
"""

__all__ = ["print_summary", "summary_json"]

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosbi.contract import in_words
from neurosbi.plots.style import unit_text
from neurosbi.report.checks import checks_json
from neurosbi.report.findings import Findings
from neurosbi.report.summary import number
from neurosbi.store.cache import finite_data

if TYPE_CHECKING:
    from rich.console import Console

_IDENTIFIED = {"identified": "yes", "weakly identified": "weakly", "not identified": "no"}
_COLOURS = {"trust": "green", "caution": "yellow", "do not use": "red"}


def print_summary(
    findings: Findings, *, folder: Path | None = None, console: "Console | None" = None
) -> None:
    """Print verdict, posterior table and predictive distances on stdout (or ``console``)."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = console or Console(highlight=False)
    verdict = findings.verdict
    console.print(
        f"[bold {_COLOURS[verdict.level]}]{verdict.opening}[/] ({escape(findings.title)})"
    )
    for reason in verdict.reasons:
        console.print(f"  - {escape(reason)}")
    for remedy in verdict.remedies:
        console.print(f"  What may help: {escape(remedy)}")
    console.print()
    console.print(escape(" ".join(findings.sentences)))
    console.print()
    table = Table(box=None, pad_edge=False, header_style="dim")
    # in 80 columns only the unit and a remark are broken into lines
    for name, how in {
        "parameter": {"no_wrap": True},
        "unit": {"overflow": "fold"},
        "median": {"justify": "right", "no_wrap": True},
        "90 % interval": {"justify": "right", "no_wrap": True},
        "prior range": {"justify": "right", "no_wrap": True},
        "identified": {"min_width": len("identified")},
    }.items():
        table.add_column(name, **how)  # type: ignore[arg-type]
    for row in findings.summary.to_dict("records"):
        width = row["q95"] - row["q5"]
        table.add_row(
            escape(row["parameter"]),
            escape(unit_text(row["unit"])),
            number(row["median"], width),
            f"{number(row['q5'], width)} to {number(row['q95'], width)}",
            f"{row['prior_low']:.4g} to {row['prior_high']:.4g}",
            _IDENTIFIED[row["identified"]] + ("; " + row["remark"] if row["remark"] else ""),
        )
    console.print(table)
    console.print()
    check, used = findings.predictive, findings.predictive_used
    if np.isfinite(used.mean_distance):
        console.print(
            f"Predictive distance {used.mean_distance:.2f} prior standard deviations (prior "
            f"simulations: {used.mean_prior_distance:.2f}), by feature:"
        )
        items = [
            f"{in_words(f.name)} {d:.2f}" + ("" if u else " (left out of the fit)")
            for f, d, u in zip(check.features, check.distance, findings.used, strict=True)
            if np.isfinite(d)
        ]
        console.print(escape("  " + ", ".join(items)))
    for sentence in (
        *findings.check_sentences,
        findings.gain_sentence,
        findings.rounds_sentence,
        findings.input_sentence,
    ):
        if sentence:
            console.print()
            console.print(escape(sentence))
    if folder is not None:
        console.print()
        console.print(f"Report:  {escape(str(folder / 'report.html'))}", soft_wrap=True)
        console.print(f"Results: {escape(str(folder / 'results.zarr'))}", soft_wrap=True)


def summary_json(findings: Findings, *, folder: Path | None = None) -> dict[str, Any]:
    """Verdict, parameters and features as plain data; undefined numbers are None."""
    stored, check, prior = findings.stored, findings.predictive_used, findings.prior_predictive
    return {
        "recording": dict(stored.recording),
        "sweep": stored.observation.sweep,
        "simulator": stored.simulator.get("name"),
        "method": stored.config.get("method"),
        "seed": stored.seed,
        "verdict": {
            "level": findings.verdict.level,
            "sentence": findings.verdict.sentence,
            "reasons": list(findings.verdict.reasons),
            "remedies": list(findings.verdict.remedies),
        },
        "summary": list(findings.sentences),
        "parameters": finite_data(findings.summary.to_dict("records")),
        "features": finite_data(findings.feature_table.to_dict("records")),
        "predictive": finite_data(
            {
                "mean_distance": check.mean_distance,
                "mean_prior_distance": check.mean_prior_distance,
                "valid_fraction": check.valid_fraction,
            }
        ),
        "prior_predictive": finite_data(
            {
                "passed": prior.passed,
                "joint_ratio": prior.joint_ratio,
                "joint_p": prior.joint_p,
            }
        )
        | {"sentences": list(prior.sentences)},
        "sweeps": None
        if findings.sweep_table is None
        else finite_data(findings.sweep_table.to_dict("records")),
        "checks": checks_json(findings),
        "gain_of_sweeps": findings.gain_sentence or None,
        "rounds": None
        if findings.rounds_table is None
        else finite_data(findings.rounds_table.to_dict("records")),
        "inputs": None
        if findings.input_table is None
        else finite_data(findings.input_table.to_dict("records")),
        "gain_of_inputs": findings.input_sentence or None,
        "folder": None if folder is None else str(folder),
        "seconds": dict(stored.seconds),
    }
