"""Every simulator beside its peer, in one run on one core: speed, memory, failures.

    python benchmarks/simulators.py [--quick] [--only NAME ...] [--write]

Ours are measured through the public interface, features included: prior draws under the default
stimulus. Times are CPU times of the process and its workers, the least of several runs, because
other programs may share the machine; memory is the peak with few simulations and with many. Peers run in processes of their own (see PEERS). ``--write`` puts the table into
benchmarks/results/simulators.md and the overview into simulators/README.md. JAXLEY_PYTHON names the
Python of an environment with jaxley, where this one has none.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from machine import machine
from simulator_run import Measured

import neurosbi as nb

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "simulators.md"
OVERVIEW = HERE.parent / "simulators" / "README.md"
PACKAGES = ("numba", "llvmlite", "numpy", "neuron", "brian2")


@dataclass(frozen=True)
class Peer:
    """Another program for the work of ``simulator``; ``command`` ends with a line of JSON.

    That line has ``system``, ``work``, the time step ``dt`` in ms and ``ns_per_step``.
    """

    simulator: str
    command: tuple[str, ...]


PEERS = (
    *(
        Peer("hodgkin-huxley", ("hodgkin_huxley_peers.py", which))
        for which in ("scalar", "neuron", "neuron-no-tables", "brian2", "jaxley")
    ),
    Peer("hodgkin-huxley", ("simulator_run.py", "neuron-point", "--matching", "hodgkin-huxley")),
    Peer("neuron-ball-and-stick", ("neuron_alone.py",)),
    Peer("pyloric", ("reference_pyloric.py",)),
    Peer("mesogif", ("mesogif.py", "--peer")),
)


@dataclass(frozen=True)
class Row:
    simulator: str
    system: str
    work: str
    dt: float  # ms
    ns_per_step: float  # of one neuron or network


def measured(name: str, *, quick: bool) -> Measured | None:
    arguments = [str(HERE / "simulator_run.py"), name, *(["--quick"] if quick else [])]
    answer = _json(arguments)
    return None if answer is None else Measured(**answer)


def peer_row(peer: Peer, *, quick: bool) -> Row | None:
    script = HERE / peer.command[0]
    if not script.exists():
        return None
    # jaxley may live in an environment of its own, since it brings a large numerical library
    python = os.environ.get("JAXLEY_PYTHON") if "jaxley" in peer.command else None
    words = [str(script), *peer.command[1:], *(["--quick"] if quick else [])]
    answer = _json(words, python=python or sys.executable)
    if answer is None:
        return None
    return Row(peer.simulator, **answer)


def spiking_table(*, quick: bool) -> list[str]:
    """The table of benchmarks/spiking.py, run now: the same networks in Brian2."""
    done = subprocess.run(
        [sys.executable, str(HERE / "spiking.py"), *(["--quick"] if quick else [])],
        capture_output=True,
        text=True,
        check=False,
        cwd=HERE,
    )
    if done.returncode:
        print(f"spiking.py was not measured: {done.stderr[-300:]}", file=sys.stderr)
        return []
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    words = (
        "Spiking networks, the same network in both programs (CPU time of the loop, on one core):"
    )
    return [words, "", *table, ""]


def _json(arguments: Sequence[str], *, python: str = sys.executable) -> dict | None:
    """The last line that a script prints, None (and its complaint on stderr) where it fails."""
    done = subprocess.run(
        [python, *arguments], capture_output=True, text=True, check=False, cwd=HERE
    )
    if done.returncode:
        complaint = (done.stderr.strip().splitlines() or ["no word"])[-1]
        print(f"{' '.join(arguments[:2])} was not measured: {complaint}", file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def ratio_table(found: Sequence[Measured], peers: Sequence[Row]) -> list[str]:
    """One line per peer: what it does, and how many times longer it takes."""
    lines = [
        "| simulator | peer | work of the peer | dt (ms) | us per step, ours | peer | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    own = {m.name: m for m in found}
    for row in peers:
        ours = own[row.simulator].ns_per_step
        lines.append(
            f"| {row.simulator} | {row.system} | {row.work} | {row.dt:g} | {ours / 1e3:.3g} | "
            f"{row.ns_per_step / 1e3:.3g} | {row.ns_per_step / ours:.1f} |"
        )
    return lines


def own_table(found: Sequence[Measured]) -> list[str]:
    lines = [
        "| simulator | one simulation | CPU time of one | simulated s per CPU s and core | "
        "peak memory, few to many | failed prior draws |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {m.name} | {m.total:g} ms at dt {m.dt:g} ms | {m.cpu_each * 1e3:.3g} ms | "
        f"{m.rate:,.1f} | {m.few_mib:.0f} MiB ({m.few}) to {m.many_mib:.0f} MiB ({m.many}) | "
        f"{m.failed} of {m.many} |"
        for m in found
    ]
    return lines


def overview(found: Sequence[Measured]) -> str:
    """simulators/README.md: what there is, from whom, how many numbers in and out, how fast."""
    lines = [
        "# Simulators",
        "",
        "Each family is a folder of `neurosbi_simulators/`, with a page in "
        "[docs/simulators/](../docs/simulators/). [Add your own]"
        "(../docs/contribute/add-a-simulator.md). This table is written by "
        "`python benchmarks/simulators.py --write`; "
        "[the peers beside them](../benchmarks/results/simulators.md).",
        "",
        "| simulator | model | papers | parameters | features | simulated s per CPU s |",
        "|---|---|---|---|---|---|",
    ]
    speeds = {m.name: f"{m.rate:,.1f}" for m in found}
    for name in nb.simulator_names():
        model = nb.simulator(name)
        if not type(model).__module__.startswith("neurosbi_simulators."):
            continue
        folder = type(model).__module__.split(".")[1].replace("_", "-")
        lines.append(
            f"| [{name}](../docs/simulators/{folder}.md) | {model.summary} | "
            f"{'; '.join(model.papers)} | {len(model.parameters)} | {len(model.feature_set)} | "
            f"{speeds.get(name, '')} |"
        )
    return "\n".join([*lines, "", f"Speed on one core of {machine(PACKAGES[:3])}.", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer simulations and repeats")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these simulators")
    parser.add_argument("--write", action="store_true", help="write the results")
    options = parser.parse_args()
    names = options.only or [
        n
        for n in nb.simulator_names()
        if type(nb.simulator(n)).__module__.startswith("neurosbi_simulators.")
    ]
    found = [m for n in names if (m := measured(n, quick=options.quick)) is not None]
    known = {m.name for m in found}
    peers = [
        row
        for p in PEERS
        if p.simulator in known and (row := peer_row(p, quick=options.quick)) is not None
    ]
    lines = ["# All simulators: speed on one core", "", machine(PACKAGES), ""]
    lines += own_table(found)
    lines += [
        "",
        "Prior draws under the default stimulus, default settings and features, one core. CPU time "
        "includes worker processes, on a machine that other programs may have used as well. The peak "
        "of memory includes the interpreter and compiled code.",
        "",
        *ratio_table(found, peers),
        "",
        "The ratio is how many times longer the peer takes for one time step of one neuron or "
        "network; only ours compute features, and ours begin at prior draws. Hodgkin-Huxley neurons "
        "in more detail: [hodgkin_huxley.md](hodgkin_huxley.md); mesoscopic populations and their "
        "likelihood: [mesogif.md](mesogif.md).",
        "",
        *(spiking_table(quick=options.quick) if "spiking" in known else []),
    ]
    text = "\n".join(lines).rstrip() + "\n"
    print(text)
    print(json.dumps([asdict(m) for m in found]), file=sys.stderr)
    if options.write:
        RESULT.write_text(text)
        OVERVIEW.write_text(overview(found))


if __name__ == "__main__":
    main()
