"""The step ``train``: from a store of simulations to a network on disk, continued when interrupted."""

__all__ = ["cached_network", "cached_path", "network_key", "open_network", "train"]

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from neurosbi.contract import Simulator, StimulusFamily
from neurosbi.errors import BadInputError, MissingResourceError
from neurosbi.progress import say
from neurosbi.registry import simulator
from neurosbi.store import SimulationConfig, cache_directory, config_hash
from neurosbi.store.atomic import refuse_working_folder
from neurosbi.store.networks import LAYOUT, is_network, read_network, write_network

if TYPE_CHECKING:
    from neurosbi.inference.network import Network
    from neurosbi.inference.simulations import Simulations

Existing = Literal["resume", "overwrite", "error"]


def train(
    simulations: "Simulations | str | Path",
    *,
    method: str = "npe",
    seed: int = 0,
    out: str | Path | None = None,
    device: str = "auto",
    existing: Existing = "resume",
    progress: bool = True,
    **options: Any,
) -> "Network":
    """Train a network on ``simulations`` (a store or its path), write it to ``out``, return it.

    ``out`` is a folder (None: one in the cache, named by everything the network depends on).
    In the cache, a checkpoint or remains that cannot be read are thrown away.
    ``options`` change the method's configuration, for example ``epochs=20`` or ``transforms=5``.
    A finished network of the same configuration is opened instead of trained again, an
    interrupted training continues ("resume"); "overwrite" trains anew, or goes on with an
    interrupted training of this very network, and replaces what is there only when the new network
    is whole; "error" refuses if anything is there.

    Raises `BadInputError` (unusable simulations, unknown method or option, ``out`` taken by
    another network), `FitError` (the loss became undefined), `MissingResourceError` (no such
    GPU), `InterruptedRunError` (Ctrl-C or SIGTERM; a checkpoint was written).
    """
    from neurosbi.inference.methods import method_config, network_weights, train_method
    from neurosbi.training import resolve_device
    from neurosbi.training.checkpoint import UnusableCheckpointError

    if existing not in ("resume", "overwrite", "error"):
        raise BadInputError(f"existing is resume, overwrite or error, got {existing!r}")
    if isinstance(simulations, str | Path):
        from neurosbi.store import open_simulations

        store: Simulations = open_simulations(simulations)
    else:
        store = simulations
    config = method_config(method, **options)
    resolve_device(device)
    key = network_key(store, method=method, seed=seed, config=config)
    path = Path(out) if out is not None else cache_directory() / "networks" / key
    checkpoint = path.with_name(f".{path.name}.training")
    if out is not None:  # the cache is ours: what is no network there is the remains of one
        _check_place(path)
    if existing == "error" and (path.exists() or checkpoint.exists()):
        raise BadInputError(
            f"{path if path.exists() else checkpoint} exists; choose another output, or continue "
            "it with --existing resume"
        )
    if existing != "overwrite" and is_network(path):
        weights, card = read_network(path)
        if card.get("config_hash") == key:
            say(f"{path} is trained already", show=progress)
            return _calibrated(_built(card, weights, path), store, config, progress=progress)
        raise BadInputError(
            f"{path} holds a network of other simulations or options"
            f"{_differences(card, store, seed, config)}; choose another output, or replace it with "
            "--existing overwrite"
        )
    if checkpoint.exists():
        say(f"continuing from {checkpoint}", show=progress)
    _say_if_outdated(store, show=progress)

    def trained() -> "Network":
        return train_method(
            method,
            store,
            config,
            seed=seed,
            device=device,
            checkpoint=checkpoint,
            progress=progress,
        )

    try:
        network = trained()
    except UnusableCheckpointError:
        if out is not None and existing != "overwrite":
            raise
        say(f"{checkpoint} cannot be continued: training from the start", show=progress)
        checkpoint.unlink(missing_ok=True)
        network = trained()
    network.card["config_hash"] = key
    write_network(path, network_weights(network), network.card)
    checkpoint.unlink(missing_ok=True)
    # what is returned is what any later session opens
    opened = open_network(path).to(network.device)
    return _calibrated(opened, store, config, progress=progress)


def open_network(path: str | Path) -> "Network":
    """The network in the folder ``path``, on the CPU.

    Raises `BadInputError` if it is missing, damaged, a pickle, or of an unknown method.
    """
    weights, card = read_network(Path(path))
    return _built(card, weights, Path(path))


def cached_network(
    simulator: Simulator,
    family: StimulusFamily,
    *,
    n: int,
    method: str = "npe",
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> "Network | None":
    """The network that `train` would keep in the cache for ``n`` such simulations, if it is there.

    Raises `BadInputError` when it is there and cannot be read.
    """
    path = cached_path(simulator, family, n=n, method=method, seed=seed, options=options)
    return open_network(path) if is_network(path) else None


def cached_path(
    simulator: Simulator,
    family: StimulusFamily,
    *,
    n: int,
    method: str = "npe",
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> Path:
    """Where `train` keeps the network of ``n`` such simulations, which need not exist."""
    from neurosbi.inference.methods import method_config, needs_traces

    config = method_config(method, **(options or {}))
    simulations = SimulationConfig.of(
        simulator, family=family, seed=seed, traces=needs_traces(config)
    )
    wanted = _Wanted(simulations.hash, n, seed)
    key = network_key(wanted, method=method, seed=seed, config=config)
    return cache_directory() / "networks" / key


@dataclass(frozen=True)
class _Wanted:
    """Simulations that need not exist: what `network_key` asks of them."""

    config_hash: str
    n: int
    seed: int


def network_key(
    simulations: "Simulations | _Wanted", *, method: str, seed: int, config: Any
) -> str:
    """16 hexadecimal digits of everything that a network's weights depend on."""
    from neurosbi.inference.methods import METHODS

    return config_hash(
        {
            "layout": LAYOUT,
            "method": method,
            "method_version": METHODS[method].version,
            "options": asdict(config) | {"training": config.training.numbers()},
            "seed": seed,
            "simulations": simulations.config_hash,
            "n": simulations.n,
            "simulation_seed": simulations.seed,
        }
    )


def _differences(card: Mapping[str, Any], store: "Simulations", seed: int, config: Any) -> str:
    """What a network was trained with and what is asked for, where its card tells both."""
    made = card.get("simulations", {})
    there = {
        "simulations": made.get("used", 0) + made.get("dropped", 0),
        "seed of the simulations": made.get("seed"),
        "seed": card.get("seed"),
        "withheld": card.get("withheld"),
        # a network without a trend may have been allowed one
        **({"trend": True} if card.get("trend", "none") != "none" else {}),
        **card.get("builder", {}),
        **card.get("training", {}),
    }
    asked = {
        "simulations": store.n,
        "seed of the simulations": store.seed,
        "seed": seed,
        **asdict(config),
        **config.training.numbers(),
    }
    found = [
        f"{name} {there[name]} there, {asked[name]} asked for"
        for name in there.keys() & asked.keys()
        if config_hash({"": there[name]}) != config_hash({"": asked[name]})
    ]
    return f" ({'; '.join(sorted(found))})" if found else ""


def _say_if_outdated(store: "Simulations", *, show: bool) -> None:
    """Only a fit would refuse such a network, after hours of training."""
    config = store.simulator_config
    name, version = str(config.get("simulator")), config.get("version")
    try:
        installed = simulator(name).version
    except (BadInputError, MissingResourceError):  # a simulator of one's own, not installed
        return
    if version != installed:
        say(
            f"these simulations are of {name} version {version}, installed is version {installed}: "
            "neurosbi fit will not take this network; for fits, simulate anew",
            show=show,
        )


def _built(card: dict[str, Any], weights: dict[str, Any], path: Path) -> "Network":
    from neurosbi.inference.methods import load_network

    network = load_network(card, weights)
    network.folder = path
    return network


def _calibrated(
    network: "Network", store: "Simulations", config: Any, *, progress: bool
) -> "Network":
    """The network, with a calibration beside it, also after a run that ended before that."""
    from neurosbi.steps.check import keep_held_out_calibration
    from neurosbi.training import thread_limit

    assert network.folder is not None
    with thread_limit(config.training.threads):
        keep_held_out_calibration(network, store, network.folder, progress=progress)
    return network


def _check_place(path: Path) -> None:
    """Refuse to replace anything that is not a network."""
    refuse_working_folder(path)
    if path.is_file() or (path.is_dir() and any(path.iterdir()) and not is_network(path)):
        raise BadInputError(
            f"{path} exists and is not a network; choose another output, nothing was changed"
        )
