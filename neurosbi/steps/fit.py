"""The step ``fit``: from a recording to a posterior, with checks and a report.

Observed features come from the recording by the simulator's own feature code. A network for the
configuration is taken from the cache; where there is none, simulations are drawn and a network is
trained on them first. Every part is kept, so an interrupted fit continues where it was.
"""

__all__ = ["RESULTS", "Plan", "fit", "plan_fit", "result_folder"]

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from neurosbi.contract import FeatureTable, Recorded, Recording, Simulator
from neurosbi.errors import BadInputError
from neurosbi.progress import say
from neurosbi.recordings import format_sweeps
from neurosbi.seeds import derive_seed
from neurosbi.steps.inputs import check_inputs, posterior_given, trace_reasons
from neurosbi.steps.plan import RESULTS, Plan, plan_fit, result_folder
from neurosbi.steps.results import Result, assemble_result, open_result, write_result
from neurosbi.steps.simulate import simulate
from neurosbi.steps.sweeps import (
    SweepChecks,
    check_priors,
    check_sweeps,
    condition_of,
)
from neurosbi.store import cache_directory, config_hash
from neurosbi.store.atomic import check_writable

if TYPE_CHECKING:
    from filelock import FileLock

    from neurosbi.inference.network import Network, Posterior
    from neurosbi.inference.rounds import Refinement

Existing = Literal["error", "resume", "skip", "overwrite"]

SIMULATIONS = 100_000
SET_SIMULATIONS = 300_000  # sweeps; a set of them is one draw of the parameters
SAMPLES = 2_000
_PREDICTIVE = 500  # posterior draws that are simulated for the predictive check
_PRIOR = 4_000  # prior draws simulated at the recorded stimulus
_TRACES = 12
_TRACE_POINTS = 20_000  # of the activity shown where no sweep was recorded
_ROUND_SHARE = 0.2  # of the default simulations: a network of one observation has less to learn
_NOT_COMPARED = ("network", "network_path")  # where a network lies does not matter


def fit(
    recording: str | Path | Recorded,
    *,
    simulator: str | Simulator = "hodgkin-huxley",
    method: str = "npe",
    sweeps: str | Iterable[int] | None = None,
    simulations: int | None = None,
    samples: int = SAMPLES,
    features: str | None = None,
    settings: Mapping[str, Any] | None = None,
    area: float | None = None,
    junction_potential: float = 0.0,
    network: "str | Path | Network | None" = None,
    rounds: int = 1,
    inputs: str | None = None,
    output: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    seed: int = 0,
    existing: Existing = "error",
    progress: bool = True,
    **options: Any,
) -> Result:
    """Fit a simulator to a recording and write the result folder.

    ``recording`` is a file or what was read of one (see `neurosbi.read_data`): current-clamp
    sweeps (NWB, ABF), spike trains (NWB, CSV) or a table of features (CSV). All usable step sweeps
    are fitted together where there are several; ``sweeps`` ("12,14-18") restricts them. A recording with one
    such sweep, or another kind of stimulus, is fitted to that sweep
    (see `neurosbi.recordings.default_sweep`). ``simulator`` is a name or a
    `Simulator`; ``features`` and ``settings`` go to one given by name, and ``area`` is the membrane
    area in cm2 for those that compute per area (None: estimated from subthreshold sweeps).
    ``junction_potential`` (mV) is added to the voltage of a file; a `Recording` has been read with
    its own.

    ``simulations`` is how many sweeps are simulated to train a new network (None: 100,000, or
    300,000 for one that sees sets of sweeps); ``options`` change the
    configuration of the ``method``, for example ``epochs=40``. ``network`` is a trained network
    (or its folder) to use instead; method, simulations and stimuli are then those of its training.
    ``inputs`` is what a new network sees of a sweep: "features" (the default), the voltage "trace",
    or "both"; the result then says which of them told more.
    ``samples`` posterior draws are kept, the first 500 of them are simulated for the checks.

    ``rounds`` above 1 refine the posterior of this recording: each further round simulates
    ``simulations`` sweeps (None: a fifth of the default) of parameters that the posterior so far
    allows, at the recorded stimuli, and trains a network on them. It ends early when the predictive distance no longer falls; the
    round with the smallest one is the result.

    ``device`` trains and samples: "auto" (a GPU where there is one), "cpu" or "cuda". ``threads``
    simulate (None: all cores); they do not change the result. ``seed`` determines every random
    draw: parameters, noise, weights, posterior samples. ``progress`` False: nothing on stderr.

    The result goes to ``output`` (default neurosbi-results/<recording>/<simulator>-<method>);
    ``existing`` says what happens to one that is there: "error" refuses, "skip" opens it if it is
    of the same recording, "resume" if it is of this very configuration, and "overwrite" replaces
    it when the new one is complete.

    Raises `BadInputError`, `FitError`, `MissingResourceError` or `InterruptedRunError`.
    """
    if (simulations is not None and simulations < 1) or samples < 100:
        raise BadInputError("a fit needs at least 1 simulation and 100 samples")
    if rounds < 1:
        raise BadInputError(f"a fit has at least 1 round, got rounds = {rounds}")
    from neurosbi.inference import method_config
    from neurosbi.training import resolve_device, thread_limit

    if inputs is not None:
        options = {**options, "inputs": inputs}
    method_config(method, **options)  # what cannot work is said before any work is done
    where = resolve_device(device)
    given_network = _given_network(network, {} if rounds > 1 else options)
    timer = _Timer()
    with timer("reading"):
        plan = plan_fit(
            recording,
            simulator=simulator,
            method=method,
            sweeps=sweeps,
            features=features,
            settings=settings,
            area=area,
            junction_potential=junction_potential,
            network=given_network,
            inputs=inputs or "features",
        )
    if rounds > 1 and plan.trace is not None:
        raise BadInputError(
            "rounds refine posteriors given features only; leave --rounds out, or use --inputs features"
        )
    by_default = simulations is None
    if simulations is None:
        simulations = SET_SIMULATIONS if plan.together else SIMULATIONS
    if given_network is None:
        training = {"simulations": simulations, "seed": seed, "options": options}
    else:
        training = _provenance(given_network, network)
    in_round = round(simulations * _ROUND_SHARE) if by_default else simulations
    if rounds > 1:
        training |= {"rounds": rounds, "round_simulations": in_round, "options": options}
    plan = replace(
        plan, config={**plan.config, **training, "samples": samples, "sampling_seed": seed}
    )
    folder = Path(output) if output is not None else plan.folder
    done = _existing_result(folder, plan, existing)
    if done is not None:
        say(f"{folder} holds this result already", show=progress)
        return done
    check_writable(folder)
    net = given_network
    if net is None:
        net = _cached(plan, simulations=simulations, seed=seed, options=options, show=progress)
    _announce(plan, show=progress)
    prior = _prior_check(plan, seed=seed, threads=threads, timer=timer)
    if net is None:
        net = _new_network(
            plan,
            simulations=simulations,
            seed=seed,
            device=device,
            threads=threads,
            progress=progress,
            options=options,
            timer=timer,
        )
    net = net.to(where)
    with thread_limit(None):
        given = prior.given if net.card.get("withheld") else np.ones_like(prior.given)
        posterior = _posterior(plan, net, given)
        refinement = None
        if rounds > 1:
            from neurosbi.steps.refine import refine_fit

            with timer("refinement"):
                refinement = refine_fit(
                    plan,
                    posterior,
                    prior,
                    given=given,
                    rounds=rounds,
                    simulations=in_round,
                    options=options,
                    samples=samples,
                    draws=_PREDICTIVE,
                    seed=seed,
                    device=device,
                    threads=threads,
                    progress=progress,
                )
            posterior = refinement.posterior
        result = _infer(
            plan,
            net,
            posterior,
            prior,
            given=given,
            refinement=refinement,
            samples=samples,
            seed=seed,
            threads=threads,
            timer=timer,
            show=progress,
        )
    with timer("report"):
        write_result(result, folder, existing="overwrite" if existing == "overwrite" else "error")
    return replace(result, folder=folder, network=posterior.network)


def _given_network(
    network: "str | Path | Network | None", options: Mapping[str, Any]
) -> "Network | None":
    if network is None:
        return None
    if options:
        raise BadInputError(
            f"{', '.join(options)} would change a training, but the network given is trained "
            "already; leave it out, or leave --network out"
        )
    from neurosbi.steps.train import open_network

    opened = open_network(network) if isinstance(network, (str, Path)) else network
    if "round" in opened.card:
        raise BadInputError(
            "the network given was refined for one recording and knows no other; give the network "
            "of its first round"
        )
    return opened


def _provenance(net: "Network", network: "str | Path | Network | None") -> dict[str, Any]:
    """What a given network was trained on, as its card says."""
    used = net.card["simulations"]
    config = {
        "given_network": net.card.get("config_hash") or config_hash(net.card),
        "simulations": used["used"] + used["dropped"],
        "seed": net.card["seed"],
        "simulation_seed": used["seed"],
    }
    if isinstance(network, (str, Path)):
        config["network_path"] = str(Path(network).absolute())
    return config


def _existing_result(folder: Path, plan: Plan, existing: Existing) -> Result | None:
    """The finished result to return instead of fitting, if any; refuses where one is in the way."""
    if existing not in ("error", "resume", "skip", "overwrite"):
        raise BadInputError(f"existing is error, resume, skip or overwrite, not {existing!r}")
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"{folder} is a file; give a folder for the result with -o")
    if not folder.exists() or not any(folder.iterdir()):
        return None
    if not (folder / "manifest.json").is_file():
        raise BadInputError(
            f"{folder} exists and holds no result of neurosbi; choose another folder with -o"
        )
    if existing == "overwrite":
        return None
    if existing == "error":
        raise BadInputError(
            f"there is a result in {folder} already; choose another folder with -o, or say "
            "--existing overwrite, skip or resume"
        )
    result = open_result(folder)
    remedy = "choose another folder with -o, or replace it with --existing overwrite"
    if result.config.get("recording") != plan.config["recording"]:
        raise BadInputError(
            f"{folder} holds the result of another recording than {plan.recording.path}; {remedy}"
        )
    if existing == "resume" and _compared(result.config) != _compared(plan.config):
        raise BadInputError(f"{folder} holds the result of another configuration; {remedy}")
    return result


def _compared(config: Mapping[str, Any]) -> str:
    return config_hash({k: v for k, v in config.items() if k not in _NOT_COMPARED})


def _announce(plan: Plan, *, show: bool) -> None:
    name = f"{plan.recording.path.name}: fitting {plan.simulator.name} to"
    if not isinstance(plan.recording, Recording):
        say(f"{name} {_described(plan)}", show=show)
    elif len(plan.observations) > 1:
        amplitudes = [o.stimulus.amplitude for o in plan.observations]
        unit = plan.observation.stimulus.unit
        numbers = format_sweeps(o.sweep for o in plan.sweeps)
        say(
            f"{name} {len(amplitudes)} sweeps together ({numbers}; steps of {min(amplitudes):.3g} "
            f"to {max(amplitudes):.3g} {unit})",
            show=show,
        )
    else:
        stimulus = plan.observation.stimulus
        sweep = plan.sweeps[0].sweep
        step = plan.recording.sweep(sweep).test_step
        kind = f"step of {step.amplitude:.4g} pA" if step else "recorded current"
        say(
            f"{name} sweep {sweep} ({kind}, {stimulus.duration:.0f} ms)",
            show=show,
        )
    for note in plan.observation.notes:
        say(f"  {note}", show=show)


def _described(plan: Plan) -> str:
    """What other data than sweeps hold, in words."""
    data, x = plan.recording, plan.observation.x
    if isinstance(data, FeatureTable):
        return f"{int(np.isfinite(x).sum())} of {len(x)} features"
    assert not isinstance(data, Recording)
    n = sum(map(len, data.times))
    return (
        f"{n:,} spikes of {len(data.units)} units in {len(data.population_names)} population"
        f"{'s' if len(data.population_names) > 1 else ''} ({data.duration / 1e3:.4g} s)"
    )


def _cached(
    plan: Plan, *, simulations: int, seed: int, options: Mapping[str, Any], show: bool
) -> "Network | None":
    """The network of this configuration, if the cache holds a readable one."""
    from neurosbi.steps.train import cached_network

    try:
        net = cached_network(
            plan.simulator,
            plan.family,
            n=simulations,
            method=plan.method,
            seed=seed,
            options=options,
        )
    except BadInputError as error:
        say(f"the network in the cache cannot be used, it is trained again: {error}", show=show)
        return None
    if net is not None:
        say("a network of this configuration is in the cache", show=show)
    return net


def _prior_check(plan: Plan, *, seed: int, threads: int | None, timer: "_Timer") -> SweepChecks:
    """What the simulator can show at these stimuli; needs no network, so it comes before one."""
    with timer("prior simulations"):
        theta = plan.simulator.sample_prior(_PRIOR, seed=derive_seed(seed, "prior check"))
        return check_priors(plan.simulator, plan.observations, theta, seed=seed, threads=threads)


def _new_network(
    plan: Plan,
    *,
    simulations: int,
    seed: int,
    device: str,
    threads: int | None,
    progress: bool,
    options: Mapping[str, Any],
    timer: "_Timer",
) -> "Network":
    """Simulate and train, unless another process does so at this moment: then wait for it."""
    from filelock import FileLock

    from neurosbi.steps.train import cached_path, train

    path = cached_path(
        plan.simulator,
        plan.family,
        n=simulations,
        method=plan.method,
        seed=seed,
        options=options,
    )
    check_writable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _held(FileLock(path.with_name(f".{path.name}.lock")), show=progress):
        net = _cached(plan, simulations=simulations, seed=seed, options=options, show=False)
        if net is not None:
            say("another process has trained the network meanwhile", show=progress)
            return net
        say(
            "no trained network of this configuration yet: simulating and training, once",
            show=progress,
        )
        with timer("simulating"):
            store = simulate(
                plan.simulator,
                simulations,
                stimulus=plan.family,
                seed=seed,
                threads=threads,
                traces=plan.trace is not None,
                progress=progress,
            )
        with timer("training"):
            return train(
                store,
                method=plan.method,
                seed=seed,
                device=device,
                # what is there already was found to be unreadable
                existing="overwrite" if path.exists() else "resume",
                progress=progress,
                **options,
            )


@contextmanager
def _held(lock: "FileLock", *, show: bool) -> Iterator[None]:
    """Hold the lock; say so when another process has to finish first."""
    from filelock import Timeout

    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("another process is making this network: waiting for it", show=show)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _posterior(plan: Plan, net: "Network", given: np.ndarray) -> "Posterior":
    """What the network says of the plan's sweeps, from the features ``given[sweep, feature]``."""
    if plan.together:
        return condition_of(net, plan.observations, given)
    return posterior_given(
        net, plan.observation, given=given[0], trace=plan.trace, inputs=net.inputs
    )


def _infer(
    plan: Plan,
    net: "Network",
    posterior: "Posterior",
    prior: SweepChecks,
    *,
    given: np.ndarray,
    refinement: "Refinement | None",
    samples: int,
    seed: int,
    threads: int | None,
    timer: "_Timer",
    show: bool,
) -> Result:
    """Posterior samples, checks and the verdict.

    ``net`` is the network that serves every recording, ``posterior`` its word or that of the rounds.
    """
    from neurosbi.checks import predictive_check
    from neurosbi.steps.check import calibration_for_fit
    from neurosbi.steps.likelihood import weigh_draws
    from neurosbi.steps.recording_checks import RecordedProtocol, check_misspecification
    from neurosbi.steps.refine import round_table

    simulator, observation = plan.simulator, plan.observation
    say("sampling the posterior and simulating from it", show=show)
    with timer("sampling"):
        theta = posterior.sample(samples, seed=derive_seed(seed, "posterior"))
        log_prob = posterior.log_prob(theta)
    importance = None
    if simulator.has_likelihood:
        with timer("likelihoods"):
            importance = weigh_draws(plan, posterior, samples=samples, seed=seed, progress=show)
    with timer("predictive checks"):
        check = predictive_check(
            simulator,
            observation,
            theta[:_PREDICTIVE],
            seed=derive_seed(seed, "predictive check"),
            prior_x=prior.batches[0].x,
            prior_status=prior.batches[0].status,
            n_traces=_TRACES,
            stride=_stride(plan),
            threads=threads,
        )
        sweeps = (
            check_sweeps(
                simulator,
                net,
                plan.sweeps,
                theta,
                prior,
                given=given,
                seed=seed,
                threads=threads,
            )
            if plan.together
            else None
        )
        inputs = (
            check_inputs(
                simulator,
                net,
                observation,
                plan.trace,
                prior.batches[0],
                given=given[0],
                seed=seed,
                threads=threads,
            )
            if plan.trace is not None
            else None
        )
    diagnostics, reasons = {}, []
    if inputs is not None:
        reasons = trace_reasons(simulator.feature_set, given[0])
    else:
        with timer("misspecification"):
            protocol = RecordedProtocol.of_fit(
                net, plan.observations, given=given, theta=prior.theta, batches=prior.batches
            )
            unlike = check_misspecification(net, protocol)
        diagnostics["misspecification"] = unlike.to_dataset()
        calibration = None
        if "round" not in posterior.network.card:  # a refined network serves this recording alone
            with timer("calibration"):
                folder = Path(
                    plan.config.get("network_path")
                    or cache_directory() / "networks" / str(net.card.get("config_hash"))
                )
                calibration = calibration_for_fit(
                    net, simulator, folder, threads=threads, progress=show
                )
        reasons = [*(calibration.reasons if calibration is not None else ()), *unlike.reasons]
        if calibration is not None:
            diagnostics["calibration"] = calibration.to_dataset()
    return assemble_result(
        simulator,
        observation,
        theta=theta,
        log_prob=log_prob,
        predictive=check,
        prior_theta=prior.theta,
        prior_x=prior.batches[0].x,
        prior_status=prior.batches[0].status,
        given=given[0],
        sweeps=sweeps,
        inputs=inputs,
        further=reasons,
        diagnostics=diagnostics,
        seed=seed,
        recording={
            "name": plan.recording.name,
            "path": plan.recording.path.name,
            "format": plan.recording.format,
            **(
                {"junction_potential": plan.recording.junction_potential}
                if isinstance(plan.recording, Recording)
                else {}
            ),
            "metadata": {
                k: v
                for k, v in plan.recording.metadata.items()
                if isinstance(v, (str, int, float, dict))
            },
        },
        config=_config_of(plan, posterior.network),
        history=_columns(posterior.network.card["result"]["history"]),
        seconds=timer.seconds,
        rounds=None if refinement is None else round_table(refinement),
        importance=importance,
    )


def _stride(plan: Plan) -> int:
    """Every how many steps a trace is kept: all of a sweep, enough for a figure of other data."""
    dt = plan.simulator.settings.get("dt")
    if isinstance(plan.recording, Recording) or not isinstance(dt, (int, float)):
        return 1
    return max(1, int(plan.observation.stimulus.total / dt / _TRACE_POINTS))


def _config_of(plan: Plan, network: "Network") -> dict[str, Any]:
    """The plan's configuration and which network the posterior is of."""
    config = {**plan.config, "network": network.card.get("config_hash")}
    if "round" in network.card:
        config.pop("network_path", None)  # that is where the first round's lies
    return config


def _columns(history: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """One record per epoch as one list per quantity."""
    return {name: [record[name] for record in history] for name in (history[0] if history else ())}


class _Timer:
    """Wall time of the parts of a fit in seconds, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, part: str):
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] = round(time.perf_counter() - began, 3)
