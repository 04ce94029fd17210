"""Speed of the Hodgkin-Huxley family beside other simulators, on one core of this machine.

    python benchmarks/hodgkin_huxley.py [--quick] [--write]

Every number is the least of several runs. Times are CPU times, because other programs may share
the machine; wall times are given for two threads only. A step is one time step of one neuron.
``--write`` puts the table into benchmarks/results/hodgkin_huxley.md.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from machine import machine
from neurosbi_simulators.hodgkin_huxley import CorticalHodgkinHuxley, HodgkinHuxley
from neurosbi_simulators.hodgkin_huxley.drive import Drive

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "hodgkin_huxley.md"
DT = 0.01  # ms
PEERS = HERE / "hodgkin_huxley_peers.py"


@dataclass(frozen=True)
class Row:
    system: str
    work: str
    ns_per_step: float
    dt: float
    ours: bool = False


def fastest(run: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Least CPU and least wall time in s."""
    cpu, wall = [], []
    for _ in range(repeats):
        w, c = time.perf_counter(), time.process_time()
        run()
        cpu.append(time.process_time() - c)
        wall.append(time.perf_counter() - w)
    return min(cpu), min(wall)


def our_rows(n_sims: int, repeats: int) -> list[Row]:
    rows = []
    for model_class in (HodgkinHuxley, CorticalHodgkinHuxley):
        for precision in ("single", "double"):
            model = model_class(dt=DT, precision=precision, features="moments-7")
            default = np.array([[p.default for p in model.parameters]], dtype=np.float64)
            for what, theta in (
                ("prior draws", model.sample_prior(n_sims, seed=0)),
                ("default set", np.repeat(default, n_sims, axis=0)),
            ):
                rows += [_one(model, theta, what, repeats, noisy=noisy) for noisy in (True, False)]
    return rows


def _one(model, theta: np.ndarray, what: str, repeats: int, *, noisy: bool) -> Row:
    drive = Drive.of(model, None, len(theta))

    def run():
        model._features(model._run(theta, drive, seed=0, start=0, threads=1, noisy=noisy), drive)

    run()  # compile
    cpu, _ = fastest(run, repeats)
    steps = int(drive.steps[0]) * len(theta)
    words = f"{model.settings['precision']}, features, {'noise' if noisy else 'no noise'}, {what}"
    return Row(f"neurosbi {model.name}", words, cpu / steps * 1e9, DT, ours=True)


def threads(n_sims: int, repeats: int) -> str:
    model = HodgkinHuxley(dt=DT)
    theta = model.sample_prior(n_sims, seed=0)
    model.simulate(theta[:1], seed=0)
    one, two = (
        fastest(lambda n=n: model.simulate(theta, seed=0, threads=n), repeats)[1] for n in (1, 2)
    )
    return (
        f"Two threads, wall time of {n_sims} simulations: {one:.2f} s with one, {two:.2f} s with "
        f"two, {one / two:.2f} times as fast."
    )


def memory() -> list[str]:
    """Growth of the peak memory with the number of simulations and with their duration."""
    lines = ["", "| simulations | duration | growth of peak memory |", "|---|---|---|"]
    for n_sims, duration in ((1024, 120), (1024, 1200), (16384, 120)):
        code = (
            "import resource\n"
            "from neurosbi.contract import Stimulus\n"
            "from neurosbi_simulators.hodgkin_huxley import HodgkinHuxley\n"
            "model = HodgkinHuxley(dt=0.05)\n"
            f"theta = model.sample_prior({n_sims}, seed=0)\n"
            "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "model.simulate(theta[:64], seed=0, threads=1)\n"
            "before = peak()\n"
            f"s = Stimulus.step(amplitude=3, onset=10, duration={duration - 10}, unit='uA/cm2')\n"
            "model.simulate(theta, stimulus=s, seed=0, threads=1)\n"
            "print(peak() - before)\n"
        )
        grown = int(_python("-c", code))
        lines.append(f"| {n_sims} | {duration} ms | {grown / 1024:.1f} MiB |")
    return lines


def peer_rows(*, quick: bool) -> list[Row]:
    """Each peer in its own process: the reference-style loop, NEURON, Brian2."""
    rows = []
    for peer in ("scalar", "neuron", "neuron-no-tables", "brian2"):
        arguments = [str(PEERS), peer, *(["--quick"] if quick else [])]
        try:
            rows.append(Row(**json.loads(_python(*arguments).splitlines()[-1])))
        except subprocess.CalledProcessError as error:
            print(f"{peer} could not be measured: {error.stderr[-500:]}", file=sys.stderr)
    return rows


def _python(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True, cwd=HERE.parent
    )
    return done.stdout.strip()


def table(rows: list[Row]) -> list[str]:
    """One line per system; the ratio is against our single precision with noise, prior draws."""
    reference = next(r for r in rows if r.ours)
    lines = [
        "| system | work | ns per step | dt (ms) | simulated ms per CPU ms | time / ours |",
        "|---|---|---|---|---|---|",
    ]
    for r in rows:
        rate = r.dt * 1e6 / r.ns_per_step
        lines.append(
            f"| {r.system} | {r.work} | {r.ns_per_step:.1f} | {r.dt:g} | {rate:,.0f} | "
            f"{r.ns_per_step / reference.ns_per_step:.1f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer simulations and repeats")
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name}")
    options = parser.parse_args()
    n_sims, repeats = (256, 3) if options.quick else (1024, 7)
    lines = [
        "# Hodgkin-Huxley: speed on one core",
        "",
        machine(("numba", "llvmlite", "numpy", "neuron", "brian2")),
        "",
    ]
    lines += table(our_rows(n_sims, repeats) + peer_rows(quick=options.quick))
    lines += [
        "",
        "The scalar loop does the work of the published reference implementation (eight gates, one "
        "parameter set at a time) in compiled form; the Cython original was measured elsewhere at "
        "840 ns per step. NEURON runs its own hh channel (three gates, no noise), Brian2 the same "
        "four currents as ours without noise. Only ours computes features.",
        "",
        threads(16 * n_sims, repeats),
        *memory(),
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.write:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(text)


if __name__ == "__main__":
    main()
