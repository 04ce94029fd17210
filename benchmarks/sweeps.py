"""What several sweeps buy: one sweep, the product of single-sweep posteriors, and sets of sweeps.

    python benchmarks/sweeps.py [--cells 20] [--write]

Simulated Hodgkin-Huxley cells with known parameters get ten depolarising steps of one length and
two hyperpolarising ones; every fourth step is held out. Four posteriors are compared on the same
data in one run:

- *one sweep*: the network of single sweeps, at the step that a fit would choose;
- *one sweep (sets)*: the network of sets, given the same sweep alone;
- *product*: the product of the single-sweep posteriors over the prior repeated n - 1 times,
  drawn by slice sampling (only depolarising steps: the single-sweep network knows no
  others);
- *set*: the network of sets, given all sweeps that are not held out.

``interval`` is the width of the 90 % intervals relative to the prior, ``covered`` the share of true
parameters inside, ``error`` the distance of the posterior mean from the truth in prior standard
deviations, and ``held out`` the mean distance of 50 predictions from the recording at the held-out
steps in prior standard deviations of each feature. Recorded cells have no truth: for them the
report of ``neurosbi fit`` shows intervals and held-out distance.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from machine import machine

import neurosbi as nb
from neurosbi.checks import compare_predictive
from neurosbi.contract import Stimulus
from neurosbi.inference.network import Network
from neurosbi.inference.slices import SliceChains
from neurosbi.priors import UnconstrainedMap
from neurosbi.seeds import derive_seed

RESULT = Path(__file__).parent / "results" / "sweeps.md"
AMPLITUDES = np.geomspace(0.5, 6.0, 10)  # uA/cm2
NEGATIVE = (-1.5, -0.5)
ONSET, DURATION = 150.0, 600.0  # ms
HELD_OUT = 4
FEWEST_SPIKES = 5
PRIOR_DRAWS = 1000
PREDICTIONS = 50
CHAINS, WARM_UP = 100, 15
FARTHEST = 3.0  # prior standard deviations: 99.7 % of the prior of each parameter


class Cell:
    """One simulated cell: features at every step, which steps are seen, which are held out."""

    def __init__(self, simulator, theta: np.ndarray, *, seed: int) -> None:
        self.theta = theta
        self.stimuli = [
            Stimulus.step(amplitude=a, onset=ONSET, duration=DURATION, unit="uA/cm2")
            for a in (*NEGATIVE, *AMPLITUDES)
        ]
        self.x = np.array(
            [
                simulator.features(theta[None], stimulus=s, seed=derive_seed(seed, f"step {i}"))[0]
                for i, s in enumerate(self.stimuli)
            ]
        )
        self.held_out = list(range(len(NEGATIVE) + 2, len(self.stimuli), HELD_OUT))
        self.seen = [i for i in range(len(self.stimuli)) if i not in self.held_out]
        count = [f.name for f in simulator.feature_set].index("spike_count")
        firing = [i for i in self.seen if i >= len(NEGATIVE) and self.x[i, count] >= FEWEST_SPIKES]
        self.chosen = firing[0] if firing else None


def sample_cells(simulator, n: int, *, seed: int) -> list[Cell]:
    """The first ``n`` prior draws that spike at a step which is seen."""
    cells: list[Cell] = []
    draws = simulator.sample_prior(50 * n, seed=seed)
    for i, theta in enumerate(draws):
        cell = Cell(simulator, theta, seed=derive_seed(seed, f"cell {i}"))
        if cell.chosen is not None and np.isfinite(cell.x[:, 0]).all():
            cells.append(cell)
        if len(cells) == n:
            return cells
    raise SystemExit(f"only {len(cells)} of {len(draws)} draws spike; ask for fewer cells")


def product(single: Network, sets: Network, cell: Cell, *, n: int, seed: int) -> np.ndarray:
    """Draws of the corrected product of single-sweep posteriors, by slice sampling.

    In the space where the prior is N(0, I) the product is

        sum_i log q(z | x_i) - (n - 1) log N(z; 0, I)

    It is cut off at |z| = ``FARTHEST``: beyond, no flow has seen enough data to fall off as steeply
    as the prior that is divided out (without the cut, one cell of six ran away into the corners).
    Chains start at draws of the network of sets, so that a short warm-up is enough.
    """
    used = [i for i in cell.seen if i >= len(NEGATIVE) and np.isfinite(cell.x[i]).any()]
    conditions = torch.cat([single.encode(cell.x[i], cell.stimuli[i]) for i in used])
    bijection = UnconstrainedMap(single.parameters)
    estimator = single.estimator

    def log_product(z: np.ndarray) -> np.ndarray:
        z = torch.as_tensor(z)
        theta = bijection.inverse(z)
        with torch.no_grad():
            each = estimator.log_prob(theta[:, None].expand(-1, len(used), -1), conditions)
        total = each.double().sum(-1) - len(used) * bijection.log_det(theta)
        total = total + (len(used) - 1) * 0.5 * z.square().sum(-1)
        return torch.where((z.abs() < FARTHEST).all(-1), total, -torch.inf).numpy()

    start = sets.posterior(cell.x[cell.seen], [cell.stimuli[i] for i in cell.seen])
    z = bijection(torch.as_tensor(start.sample(n, seed=seed))).numpy()
    points = z[np.isfinite(log_product(z))][:CHAINS]
    chains = SliceChains(log_product, points, np.cov(z, rowvar=False), seed=seed)
    chains.tune(WARM_UP)
    chains.draw(-(-n // len(points)))
    flat = chains.points.reshape(-1, z.shape[1])[:n]
    return bijection.inverse(torch.as_tensor(flat)).numpy()


def score(simulator, cell: Cell, theta: np.ndarray, priors: dict, *, seed: int) -> list[float]:
    """interval, covered, error, held out."""
    low = np.array([p.low for p in simulator.parameters])
    high = np.array([p.high for p in simulator.parameters])
    q5, q95 = np.quantile(theta, [0.05, 0.95], axis=0)
    error = np.abs(theta.mean(0) - cell.theta) / (high - low) * np.sqrt(12)
    distances = []
    for i in cell.held_out:
        batch = simulator.simulate(
            theta[:PREDICTIONS], stimulus=cell.stimuli[i], seed=derive_seed(seed, f"held out {i}")
        )
        check = compare_predictive(
            simulator.feature_set,
            cell.x[i],
            x=batch.x,
            status=batch.status,
            prior_x=priors[i].x,
            prior_status=priors[i].status,
        )
        distances.append(check.mean_distance)
    return [
        float(np.mean((q95 - q5) / (0.9 * (high - low)))),
        float(np.mean((q5 <= cell.theta) & (cell.theta <= q95))),
        float(np.mean(error)),
        float(np.nanmean(distances)),
    ]


def networks(simulator, arguments) -> tuple[Network, Network]:
    options = {} if arguments.epochs is None else {"epochs": arguments.epochs}
    made = []
    for family, n in (
        (simulator.stimulus_family, arguments.single),
        (simulator.sweep_sets, arguments.sets),
    ):
        store = nb.simulate(simulator, n, stimulus=family, seed=0)
        made.append(nb.train(store, seed=0, **options).to("cpu"))
    return made[0], made[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=20)
    parser.add_argument("--single", type=int, default=100_000, help="simulations, single sweeps")
    parser.add_argument("--sets", type=int, default=300_000, help="simulated sweeps, in sets")
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--write", action="store_true", help=f"write {RESULT}")
    arguments = parser.parse_args()
    simulator = nb.simulator("hodgkin-huxley")
    single, sets = networks(simulator, arguments)
    cells = sample_cells(simulator, arguments.cells, seed=11)
    draws = simulator.sample_prior(PRIOR_DRAWS, seed=12)
    priors = {
        i: simulator.simulate(draws, stimulus=cells[0].stimuli[i], seed=13)
        for i in cells[0].held_out
    }
    methods = {
        "one sweep": lambda c: single.posterior(c.x[c.chosen], c.stimuli[c.chosen]).sample(
            1000, seed=1
        ),
        "one sweep (sets)": lambda c: sets.posterior(c.x[[c.chosen]], [c.stimuli[c.chosen]]).sample(
            1000, seed=1
        ),
        "set": lambda c: sets.posterior(c.x[c.seen], [c.stimuli[i] for i in c.seen]).sample(
            1000, seed=1
        ),
        "product": lambda c: product(single, sets, c, n=1000, seed=1),
    }
    lines = [
        "# What several sweeps buy",
        "",
        f"{machine(('torch', 'sbi'))}; {arguments.cells} simulated cells, "
        f"{arguments.single:,} simulations of single sweeps, {arguments.sets:,} sweeps in sets; "
        "means over cells, standard error of the last column.",
        "",
        "| posterior | interval | covered | error | held out | seconds a cell |",
        "|---|---|---|---|---|---|",
    ]
    for name, draw in methods.items():
        rows, began = [], time.perf_counter()
        samples = [draw(cell) for cell in cells]
        seconds = (time.perf_counter() - began) / len(cells)
        for k, (cell, theta) in enumerate(zip(cells, samples, strict=True)):
            rows.append(score(simulator, cell, theta, priors, seed=k))
        mean = np.nanmean(rows, axis=0)
        se = np.nanstd(rows, axis=0)[3] / np.sqrt(len(rows))
        lines.append(
            f"| {name} | {mean[0]:.3f} | {mean[1]:.2f} | {mean[2]:.3f} | "
            f"{mean[3]:.2f} ± {se:.2f} | {seconds:.2f} |"
        )
        print(lines[-1], flush=True)
        if arguments.write:
            RESULT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
