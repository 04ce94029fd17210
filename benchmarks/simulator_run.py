"""Speed, memory and failures of one registered simulator, alone in its process.

python benchmarks/simulator_run.py NAME [--quick] [--matching OTHER]; prints one line of JSON.
With ``--matching`` the simulator does the work of another one that has the same parameters, at
the time step of the benchmark of that family, and is reported as its peer.
"""

import argparse
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import neurosbi as nb

SECONDS = 4.0  # CPU time aimed at for one measurement
REPEATS = 3
PEER_DT = 0.01  # ms, of the benchmarks of Hodgkin-Huxley neurons


@dataclass(frozen=True)
class Measured:
    """``total`` and ``dt`` in ms; ``cpu_each`` in s; ``failed`` of ``many`` prior draws."""

    name: str
    total: float
    dt: float
    cpu_each: float
    few: int
    few_mib: float
    many: int
    many_mib: float
    failed: int

    @property
    def rate(self) -> float:
        """Simulated seconds per CPU second on one core."""
        return self.total / 1e3 / self.cpu_each

    @property
    def ns_per_step(self) -> float:
        """CPU time of one time step, features included."""
        return self.cpu_each * self.dt / self.total * 1e9


def cpu_seconds() -> float:
    """CPU time of this process and its workers, so far."""
    return sum(_cpu(pid) for pid in (os.getpid(), *_workers()))


def peak_mib() -> float:
    """Peak of the resident memory of this process and its workers."""
    total = 0.0
    for pid in (os.getpid(), *_workers()):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        total += next(float(x.split()[1]) for x in lines if x.startswith("VmHWM"))
    return total / 1024


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _workers() -> list[int]:
    task = Path(f"/proc/{os.getpid()}/task")
    return [int(p) for t in task.iterdir() for p in (t / "children").read_text().split()]


def measure(name: str, *, quick: bool, **settings) -> Measured:
    model = nb.simulator(name, **settings)
    model.simulate(model.sample_prior(1, seed=0), seed=0, threads=1)  # compile
    few = min(model.smallest_batch, 64)  # below it, vectors would be partly empty
    theta = model.sample_prior(few, seed=0)
    began = cpu_seconds()
    model.simulate(theta, seed=0, threads=1)
    each = (cpu_seconds() - began) / few
    few_mib = peak_mib()
    wanted = (SECONDS / 4 if quick else SECONDS) / max(each, 1e-5)
    many = max(4 * few, 1 << max(int(wanted), 1).bit_length() - 1)
    theta = model.sample_prior(many, seed=0)
    times, failed = [], 0
    once = quick or each * many > 2 * SECONDS
    for _ in range(1 if once else REPEATS):
        began = cpu_seconds()
        batch = model.simulate(theta, seed=0, threads=1)
        times.append((cpu_seconds() - began) / many)
        failed = int((~batch.valid).sum())
    dt = model.settings.get("dt", float("nan"))
    many_mib = peak_mib()
    getattr(model, "close", lambda: None)()
    return Measured(
        name, model.stimulus.total, dt, min(times), few, few_mib, many, many_mib, failed
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("--quick", action="store_true", help="one short run")
    parser.add_argument("--matching", metavar="OTHER", help="as a peer of this simulator")
    options = parser.parse_args()
    if options.matching:
        found = measure(options.name, quick=options.quick, dt=PEER_DT)
        answer = {
            "system": f"NEURON, as {options.name}",
            "work": "the same channels, noise and features, prior draws",
            "dt": PEER_DT,
            "ns_per_step": found.ns_per_step,
        }
    else:
        answer = asdict(measure(options.name, quick=options.quick))
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
