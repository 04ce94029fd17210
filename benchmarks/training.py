"""Training at equal data: our loop and our network beside sbi's ``NPE.train``, in one run.

    python benchmarks/training.py [--simulations 10000 100000] [--seeds 1 2 3 4 5] [--methods ...]
    python benchmarks/training.py --device cuda --simulations 10000 100000 1000000
    python benchmarks/training.py --table

The problem has 8 parameters and 16 features of a damped oscillator network: nonlinear, partly
redundant, with skewed and two-branched posteriors. Rows:

- *sbi MAF*, *sbi NSF*: ``NPE.train`` with its defaults (batches of 200, Adam 5e-4, patience 20);
- *loop MAF*, *loop NSF*: the very same networks, built by sbi, trained by our loop (larger batches,
  warm-up and cosine schedule, fused optimiser, exact validation set);
- *neurosbi*: our loop and our default network.

``information`` is mean log q(theta | x) - log prior on 10,000 fresh pairs, in nats: larger is
better. One thread on either side; on processors the processor time, which other work disturbs
less, is compared, on GPUs the wall time. ``--longest`` ends every training after so many seconds
(sbi's on a processor: of processor time): the network it has by then is judged. Finished cells lie
in results/training.zarr and are not run again.
"""

import argparse
import contextlib
import itertools
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from cells import Cells
from filelock import FileLock
from machine import machine
from quiet import Silent

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
DEVICES = ("cpu", "cuda")
MACHINES = RESULTS / "training_machines.json"

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


class Trained(NamedTuple):
    """A network: mean log-probability of pairs under it, and whether its training ended by itself."""

    log_prob: Callable[[ArraySimulations], float]
    finished: bool


def ours(data: ArraySimulations, *, seed: int, device: str, longest: float) -> Trained:
    """Our default network."""
    # the features of this problem are always there: none is withheld
    config = method_config("npe", withheld=0.0, threads=1, max_minutes=longest / 60)
    network = train_method("npe", data, config, seed=seed, device=device, progress=False)
    return Trained(
        lambda pairs: float(network.log_prob(pairs.theta, pairs.x).mean()),
        network.card["result"]["stopped"] != "time",
    )


def sbi_train(model: str) -> Callable[..., Trained]:
    """sbi's own training of one of its networks."""
    from sbi.inference import NPE

    class Timed(NPE):
        """Ends after ``longest`` seconds with the best network so far."""

        def __init__(self, *args: Any, longest: float, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            # the clock that the table compares
            self.now = time.monotonic if kwargs["device"] == "cuda" else time.process_time
            self.end, self.finished = self.now() + longest, True

        def _converged(self, epoch: int, stop_after_epochs: int) -> bool:
            if super()._converged(epoch, stop_after_epochs):
                return True
            if self.now() < self.end:
                return False
            self._neural_net.load_state_dict(self._best_model_state_dict)
            self.finished = False
            return True

    def train(data: ArraySimulations, *, seed: int, device: str, longest: float) -> Trained:
        torch.manual_seed(seed)
        prior = BoxPrior(PARAMETERS)
        prior.to(device)
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            trainer = Timed(
                prior,
                density_estimator=model,
                device=device,
                show_progress_bars=False,
                tracker=Silent(),
                longest=longest,
            )
            trainer.append_simulations(*tensors(data, device), data_device=device)
            with contextlib.redirect_stdout(None):  # it says how it ended
                estimator = trainer.train()
        return Trained(lambda pairs: sbi_log_prob(estimator, pairs, device), trainer.finished)

    return train


def loop_train(model: str) -> Callable[..., Trained]:
    """Our loop on a network that sbi builds."""
    from sbi.neural_nets import posterior_nn

    def train(data: ArraySimulations, *, seed: int, device: str, longest: float) -> Trained:
        torch.manual_seed(seed)
        theta, x = tensors(data, "cpu")
        n = len(theta)
        estimator = posterior_nn(model)(theta, x)
        epochs = 150 if n <= 20_000 else 100
        config = TrainingConfig(threads=1, epochs=epochs, max_minutes=longest / 60, **LOOP)
        result = fit(estimator, (theta, x), config, seed=seed, device=device, progress=False)
        return Trained(
            lambda pairs: sbi_log_prob(estimator, pairs, device), result.stopped != "time"
        )

    return train


# sbi's networks need longer than ours, whose trend and splines start near the answer
LOOP: dict[str, Any] = {"learning_rate": 2e-2, "patience": 30}
METHODS: dict[str, Callable[[], Callable[..., Trained]]] = {
    "neurosbi": lambda: ours,
    "loop MAF": lambda: loop_train("maf"),
    "sbi MAF": lambda: sbi_train("maf"),
    "loop NSF": lambda: loop_train("nsf"),
    "sbi NSF": lambda: sbi_train("nsf"),
}
PEERS = {"neurosbi": "sbi NSF", "loop MAF": "sbi MAF", "loop NSF": "sbi NSF"}


def tensors(data: ArraySimulations, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    values = (data.theta, data.x)
    theta, x = (torch.as_tensor(v, dtype=torch.float32, device=device) for v in values)
    return theta, x


@torch.no_grad()
def sbi_log_prob(estimator: torch.nn.Module, pairs: ArraySimulations, device: str) -> float:
    estimator.eval()
    theta, x = tensors(pairs, device)
    return estimator.log_prob(theta[None], x)[0].mean().item()  # type: ignore[operator]


def log_prior(data: ArraySimulations) -> float:
    prior = BoxPrior(PARAMETERS, dtype=torch.float64)
    return prior.log_prob(torch.as_tensor(data.theta)).mean().item()


def open_cells() -> Cells:
    axes = {
        "device": DEVICES,
        "method": list(METHODS),
        "budget": BUDGETS,
        "seed": range(1, SEEDS + 1),
    }
    return Cells(
        RESULTS / "training.zarr",
        axes,
        {
            "wall": (list(axes), "s", "wall time of training"),
            "cpu": (list(axes), "s", "processor time of training"),
            "information": (list(axes), "nats", "mean log q(theta|x) - log prior on fresh pairs"),
            "finished": (list(axes), "1", "1 if training ended by itself, 0 if by the time limit"),
        },
    )


def run(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    cells = open_cells()
    fresh = simulate(FRESH, seed=0)
    for n in arguments.simulations:
        note_machine(arguments.device, n)
    work = itertools.product(arguments.simulations, arguments.seeds, arguments.methods)
    for n, seed, method in work:
        where = {"device": arguments.device, "method": method, "budget": n, "seed": seed}
        if not cells.missing("cpu", **where):
            continue
        train, data = METHODS[method](), simulate(n, seed=seed)
        if arguments.device == "cuda":  # loading kernels is not part of the time
            train(simulate(2_000, seed=seed), seed=seed, device="cuda", longest=1.0)
        wall, cpu = time.perf_counter(), time.process_time()
        trained = train(data, seed=seed, device=arguments.device, longest=arguments.longest)
        if arguments.device == "cuda":
            torch.cuda.synchronize()
        values = {
            "wall": time.perf_counter() - wall,
            "cpu": time.process_time() - cpu,
        }
        values["information"] = trained.log_prob(fresh) - log_prior(fresh)
        values["finished"] = float(trained.finished)
        cells.write(values, **where)
        shown = "  ".join(f"{name} {value:.3g}" for name, value in values.items())
        print(f"{method:<10}{n:>9}  seed {seed}  {shown}", flush=True)


def note_machine(device: str, n: int) -> None:
    """Write down what the cells of ``device`` and ``n`` simulations are measured on."""
    line = f"{machine(('torch', 'sbi', 'nflows'))}, one thread"
    if device == "cuda":
        line = f"{torch.cuda.get_device_name()}; {line}"
    with FileLock(MACHINES.with_name(f".{MACHINES.name}.lock")):
        notes = machines()
        known = notes.setdefault(device, {}).setdefault(str(n), [])
        if line not in known:
            known.append(line)
            MACHINES.write_text(json.dumps(notes, indent=1) + "\n")


def machines() -> dict[str, dict[str, list[str]]]:
    """What was noted by device and number of simulations."""
    return json.loads(MACHINES.read_text()) if MACHINES.exists() else {}


def write_table(cells: xr.Dataset, path: Path) -> None:
    lines = [
        "# Training at equal data",
        "",
        "Information is the mean of log q(theta | x) - log prior on fresh pairs, over the seeds "
        "run, with its standard deviation. *Faster than* compares processor time on processors "
        "and wall time on GPUs, over the same seeds. Times in brackets: a training that was ended "
        "by a time limit, so what is said of its peer is a lower bound.",
    ]
    for device, notes in machines().items():
        lines += ["", f"## {'GPU' if device == 'cuda' else 'One core'}", ""]
        lines += rows(cells.sel(device=device))
        for known in dict.fromkeys(line for each in notes.values() for line in each):
            where = ", ".join(f"{int(n):,}" for n, each in notes.items() if known in each)
            lines += ["", f"{where} simulations: {known}."]
    path.write_text("\n".join(lines) + "\n")


def rows(cells: xr.Dataset) -> list[str]:
    """The table of one device."""
    compared = "wall" if cells.device == "cuda" else "cpu"
    lines = [
        "| simulations | method | seeds | wall s | processor s | information (nats) | faster than |",
        "|---|---|---|---|---|---|---|",
    ]
    for n, method in itertools.product(BUDGETS, METHODS):
        cell = cells.sel({"budget": n, "method": method}).dropna("seed")
        if not cell.sizes["seed"]:
            continue
        ratio, peer = "", PEERS.get(method)
        if peer:
            both = cells.sel({"budget": n, "method": [method, peer]}).dropna("seed")
            if both.sizes["seed"]:
                mine, other = both[compared].mean("seed").values
                bound = "" if both["finished"].sel({"method": peer}).all() else "more than "
                ratio = f"{peer} {bound}{other / mine:.1f} x"
        wall, cpu = (f"{float(cell[name].mean()):.0f}" for name in ("wall", "cpu"))
        if not cell["finished"].all():
            wall, cpu = f"({wall})", f"({cpu})"
        deviation = f" ± {float(cell['information'].std(ddof=1)):.3f}" if len(cell.seed) > 1 else ""
        lines.append(
            f"| {n:,} | {method} | {cell.sizes['seed']} | {wall} | {cpu} | "
            f"{float(cell['information'].mean()):.3f}{deviation} | {ratio} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", nargs="+", type=int, choices=BUDGETS, default=BUDGETS[:2])
    every = range(1, SEEDS + 1)
    parser.add_argument("--seeds", nargs="+", type=int, choices=every, default=every)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--device", choices=DEVICES, default="cpu")
    parser.add_argument("--longest", type=float, default=1e6, help="seconds of one training")
    parser.add_argument("--table", action="store_true", help="write the table, run nothing")
    arguments = parser.parse_args()
    if not arguments.table:
        run(arguments)
    write_table(open_cells().read(), RESULTS / "training.md")


if __name__ == "__main__":
    main()
