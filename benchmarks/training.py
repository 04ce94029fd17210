"""Our training against sbi's ``NPE.train`` on the same simulations: wall time and held-out log-prob.

    python benchmarks/training.py --simulations 10000 --fresh 10000 [--peer] [--epochs 40 ...]

The problem has 8 parameters and 16 features of a damped oscillator network: nonlinear, partly
redundant, with skewed and two-branched posteriors. ``held-out`` is mean log q(theta | x) on fresh
pairs minus the log prior, in nats: the information gained, larger is better.
``cpu s`` is processor time, which other work on the machine disturbs less than wall time.
Both sides run with the same number of threads; sbi trains its own NSF with its defaults.
"""

import argparse
import contextlib
import tempfile
import time

import numpy as np
import torch

from neurosbi.contract import Feature, FixedStimulus, Parameter, Stimulus
from neurosbi.inference.methods import method_config, train_method
from neurosbi.inference.npe import train_npe  # noqa: F401  (imports are not part of the time)
from neurosbi.priors import BoxPrior

PARAMETERS = (
    Parameter("gain", "1", 0.5, 50.0, scale="log"),
    Parameter("leak", "1", 0.01, 1.0, scale="log"),
    *(Parameter(f"p{i}", "1", -2.0, 2.0) for i in range(6)),
)
FEATURES = tuple(Feature(f"f{i}", "1") for i in range(16))


class Simulated:
    """Simulations in memory, with the attributes of a store."""

    parameters, features = PARAMETERS, FEATURES
    family = FixedStimulus(Stimulus.step(amplitude=1.0, onset=0.0, duration=1.0))
    simulator_config = {"simulator": "benchmark", "version": "1"}  # noqa: RUF012
    config_hash, seed = "benchmark", 0

    def __init__(self, theta: np.ndarray, x: np.ndarray) -> None:
        self.theta, self.x, self.n = theta, x, len(theta)
        self.valid, self.stimulus = np.ones(self.n, dtype=bool), np.empty((self.n, 0))

    def read(self, start: int, stop: int) -> "Simulated":
        return Simulated(self.theta[start:stop], self.x[start:stop])


def simulate(n: int, *, seed: int) -> Simulated:
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
    return Simulated(theta, x)


def ours(
    data: Simulated, fresh: Simulated, options: dict
) -> tuple[tuple[float, float], float, int]:
    began = time.perf_counter(), time.process_time()
    network = train_method("npe", data, method_config("npe", **options), seed=1, progress=False)
    seconds = time.perf_counter() - began[0], time.process_time() - began[1]
    gain = network.log_prob(fresh.theta, fresh.x).mean() - log_prior(fresh)
    return seconds, gain, len(network.card["result"]["history"])


def peer(data: Simulated, fresh: Simulated, model: str) -> tuple[tuple[float, float], float, int]:
    from sbi.inference import NPE

    class Silent:
        """sbi's tracker, without its folder in the working directory."""

        log_dir = None

        def __getattr__(self, name: str):
            return lambda *args, **kwargs: None

    torch.manual_seed(1)
    theta, x = (torch.as_tensor(v, dtype=torch.float32) for v in (data.theta, data.x))
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        began = time.perf_counter(), time.process_time()
        trainer = NPE(BoxPrior(PARAMETERS), density_estimator=model, show_progress_bars=False)
        estimator = trainer.append_simulations(theta, x).train()
        seconds = time.perf_counter() - began[0], time.process_time() - began[1]
    with torch.no_grad():
        estimator.eval()
        held = torch.as_tensor(fresh.theta, dtype=torch.float32)
        seen = torch.as_tensor(fresh.x, dtype=torch.float32)
        log_prob = estimator.log_prob(held[None], seen)[0].mean().item()
    return seconds, log_prob - log_prior(fresh), len(trainer.summary["training_loss"])


def log_prior(data: Simulated) -> float:
    prior = BoxPrior(PARAMETERS, dtype=torch.float64)
    return prior.log_prob(torch.as_tensor(data.theta)).mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=10_000)
    parser.add_argument("--fresh", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--peer", default="", help="also sbi with this density estimator, e.g. nsf")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE,...")
    arguments = parser.parse_args()
    data = simulate(arguments.simulations, seed=0)
    fresh = simulate(arguments.fresh, seed=1)
    threads = arguments.threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    print(f"{arguments.simulations} simulations, {threads} threads")
    print(f"{'who':<60}{'seconds':>9}{'cpu s':>9}{'epochs':>8}{'held-out':>10}")
    for text in arguments.set or [""]:
        options = {k: parse(v) for k, v in (pair.split("=") for pair in text.split(",") if pair)}
        report("neurosbi " + text, *ours(data, fresh, {"threads": threads, **options}))
    if arguments.peer:
        report(f"sbi {arguments.peer}", *peer(data, fresh, arguments.peer))


def parse(text: str) -> int | float | tuple[int, ...] | str:
    if "x" in text:
        return tuple(int(part) for part in text.split("x"))
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def report(who: str, seconds: tuple[float, float], gain: float, epochs: int) -> None:
    print(f"{who:<60}{seconds[0]:>9.1f}{seconds[1]:>9.1f}{epochs:>8}{gain:>10.3f}", flush=True)


if __name__ == "__main__":
    main()
