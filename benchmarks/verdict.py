"""Does the verdict catch what is wrong, and does it leave alone what is right?

Posteriors of the linear-Gaussian toy that are exact, and the same spoiled on purpose: narrowed,
widened or shifted (in standard deviations of the posterior), everywhere or only for some
recordings; and recordings that the model cannot have made. For every kind of spoiling and
strength, the share of N cases that each check remarks on, and that it calls unusable.

    python benchmarks/verdict.py --cases 30 --out benchmarks/results/verdict.md
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from exact_networks import exact_network, recorded_pairs_at
from machine import machine
from toys import LinearGaussian

from neurosbi.checks import calibrate, prior_predictive_check
from neurosbi.progress import progress_bar
from neurosbi.steps.recording_checks import RecordedProtocol, check_locally, check_misspecification

SPOILED = (
    ("exact", {}),
    ("90 % as wide", {"width": 0.9}),
    ("80 % as wide", {"width": 0.8}),
    ("70 % as wide", {"width": 0.7}),
    ("50 % as wide", {"width": 0.5}),
    ("150 % as wide", {"width": 1.5}),
    ("shifted by 0.1 sd", {"shift": 0.1}),
    ("shifted by 0.2 sd", {"shift": 0.2}),
    ("shifted by 0.5 sd", {"shift": 0.5}),
    ("shifted by 1 sd", {"shift": 1.0}),
)
# a network that is wrong for a third of the recordings only
LOCAL = (
    ("exact", {}),
    ("shifted by 0.3 sd", {"shift": 0.3, "above": 1.0}),
    ("shifted by 0.5 sd", {"shift": 0.5, "above": 1.0}),
    ("shifted by 1 sd", {"shift": 1.0, "above": 1.0}),
    ("70 % as wide", {"width": 0.7, "above": 1.0}),
    ("50 % as wide", {"width": 0.5, "above": 1.0}),
)
DISPLACED = (0.0, 1.0, 2.0, 3.0, 5.0)


def many(cases, spoiled):
    """False alarms are rare, so exact posteriors and undisturbed recordings get more cases."""
    return cases if spoiled else 5 * cases


def levels(reasons):
    told = [r.level for r in reasons if r.level != "trust"]
    return bool(told), "do not use" in told


def calibration_rows(cases, simulations):
    simulator = LinearGaussian()
    for name, spoiling in SPOILED:
        network = exact_network(**spoiling)
        found = [
            levels(
                calibrate(
                    network,
                    simulator,
                    simulations=simulations,
                    draws=99,
                    seed=seed,
                    progress=False,
                ).reasons
            )
            for seed in range(many(cases, spoiling))
        ]
        yield name, len(found), np.mean(found, axis=0)


def protocol(simulator, network, x, theta, batch):
    return RecordedProtocol(
        network.features,
        x[None],
        np.ones((1, len(x)), dtype=bool),
        np.empty((1, 0)),
        theta,
        (batch,),
    )


def local_rows(cases, simulations):
    simulator = LinearGaussian()
    for name, spoiling in LOCAL:
        network = exact_network(**spoiling)
        found = []
        for seed in range(many(cases, spoiling)):
            theta, batch = recorded_pairs_at(network, simulator, n=simulations, seed=1000 + seed)
            x = simulator.simulate(np.array([[1.8, 0.5, -0.5]]), seed=seed).x[0]
            x[0] = max(x[0], 1.2)  # inside the region that is spoiled
            local = check_locally(
                network, protocol(simulator, network, x, theta, batch), seed=seed, progress=False
            )
            found.append(levels(local.reasons))
        yield name, len(found), np.mean(found, axis=0)


def recording_rows(cases, simulations):
    simulator, network = LinearGaussian(), exact_network()
    theta, batch = recorded_pairs_at(network, simulator, n=simulations, seed=77)
    for by in DISPLACED:
        found = []
        for seed in range(many(cases, by)):
            truth = simulator.sample_prior(1, seed=5000 + seed)
            x = simulator.simulate(truth, seed=seed).x[0]
            x[3] += by
            unlike = check_misspecification(network, protocol(simulator, network, x, theta, batch))
            prior = prior_predictive_check(
                simulator.feature_set, x, prior_x=batch.x, prior_status=batch.status
            )
            found.append((*levels(unlike.reasons), not prior.passed))
        yield by, len(found), np.mean(found, axis=0)


def percent(share):
    return f"{100 * share:.0f} %"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=30)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    began = time.time()
    lines = [
        "# Does the verdict catch what is wrong?",
        "",
        "Linear-Gaussian toy with 3 parameters and 4 features. A remark is caution or worse. Made by",
        f"`python benchmarks/verdict.py --cases {options.cases}`.",
    ]

    def table(title, head, n_rows, rows):
        lines.extend(["", f"## {title}", "", f"| {head} |", "|---" * (head.count("|") + 1) + "|"])
        with progress_bar(title, n_rows) as advance:
            for row in rows:
                lines.append(f"| {' | '.join(row)} |")
                advance(1, status=row[0])

    for n in (300, 1000):
        table(
            f"Calibration of the network, {n} simulations",
            "posterior | cases | remark | do not use",
            len(SPOILED),
            (
                (name, str(k), *map(percent, rates))
                for name, k, rates in calibration_rows(options.cases, n)
            ),
        )
    table(
        "Posterior at the recording (L-C2ST), 2000 simulations; spoiled where the first feature is above 1",
        "posterior | cases | remark | do not use",
        len(LOCAL),
        (
            (name, str(k), *map(percent, rates))
            for name, k, rates in local_rows(options.cases, 2000)
        ),
    )
    table(
        "Recordings whose last feature is displaced (its noise has sd 0.5), 4000 simulations",
        "displaced by | cases | remark of misspecification | do not use | remark of the prior predictive check",
        len(DISPLACED),
        (
            (f"{by:g}", str(k), *map(percent, rates))
            for by, k, rates in recording_rows(options.cases, 4000)
        ),
    )
    lines += ["", f"{machine(('torch', 'numba'))}, one core, {time.time() - began:.0f} s."]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
