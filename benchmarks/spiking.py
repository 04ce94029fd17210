"""Speed of the spiking networks beside Brian2's C++ standalone mode, on one core, in one run.

    python benchmarks/spiking.py [--quick] [--write]

Both run the same networks (see `neurosbi_simulators.spiking.brian`) with one thread, and both are
measured by the CPU time of the loop over time, the least of several runs that take turns, because
other programs may share the machine; connections and compilation are timed apart. Rates are printed
beside the times: the work is the same but for the draw of the network. ``--write`` puts the table
into benchmarks/results/spiking.md.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import machine
from neurosbi_simulators.numerics.gaussian import lane_keys
from neurosbi_simulators.spiking import BalancedNetwork, SpikingGif
from neurosbi_simulators.spiking.brian import build_network, import_brian
from neurosbi_simulators.spiking.connectivity import connect
from neurosbi_simulators.spiking.run import NetworkRun

_LOOP = "loop took "
RESULT = Path(__file__).resolve().parent / "results" / "spiking.md"
CASES = {  # model, theta (None: defaults), simulated ms
    "GIF, 600 neurons": (SpikingGif(), None, 10_000.0),
    "GIF, 6,000 neurons": (SpikingGif(sizes=[5000, 1000]), None, 2000.0),
    "balanced LIF, 12,500 neurons, 37 Hz": (BalancedNetwork(), None, 500.0),
    "balanced LIF, 12,500 neurons, 5 Hz": (BalancedNetwork(), [0.3, 8.0, 1.5, 20.0], 1000.0),
}


def network_of(case: str):
    model, theta, duration = CASES[case]
    if theta is None:
        theta = [p.default for p in model.parameters]
    network = model.networks(np.array([theta], dtype=float))[0]
    if case == "GIF, 6,000 neurons":  # ten times the neurons, each with a tenth of the weight
        network.w[:] /= 10
    return network, model.dt, duration


def measure_own(case: str) -> dict:
    network, dt, duration = network_of(case)
    keys = lane_keys(1, np.arange(2))
    began = time.process_time()
    connect(network, keys[0])
    connecting = time.process_time() - began
    run = NetworkRun(
        network, dt=dt, recorded=network.size, connection_keys=keys[0], neuron_keys=keys[1]
    )
    began = time.process_time()
    run.advance(round(duration / dt))
    seconds = time.process_time() - began
    spikes, events = (int(v) for v in run.totals)
    return {"seconds": seconds, "connecting": connecting, "spikes": spikes, "events": events}


class Standalone:
    """A network compiled by Brian2 in a process of its own, since it can build only one."""

    def __init__(self, case: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        code = [sys.executable, __file__, "--build", case, "--folder", self.folder.name]
        self.build = json.loads(_output(code))

    def measure(self) -> dict:
        before = _cpu_of_children()
        done = subprocess.run(
            ["./main"], cwd=self.folder.name, check=True, capture_output=True, text=True
        )
        whole = _cpu_of_children() - before
        seconds = float(done.stdout.split(_LOOP)[1].split()[0])
        spikes = sum(
            int(np.fromfile(next(self.results.glob(f"*{name}_N_*")), dtype=np.int32)[0])
            for name in self.build["monitors"]
        )
        return {"seconds": seconds, "connecting": whole - seconds, "spikes": spikes}

    @property
    def results(self) -> Path:
        return Path(self.folder.name) / "results"


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def build_standalone(case: str, folder: str) -> None:
    """Compile the network into ``folder``; prints how long it took, as JSON."""
    b = import_brian()
    b.set_device("cpp_standalone", directory=folder, build_on_run=False)
    b.prefs.devices.cpp_standalone.openmp_threads = 0
    b.prefs.devices.cpp_standalone.extra_make_args_unix = []  # compile on one core too
    b.device.insert_code("before_network_run", "const std::clock_t began = std::clock();")
    b.device.insert_code(
        "after_network_run",
        f'std::cout << "{_LOOP}" << double(std::clock() - began) / CLOCKS_PER_SEC << std::endl;',
    )
    network, dt, duration = network_of(case)
    built = build_network(network, dt=dt, recorded=network.size)
    built.network.remove(*built.totals)  # all spikes are recorded, as ours are
    built.network.run(duration * b.ms)
    began = time.perf_counter()
    b.device.build(directory=folder, run=False, with_output=False)
    names = [m.name for m in built.recorded]
    print(json.dumps({"compiling": time.perf_counter() - began, "monitors": names}))


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return done.stdout.strip().splitlines()[-1]


def rows(case: str, repeats: int) -> list[str]:
    """The two lines of the table of one network."""
    measure_own(case)  # compile
    peer = Standalone(case)
    ours, theirs = [], []
    for _ in range(repeats):
        ours.append(measure_own(case))
        theirs.append(peer.measure())
    network, _, duration = network_of(case)
    best = min(o["seconds"] for o in ours)
    events_per_spike = ours[0]["events"] / ours[0]["spikes"]
    lines = []
    for name, found in (("neurosbi", ours), ("Brian2 C++ standalone", theirs)):
        fastest = min(f["seconds"] for f in found)
        connecting = min(f["connecting"] for f in found)
        spikes = found[0]["spikes"]
        rate = spikes / network.n_neurons / duration * 1e3
        events = spikes * events_per_spike / fastest
        lines.append(
            f"| {case} | {name} | {rate:.2f} | {duration / 1e3 / fastest:,.1f} | "
            f"{events / 1e6:,.0f} | {fastest:.3f} | {connecting:.2f} | {fastest / best:.1f} |"
        )
    print(f"{case}: Brian2 compiled in {peer.build['compiling']:.0f} s", file=sys.stderr)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeats and networks")
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name}")
    parser.add_argument("--build", choices=list(CASES), help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.build:
        build_standalone(options.build, options.folder)
        return
    lines = [
        "# Spiking networks: speed on one core",
        "",
        machine(("numba", "llvmlite", "numpy", "brian2")),
        "",
        "| network | system | rate (Hz) | simulated s per CPU s | million synaptic events per s | "
        "loop (s) | connections (s) | time / ours |",
        "|---|---|---|---|---|---|---|---|",
    ]
    cases = list(CASES)[::2] if options.quick else list(CASES)
    for case in cases:
        lines += rows(case, 2 if options.quick else 4)
    lines += [
        "",
        "Least CPU time of runs in turns; one thread each. Compiling is left out: some seconds "
        "once in a lifetime of ours, half a minute for every network of Brian2. Ours is single "
        "precision, Brian2 double. The connections of Brian2 include starting its program and "
        "writing results.",
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.write:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(text)


if __name__ == "__main__":
    main()
