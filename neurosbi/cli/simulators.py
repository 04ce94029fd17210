"""``neurosbi simulators``: what models there are, and what one of them needs and returns."""

__all__ = ["simulators"]

import json
import shutil
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurosbi.cli.options import OutputFormat
from neurosbi.cli.text_table import text_table
from neurosbi.errors import NeuroSBIError

if TYPE_CHECKING:
    from neurosbi.contract import Parameter, Setting, Simulator


def simulators(
    name: Annotated[
        str | None, typer.Argument(help="One simulator, in full. (default: a table of all)")
    ] = None,
    output_format: Annotated[
        OutputFormat, typer.Option("--format", help="How to print.")
    ] = OutputFormat.text,
) -> None:
    """List the simulators, or show the parameters, settings, features and stimuli of one.

    Examples:

        neurosbi simulators

        neurosbi simulators hodgkin-huxley
    """
    as_json = output_format is OutputFormat.json
    if name is not None:
        from neurosbi.registry import simulator as build

        model = build(name)
        print(json.dumps(_describe(model), indent=2) if as_json else _page(model))
        return
    models, broken = _all_simulators()
    if as_json:
        summaries = [_summary(m) for m in models]
        print(json.dumps({"simulators": summaries, "unavailable": broken}, indent=2))
        return
    print(_overview(models, _width()))
    for reason in broken.values():
        print(f"not available: {reason}", file=sys.stderr)


def _overview(models: "list[Simulator]", width: int | None) -> str:
    """A table of all; within ``width``, where papers and feature sets find no room, without them."""
    if width is None:
        header = ["name", "parameters", "feature sets", "what it is"]
        rows = [
            [m.name, str(len(m.parameters)), ", ".join(m.feature_sets), _sentence(m)]
            for m in models
        ]
        return text_table(header, rows)
    rows = [[m.name, str(len(m.parameters)), m.summary] for m in models]
    table = text_table(["name", "parameters", "what it is"], rows, width=width)
    return f"{table}\n\nFeature sets, settings and papers of one: neurosbi simulators NAME"


def _all_simulators() -> "tuple[list[Simulator], dict[str, str]]":
    """All simulators that can be built, and for the others the reason."""
    from neurosbi.registry import simulator as build
    from neurosbi.registry import simulator_names

    models, broken = [], {}
    for name in simulator_names():
        try:
            models.append(build(name))
        except Exception as error:  # one broken package must not hide the others
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            broken[name] = str(error) if isinstance(error, NeuroSBIError) else f"{name}: {reason}"
    return models, broken


def _summary(model: "Simulator") -> dict[str, Any]:
    return {
        "name": model.name,
        "version": model.version,
        "summary": model.summary,
        "n_parameters": len(model.parameters),
        "feature_sets": {key: len(table) for key, table in model.feature_sets.items()},
        "papers": list(model.papers),
    }


def _describe(model: "Simulator") -> dict[str, Any]:
    from neurosbi.store.cache import plain_data

    described = _summary(model) | {
        "parameters": [asdict(p) for p in model.parameters],
        "settings": [asdict(s) for s in model.setting_table],
        "feature_sets": {
            key: [asdict(f) for f in table] for key, table in model.feature_sets.items()
        },
        "default_features": model.default_features,
        "stimulus": model.stimulus.to_dict(),
        "stimulus_family": model.stimulus_family.to_dict(),
    }
    bins = model.trace_bins(model.stimulus_family)
    described["trace_bins"] = None if bins is None else bins.to_dict()
    return plain_data(described)


def _page(model: "Simulator") -> str:
    width = _width()
    parts = [f"{model.name} (version {model.version}): {model.summary}"]
    parts += [f"  {paper}" for paper in model.papers]
    parts += ["", "Parameters, inferred from a recording:"]
    header = ["name", "unit", "range", "scale", "default", "description"]
    parts.append(text_table(header, [_parameter_row(p) for p in model.parameters], width=width))
    if model.setting_table:
        rows = [_setting_row(s) for s in model.setting_table]
        parts += ["", "Settings, constants to change with --set NAME=VALUE:"]
        parts.append(
            text_table(["name", "unit", "default", "role", "description"], rows, width=width)
        )
    for key, table in model.feature_sets.items():
        title = f"Feature set {key}" + (" (default):" if key == model.default_features else ":")
        rows = [[f.name, f.unit, f.description] for f in table]
        parts += ["", title, text_table(["name", "unit", "description"], rows, width=width)]
    return "\n".join([*parts, "", *_stimuli(model)])


def _setting_row(setting: "Setting") -> list[str]:
    default = "-" if setting.default is None else str(setting.default)
    return [setting.name, setting.unit, default, setting.role, setting.meaning]


def _parameter_row(parameter: "Parameter") -> list[str]:
    text = "; ".join(t for t in (parameter.description, parameter.source) if t)
    default = "" if parameter.default is None else f"{parameter.default:g}"
    bounds = f"{parameter.low:g} to {parameter.high:g}"
    return [parameter.name, parameter.unit, bounds, parameter.scale, default, text]


def _stimuli(model: "Simulator") -> list[str]:
    stimulus, family = model.stimulus, model.stimulus_family
    if stimulus.is_spontaneous:
        lines = [
            f"No stimulus: {stimulus.duration:g} ms of spontaneous activity after "
            f"{stimulus.onset:g} ms of burn-in"
        ]
        if family.parameters:
            ranges = [f"{p.name} {p.low:g} to {p.high:g} {p.unit}" for p in family.parameters]
            lines.append(f"One network serves: {', '.join(ranges)}")
        return lines
    kind = f"a step of {stimulus.amplitude:g} {stimulus.unit}" if stimulus.is_step else "a waveform"
    lines = [
        f"Default stimulus: {kind} from {stimulus.onset:g} to {stimulus.offset:g} ms of "
        f"{stimulus.total:g} ms, holding {stimulus.holding:g} {stimulus.unit}"
    ]
    if family.parameters:
        ranges = [
            f"{p.name} {p.low:g} to {p.high:g} {p.unit} ({p.scale})" for p in family.parameters
        ]
        lines.append(f"Stimulus family, all of which one network serves: {', '.join(ranges)}")
    else:
        lines.append("Stimulus family: this one stimulus")
    bins = model.trace_bins(family)
    if bins is not None:
        sections = " and ".join(
            f"{s.n} of {s.width:g} ms from {s.start:g} ms" for s in bins.sections
        )
        lines.append(
            f"Traces for networks that read them (--inputs trace or both): {', '.join(bins.channels)} "
            f"voltage ({bins.unit}) in bins from the onset, {sections}"
        )
    return lines


def _sentence(model: "Simulator") -> str:
    return f"{model.summary} ({'; '.join(model.papers)})" if model.papers else model.summary


def _width() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
