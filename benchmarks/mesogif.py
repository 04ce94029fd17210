"""Speed of the mesoscopic model beside a compiled scalar loop, on one core of this machine.

    python benchmarks/mesogif.py [--quick] [--write | --peer]

The network is that of Rene et al. 2020 (two populations), 20 s of counts in steps of 1 ms after 1 s
of burn-in. Every number is the least CPU time of several runs, because other programs may share the
machine. ``--write`` puts the table into benchmarks/results/mesogif.md; ``--peer`` measures nothing
but simulations by the scalar loop and prints them as one line of JSON.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from machine import machine
from neurosbi_simulators.mesogif import MesoGif
from reference_mesogif import Reference

RESULT = Path(__file__).resolve().parent / "results" / "mesogif.md"
BURN_IN, DURATION, LANES = 1000.0, 20_000.0, 16


def fastest(run: Callable[[], object], repeats: int) -> float:
    """Least CPU time in ms, after one run that compiles."""
    run()
    times = []
    for _ in range(repeats):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return 1e3 * min(times)


def reference(model: MesoGif) -> Reference:
    """The scalar loop with the network's own constants."""
    network, grid = model.network, model.populations.grid
    constants = {
        name: np.array(getattr(network, name), dtype=np.float64)
        for name in ("w", "p", "u_rest", "u_th", "u_r", "tau_m", "t_ref", "Delta_u", "tau_s", "tau_th")
    }  # fmt: skip
    constants["J_th"] = 1e3 * np.array(network.J_th)
    constants["c"] = 1e-3 * np.array(network.c)
    history, refractory = np.array(grid.history), np.array(grid.refractory)
    return Reference(constants, np.array(network.size), history, refractory, grid.delay, grid.dt)


def own_rows(infer: str, precision: str, repeats: int) -> list[tuple[str, str, float]]:
    model = MesoGif(infer=infer, precision=precision, duration=DURATION, burn_in=BURN_IN)
    theta = np.array([[p.default for p in model.parameters]])
    many = np.repeat(theta, LANES, axis=0)
    counts = model.traces(theta, seed=1)["counts"].values[0]
    data = model.observe_counts(counts, dt=1.0, onset=BURN_IN)
    ages = " + ".join(map(str, model.populations.grid.history))
    what = f"{precision}, {len(model.parameters)} parameters, {ages} ages"
    jobs = (
        ("simulation with features", lambda: model.simulate(many, seed=1, threads=1), LANES),
        ("simulation", lambda: model._counts(many, len(counts), seed=1, start=0), LANES),
        ("likelihood", lambda: model.likelihoods(many, data, threads=1), LANES),
        (
            "likelihood and gradient",
            lambda: model.log_likelihood_gradient(theta, data, threads=1),
            1,
        ),
    )
    return [(work, f"neurosbi, {what}", fastest(job, repeats) / n) for work, job, n in jobs]


def peer_rows(repeats: int) -> tuple[list[tuple[str, str, float]], str]:
    model = MesoGif(precision="double", duration=DURATION, burn_in=BURN_IN)
    theta = np.array([[p.default for p in model.parameters]])
    counts = model.traces(theta, seed=1)["counts"].values[0]
    data = model.observe_counts(counts, dt=1.0, onset=BURN_IN)
    scalar, first = reference(model), round(BURN_IN)
    own = model.log_likelihood(theta, data)[0]
    constant = MesoGif(sizes=model.network.size).log_likelihood(theta, data)[0]
    # both without the binomial coefficients, which do not depend on the parameters
    from scipy.special import gammaln

    n, size = counts[first:], np.array(model.network.size)
    coefficients = np.sum(gammaln(size + 1) - gammaln(n + 1) - gammaln(size - n + 1))
    theirs = scalar.log_likelihood(counts, first) + coefficients
    rate = 1e3 * scalar.simulate(len(counts), seed=1)[first:].mean(axis=0) / size
    ours = 1e3 * n.mean(axis=0) / size
    note = (
        f"Log-likelihood of the same counts: {own:.3f} (double), {constant:.3f} (single), "
        f"{theirs:.3f} (scalar loop). Rates: {ours[0]:.2f} and {ours[1]:.2f} Hz, scalar loop "
        f"{rate[0]:.2f} and {rate[1]:.2f} Hz."
    )
    if abs(own - theirs) > 1e-5 * abs(own):
        raise SystemExit(f"the scalar loop disagrees: {note}")
    jobs = (
        ("simulation", lambda: scalar.simulate(len(counts), seed=1)),
        ("likelihood", lambda: scalar.log_likelihood(counts, first)),
    )
    what = "compiled scalar loop, double"
    return [(work, what, fastest(job, repeats)) for work, job in jobs], note


def peer_line(repeats: int) -> str:
    """The simulations of the scalar loop, as benchmarks/simulators.py reads them."""
    scalar, steps = reference(MesoGif(precision="double")), round(DURATION)
    ms = fastest(lambda: scalar.simulate(steps, seed=1), repeats)
    answer = {
        "system": "scalar loop, Numba",
        "work": "one network, double, default set, no features",
        "dt": scalar.dt,
        "ns_per_step": ms / steps * 1e6,
    }
    return json.dumps(answer)


def memory() -> str:
    """Growth of the peak memory with the number of simulations."""
    model = MesoGif(duration=2000.0)
    theta = model.sample_prior(512, seed=0)

    def peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    model.simulate(theta[:32], seed=0, threads=1)
    before = peak()
    model.simulate(theta, seed=0, threads=1)
    return f"Peak memory grows by {peak() - before:.1f} MiB from 32 to 512 simulations of 2 s."


def table(rows: list[tuple[str, str, float]]) -> list[str]:
    """One line per system and work; the ratio is against our single precision, 4 parameters."""
    first = {}
    for work, _, ms in rows:
        first.setdefault(work, ms)
    lines = [
        "| work, of one parameter set | system | CPU ms | time / ours |",
        "|---|---|---|---|",
    ]
    order = list(first)
    for work, system, ms in sorted(rows, key=lambda row: order.index(row[0])):
        lines.append(f"| {work} | {system} | {ms:.1f} | {ms / first[work]:.1f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name}")
    parser.add_argument("--peer", action="store_true", help="only the scalar loop, as JSON")
    options = parser.parse_args()
    repeats = 2 if options.quick else 5
    if options.peer:
        print(peer_line(repeats))
        return
    grown = memory()
    rows = []
    for infer, precision in (("weights", "single"), ("weights", "double"), ("full", "single")):
        rows += own_rows(infer, precision, repeats)
    peers, note = peer_rows(repeats)
    text = "\n".join(
        [
            "# Mesoscopic GIF populations: speed on one core",
            "",
            machine(("numba", "llvmlite", "numpy")),
            "",
            "20 s of two populations (500 and 100 neurons) in steps of 1 ms, after 1 s of burn-in;",
            f"simulations and likelihoods in batches of {LANES}, gradients one at a time.",
            "",
            *table(rows + peers),
            "",
            note,
            "",
            grown,
        ]
    )
    print(text)
    if options.write:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(text + "\n")


if __name__ == "__main__":
    main()
