"""Rounds against one round of as many simulations, on the Allen cells of the repository.

    python benchmarks/rounds.py [--simulations 10000] [--rounds 3] [--seeds 1] [--write]

*One round* is a network trained on ROUNDS times SIMULATIONS sweeps, which serves all cells; *rounds*
begin with one of SIMULATIONS sweeps, and each further round simulates as many of the cell itself,
unless the refinement ends before. Both fit the same sweep. The predictive distance is the mean over
the features used of |x - x_o| / prior sd, of 2,000 posterior draws that no choice was made by: a
refinement stops by the distance of other draws.
"""

import argparse
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
CHOSEN_BY = 500  # draws, the first ones, that a refinement may have chosen its round by


def fresh_distance(result: Result) -> float:
    """The predictive distance of posterior draws that no choice was made by."""
    drawn, stored = result.simulate(CHOSEN_BY + DRAWS, seed=101), result.stored
    check = compare_predictive(
        stored.features,
        stored.observation.x,
        x=drawn["x"].values[CHOSEN_BY:],
        status=drawn["status"].values[CHOSEN_BY:],
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
            distances, made, best = [], 1, 1
            for simulations, rounds in ((total, 1), (options.simulations, options.rounds)):
                with TemporaryDirectory() as folder:
                    result = nb.fit(
                        file,
                        simulations=simulations,
                        rounds=rounds,
                        samples=CHOSEN_BY + DRAWS,
                        junction_potential=JUNCTION_POTENTIAL,
                        output=Path(folder) / "result",
                        seed=seed,
                        progress=False,
                    )
                    distances.append(fresh_distance(result))
                if result.stored.rounds is not None:
                    made = len(result.stored.rounds["answer"])
                    best = 1 + int(np.argmax(result.stored.rounds["answer"]))
            rows.append((file.parent.name.removeprefix("specimen_"), seed, made, best, *distances))
            print(*rows[-1], flush=True)
    distances = np.array([row[4:] for row in rows])
    better = int((distances[:, 1] <= distances[:, 0]).sum())
    lines = [
        "# Rounds against one round of as many simulations",
        "",
        f"{machine(('torch', 'numba'))}. One round of {total:,} sweeps for all cells; or up to "
        f"{options.rounds} rounds of {options.simulations:,}, the later ones for each cell. Predictive "
        f"distance of {DRAWS:,} draws that no choice was made by. Rounds are at least as near for "
        f"{better} of {len(rows)}.",
        "",
        "| cell | seed | rounds made | answer | one round | rounds | ratio |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {cell} | {seed} | {made} | {best} | {one:.4f} | {more:.4f} | {more / one:.2f} |"
            for cell, seed, made, best, one, more in rows
        ),
        "| mean |  |  |  | {:.4f} | {:.4f} | {:.2f} |".format(
            *distances.mean(0), distances[:, 1].mean() / distances[:, 0].mean()
        ),
    ]
    print("\n".join(lines))
    if options.write:
        RESULT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
