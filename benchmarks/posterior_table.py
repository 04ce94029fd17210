"""Table and figure of the posterior benchmark, from its store."""

__all__ = ["write_figure", "write_table"]

from pathlib import Path

import numpy as np
import xarray as xr
from posterior_published import BUDGETS, PUBLISHED

NAMES = {
    "neurosbi": "neurosbi NPE",
    "sbi": "sbi NPE, same run",
    "rounds": "neurosbi rounds",
    "NPE": "NPE, published",
    "amortised": "best amortised, published",
    "sequential": "best sequential, published",
}


def write_table(cells: xr.Dataset, path: Path, *, machine: str) -> None:
    """Mean C2ST over observations, one row per task and method, and the mean over tasks."""
    scores, seconds = cells["c2st"].mean("observation", skipna=False), cells["seconds"]
    budgets = [f"{n:,}" for n in BUDGETS]
    lines = [
        "# Accuracy of posteriors on the public benchmark",
        "",
        f"{machine}, one core. C2ST to the reference posteriors (0.5 is perfect), mean over "
        "observations 1 to 5; published figures are means over ten observations. Seconds are "
        "processor time of training and sampling. An empty cell was not run.",
        "",
        f"| task | method | {' | '.join(budgets)} | seconds |",
        "|---|---|" + "---|" * (len(BUDGETS) + 1),
    ]
    for task in cells["task"].values.tolist():
        rows = {
            m: scores.sel({"method": m, "task": task}).values
            for m in cells["method"].values.tolist()
        }
        times = {m: seconds.sel({"method": m, "task": task}).values for m in rows}
        rows |= {m: np.array(v) for m, v in PUBLISHED[task].items()}
        for method, values in rows.items():
            if np.isfinite(values).any():
                spent = " / ".join(_number(v, 0) for v in times.get(method, ()))
                columns = " | ".join(_number(v, 3) for v in values)
                lines.append(f"| {task} | {NAMES[method]} | {columns} | {spent} |")
    lines += ["", "| mean over tasks | " + " | ".join(budgets) + " |", "|---|---|---|---|"]
    for method in cells["method"].values.tolist():
        means = scores.sel({"method": method}).mean("task", skipna=False).values
        lines.append(f"| {NAMES[method]} | {' | '.join(_number(v, 3) for v in means)} |")
    for method in ("NPE", "amortised", "sequential"):
        means = np.mean([PUBLISHED[task][method] for task in PUBLISHED], axis=0)
        lines.append(f"| {NAMES[method]} | {' | '.join(_number(v, 3) for v in means)} |")
    path.write_text("\n".join(lines) + "\n")


def write_figure(cells: xr.Dataset, path: Path) -> None:
    """One panel per task: C2ST against the number of simulations."""
    from matplotlib.figure import Figure

    styles = {
        "neurosbi": {"color": "#1f5fa8", "marker": "o"},
        "rounds": {"color": "#1f5fa8", "marker": "s", "linestyle": "--"},
        "sbi": {"color": "#c44e1b", "marker": "o"},
        "NPE": {"color": "0.6", "marker": "."},
        "sequential": {"color": "0.6", "marker": ".", "linestyle": "--"},
    }
    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots(2, 4, sharex=True, sharey=True)
    scores = cells["c2st"].mean("observation", skipna=False)
    for ax, task in zip(axes.flat, cells["task"].values.tolist(), strict=True):
        for method, style in styles.items():
            here = method in cells["method"].values
            values = (
                scores.sel({"method": method, "task": task}).values
                if here
                else PUBLISHED[task][method]
            )
            ax.plot(BUDGETS, values, label=NAMES[method], **style)
        ax.set_title(task.replace("_", " "), fontsize=9)
        ax.set_xscale("log")
        ax.set_ylim(0.48, 1.01)
    for ax in axes[:, 0]:
        ax.set_ylabel("C2ST")
    for ax in axes[1]:
        ax.set_xlabel("simulations")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    figure.savefig(path, dpi=120)


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else ""
