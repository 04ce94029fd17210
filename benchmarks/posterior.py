"""Accuracy of posteriors on the public benchmark: C2ST to the reference posteriors, beside sbi's NPE.

    python benchmarks/posterior.py [--methods neurosbi sbi rounds] [--tasks ...] [--budgets ...]
    python benchmarks/posterior.py --table

Every method gets the same simulations of a task. C2ST is the public metric: the accuracy of a
classifier (two hidden layers of 10 x dim units, 5 folds) between 10,000 reference and 10,000
posterior samples, z-scored by the reference; 0.5 is perfect. ``seconds`` is processor time of
training and sampling, on one core.

Cells that are done lie in results/posterior.zarr and are not computed again, so a run that was
stopped goes on. ``--table`` writes results/posterior.md and .png from what is there.
"""

import argparse
import contextlib
import itertools
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from cells import Cells
from machine import machine
from posterior_published import BUDGETS
from posterior_tasks import TASKS, Task, reference
from quiet import Silent

from neurosbi.contract import Parameter
from neurosbi.inference.methods import method_config, train_method
from neurosbi.inference.rounds import refine
from neurosbi.inference.target import Pool, Target

RESULTS = Path(__file__).parent / "results"
OBSERVATIONS = 5
SAMPLES = 10_000
METHODS = ("neurosbi", "sbi", "rounds")
ROUNDS = (0.4, 0.3, 0.3)  # of the simulations
SEED = 1


def simulations(task: Task, n: int) -> tuple[np.ndarray, np.ndarray]:
    """``u[sim, theta]`` and ``x[sim, column]``; the same for every method."""
    rng = np.random.default_rng([SEED, *task.name.encode()])
    u = rng.random((n, task.dim))
    return u, task.simulate(task.theta_of(u), rng)


def unit_cube(task: Task) -> tuple[Parameter, ...]:
    return tuple(Parameter(f"u{i}", "1", 0.0, 1.0) for i in range(task.dim))


def ours(task: Task, n: int, observations: np.ndarray) -> np.ndarray:
    """Samples [obs, sample, theta] of the default network."""
    u, x = simulations(task, n)
    target = target_of(task, observations[0])
    data = target.simulations(Pool(u, task.encode(x), np.ones(n, dtype=bool)), seed=SEED)
    config = method_config("npe", withheld=0.0)  # every column is always there
    network = train_method("npe", data, config, seed=SEED, progress=False)
    return np.array(
        [
            task.theta_of(network.posterior(task.encode(x_o[None])[0]).sample(SAMPLES, seed=k))
            for k, x_o in enumerate(observations)
        ]
    )


def refined(task: Task, n: int, x_o: np.ndarray, seed: int) -> np.ndarray:
    """Samples [sample, theta] of a posterior refined for one observation with ``n`` simulations."""
    counts = [round(share * n) for share in ROUNDS]
    refinement = refine(
        target_of(task, x_o), rounds=len(counts), simulations=counts, seed=seed, progress=False
    )
    return task.theta_of(refinement.posterior.sample(SAMPLES, seed=seed))


def target_of(task: Task, x_o: np.ndarray) -> Target:
    return Target.of_function(
        lambda u, rng: task.encode(task.simulate(task.theta_of(u), rng)),
        unit_cube(task),
        task.encode(x_o[None])[0],
        seed=SEED,
    )


def peer(task: Task, n: int, observations: np.ndarray) -> np.ndarray:
    """Samples of sbi's NPE with its defaults, in the parameters and data of the benchmark."""
    from sbi.inference import NPE

    u, x = simulations(task, n)
    theta = torch.as_tensor(task.theta_of(u), dtype=torch.float32)
    torch.manual_seed(SEED)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        trainer = NPE(task.prior(), show_progress_bars=False, tracker=Silent())
        trainer.append_simulations(theta, torch.as_tensor(x, dtype=torch.float32)).train()
        posterior = trainer.build_posterior()
    return np.array(
        [
            posterior.sample(
                (SAMPLES,),
                x=torch.as_tensor(x_o[None], dtype=torch.float32),
                show_progress_bars=False,
            ).numpy()
            for x_o in observations
        ]
    )


def c2st(samples: np.ndarray, wanted: np.ndarray) -> float:
    from sbi.utils.metrics import c2st as metric

    pair = (torch.as_tensor(v, dtype=torch.float32) for v in (wanted, samples))
    return float(metric(*pair, seed=1, classifier="mlp"))


def open_cells() -> Cells:
    axes = {
        "method": METHODS,
        "task": list(TASKS),
        "budget": BUDGETS,
        "observation": range(1, OBSERVATIONS + 1),
    }
    return Cells(
        RESULTS / "posterior.zarr",
        axes,
        {
            "c2st": (list(axes), "1", "classifier two-sample test accuracy, 0.5 is perfect"),
            "seconds": (
                ("method", "task", "budget"),
                "s",
                "processor time of training and sampling",
            ),
        },
    )


def samples_of(
    method: str, task: Task, n: int, observations: np.ndarray, folder: Path
) -> tuple[np.ndarray, float]:
    """Samples [obs, sample, theta] and processor time, from an earlier run where it got that far.

    Rounds train for each observation anew, which takes long, so each is kept for itself.
    """
    name = f"{method}-{task.name}-{n}"
    if method == "rounds":
        parts = [
            kept(folder / f"{name}-{k + 1}.npz", partial(refined, task, n, x_o, seed=k))
            for k, x_o in enumerate(observations)
        ]
        return np.array([samples for samples, _ in parts]), sum(seconds for _, seconds in parts)
    amortized = {"neurosbi": ours, "sbi": peer}[method]
    return kept(folder / f"{name}.npz", partial(amortized, task, n, observations))


def kept(path: Path, draw: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    """What ``draw`` returns and the processor time that it took, from the file if there is one."""
    if path.is_file():
        with np.load(path) as file:
            return file["samples"], float(file["seconds"])
    began = time.process_time()
    samples = draw()
    seconds = time.process_time() - began
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npz", delete=False) as file:
        np.savez(file, samples=samples.astype(np.float32), seconds=seconds)
    Path(file.name).rename(path)
    return samples, seconds


def run(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    cells = open_cells()
    for n, name, method in itertools.product(arguments.budgets, arguments.tasks, arguments.methods):
        where = {"method": method, "task": name, "budget": n}
        todo = np.flatnonzero(cells.missing("c2st", **where))
        if not len(todo):
            continue
        known = reference(name)
        samples, seconds = samples_of(
            method, TASKS[name], n, known["observation"], arguments.samples
        )
        for k in todo:
            score = c2st(samples[k], known["reference_posterior"][k])
            cells.write({"c2st": score, "seconds": seconds}, **where, observation=k + 1)
        mean = float(cells.read()["c2st"].sel(where).mean())
        print(f"{name:<24}{n:>8}  {method:<10} C2ST {mean:.3f}  {seconds:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["neurosbi", "sbi"])
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--budgets", nargs="+", type=int, choices=BUDGETS, default=list(BUDGETS))
    parser.add_argument(
        "--samples", type=Path, default=Path("posterior-samples"), help="folder of the samples"
    )
    parser.add_argument("--table", action="store_true", help="write table and figure, run nothing")
    arguments = parser.parse_args()
    if not arguments.table:
        run(arguments)
    else:
        from posterior_table import write_figure, write_table

        done = open_cells().read()
        write_table(done, RESULTS / "posterior.md", machine=machine(("torch", "sbi")))
        write_figure(done, RESULTS / "posterior.png")


if __name__ == "__main__":
    main()
