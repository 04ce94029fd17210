"""``neurosbi inspect FILE``: what is in a recording, what can be fitted, and why not."""

__all__ = ["inspect"]

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurosbi.cli.options import OutputFormat
from neurosbi.cli.text_table import text_table
from neurosbi.progress import say

if TYPE_CHECKING:
    from neurosbi.contract import Recording, Sweep
    from neurosbi.recordings import PassiveProperties

NEEDS_ARGUMENTS = True
_WITHOUT_AREA = "hodgkin-huxley-cortical"  # the model that takes currents as they were injected
_ABOUT = ("species", "cell_line", "genotype", "area", "dendrite_type", "institution")


def inspect(
    file: Annotated[
        Path,
        typer.Argument(help="A recording (NWB, ABF), spike trains (NWB, CSV) or features (CSV)."),
    ],
    sweeps: Annotated[
        str | None, typer.Option(help="Look at these sweeps only, like 12,14-18. (default: all)")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Where the figure goes (png, pdf, svg). "
            "(default: neurosbi-results/<recording>/sweeps.png)"
        ),
    ] = None,
    no_plot: Annotated[bool, typer.Option("--no-plot", help="Make no figure.")] = False,
    junction_potential: Annotated[
        float,
        typer.Option(
            help="Liquid-junction potential in mV, added to every voltage; usually negative "
            "(the Allen Institute gives -14)."
        ),
    ] = 0.0,
    output_format: Annotated[
        OutputFormat, typer.Option("--format", help="How to print.")
    ] = OutputFormat.text,
) -> None:
    """Show the sweeps of a recording, the cell's passive properties, and what a fit would take.

    Examples:

        neurosbi inspect cell.nwb

        neurosbi inspect cell.abf --sweeps 0-9 --plot cell.pdf

        neurosbi inspect specimen_509881736/ephys.nwb --junction-potential -14

        neurosbi inspect spikes.csv
    """
    from dataclasses import replace

    from neurosbi.cli.inspect_data import data_as_data, data_as_text
    from neurosbi.contract import Recording
    from neurosbi.errors import BadInputError
    from neurosbi.recordings import (
        default_sweep,
        estimate_passive,
        read_data,
        select_sweeps,
        why_no_fit,
    )

    if plot is not None and no_plot:
        raise BadInputError("--plot and --no-plot contradict each other; give one of them")
    _check_plot(plot)
    recording = read_data(file, junction_potential=junction_potential)
    if not isinstance(recording, Recording):
        if sweeps is not None or plot is not None:
            raise BadInputError(f"{file.name} has no sweeps; leave --sweeps and --plot out")
        as_json = output_format is OutputFormat.json
        print(
            json.dumps(data_as_data(recording), indent=2)
            if as_json
            else data_as_text(recording, file)
        )
        return
    passive = estimate_passive(recording)
    if sweeps is not None:
        recording = replace(recording, sweeps=select_sweeps(recording, sweeps))
    reason = why_no_fit(recording)
    chosen = default_sweep(recording) if reason is None else None
    figure = None if no_plot else _write_figure(recording, chosen, plot)
    if output_format is OutputFormat.json:
        print(json.dumps(_as_data(recording, passive, chosen, reason, figure), indent=2))
    else:
        if sweeps is not None and chosen is not None:
            sweeps = _named_alike(recording, chosen, sweeps)
        command = _fit_command(file, sweeps, junction_potential, passive)
        print(_as_text(recording, passive, chosen, reason, figure, command))


def _check_plot(plot: Path | None) -> None:
    from neurosbi.errors import BadInputError

    if plot is not None and plot.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise BadInputError(f"a figure is a .png, .pdf or .svg file, not {plot.name!r}")
    if plot is not None and plot.is_dir():
        raise BadInputError(f"{plot} is a folder; give the name of a file")


def _write_figure(recording: "Recording", chosen: "Sweep | None", plot: Path | None) -> Path | None:
    from neurosbi.errors import BadInputError
    from neurosbi.plots.sweeps import plot_sweeps
    from neurosbi.steps.plan import recording_folder
    from neurosbi.store import atomic_path

    path = plot or recording_folder(recording) / "sweeps.png"
    try:
        with atomic_path(path) as temporary:
            plot_sweeps(recording, chosen=chosen).savefig(
                temporary, format=path.suffix.lower().lstrip(".")
            )
    except OSError as error:
        if plot is not None:
            raise BadInputError(f"the figure cannot be written to {path}: {error}") from error
        say(f"no figure: {path} cannot be written ({error.strerror}); choose a place with --plot")
        return None
    return path


def _as_text(
    recording: "Recording",
    passive: "PassiveProperties | None",
    chosen: "Sweep | None",
    reason: str | None,
    figure: Path | None,
    command: str,
) -> str:
    about = [f"{key.replace('_', ' ')}: {recording.metadata[key]}" for key in _ABOUT
             if recording.metadata.get(key)]  # fmt: skip
    n = len(recording.sweeps)
    lines = [f"{recording.name}  ({recording.format}, {n} sweep{'s' if n != 1 else ''})"]
    lines += [f"  {line}" for line in about]
    if recording.junction_potential:
        lines.append(
            f"  voltages include {recording.junction_potential:g} mV of junction potential"
        )
    lines += ["", _sweep_table(recording, chosen), ""]
    lines += _passive_lines(passive)
    lines.append("")
    if chosen is None:
        lines.append(f"Nothing can be fitted: {reason}.")
    else:
        lines += [_fit_line(recording, chosen), f"Next: {command}"]
    if figure is not None:
        lines.append(f"Figure: {figure}")
    return "\n".join(lines)


def _sweep_table(recording: "Recording", chosen: "Sweep | None") -> str:
    header = [
        "sweep", "stimulus", "length ms", "dt ms", "hold pA", "step ms", "step pA", "spikes",
        "rest mV", "verdict",
    ]  # fmt: skip
    names = {s.stimulus_name for s in recording.sweeps}
    rows = []
    for sweep in recording.sweeps:
        row = _row(sweep)
        step = "" if row["onset_ms"] is None else f"{row['onset_ms']:.6g}-{row['offset_ms']:.6g}"
        rows.append(
            [
                str(sweep.number),
                _shortened(sweep.stimulus_name),
                f"{sweep.duration:.6g}",
                _cell(row["dt_ms"], ".4g"),
                _cell(row["holding_pA"], ".0f"),
                step,
                _cell(row["amplitude_pA"], ".4g"),
                str(sweep.spikes) if sweep.clamp == "current" else "",
                _cell(row["rest_mV"], ".1f"),
                _verdict(sweep, chosen),
            ]
        )
    if len(names) == 1 and len(rows) > 1:  # said once, above the table
        common = names.pop()
        rows = [[r[0], *r[2:]] for r in rows]
        header = [header[0], *header[2:]]
        return (f"Stimulus: {common}\n\n" if common else "") + text_table(header, rows)
    return text_table(header, rows)


def _row(sweep: "Sweep") -> dict[str, Any]:
    """What the table says about one sweep, as numbers; None where it does not apply."""
    from neurosbi.recordings.passive import resting_potential

    step = sweep.test_step
    rest = resting_potential(sweep) if sweep.clamp == "current" else None
    holding = step.holding if step else (sweep.steps[0].holding if sweep.steps else None)
    return {
        "number": sweep.number,
        "stimulus": sweep.stimulus_name,
        "clamp": sweep.clamp,
        "duration_ms": sweep.duration,
        "dt_ms": sweep.dt if len(sweep.voltage) else None,
        "usable_from_ms": sweep.usable_from * sweep.dt,
        "holding_pA": holding,
        "onset_ms": step.onset if step else None,
        "offset_ms": step.offset if step else None,
        "amplitude_pA": step.amplitude if step else None,
        "other_steps": [
            {"onset_ms": s.onset, "offset_ms": s.offset, "amplitude_pA": s.amplitude}
            for s in sweep.steps
            if s is not step
        ],
        "spikes": sweep.spikes,
        "rest_mV": rest if rest is not None and math.isfinite(rest) else None,
        "problem": sweep.problem,
    }


def _verdict(sweep: "Sweep", chosen: "Sweep | None") -> str:
    from neurosbi.recordings import sampled_alike

    if sweep.problem is not None:
        return sweep.problem
    words = []
    if sweep.usable_from:
        words.append(f"padding until {sweep.usable_from * sweep.dt:.6g} ms")
    cut = sweep.metadata.get("unrecorded_end_ms")
    if cut:
        words.append(f"last {cut:.4g} ms not recorded")
    if sweep.test_step is None:
        words.append("no test step" if sweep.steps else "waveform, no step")
    elif not sweep.spikes:
        words.append("subthreshold")
    else:
        words.append("ok")
    if chosen is not None and not sampled_alike(sweep, chosen):
        words.append(f"sampled otherwise than sweep {chosen.number}")
    if chosen is not None and sweep.number == chosen.number:
        words.append("<- shown by a fit")
    return ", ".join(words).replace(", <-", " <-")


def _passive_lines(passive: "PassiveProperties | None") -> list[str]:
    if passive is None:
        return [
            "Passive properties: not estimated; there is no clean subthreshold response to a step",
            "(small, quiet, 60 ms or longer). A fit that needs the membrane area takes --area.",
        ]
    rows = [
        ("input resistance", f"{passive.input_resistance:.4g} MOhm"),
        ("membrane time constant", f"{passive.tau:.3g} ms"),
        ("resting potential", f"{passive.v_rest:.1f} mV"),
        ("capacitance", f"{passive.capacitance:.4g} pF"),
        ("membrane area", f"{passive.area:.3g} cm2 (at 1 uF/cm2)"),
    ]
    if passive.rheobase is not None:
        rows.append(("rheobase", f"{passive.rheobase:.4g} pA"))
    return [f"Passive properties, from {passive.source}:"] + [f"  {k:<24}{v}" for k, v in rows]


def _fit_line(recording: "Recording", chosen: "Sweep") -> str:
    from neurosbi.contract import SweepSets
    from neurosbi.recordings import format_sweeps, sampled_alike, usable_sweeps

    step = chosen.test_step
    what = f"a step of {step.amplitude:.4g} pA" if step else "a current waveform"
    spikes = f"{chosen.spikes} spike{'s' if chosen.spikes != 1 else ''}"
    stepped = [
        s.number
        for s in usable_sweeps(recording)
        if s.test_step is not None and sampled_alike(s, chosen)
    ]
    if chosen.number in stepped and len(stepped) > 1:
        most = max(SweepSets.sizes)
        at_most = f"at most {most} of the " if len(stepped) > most else ""
        return (
            f"A fit takes {at_most}sweeps {format_sweeps(stepped)} together, where its model covers "
            f"their steps, and shows sweep {chosen.number} in its figures: {what}, {spikes}."
        )
    return f"A fit takes sweep {chosen.number}: {what}, {spikes}."


def _named_alike(recording: "Recording", chosen: "Sweep", named: str) -> str:
    """The named sweeps that a fit takes together: none of another dt, and a waveform by itself."""
    from neurosbi.recordings import format_sweeps, sampled_alike, usable_sweeps

    if chosen.test_step is None:
        return format_sweeps([chosen.number])
    others = {s.number for s in usable_sweeps(recording) if not sampled_alike(s, chosen)}
    if not others:
        return named
    return format_sweeps(s.number for s in recording.sweeps if s.number not in others)


def _fit_command(
    file: Path,
    sweeps: str | None,
    junction_potential: float,
    passive: "PassiveProperties | None",
) -> str:
    """The command that fits what is shown, with the same options.

    Without passive properties there is no membrane area, which the default model needs.
    """
    from shlex import join

    words = ["neurosbi", "fit", str(file)]
    words += ["--sweeps", sweeps] if sweeps else []
    words += ["--junction-potential", f"{junction_potential:g}"] if junction_potential else []
    if passive is None:
        return (
            f"{join([*words, '--simulator', _WITHOUT_AREA])} (the default model needs a membrane "
            "area: --area CM2)"
        )
    return join(words)


def _shortened(text: str) -> str:
    return text if len(text) <= 24 else text[:23] + "~"


def _cell(value: float | None, spec: str) -> str:
    if value is None:
        return ""
    return format(value + 0.0 if abs(value) >= 0.5 else abs(value), spec)


def _as_data(
    recording: "Recording",
    passive: "PassiveProperties | None",
    chosen: "Sweep | None",
    reason: str | None,
    figure: Path | None,
) -> dict[str, Any]:
    from dataclasses import asdict

    units = {"input_resistance": "MOhm", "tau": "ms", "v_rest": "mV", "capacitance": "pF",
             "area": "cm2", "rheobase": "pA"}  # fmt: skip
    return {
        "name": recording.name,
        "path": str(recording.path),
        "format": recording.format,
        "junction_potential_mV": recording.junction_potential,
        "metadata": dict(recording.metadata),
        "sweeps": [_row(s) for s in recording.sweeps],
        "passive": None if passive is None else asdict(passive) | {"units": units},
        "fit": {
            "possible": reason is None,
            "sweep": None if chosen is None else chosen.number,
            "why_not": reason,
        },
        "figure": None if figure is None else str(figure),
    }
