"""The step ``simulate``: draw parameters and stimuli, simulate, keep the features on disk.

Parameters, stimuli and noise of simulation ``i`` depend on (seed, i) alone. So the content of a
store does not depend on threads, shard size or interruptions, and shards can be computed by
different processes or machines.
"""

__all__ = ["SimulationRun", "run_simulations", "simulate", "store_path"]

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from neurosbi.contract import (
    FixedStimulus,
    SimulationBatch,
    Simulator,
    Stimulus,
    StimulusFamily,
    SweepSets,
)
from neurosbi.errors import BadInputError, FitError, InterruptedRunError, MissingResourceError
from neurosbi.progress import progress_bar, say
from neurosbi.store import SimulationConfig, SimulationStore, atomic_path, cache_directory
from neurosbi.store.atomic import check_writable
from neurosbi.store.locks import held
from neurosbi.store.simulation_layout import is_vacant, read_attributes

Existing = Literal["resume", "overwrite", "error"]

_ENOUGH_TO_JUDGE = 100  # simulations; when that many have failed and none went well, stop


@dataclass(frozen=True)
class SimulationRun:
    """A store, how many simulations this run added to it, and in how many seconds."""

    store: SimulationStore
    simulated: int
    seconds: float

    @property
    def rate(self) -> float | None:
        """Simulations per second, None if there was nothing left to simulate."""
        return self.simulated / self.seconds if self.simulated else None


def simulate(
    simulator: Simulator,
    n: int,
    *,
    store: str | Path | None = None,
    stimulus: Stimulus | StimulusFamily | None = None,
    seed: int = 0,
    shard_size: int | None = None,
    shards: Sequence[int] | None = None,
    threads: int | None = None,
    existing: Existing = "resume",
    traces: bool = False,
    progress: bool = True,
) -> SimulationStore:
    """Simulate ``n`` parameter sets drawn from the prior and keep their features in a Zarr store.

    ``store`` is the path (None: a folder of the cache, found again by configuration).
    ``stimulus`` is one stimulus for all, or a family to draw from (None: the simulator's
    family). ``shard_size`` simulations are computed and written at a time; ``shards`` restricts
    the run to some of them, so that several processes can share the work. ``threads`` is None
    for all cores.

    ``existing`` says what happens to a store at that path: "resume" computes what is missing or
    damaged and lengthens it to ``n``, "overwrite" replaces it once the new one is complete,
    "error" refuses. ``traces`` keeps the voltage in bins of time beside the features, for networks
    that read traces.

    Returns the first ``n`` simulations of the store. Raises `BadInputError` if the path holds
    something else, `FitError` if the disk is full or every simulation fails, and
    `InterruptedRunError` on Ctrl-C; finished shards are kept, the same call goes on from there.
    """
    return run_simulations(
        simulator,
        n,
        store=store,
        stimulus=stimulus,
        seed=seed,
        shard_size=shard_size,
        shards=shards,
        threads=threads,
        existing=existing,
        traces=traces,
        progress=progress,
    ).store


def run_simulations(
    simulator: Simulator,
    n: int,
    *,
    store: str | Path | None = None,
    stimulus: Stimulus | StimulusFamily | None = None,
    seed: int = 0,
    shard_size: int | None = None,
    shards: Sequence[int] | None = None,
    threads: int | None = None,
    existing: Existing = "resume",
    traces: bool = False,
    progress: bool = True,
) -> SimulationRun:
    """What `simulate` does, with a count of the work that was done."""
    if not 0 <= seed < 2**63:
        raise BadInputError(f"the seed is a whole number from 0 to 2**63 - 1, got {seed}")
    if threads is not None and threads < 1:
        raise BadInputError(f"the number of threads is at least 1, got {threads}")
    family = _family(simulator, stimulus)
    path = store_path(simulator, store, family, seed, traces)
    occupied = not is_vacant(path)
    replace = existing == "overwrite" and occupied
    if existing == "error" and occupied:
        raise BadInputError(
            f"{path} exists; choose another path, or --existing resume to go on with it"
        )
    if replace and shards is not None:
        raise BadInputError(
            "some shards alone cannot replace a store: leave --shards out, or use --existing resume"
        )

    def fill(target: Path) -> SimulationRun:
        opened = SimulationStore.create_or_resume(
            target,
            simulator,
            n=n,
            family=family,
            seed=seed,
            shard_size=shard_size,
            traces=traces,
        )
        return _fill(
            opened, simulator, shards=shards, threads=threads, progress=progress, kept=not replace
        )

    if replace:
        read_attributes(path)  # refuses to replace anything but simulations
        with atomic_path(path) as temporary:
            run = fill(temporary)
        return SimulationRun(SimulationStore.open(path, n=n), run.simulated, run.seconds)
    if store is not None or shards is not None or _is_complete(path, n):
        return _fill_or_leave_nothing(path, fill, shared=shards is not None)
    # fits of other recordings share the cache, but not the network whose maker they wait for
    check_writable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with held(path, doing="making these simulations", show=progress):
        return _fill_or_leave_nothing(path, fill)


def _is_complete(path: Path, n: int) -> bool:
    """Whether nothing is left to do, which needs no lock: the cache may be one to read only."""
    try:
        return SimulationStore.open(path, n=n).complete
    except BadInputError:
        return False


def _fill_or_leave_nothing(
    path: Path, fill: Callable[[Path], SimulationRun], *, shared: bool = False
) -> SimulationRun:
    """Fill the store; one made for nothing is removed, unless others may be filling it already."""
    if not is_vacant(path):
        return fill(path)
    check_writable(path)
    try:
        return fill(path)
    except (BadInputError, MissingResourceError):
        if not shared:
            _discard_unused(path)  # or the mended command would find another configuration there
        raise


def _discard_unused(path: Path) -> None:
    """Remove a new store without a single finished shard."""
    if is_vacant(path):
        return
    store = SimulationStore.open(path)
    if len(store.missing_shards()) == store.n_shards:
        shutil.rmtree(path)


def _family(simulator: Simulator, stimulus: Stimulus | StimulusFamily | None) -> StimulusFamily:
    if stimulus is None:
        return simulator.stimulus_family
    return FixedStimulus(stimulus) if isinstance(stimulus, Stimulus) else stimulus


def store_path(
    simulator: Simulator,
    store: str | Path | None,
    family: StimulusFamily,
    seed: int,
    traces: bool,
) -> Path:
    """Where simulations of this configuration lie: at ``store``, or (None) in the cache."""
    if store is not None:
        return Path(store)
    key = SimulationConfig.of(simulator, family=family, seed=seed, traces=traces).hash
    return cache_directory() / "simulations" / f"{simulator.name}-{key}.zarr"


def _fill(
    store: SimulationStore,
    simulator: Simulator,
    *,
    shards: Sequence[int] | None,
    threads: int | None,
    progress: bool,
    kept: bool,
) -> SimulationRun:
    """Compute the shards that are missing or damaged, in order."""
    wanted = range(store.n_shards) if shards is None else sorted(set(shards))
    sizes = {k: stop - start for k, (start, stop) in ((k, store.shard_rows(k)) for k in wanted)}
    damaged = store.damaged_shards(wanted)
    for shard in damaged:
        say(f"shard {shard} of {store.path} is damaged and is computed again", show=progress)
    todo = sorted({*damaged, *(k for k in store.missing_shards() if k in sizes)})
    done = sum(sizes[k] for k in wanted if k not in todo)
    nothing_valid = store.summary().valid == 0
    simulated, began = 0, time.perf_counter()
    try:
        with progress_bar(
            f"simulating {simulator.name}",
            sum(sizes.values()),
            done=done,
            show=progress and bool(todo),
        ) as bar:
            for position, shard in enumerate(todo):
                batch = _simulate_shard(store, simulator, shard, threads=threads)
                simulated += sizes[shard]
                nothing_valid = nothing_valid and not batch.valid.any()
                if nothing_valid and (simulated >= _ENOUGH_TO_JUDGE or simulated == store.n):
                    _give_up(store, todo[: position + 1], simulated, batch)
                rate = simulated / (time.perf_counter() - began)
                bar(sizes[shard], status=f"{rate:,.{1 if rate < 10 else 0}f} simulations/s")
    except KeyboardInterrupt:
        raise InterruptedRunError(_stopped(store, kept=kept)) from None
    if todo or not (store.path / "manifest.json").is_file():
        store.finish()
    return SimulationRun(store, simulated, time.perf_counter() - began)


def _simulate_shard(
    store: SimulationStore, simulator: Simulator, shard: int, *, threads: int | None
) -> SimulationBatch:
    start, stop = store.shard_rows(shard)
    if isinstance(store.family, SweepSets):
        theta = simulator.sample_sets(store.family, stop - start, seed=store.seed, start=start)
    else:
        theta = simulator.sample_prior(stop - start, seed=store.seed, start=start)
    stimuli = store.family.sample(stop - start, seed=store.seed, start=start)
    how = {"stimulus": stimuli, "seed": store.seed, "start": start, "threads": threads}
    batch = (
        simulator.simulate(theta, **how)
        if store.trace_bins is None
        else simulator.simulate_binned(theta, bins=store.trace_bins, **how)
    )
    store.write_shard(
        shard,
        theta=theta,
        x=batch.x,
        status=batch.status,
        stimulus=stimuli.values,
        trace=batch.trace,
    )
    return batch


def _give_up(
    store: SimulationStore, shards: Sequence[int], simulated: int, batch: SimulationBatch
) -> None:
    """Not one simulation went well: keep none, or a mended simulator would resume with them."""
    for shard in shards:
        store.discard_shard(shard)
    if batch.error:
        reason = f"the first error of the last ones is {batch.error}"
    else:
        reason = "they blew up or failed; a smaller time step may help"
    raise FitError(
        f"none of the first {simulated} simulations of {store.config.name} ended properly: {reason}"
    )


def _stopped(store: SimulationStore, *, kept: bool) -> str:
    if not kept:
        return "stopped; the store that was to be replaced is untouched"
    done = store.summary().done
    return (
        f"stopped with {done} of {store.n} simulations done, they are kept in {store.path}; run "
        "the same command again to continue"
    )
