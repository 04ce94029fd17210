"""The step ``check``: is the network calibrated, is its posterior right at this recording, and is
the recording of the kind the network knows? The verdict of the result is renewed accordingly.

The calibration of a network is computed once and kept in its folder; every fit with that network
takes it from there. Training leaves the first one, of the simulations it held out; ``check``
replaces it by one of fresh simulations. Fewer cases than say anything are not kept.
"""

__all__ = [
    "calibration_for_fit",
    "check",
    "keep_held_out_calibration",
    "network_calibration",
    "takes_fresh_cases",
]

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurosbi.checks import Calibration, calibrate, calibrate_held_out
from neurosbi.checks.calibration import FEWEST
from neurosbi.checks.calibration import SOURCE as CALIBRATION
from neurosbi.checks.local_calibration import SOURCE as LOCAL
from neurosbi.checks.misspecification import SOURCE as MISSPECIFICATION
from neurosbi.contract import Simulator
from neurosbi.errors import BadInputError, MissingResourceError
from neurosbi.progress import say
from neurosbi.registry import simulator as make_simulator
from neurosbi.steps.judging import judge_again
from neurosbi.steps.manifest import MANIFEST, refuse_among_others, write_manifest
from neurosbi.steps.recording_checks import check_locally, check_misspecification, protocol_of
from neurosbi.steps.restrict import as_trained
from neurosbi.steps.result import Result
from neurosbi.steps.result_folder import open_result, write_result
from neurosbi.store.atomic import refuse_working_folder
from neurosbi.store.calibrations import read_calibration, write_calibration
from neurosbi.store.networks import is_network

if TYPE_CHECKING:
    from neurosbi.inference.network import Network
    from neurosbi.inference.simulations import Simulations

SIMULATIONS, DRAWS = 2_000, 199
# cases held out of the training; what a fit spends on a network without any calibration yet
FIT_SIMULATIONS, FIT_DRAWS, FIT_LIMIT = 1_000, 99, 60.0


def check(
    target: "str | Path | Result | Network",
    *,
    simulator: Simulator | None = None,
    simulations: int = SIMULATIONS,
    draws: int = DRAWS,
    time_limit: float | None = None,
    seed: int = 0,
    threads: int | None = None,
    device: str = "auto",
    progress: bool = True,
) -> Result | Calibration:
    """Check a result, or a network by itself.

    ``target`` is a `Result` or its folder: then the calibration of its network, the posterior at
    the recording (L-C2ST) and misspecification are tested, the verdict is renewed, and the result
    (its folder too, if it has one) is replaced by one that holds all this. Or it is a `Network`
    or its folder: then its calibration is tested, and kept in the folder.

    A network that reads traces, or was refined for one recording, keeps the calibration of its
    training: no fresh simulations are made for it. ``simulator`` is needed where the network's own
    is no installed one; without any, a result is checked at the recording only. ``simulations``
    fresh ones with ``draws`` posterior draws each test the calibration. ``time_limit`` (seconds)
    is shared by the tests; what was done by then is used. ``threads`` simulate, ``device`` draws.

    Raises `BadInputError`, `FitError` or `MissingResourceError`.
    """
    from neurosbi.steps.train import open_network
    from neurosbi.training import resolve_device, thread_limit

    if time_limit is not None and not time_limit > 0:
        raise BadInputError(f"a time limit is a number of seconds above 0, got {time_limit:g}")
    where = resolve_device(device)
    given: Any = Path(target) if isinstance(target, (str, Path)) else target
    options = {
        "simulations": simulations,
        "draws": draws,
        "seed": seed,
        "threads": threads,
        "progress": progress,
    }
    with thread_limit(None):
        if isinstance(given, Path) and is_network(given):
            network = open_network(given).to(where)
            made = simulator or _simulator_of(network)
            return network_calibration(network, made, given, time_limit=time_limit, **options)
        if not isinstance(given, (Path, Result)):
            made = simulator or _simulator_of(given)
            network = given.to(where)
            return network_calibration(
                network, made, network.folder, time_limit=time_limit, **options
            )
        result = open_result(given) if isinstance(given, Path) else given
        if result.folder is not None:
            refuse_working_folder(result.folder)
            refuse_among_others(result.folder)
        network = result.trained_network().to(where)
        if result.config.get("network") not in (None, network.card.get("config_hash")):
            raise BadInputError(
                f"the network at {result.network_folder} is not the one of this result any more; run "
                "the fit again"
            )
        return _check_result(result, network, simulator, time_limit, options)


def network_calibration(
    network: "Network",
    simulator: Simulator,
    folder: Path | None,
    *,
    simulations: int,
    draws: int,
    seed: int = 0,
    time_limit: float | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> Calibration:
    """The calibration of ``network``: that kept in its ``folder``, or computed and kept there.

    One with other numbers, or of simulations held out of the training, is replaced, unless it has
    more cases and draws, or the time allows too few cases to say anything. Networks that read traces, or were refined for one
    recording, have that of their training only. Raises what `neurosbi.checks.calibrate` raises.
    """
    _check_testable(network, folder)
    kept = _kept(network, folder)
    if kept is not None and not takes_fresh_cases(network):
        return kept
    asked = (simulations, draws, seed)
    as_asked = kept is not None and not kept.stopped and not kept.held_out
    if kept is not None and as_asked and (kept.wanted, kept.draws, kept.seed) == asked:
        return kept
    fresh = kept is not None and not kept.held_out
    if kept is not None and fresh and _tells_more(kept, simulations, draws):
        say(
            f"the network was tested on {kept.n:,} simulations with {kept.draws} draws before, "
            f"which tells more than {simulations:,} with {draws}: that test stays",
            show=progress,
        )
        return kept
    calibration = calibrate(
        network,
        simulator,
        simulations=simulations,
        draws=draws,
        seed=seed,
        time_limit=time_limit,
        threads=threads,
        progress=progress,
    )
    fewer = kept is not None and fresh and calibration.stopped and calibration.n < kept.n
    if kept is not None and (fewer or calibration.n < FEWEST):
        say(
            f"time for {calibration.n:,} fresh simulations only: the calibration on {kept.n:,} "
            "earlier ones stays",
            show=progress,
        )
        return kept
    if folder is not None and is_network(folder) and calibration.n >= FEWEST:
        _keep(calibration, network, folder, progress=progress)
    return calibration


def _tells_more(kept: Calibration, simulations: int, draws: int) -> bool:
    as_many = kept.n >= simulations and kept.draws >= draws
    return as_many and (kept.n, kept.draws) != (simulations, draws)


def keep_held_out_calibration(
    network: "Network", simulations: "Simulations", folder: Path, *, progress: bool = True
) -> None:
    """Leave a first calibration beside a ``network`` that has none, of what its training held out.

    Nothing is left where that is too little to say anything.
    """
    if _kept(network, folder) is not None:
        return
    calibration = calibrate_held_out(network, simulations, most=FIT_SIMULATIONS, draws=FIT_DRAWS)
    if calibration.n >= FEWEST:
        _keep(calibration, network, folder, progress=progress)


def calibration_for_fit(
    network: "Network",
    simulator: Simulator,
    *,
    threads: int | None = None,
    progress: bool = True,
) -> Calibration | None:
    """Any calibration that is kept in the network's folder; where there is none, a quick one.

    None, with a word on stderr, if the simulator is too slow even for that, and for networks that
    read traces or were refined, which can only be tested when they are trained.
    """
    folder = network.folder
    kept = _kept(network, folder)
    if kept is not None:
        return kept
    try:
        calibration = network_calibration(
            network,
            simulator,
            folder,
            simulations=FIT_SIMULATIONS,
            draws=FIT_DRAWS,
            time_limit=FIT_LIMIT,
            threads=threads,
            progress=progress,
        )
    except BadInputError as error:
        say(f"the calibration of the network is not tested: {error}", show=progress)
        return None
    if calibration.n < FEWEST and calibration.stopped:
        say(
            f"the calibration of the network is not tested: {FIT_LIMIT:g} s allowed only "
            f"{calibration.n} simulations; give neurosbi check more time",
            show=progress,
        )
        return None
    return calibration


def _keep(calibration: Calibration, network: "Network", folder: Path, *, progress: bool) -> None:
    try:
        write_calibration(folder, network.card, calibration.to_dataset())
    except (OSError, MissingResourceError):
        say(f"{folder} cannot be written: its calibration is not kept", show=progress)


def _kept(network: "Network", folder: Path | None) -> Calibration | None:
    values = None if folder is None else read_calibration(folder, network.card)
    if values is None:
        return None
    try:
        calibration = Calibration.from_dataset(values)
    except (KeyError, ValueError):
        return None
    mine = tuple(p.name for p in network.parameters)
    useful = calibration.parameters == mine and calibration.n >= FEWEST
    return calibration if useful else None


def _check_result(
    result: Result,
    network: "Network",
    simulator: Simulator | None,
    time_limit: float | None,
    options: dict[str, Any],
) -> Result:
    show, share = options["progress"], None if time_limit is None else time_limit / 2
    seconds = dict(result.stored.seconds)
    diagnostics = dict(result.stored.diagnostics)
    reasons, sources = [], []
    began = time.monotonic()
    try:
        folder = result.network_folder
        _check_testable(network, folder)
        made = simulator or _simulator_of(network)
    except BadInputError as error:
        say(f"the calibration of the network is not tested: {error}", show=show)
    else:
        calibration = network_calibration(network, made, folder, time_limit=share, **options)
        seconds["calibration"] = round(calibration.seconds, 3)
        diagnostics["calibration"] = calibration.to_dataset()
        reasons += calibration.reasons
        sources.append(CALIBRATION)
    if time_limit is not None:
        share = max(time_limit - (time.monotonic() - began), share or 0.0)
    began = time.monotonic()
    if network.inputs != "features":
        say("the tests at the recording are of networks that read features alone", show=show)
    else:
        protocol = protocol_of(network, result.stored)
        unlike = check_misspecification(network, protocol)
        diagnostics["misspecification"] = unlike.to_dataset()
        reasons += unlike.reasons
        sources.append(MISSPECIFICATION)
        if network.refined:  # simulations of the whole prior say nothing of a part of it
            say("the local two-sample test is of networks of the whole prior", show=show)
        else:
            local = check_locally(
                network, protocol, seed=options["seed"], time_limit=share, progress=show
            )
            diagnostics["local_calibration"] = local.to_dataset()
            reasons += local.reasons
            sources.append(LOCAL)
    seconds["checks at the recording"] = round(time.monotonic() - began, 3)
    stored = replace(result.stored, diagnostics=diagnostics, seconds=seconds)
    checked = judge_again(replace(result, stored=stored), reasons, sources=sources)
    if result.folder is not None:
        if not (result.folder / MANIFEST).is_file():  # deleted, to open what was not complete
            write_manifest(result, result.folder)
        write_result(checked, result.folder, existing="overwrite")
    return checked


def takes_fresh_cases(network: "Network") -> bool:
    """Whether fresh test cases can be made: not of traces, and not of a part of the prior."""
    return network.inputs == "features" and not network.refined


def _check_testable(network: "Network", folder: Path | None) -> None:
    if not takes_fresh_cases(network) and _kept(network, folder) is None:
        which = "were refined for one recording" if network.refined else "read traces"
        raise BadInputError(
            f"networks that {which} are tested when they are trained, on the simulations that "
            f"the training holds out, if these are at least {FEWEST}; train on more"
        )


def _simulator_of(network: "Network") -> Simulator:
    """The installed simulator that the network was trained on."""
    config = network.card["simulator"]
    name = str(config.get("simulator"))
    try:
        made = make_simulator(name, features=config.get("features"), **config.get("settings", {}))
        made = as_trained(made, config)
        network.check_simulator(made)
    except (BadInputError, TypeError) as error:
        raise BadInputError(
            f"the simulator {name} of this network is not there as it was ({error}); where its "
            "version is the same, give it in Python: neurosbi.check(..., simulator=...), else train "
            "the network again"
        ) from error
    return made
