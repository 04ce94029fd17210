"""Rounds against one round of as many simulations, on the Allen cells that come with the package.

    python benchmarks/rounds.py [--simulations 10000] [--rounds 3] [--seeds 1] [--write]

*One round* is a network trained on ROUNDS times SIMULATIONS sweeps, which serves all cells;
*rounds* begin with one of SIMULATIONS sweeps, and each further round simulates as many of the cell
itself. Both fit the same sweep. The predictive distance, the mean over the features used of |x -
x_o| / prior sd, is of 2,000 posterior draws simulated anew: the draws that a refinement stops by
would flatter it.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from machine import machine

import neurosbi as nb
from neurosbi.checks.predictive import compare_predictive
from neurosbi.steps.result import Result

RESULT = Path(__file__).parent / "results" / "rounds.md"
CELLS = Path(__file__).parents[1] / "data" / "allen_cell_types"
JUNCTION_POTENTIAL = -14.0  # mV
DRAWS = 2_000


def fresh_distance(result: Result) -> float:
    """The predictive distance of posterior draws that no choice was made by."""
    drawn, stored = result.simulate(DRAWS, seed=101), result.stored
    check = compare_predictive(
        stored.features,
        stored.observation.x,
        x=drawn["x"].values,
        status=drawn["status"].values,
        prior_x=stored.prior_x,
        prior_status=stored.prior_status,
    )
    return check.only(stored.used).mean_distance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=10_000, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--write", action="store_true", help=f"write {RESULT}")
    options = parser.parse_args()
    total = options.rounds * options.simulations
    files = sorted(CELLS.glob("specimen_*/ephys.nwb"))
    rows = []
    for seed in range(options.seeds):
        for file in files:
            found, seconds = [], []
            for simulations, rounds in ((total, 1), (options.simulations, options.rounds)):
                began = time.perf_counter()
                with TemporaryDirectory() as folder:
                    result = nb.fit(
                        file,
                        simulations=simulations,
                        rounds=rounds,
                        junction_potential=JUNCTION_POTENTIAL,
                        output=Path(folder) / "result",
                        seed=seed,
                        progress=False,
                    )
                    found.append(fresh_distance(result))
                seconds.append(time.perf_counter() - began)
            cell = file.parent.name.removeprefix("specimen_")
            rows.append((cell, seed, *found, *seconds))
            print(*rows[-1], flush=True)
    distances = np.array([row[2:4] for row in rows])
    better = int((distances[:, 1] <= distances[:, 0]).sum())
    lines = [
        "# Rounds against one round of as many simulations",
        "",
        f"{machine(('torch', 'numba'))}. One round of {total:,} sweeps, for all cells; or "
        f"{options.rounds} rounds of {options.simulations:,}, the later ones for each cell. Predictive "
        f"distance of {DRAWS:,} draws simulated anew. Rounds are at least as near for {better} of "
        f"{len(rows)}.",
        "",
        "| cell | seed | one round | rounds | ratio |",
        "|---|---|---|---|---|",
        *(f"| {c} | {s} | {a:.4f} | {b:.4f} | {b / a:.2f} |" for c, s, a, b, *_ in rows),
        "| mean |  | {:.4f} | {:.4f} | {:.2f} |".format(
            *distances.mean(0), distances[:, 1].mean() / distances[:, 0].mean()
        ),
    ]
    print("\n".join(lines))
    if options.write:
        RESULT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
