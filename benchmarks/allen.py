"""Predictive distance on the Allen cells, under the published protocol and with each cell's stimulus.

    python benchmarks/allen.py [--simulations 100000] [--write]

The seven features are those of Goncalves et al. 2020 (feature set ``moments-7``); the distance is
the mean over features of |x - x_o| / s, x from 1,000 posterior draws and s the standard deviation
of the feature over prior simulations.

- *published protocol*: every cell is fitted and predicted with the current density of cell
  518290966, as Gloeckler et al. 2023 did (NPE .315 over their ten cells; ours are seven of them).
- *own stimulus*: one network for steps of any amplitude; every cell with its own.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from machine import machine

import neurosbi as nb
from neurosbi.contract import FixedStimulus, Observation, Simulator
from neurosbi.inference.network import Network
from neurosbi.recordings import default_sweep, estimate_passive

RESULT = Path(__file__).parent / "results" / "allen.md"
CELLS = Path(__file__).parents[1] / "data" / "allen_cell_types"
PROTOCOL = "518290966"
JUNCTION_POTENTIAL = -14.0  # mV
PUBLISHED = 0.315
DRAWS = 1_000


def observed(cell: str) -> tuple[Observation, float]:
    """The sweep of the cell as the model sees it, and its first voltage (mV)."""
    recording = nb.read_recording(
        CELLS / f"specimen_{cell}" / "ephys.nwb", junction_potential=JUNCTION_POTENTIAL
    )
    passive = estimate_passive(recording)
    if passive is None:
        raise SystemExit(f"{cell}: no membrane area")
    area = passive.capacitance * 1e-6  # pF over 1 uF/cm2
    simulator = nb.simulator("hodgkin-huxley", features="moments-7", area=area)
    observation = simulator.observe(default_sweep(recording))
    return observation, float(observation.voltage[0])


def distance(simulator: Simulator, network: Network, seen: Observation, *, family: bool) -> float:
    """Mean of |x - x_o| / s over draws and features."""
    stimulus = seen.stimulus
    posterior = network.posterior(seen.x, stimulus if family else None)
    theta = posterior.sample(DRAWS, seed=1)
    prior = simulator.simulate(simulator.sample_prior(4_000, seed=2), stimulus=stimulus, seed=3)
    drawn = simulator.simulate(theta, stimulus=stimulus, seed=4)
    spread = prior.x[prior.valid].std(0)
    return float(np.mean(np.abs(drawn.x[drawn.valid] - seen.x) / spread))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=100_000)
    parser.add_argument("--write", action="store_true", help=f"write {RESULT}")
    arguments = parser.parse_args()
    cells = sorted(p.name.removeprefix("specimen_") for p in CELLS.glob("specimen_*"))
    seen = {cell: observed(cell) for cell in cells}
    reference, first_voltage = seen[PROTOCOL]
    fixed = nb.simulator("hodgkin-huxley", features="moments-7", initial_voltage=first_voltage)
    free = nb.simulator("hodgkin-huxley", features="moments-7")
    rows: dict[str, list[float]] = {cell: [] for cell in cells}
    for simulator, family in ((fixed, FixedStimulus(reference.stimulus)), (free, None)):
        store = nb.simulate(simulator, arguments.simulations, stimulus=family, seed=0)
        network = nb.train(store, seed=0)
        for cell in cells:
            own = seen[cell][0]
            used = own if family is None else replace(own, stimulus=reference.stimulus)
            rows[cell].append(distance(simulator, network, used, family=family is None))
    lines = [
        "# Predictive distance on the Allen cells",
        "",
        f"{machine(('torch', 'numba'))}; {arguments.simulations:,} simulations for each of the two "
        f"networks. Mean over seven features of |x - x_o| / prior sd. Published NPE: {PUBLISHED} "
        "(first column, ten cells).",
        "",
        f"| cell | current of {PROTOCOL} | own current |",
        "|---|---|---|",
        *(f"| {cell} | {a:.3f} | {b:.3f} |" for cell, (a, b) in rows.items()),
        "| mean | {:.3f} | {:.3f} |".format(*np.mean(list(rows.values()), axis=0)),
    ]
    print("\n".join(lines))
    if arguments.write:
        RESULT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
