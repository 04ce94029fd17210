"""The step ``restrict``: a pilot of simulations, and the prior restricted to where they are valid.

The region is kept in the cache by everything that it depends on, so that the same call gives the
very same restricted prior again, whose stores and networks are then found again too.
"""

__all__ = ["PILOT", "as_trained", "complete_fraction", "restrict"]

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurosbi.contract import (
    FixedStimulus,
    PriorRegion,
    Simulator,
    Stimulus,
    StimulusFamily,
    percent,
)
from neurosbi.errors import BadInputError
from neurosbi.progress import say
from neurosbi.seeds import derive_seed
from neurosbi.steps.simulate import run_simulations
from neurosbi.store import SimulationStore, atomic_path, cache_directory, config_hash

PILOT = 10_000
_VERSION = 2  # of the way regions are found


def restrict(
    simulator: Simulator,
    *,
    pilot: int = PILOT,
    stimulus: Stimulus | StimulusFamily | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: bool = True,
) -> Simulator:
    """``simulator`` with its prior restricted to where all of its features are expected to be defined.

    ``pilot`` simulations of the whole prior, kept in the cache, teach a classifier where that is
    (see `neurosbi.inference.restriction`, also for why a fit to data with all features remains
    right). ``stimulus`` is as in `simulate`. The result is a simulator as any other: `simulate`,
    `train` and `fit` take it, and stores and networks know its region.

    Where the whole pilot has all features there is nothing to restrict, and ``simulator`` itself is
    returned. Raises `FitError` where too few simulations of the pilot have them.
    """
    if simulator.prior_region is not None:
        raise BadInputError(
            f"the prior of simulator {simulator.name} is restricted already; restrict the whole one"
        )
    if pilot < 1:
        raise BadInputError(f"a pilot has at least 1 simulation, got {pilot}")
    family = FixedStimulus(stimulus) if isinstance(stimulus, Stimulus) else stimulus
    say(f"restricting the prior by a pilot of {pilot:,} simulations", show=progress)
    store = run_simulations(
        simulator,
        pilot,
        stimulus=family,
        seed=derive_seed(seed, "pilot"),
        threads=threads,
        progress=progress,
    ).store
    summary = store.summary()
    if summary.valid == store.n and not any(summary.undefined.values()):
        say("all of the pilot have all features: the prior is not restricted", show=progress)
        return simulator
    region = _region(simulator, store, seed)
    facts = region.facts
    say(
        f"{percent(facts['valid'])} of the pilot have all features; the restricted prior is "
        f"{percent(facts['kept_of_prior'])} of the prior and keeps "
        f"{percent(facts['kept_of_valid'])} of them",
        show=progress,
    )
    return simulator.restricted(region)


def as_trained(simulator: Simulator, config: Mapping[str, Any]) -> Simulator:
    """``simulator`` with the restricted prior of the configuration ``config``, if that has one."""
    region = config.get("prior_region")
    if region is None or simulator.prior_region is not None:
        return simulator
    return simulator.restricted(PriorRegion.from_dict(region))


def complete_fraction(store: SimulationStore) -> float:
    """The share of the finished simulations of ``store`` that have all features, NaN if none is."""
    complete = done = 0
    for shard in sorted({*range(store.n_shards)} - {*store.missing_shards()}):
        start, stop = store.shard_rows(shard)
        rows = store.read(start, min(stop, store.n))
        done += len(rows)
        complete += int((rows.valid & np.isfinite(rows.x).all(axis=1)).sum())
    return complete / done if done else float("nan")


def _region(simulator: Simulator, store: SimulationStore, seed: int) -> PriorRegion:
    """The region of a finished pilot, from the cache where it was found before."""
    key = config_hash({"version": _VERSION, "pilot": store.config_hash, "n": store.n, "seed": seed})
    path = cache_directory() / "prior_regions" / f"{simulator.name}-{key}.json"
    if path.exists():
        try:
            return PriorRegion.from_dict(json.loads(path.read_text()))
        except (BadInputError, ValueError):
            path.unlink()  # found again below
    from neurosbi.inference.restriction import find_region

    rows = store.read(0, store.n)
    defined = np.isfinite(rows.x) & rows.valid[:, None]
    region = find_region(simulator.parameters, rows.theta, defined, seed=seed)
    _write(path, region)
    return region


def _write(path: Path, region: PriorRegion) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(region.to_dict()))
