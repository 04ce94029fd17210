"""Fill the generated parts of docs/simulators/*.md from the code: tables, and figures of traces.

    python docs/generate_simulator_pages.py            tables and figures
    python docs/generate_simulator_pages.py --tables   tables only
    python docs/generate_simulator_pages.py --check    are the tables those of the code? (exit 1: no)

A page is named after the folder of its family. Below the line "<!-- generated: parameters and
features -->" it gets the tables of the family's simulators, below "<!-- generated: traces -->" a
figure; what is there up to "<!-- end -->" is replaced.
"""

import argparse
import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neurosbi.contract import Simulator
from neurosbi.plots.style import BLUE, GREY, ORANGE, new_figure, styled, unit_text

if TYPE_CHECKING:
    import xarray as xr

DOCS = Path(__file__).resolve().parent
PAGES = DOCS / "simulators"
FIGURES = DOCS / "figures"
TABLES, TRACES, END = "parameters and features", "traces", "<!-- end -->"
SHOWN = 4  # parameter sets in a figure
TRIED = 32  # prior draws that the liveliest are chosen from, fewer where they take long
PART = 1000.0  # ms of population activity that are shown
SMOOTH = 10.0  # ms that rates are averaged over


def families() -> dict[str, list[type[Simulator]]]:
    """The simulators that this package registers, by the name of their family's page."""
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]
    found: dict[str, list[type[Simulator]]] = {}
    for place in project["entry-points"]["neurosbi.simulators"].values():
        module, _, name = place.partition(":")
        family = module.split(".")[1].replace("_", "-")
        found.setdefault(family, []).append(getattr(import_module(module), name))
    return found


def tables(models: list[type[Simulator]]) -> str:
    """Parameters, settings and features of the simulators of one family, in Markdown."""
    parts = []
    for model in (m() for m in models):
        parts += [f"### `{model.name}`", "", f"{model.summary[0].upper()}{model.summary[1:]}.", ""]
        parts += _table(
            "parameter, unit, prior, default, meaning, range from",
            [
                (
                    f"`{p.name}`",
                    p.unit,
                    f"{p.low:g} to {p.high:g}{' (log)' if p.scale == 'log' else ''}",
                    "" if p.default is None else f"{p.default:g}",
                    p.description,
                    p.source,
                )
                for p in model.parameters
            ],
        )
        parts += _table(
            "setting, unit, default, meaning",
            [(f"`{s.name}`", s.unit, _plain(s.default), s.meaning) for s in model.setting_table],
        )
    first = models[0]()
    shared = all(m().feature_sets == first.feature_sets for m in models)
    for model in [first] if shared else [m() for m in models]:
        of = "" if len(models) == 1 or shared else f" of `{model.name}`"
        parts += [f"### Features{of}", ""]
        parts += _table("feature, unit, meaning, in the sets", _features(model))
    return "\n".join(parts).rstrip()


def _features(model: Simulator) -> list[tuple[str, ...]]:
    sets: dict[str, list[str]] = {}
    meaning = {}
    for name, features in model.feature_sets.items():
        shown = f"**{name}**" if name == model.default_features else name
        for f in features:
            sets.setdefault(f.name, []).append(shown)
            meaning[f.name] = f
    return [
        (f"`{name}`", f.unit, f.description, ", ".join(sets[name])) for name, f in meaning.items()
    ]


def _table(head: str, rows: list[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    columns = head.split(", ")
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in (columns, ["---"] * len(columns), *cells)]
    return [*lines, ""]


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else "" if value is None else str(value)


@styled
def figure(models: list[type[Simulator]]) -> Figure:
    """Traces of a few parameter sets of each simulator, under its default stimulus."""
    fig = new_figure(5.5 * len(models), 1.4 * SHOWN)
    grid = fig.subplots(SHOWN, len(models), squeeze=False, sharex="col")
    for column, model in zip(grid.T, (m() for m in models), strict=True):
        traces = model.traces(_lively(model), seed=0)
        column[0].set_title(model.name)
        for i, axes in enumerate(column):
            _draw(axes, traces, i)
        column[-1].set_xlabel("time (ms)")
        getattr(model, "close", lambda: None)()
    return fig


def _lively(model: Simulator) -> np.ndarray:
    """The default set where there is one, and prior draws of which most features are defined."""
    default = [p.default for p in model.parameters]
    theta = model.sample_prior(min(TRIED, model.smallest_batch), seed=3)
    defined = np.isfinite(model.simulate(theta, seed=3).x).sum(axis=1)
    best = theta[np.argsort(-defined, kind="stable")]
    chosen = best if None in default else np.vstack([np.array(default, dtype=float), best])
    return chosen[:SHOWN]


def _draw(axes: Axes, traces: "xr.Dataset", i: int) -> None:
    """One simulation: voltages, spikes or rates against time, a line or row of dots for each."""
    if "spike_time" in traces:
        _draw_spikes(axes, traces, i)
        return
    if "rate" in traces:
        _draw_rates(axes, traces, i)
        return
    lines = traces["v"].isel(sim=i).transpose("time", ...)
    time, values = traces["time"].values, lines.values.reshape(lines.sizes["time"], -1)
    stride = max(1, len(values) // 8000)
    names = [str(n) for dim in lines.dims[1:] for n in lines[dim].values]
    offset = 1.1 * np.nanmax(np.ptp(values, axis=0)) if names else 0.0
    for k, row in enumerate(values.T):
        color = (BLUE, ORANGE, GREY)[k % 3]
        axes.plot(time[::stride], row[::stride] - k * offset, lw=0.6, color=color)
        if names:
            axes.text(time[-1], row[-1] - k * offset, f" {names[k]}", color=color, va="center")
    axes.set_ylabel(unit_text(lines.attrs.get("units", "")))
    if names:
        axes.set_yticks([])
        size = np.round(offset / 1.1, -int(np.floor(np.log10(offset))))
        axes.set_ylabel(f"lines {size:g} {unit_text(lines.attrs.get('units', ''))} apart")


def _draw_rates(axes: Axes, traces: "xr.Dataset", i: int) -> None:
    rates = traces["rate"].isel(sim=i).transpose("time", "population")
    dt = float(traces.attrs["dt"])
    window = np.ones(round(SMOOTH / dt)) * dt / SMOOTH
    smooth = np.apply_along_axis(np.convolve, 0, rates.values, window, mode="valid")
    smooth = smooth[-round(PART / dt) :]
    time = rates["time"].values[-len(smooth) :]
    for k, name in enumerate(rates["population"].values):
        color = (BLUE, ORANGE, GREY)[k % 3]
        axes.plot(time, smooth[:, k], lw=0.9, color=color)
        mean = smooth[:, k].mean()
        axes.text(time[-1], mean, f"  {name}: {mean:.0f} Hz", color=color, va="center")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("rate (Hz)")


def _draw_spikes(axes: Axes, traces: "xr.Dataset", i: int) -> None:
    first, last = traces["spike_offset"].values[i : i + 2]
    time, unit = (traces[n].values[first:last] for n in ("spike_time", "spike_unit"))
    shown = time >= traces["time"].values[-1] - PART
    groups = traces["unit_population"].values
    for k, group in enumerate(dict.fromkeys(groups)):
        mine = shown & (groups[unit] == group)
        axes.plot(time[mine], unit[mine], ".", ms=1.0, color=(BLUE, ORANGE, GREY)[k % 3])
    axes.set_ylabel("unit")


def filled(page: str, part: str, text: str) -> str:
    """``page`` with ``text`` between the marker of ``part`` and the end marker."""
    marker = f"<!-- generated: {part} -->"
    old = re.compile(re.escape(marker) + r"\n(?:(?:(?!<!-- generated).)*?" + END + r"\n)?", re.S)
    return old.sub(lambda _: f"{marker}\n\n{text}\n\n{END}\n", page, count=1)


def main(arguments: list[str] | None = None) -> int:
    """Write or check the pages; 0 if all is well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare the tables")
    parser.add_argument("--tables", action="store_true", help="leave the figures as they are")
    parser.add_argument("pages", nargs="*", help="names of pages (default: all)")
    options = parser.parse_args(arguments)
    stale = []
    for family, models in families().items():
        path = PAGES / f"{family}.md"
        if options.pages and family not in options.pages:
            continue
        if not path.exists():
            stale.append(f"{path.relative_to(DOCS.parent)} is missing")
            continue
        before = path.read_text()
        if f"<!-- generated: {TABLES} -->\n" not in before:
            stale.append(f"{path.relative_to(DOCS.parent)} has no line for its tables")
            continue
        after = filled(before, TABLES, tables(models))
        picture = FIGURES / f"traces-{family}.png"
        after = filled(after, TRACES, f"![Typical traces](../figures/{picture.name})")
        if options.check:
            if after != before:
                stale.append(f"{path.relative_to(DOCS.parent)} is not what the code says")
            continue
        path.write_text(after)
        if not options.tables:
            figure(models).savefig(picture)
    for line in stale:
        print(f"{line}; run: python docs/generate_simulator_pages.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
