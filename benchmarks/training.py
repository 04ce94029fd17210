"""Training at equal data: our loop and our network beside sbi's ``NPE.train``, in one run.

    python benchmarks/training.py [--simulations 10000 100000] [--seeds 5] [--methods ...]
    python benchmarks/training.py --table

The problem has 8 parameters and 16 features of a damped oscillator network: nonlinear, partly
redundant, with skewed and two-branched posteriors. Rows:

- *sbi MAF*, *sbi NSF*: ``NPE.train`` with its defaults (batches of 200, Adam 5e-4, patience 20);
- *loop MAF*, *loop NSF*: the very same networks, built by sbi, trained by our loop (larger batches,
  warm-up and cosine schedule, fused optimiser, exact validation set);
- *neurosbi*: our loop and our default network.

``information`` is mean log q(theta | x) - log prior on 10,000 fresh pairs, in nats: larger is
better. One thread on either side; processor time, which other work disturbs less, beside wall
time. Finished cells lie in results/training.zarr and are not run again.
"""

import argparse
import contextlib
import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from cells import Cells
from machine import machine

from neurosbi.contract import Feature, FixedStimulus, Parameter, Stimulus
from neurosbi.inference.memory import ArraySimulations
from neurosbi.inference.methods import method_config, train_method
from neurosbi.inference.npe import train_npe  # noqa: F401  (imports are not part of the time)
from neurosbi.priors import BoxPrior
from neurosbi.training import TrainingConfig, fit

RESULTS = Path(__file__).parent / "results"
BUDGETS = (10_000, 100_000, 1_000_000)
SEEDS = 5
FRESH = 10_000

PARAMETERS = (
    Parameter("gain", "1", 0.5, 50.0, scale="log"),
    Parameter("leak", "1", 0.01, 1.0, scale="log"),
    *(Parameter(f"p{i}", "1", -2.0, 2.0) for i in range(6)),
)
FEATURES = tuple(Feature(f"f{i}", "1") for i in range(16))


def simulate(n: int, *, seed: int) -> ArraySimulations:
    """Features of a driven, damped nonlinear response; some depend on |p| or p^2 only."""
    rng = np.random.default_rng(seed)
    u = rng.random((n, 8))
    theta = np.array([p.low for p in PARAMETERS]) + u * [p.high - p.low for p in PARAMETERS]
    for i in (0, 1):
        low, high = PARAMETERS[i].low, PARAMETERS[i].high
        theta[:, i] = low * (high / low) ** u[:, i]
    gain, leak, p = np.log(theta[:, 0]), np.log(theta[:, 1]), theta[:, 2:]
    t = np.linspace(0.2, 3.0, 8)
    decay = np.exp(-np.exp(0.5 * leak)[:, None] * t)
    wave = np.tanh(p[:, :1] * np.cos(t * (2 + p[:, 1:2])) * decay + 0.3 * p[:, 2:3] * t)
    x = np.empty((n, 16))
    x[:, :8] = np.exp(0.4 * gain)[:, None] * wave
    x[:, 8], x[:, 9] = gain + 0.5 * leak, p[:, 3] ** 2
    x[:, 10], x[:, 11] = p[:, 3] * p[:, 4], np.abs(p[:, 4] - p[:, 5])
    x[:, 12], x[:, 13] = np.sin(2 * p[:, 5]), p[:, 0] + p[:, 1]
    x[:, 14], x[:, 15] = np.exp(p[:, 2]), leak * p[:, 5]
    x += 0.15 * (1 + 0.2 * np.abs(x)) * rng.standard_normal(x.shape)
    return ArraySimulations(
        theta=theta,
        x=x,
        valid=np.ones(n, dtype=bool),
        stimulus=np.empty((n, 0)),
        parameters=PARAMETERS,
        features=FEATURES,
        family=FixedStimulus(Stimulus.step(amplitude=1.0, onset=0.0, duration=1.0)),
        simulator_config={"simulator": "damped oscillators", "version": "1"},
        seed=seed,
    )


def ours(data: ArraySimulations, *, seed: int) -> Callable[[ArraySimulations], float]:
    """Train our default network; returns its mean log-probability of pairs."""
    # the features of this problem are always there: none is withheld
    config = method_config("npe", withheld=0.0, threads=1)
    network = train_method("npe", data, config, seed=seed, progress=False)
    return lambda pairs: float(network.log_prob(pairs.theta, pairs.x).mean())


def sbi_train(model: str) -> Callable[..., Callable[[ArraySimulations], float]]:
    """sbi's own training of one of its networks."""
    from sbi.inference import NPE

    class Silent:
        """sbi's tracker, without its folder in the working directory."""

        log_dir = None

        def __getattr__(self, name: str):
            return lambda *args, **kwargs: None

    def train(data: ArraySimulations, *, seed: int) -> Callable[[ArraySimulations], float]:
        torch.manual_seed(seed)
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            trainer = NPE(
                BoxPrior(PARAMETERS),
                density_estimator=model,
                show_progress_bars=False,
                tracker=Silent(),
            )
            estimator = trainer.append_simulations(*tensors(data)).train()
        return lambda pairs: sbi_log_prob(estimator, pairs)

    return train


def loop_train(model: str) -> Callable[..., Callable[[ArraySimulations], float]]:
    """Our loop on a network that sbi builds."""
    from sbi.neural_nets import posterior_nn

    def train(data: ArraySimulations, *, seed: int) -> Callable[[ArraySimulations], float]:
        torch.manual_seed(seed)
        theta, x = tensors(data)
        n = len(theta)
        estimator = posterior_nn(model)(theta, x)
        config = TrainingConfig(threads=1, epochs=150 if n <= 20_000 else 100, **LOOP)
        fit(estimator, (theta, x), config, seed=seed, device="cpu", progress=False)
        return lambda pairs: sbi_log_prob(estimator, pairs)

    return train


# sbi's networks need longer than ours, whose trend and splines start near the answer
LOOP: dict[str, Any] = {"learning_rate": 2e-2, "patience": 30}
METHODS: dict[str, Callable[[], Callable[..., Callable[[ArraySimulations], float]]]] = {
    "neurosbi": lambda: ours,
    "loop MAF": lambda: loop_train("maf"),
    "sbi MAF": lambda: sbi_train("maf"),
    "loop NSF": lambda: loop_train("nsf"),
    "sbi NSF": lambda: sbi_train("nsf"),
}
PEERS = {"neurosbi": "sbi NSF", "loop MAF": "sbi MAF", "loop NSF": "sbi NSF"}


def tensors(data: ArraySimulations) -> tuple[torch.Tensor, torch.Tensor]:
    theta, x = (torch.as_tensor(v, dtype=torch.float32) for v in (data.theta, data.x))
    return theta, x


@torch.no_grad()
def sbi_log_prob(estimator: torch.nn.Module, pairs: ArraySimulations) -> float:
    estimator.eval()
    theta, x = tensors(pairs)
    return estimator.log_prob(theta[None], x)[0].mean().item()  # type: ignore[operator]


def log_prior(data: ArraySimulations) -> float:
    prior = BoxPrior(PARAMETERS, dtype=torch.float64)
    return prior.log_prob(torch.as_tensor(data.theta)).mean().item()


def open_cells() -> Cells:
    axes = {"method": list(METHODS), "budget": BUDGETS, "seed": range(1, SEEDS + 1)}
    return Cells(
        RESULTS / "training.zarr",
        axes,
        {
            "wall": (list(axes), "s", "wall time of training"),
            "cpu": (list(axes), "s", "processor time of training"),
            "information": (list(axes), "nats", "mean log q(theta|x) - log prior on fresh pairs"),
        },
    )


def run(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    cells = open_cells()
    fresh = simulate(FRESH, seed=0)
    work = itertools.product(
        range(1, arguments.seeds + 1), arguments.simulations, arguments.methods
    )
    for seed, n, method in work:
        where = {"method": method, "budget": n, "seed": seed}
        if not cells.missing("cpu", **where):
            continue
        train, data = METHODS[method](), simulate(n, seed=seed)
        wall, cpu = time.perf_counter(), time.process_time()
        log_prob = train(data, seed=seed)
        values = {
            "wall": time.perf_counter() - wall,
            "cpu": time.process_time() - cpu,
        }
        values["information"] = log_prob(fresh) - log_prior(fresh)
        cells.write(values, **where)
        shown = "  ".join(f"{name} {value:.3g}" for name, value in values.items())
        print(f"{method:<10}{n:>9}  seed {seed}  {shown}", flush=True)


def write_table(cells: xr.Dataset, path: Path) -> None:
    lines = [
        "# Training at equal data",
        "",
        f"{machine(('torch', 'sbi', 'nflows'))}, one thread. Means over the seeds run, with the "
        "standard deviation of the information; times as faster as the peer are ratios of "
        "processor time.",
        "",
        "| simulations | method | seeds | wall s | processor s | information (nats) | faster than |",
        "|---|---|---|---|---|---|---|",
    ]
    for n, method in itertools.product(BUDGETS, METHODS):
        cell = cells.sel({"budget": n, "method": method}).dropna("seed")
        if not cell.sizes["seed"]:
            continue
        ratio, peer = "", PEERS.get(method)
        if peer:
            both = cells["cpu"].sel({"budget": n, "method": [method, peer]}).dropna("seed")
            if both.sizes["seed"]:
                mean = both.mean("seed").values
                ratio = f"{peer} {mean[1] / mean[0]:.1f} x"
        lines.append(
            f"| {n:,} | {method} | {cell.sizes['seed']} | {float(cell['wall'].mean()):.0f} | "
            f"{float(cell['cpu'].mean()):.0f} | {float(cell['information'].mean()):.3f} ± "
            f"{float(cell['information'].std()):.3f} | {ratio} |"
        )
    path.write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", nargs="+", type=int, choices=BUDGETS, default=BUDGETS[:2])
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"1 to {SEEDS}")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--table", action="store_true", help="write the table, run nothing")
    arguments = parser.parse_args()
    if not arguments.table:
        run(arguments)
    write_table(open_cells().read(), RESULTS / "training.md")


if __name__ == "__main__":
    main()
