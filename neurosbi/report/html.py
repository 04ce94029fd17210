"""The report of one result: a single HTML file that needs nothing else, not even a network.

The verdict and the words come before any table. Everything that came from a file or a user is
escaped by the template engine; figures are embedded.
"""

__all__ = ["render_report"]

import base64
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from neurosbi.contract import Stimulus, SweepObservation, in_words, percent
from neurosbi.plots.most_told import MOST_SHOWN, RULE
from neurosbi.plots.style import unit_text
from neurosbi.report.checks import check_table
from neurosbi.report.figures import figures, png
from neurosbi.report.findings import Findings
from neurosbi.report.summary import number
from neurosbi.report.sweeps import gain_table
from neurosbi.store.stored_result import StoredResult

_UNITS = ("MOhm", "ms", "mV", "pA")
_CLASSES = {"trust": "trust", "caution": "caution", "do not use": "no"}


def render_report(
    findings: Findings, *, folder: Path | None = None, images: Mapping[str, bytes] | None = None
) -> str:
    """The report as HTML text.

    ``folder`` is where the result lies (for the example code); ``images`` are PNG files by name
    (see `neurosbi.report.figures`), drawn here when not given.
    """
    import jinja2

    if images is None:
        images = {name: png(figure) for name, figure in figures(findings).items()}
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(
        files("neurosbi.report").joinpath("template.html").read_text(encoding="utf-8")
    )
    stored, check = findings.stored, findings.predictive
    return template.render(
        title=findings.title,
        verdict=findings.verdict,
        level_class=_CLASSES[findings.verdict.level],
        sentences=findings.sentences,
        facts=_facts(findings),
        notes=stored.observation.notes,
        parameters=_parameter_rows(findings),
        n_draws=f"{len(stored.theta):,}",
        features=_feature_rows(findings),
        prior_sentences=[_sentence(s) for s in findings.prior_predictive.sentences],
        distance_text=_distance_text(findings),
        pairs_text=_pairs_text(len(stored.parameters)),
        activity_text=_activity_text(findings),
        valid_text=f"{100 * check.valid_fraction:.0f} % of {len(check.x):,} simulations ended properly.",
        images={
            name: base64.b64encode(images[name]).decode() if name in images else ""
            for name in (
                "pairplot",
                "predictive",
                "features",
                "protocol",
                "calibration",
                "training",
            )
        },
        sweeps=_sweep_rows(findings),
        gain=_gain_rows(findings),
        sweep_unit=_sweep_unit(stored),
        gain_text=findings.gain_sentence,
        check_sentences=findings.check_sentences,
        checked=_checked_rows(findings),
        rounds=_round_rows(findings),
        rounds_text=findings.rounds_sentence,
        inputs=_input_rows(findings),
        input_text=findings.input_sentence,
        configuration=_configuration(findings),
        papers=stored.simulator.get("papers") or (),
        version=stored.versions.get("neurosbi", ""),
        folder=json.dumps(str(folder) if folder else "RESULT_FOLDER", ensure_ascii=False),
    )


def stimulus_text(stimulus: Stimulus, *, area: float | None = None) -> str:
    """The stimulus in words, with units; in pA too where the membrane ``area`` (cm2) is known."""
    unit = unit_text(stimulus.unit)
    if stimulus.is_step:
        injected = _injected(stimulus.unit, area)
        in_pa = f" ({stimulus.amplitude * injected:.4g} pA)" if injected else ""
        text = (
            f"current step of {stimulus.amplitude:.4g} {unit}{in_pa} from {stimulus.onset:.5g} to "
            f"{stimulus.offset:.5g} ms"
        )
        if stimulus.holding:
            text += f" on a holding current of {stimulus.holding:.4g} {unit}"
        return text
    if stimulus.is_spontaneous:
        text = f"none; {stimulus.duration:.5g} ms of spontaneous activity"
        if stimulus.onset:
            text += f" after {stimulus.onset:.5g} ms of burn-in in simulations"
        if stimulus.temperature is not None:
            text += f", at {stimulus.temperature:g} degC"
        return text
    current = stimulus.current if stimulus.current is not None else np.zeros(1)
    return (
        f"recorded current waveform, {stimulus.total:.5g} ms, {current.min():.4g} to "
        f"{current.max():.4g} {unit}"
    )


def _injected(unit: str, area: float | None) -> float | None:
    """pA per unit of the stimulus, where that is a density and the ``area`` (cm2) is known."""
    return None if area is None or unit != "uA/cm2" else 1e6 * area


def _area(stored: StoredResult) -> float | None:
    """The membrane area that the recording was compared at, cm2."""
    area = stored.simulator.get("settings", {}).get("area")
    return float(area) if isinstance(area, int | float) else None


def _sweep_unit(stored: StoredResult) -> str:
    if stored.sweeps is None:
        return ""
    unit = unit_text(stored.sweeps.unit)
    return f"{unit}; in brackets pA" if _injected(stored.sweeps.unit, _area(stored)) else unit


def _pairs_text(n: int) -> str:
    """Which of ``n`` parameters the pair plot shows, where these are not all."""
    if n <= MOST_SHOWN:
        return ""
    return f" Shown are {MOST_SHOWN} of the {n} parameters: {RULE}; the figure names the others."


def _activity_text(findings: Findings) -> str:
    """What the figure of predictions shows."""
    if isinstance(findings.stored.observation, SweepObservation):
        return (
            "Simulations with parameters drawn from the posterior, at the injected current of the "
            "recording, with noise."
        )
    return "Simulations with parameters drawn from the posterior, and their features."


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _facts(findings: Findings) -> list[tuple[str, str]]:
    stored = findings.stored
    facts = [_fact(str(k), v) for k, v in stored.recording.items()]
    sweeps = stored.sweeps
    if sweeps is not None and len(sweeps.number) > 1:
        facts.append(("sweeps", f"{', '.join(map(str, sorted(sweeps.number)))}, fitted together"))
        facts.append(("sweep of the figures", str(stored.observation.sweep)))
    elif stored.observation.sweep is not None:
        facts.append(("sweep", str(stored.observation.sweep)))
    facts.append(("stimulus", stimulus_text(stored.observation.stimulus, area=_area(stored))))
    simulator = stored.simulator
    name = " ".join(str(simulator[k]) for k in ("name", "version") if k in simulator)
    summary = simulator.get("summary")
    facts.append(("simulator", f"{name}: {summary}" if summary else name))
    facts += [
        (key, _shown(stored.config[key]))
        for key in ("method", "inputs", "simulations", "samples")
        if stored.config.get(key) is not None
    ]
    facts.append(("seed", str(stored.seed)))
    if stored.importance is not None:
        facts.append(("importance sampling", _importance_text(stored.importance)))
    if stored.seconds:
        times = ", ".join(f"{k} {v:.3g} s" for k, v in stored.seconds.items() if v is not None)
        facts.append(("time taken", times))
    return [(name, value) for name, value in facts if value]


def _importance_text(values: Mapping[str, Any]) -> str:
    return (
        f"efficiency {100 * values['efficiency']:.1f} %, log-evidence "
        f"{values['log_evidence']:.2f} ± {values['log_evidence_error']:.2g} nats, Pareto k "
        f"{values['pareto_k']:.2f}"
    )


def _fact(key: str, value: Any) -> tuple[str, str]:
    """A name with spaces, and the value in words; a unit at the end of a name follows the value."""
    name, _, unit = key.rpartition("_")
    if key == "junction_potential":
        name, unit = key, "mV"
    elif unit not in _UNITS:
        name, unit = key, ""
    name = in_words(name)
    if isinstance(value, Mapping):
        return name, "; ".join(
            (": " if isinstance(v, Mapping) else " ").join(_fact(str(k), v))
            for k, v in value.items()
        )
    if isinstance(value, float):
        value = f"{value:.4g}"
    return name, f"{_shown(value)} {unit}".rstrip()


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _parameter_rows(findings: Findings) -> list[dict[str, Any]]:
    rows = []
    for row, parameter in zip(
        findings.summary.to_dict("records"), findings.stored.parameters, strict=True
    ):
        width = row["q95"] - row["q5"]
        log = " (log)" if parameter.scale == "log" else ""
        rows.append(
            {
                "parameter": row["parameter"],
                "description": parameter.description,
                "unit": unit_text(parameter.unit),
                "median": number(row["median"], width),
                "interval": f"{number(row['q5'], width)} to {number(row['q95'], width)}",
                "mean": number(row["mean"], width),
                "sd": number(row["sd"]),
                "prior": f"{row['prior_low']:.4g} to {row['prior_high']:.4g}{log}",
                "percent": f"{100 * float(np.clip(row['shrinkage'], 0, 1)):.0f}",
                "identified": row["identified"],
                "remark": row["remark"],
            }
        )
    return rows


def _feature_rows(findings: Findings) -> list[dict[str, Any]]:
    check, prior = findings.predictive, findings.prior_predictive
    rows = []
    for i, row in enumerate(findings.feature_table.to_dict("records")):
        width = row["prior_high"] - row["prior_low"]
        rows.append(
            {
                "feature": in_words(row["feature"]),
                "description": check.features[i].description,
                "unit": unit_text(row["unit"]),
                "observed": number(row["observed"], width) if prior.measured[i] else "not measured",
                "median": number(row["predicted_median"], width),
                "interval": _interval(row["predicted_q5"], row["predicted_q95"], width),
                "prior": _interval(row["prior_low"], row["prior_high"], width),
                "distance": _two_digits(row["distance"]),
                "prior_distance": _two_digits(row["prior_distance"]),
                "remark": row["remark"],
                "bad": bool(prior.outside[i] or check.missed[i]),
            }
        )
    return rows


def _sweep_rows(findings: Findings) -> list[dict[str, Any]]:
    table = findings.sweep_table
    stored = findings.stored
    if table is None or len(table) < 2 or stored.sweeps is None:
        return []
    injected = _injected(stored.sweeps.unit, _area(stored))
    return [
        {
            "sweep": row["sweep"],
            "amplitude": f"{row['amplitude']:.4g}"
            + (f" ({row['amplitude'] * injected:.4g})" if injected else ""),
            "duration": f"{row['duration']:.4g}",
            "distance": _two_digits(row["distance"]),
            "prior_distance": _two_digits(row["prior_distance"]),
            "not_reproduced": in_words(row["not_reproduced"]),
            "left_out": in_words(row["left_out"]),
        }
        for row in table.to_dict("records")
    ]


def _gain_rows(findings: Findings) -> list[dict[str, Any]]:
    sweeps = findings.stored.sweeps
    if sweeps is None or sweeps.gain is None:
        return []
    return [
        {
            "n": row["n_sweeps"],
            "sweeps": row["sweeps"],
            "width": f"{100 * row['width']:.0f} %",
            "information": f"{row['information']:.1f}",
            "distance": _two_digits(row["distance"]),
        }
        for row in gain_table(sweeps.gain).to_dict("records")
    ]


def _checked_rows(findings: Findings) -> list[dict[str, str]]:
    """Coverage of the network and the posterior at this recording, by parameter."""
    rows = check_table(findings).to_dict("records")
    return [
        {
            "parameter": row["parameter"],
            "coverage": _percent(row["coverage_90"]),
            "below_median": _percent(row["truth_below_median"]),
            "shift": _two_digits(row["local_shift"]),
            "width": _two_digits(row["local_width"]),
        }
        for row in rows
    ]


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %" if np.isfinite(value) else ""


def _round_rows(findings: Findings) -> list[dict[str, Any]]:
    if findings.rounds_table is None:
        return []
    return [
        {
            "round": row["round"],
            "simulations": f"{row['simulations']:,}" if row["simulations"] else "",
            "used": f"{row['used']:,}" if row["used"] else "",
            "prior_share": percent(row["prior_share"]),
            "distance": f"{row['distance']:.3f}" if np.isfinite(row["distance"]) else "",
            "answer": "the result" if row["answer"] else "",
        }
        for row in findings.rounds_table.to_dict("records")
    ]


def _input_rows(findings: Findings) -> list[dict[str, Any]]:
    table = findings.input_table
    return [
        {
            "input": row["input"],
            "information": f"{row['information']:.2f} ± {row['standard_error']:.2f}",
            "entropy": f"{row['entropy']:.2f}",
            "information_here": f"{row['information_here']:.2f}",
            "distance": _two_digits(row["distance"]),
        }
        for row in ([] if table is None else table.to_dict("records"))
    ]


def _interval(low: float, high: float, width: float) -> str:
    return f"{number(low, width)} to {number(high, width)}" if np.isfinite(low) else "undefined"


def _two_digits(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else ""


def _distance_text(findings: Findings) -> str:
    check = findings.predictive_used
    if not np.isfinite(check.mean_distance):
        return "No feature is defined both in the recording and in the predictions."
    return (
        f"Averaged over the features that were fitted, predictions are {check.mean_distance:.2f} prior standard "
        f"deviations away from the recording; simulations of the prior are "
        f"{check.mean_prior_distance:.2f} away."
    )


def _configuration(findings: Findings) -> str:
    stored = findings.stored
    values = {
        "configuration": stored.config,
        "simulator": {k: v for k, v in stored.simulator.items() if k not in ("papers", "summary")},
        "seed": stored.seed,
        "versions": stored.versions,
    }
    return json.dumps(values, indent=2, ensure_ascii=False)
