"""The step ``fit``: from a recording to a posterior, with checks and a report.

Observed features come from the recording by the simulator's own feature code. A network for the
configuration is taken from the cache; where there is none, simulations are drawn and a network is
trained on them first. Every part is kept, so an interrupted fit continues where it was.
"""

__all__ = ["RESULTS", "Plan", "fit", "plan_fit", "result_folder"]

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosbi.checks import predictive_draws
from neurosbi.contract import FixedStimulus, Recorded, Simulator, SweepSets, in_words
from neurosbi.errors import BadInputError
from neurosbi.progress import say
from neurosbi.recordings import format_sweeps
from neurosbi.steps.announce import announce
from neurosbi.steps.execution import Execution
from neurosbi.steps.existing import Existing, claim_folder, existing_result
from neurosbi.steps.fit_likelihood import MCMC, fit_by_likelihood
from neurosbi.steps.fit_network import cached, new_network
from neurosbi.steps.infer import infer
from neurosbi.steps.inputs import posterior_given
from neurosbi.steps.plan import RESULTS, Plan, plan_fit, result_folder
from neurosbi.steps.prior_check import prior_check
from neurosbi.steps.restrict import restrict as restricted_prior
from neurosbi.steps.result import Result
from neurosbi.steps.result_folder import write_result
from neurosbi.steps.sweeps import SweepChecks, condition_of
from neurosbi.store import config_hash

if TYPE_CHECKING:
    from neurosbi.inference.network import Network, Posterior

SET_FACTOR = 3  # more sweeps where sets of them are fitted: a set is one draw of the parameters
SAMPLES = 2_000
_FEW_SETS = 1_000  # a tenth is held out of the training, and fewer than 100 tell nothing
_ROUND_SHARE = 0.2  # of the default simulations: a network of one observation has less to learn


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
    restrict: bool = False,
    output: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    seed: int = 0,
    existing: Existing = "error",
    progress: bool = True,
    **options: Any,
) -> Result:
    """Fit a simulator to a recording and write the result folder.

    ``recording`` is a file or what was read of one (see `neurosbi.read_data`): current-clamp sweeps
    (NWB, ABF), spike trains (NWB, CSV) or a table of features (CSV). All usable step sweeps are
    fitted together where there are several; ``sweeps`` ("12,14-18") restricts them. A recording
    with one such sweep, or another kind of stimulus, is fitted to that sweep (see
    `neurosbi.recordings.default_sweep`). ``simulator`` is a name or a `Simulator`; ``features`` and
    ``settings`` go to one given by name, and ``area`` is the membrane area in cm2 for those that
    compute per area (None: estimated from subthreshold sweeps). ``junction_potential`` (mV) is
    added to the voltage of a file; a `Recording` has been read with its own.

    ``simulations`` is how many sweeps are simulated to train a new network (None: the simulator's
    `fit_simulations`, three times that for a network that sees sets of sweeps); ``options`` change
    the configuration of the ``method``, for example ``epochs=40``. ``network`` is a trained network
    (or its folder) to use instead; method, simulations and stimuli are then those of its training.
    ``inputs`` is what a new network sees of a sweep: "features" (the default), the voltage "trace",
    or "both"; the result then says which of them told more. ``restrict`` restricts the prior to
    where all features are expected to be defined, for data that have them all (see
    `neurosbi.restrict`).
    The method "mcmc" trains no network: for simulators with a likelihood it runs Markov chains on
    the exact posterior (options ``chains``, ``tune``, ``time_limit``).
    ``samples`` posterior draws are kept; the first 500, of slow models at least 100, are simulated
    for the checks.

    ``rounds`` above 1 refine the posterior of this recording: each further round simulates
    ``simulations`` sweeps (None: a fifth of the default) of parameters that the posterior so far
    allows, at the recorded stimuli, and trains a network on them. It ends early when two rounds in
    a row came no nearer to the recording; the nearest round is the result.

    ``device`` trains and samples: "auto" (a GPU where there is one), "cpu" or "cuda". ``threads``
    simulate (None: all cores); they do not change the result. ``seed`` determines every random
    draw: parameters, noise, weights, posterior samples. ``progress`` False: nothing on stderr.

    The result goes to ``output`` (default neurosbi-results/<recording>/<simulator>-<method>);
    ``existing`` says what happens to one that is there: "error" refuses, "skip" opens it if it is
    of the same recording, "resume" if it is of this very configuration, and "overwrite" replaces
    it when the new one is complete.

    Raises `BadInputError`, `FitError`, `MissingResourceError` or `InterruptedRunError`.
    """
    from neurosbi.inference.methods import METHODS
    from neurosbi.training import resolve_device

    if (simulations is not None and simulations < 1) or samples < 100:
        raise BadInputError("a fit needs at least 1 simulation and 100 samples")
    if rounds < 1:
        raise BadInputError(f"a fit has at least 1 round, got rounds = {rounds}")
    resolve_device(device)
    how = Execution(seed, device, threads, progress)
    what = {
        "simulator": simulator,
        "sweeps": sweeps,
        "features": features,
        "settings": settings,
        "area": area,
        "junction_potential": junction_potential,
    }
    if method == MCMC:
        only_for_networks = {
            "--network": network is not None,
            "--rounds": rounds > 1,
            "--inputs": inputs is not None,
            "--simulations": simulations is not None,
            "--restrict": restrict,
        }
        for argument, there in only_for_networks.items():
            if there:
                raise BadInputError(f"method {MCMC} trains no network; leave {argument} out")
        return fit_by_likelihood(
            recording,
            how,
            samples=samples,
            output=output,
            existing=existing,
            options=options,
            **what,
        )
    if method not in METHODS:
        raise BadInputError(
            f"there is no method {method!r}; there are {', '.join(sorted({*METHODS, MCMC}))}"
        )
    if inputs is not None:
        options = {**options, "inputs": inputs}
    return _fit_by_network(
        recording,
        how,
        method=method,
        simulations=simulations,
        samples=samples,
        network=network,
        rounds=rounds,
        restrict=restrict,
        output=output,
        existing=existing,
        options=options,
        **what,
    )


def _fit_by_network(
    recording: str | Path | Recorded,
    how: Execution,
    *,
    method: str,
    simulations: int | None,
    samples: int,
    network: "str | Path | Network | None",
    rounds: int,
    restrict: bool,
    output: str | Path | None,
    existing: Existing,
    options: Mapping[str, Any],
    **what: Any,
) -> Result:
    """`fit` by the methods that train networks; ``what`` goes to `plan_fit`."""
    from neurosbi.inference import method_config
    from neurosbi.training import resolve_device, thread_limit

    config = method_config(method, **options)  # what cannot work is said before any work is done
    if network is not None and rounds == 1 and simulations is not None:
        raise BadInputError(
            "the network given is trained already; leave --simulations out, or leave --network out"
        )
    if network is not None and restrict:
        raise BadInputError("a trained network brings its own prior; leave --restrict out")
    given_network = _given_network(network, {} if rounds > 1 else options)
    with how.timer("reading"):
        plan = plan_fit(
            recording,
            method=method,
            network=given_network,
            inputs=options.get("inputs", "features"),
            **what,
        )
    withheld = (
        given_network.card.get("withheld") if given_network else getattr(config, "withheld", 0.0)
    )
    if not (withheld or plan.measured.all()):
        missing = ", ".join(in_words(name) for name in plan.observation.not_measured)
        raise BadInputError(
            f"{plan.recording.path.name}: {missing} not measured, but a network trained with "
            "withheld = 0 needs all its features; use one trained with more"
        )
    if rounds > 1 and (plan.trace is not None or options.get("inputs", "features") != "features"):
        raise BadInputError(
            "rounds refine posteriors given features only; leave --rounds out, or use --inputs features"
        )
    folder = Path(output) if output is not None else plan.folder
    if restrict:
        # what needs no pilot to be told comes before it; only "resume" compares the region
        done = None if existing == "resume" else existing_result(folder, plan, existing)
        if done is not None:
            say(f"{folder} holds a result of this recording already", show=how.progress)
            return done
        plan = _restricted(plan, how)
    default = plan.simulator.fit_simulations * (SET_FACTOR if plan.together else 1)
    in_round = round(default * _ROUND_SHARE) if simulations is None else simulations
    simulations = default if simulations is None else simulations
    if given_network is None:
        training = {"simulations": simulations, "seed": how.seed, "options": options}
    else:
        training = _provenance(given_network)
    if rounds > 1:
        training |= {"rounds": rounds, "round_simulations": in_round, "options": options}
    plan = replace(
        plan, config={**plan.config, **training, "samples": samples, "sampling_seed": how.seed}
    )
    done = claim_folder(folder, plan, existing, show=how.progress)
    if done is not None:
        return done
    net, prior = _network_and_prior(
        plan, how, given_network, simulations=simulations, options=options
    )
    net = net.to(resolve_device(how.device))
    with thread_limit(None):
        given = prior.given if net.card.get("withheld") else np.ones_like(prior.given)
        posterior = _posterior(plan, net, given)
        refinement = None
        if rounds > 1:
            from neurosbi.steps.refine import refine_fit

            with how.timer("refinement"):
                refinement = refine_fit(
                    plan,
                    posterior,
                    prior,
                    how,
                    given=given,
                    rounds=rounds,
                    simulations=in_round,
                    options=options,
                    samples=samples,
                    draws=predictive_draws(plan.simulator),
                )
            posterior = refinement.posterior
        result = infer(
            plan, net, posterior, prior, how, given=given, refinement=refinement, samples=samples
        )
    with how.timer("report"):
        write_result(result, folder, existing="overwrite" if existing == "overwrite" else "error")
    return replace(result, folder=folder, network=posterior.network)


def _restricted(plan: Plan, how: Execution) -> Plan:
    """The plan with the prior restricted to where all features are defined at its stimuli."""
    if undefined := plan.undefined_features:
        where = choose = ""
        if plan.sweeps:
            lacking = (o.sweep for o in plan.sweeps if not np.isfinite(o.x).all())
            where = f" of sweep {format_sweeps(lacking)}"
            choose = ", or choose sweeps that have them (--sweeps)"
        raise BadInputError(
            f"{plan.recording.path.name}: {', '.join(map(in_words, undefined))}{where} undefined, "
            "but a restricted prior is for data that have all features; leave --restrict out"
            + choose
        )
    with how.timer("restriction"):
        simulator = restricted_prior(
            plan.simulator,
            stimulus=plan.family if isinstance(plan.family, FixedStimulus) else None,
            seed=how.seed,
            threads=how.threads,
            progress=how.progress,
        )
    config = {**plan.config, "simulator": simulator.config()}
    return replace(plan, simulator=simulator, config=config)


def _network_and_prior(
    plan: Plan,
    how: Execution,
    network: "Network | None",
    *,
    simulations: int,
    options: Mapping[str, Any],
) -> "tuple[Network, SweepChecks]":
    """The ``network`` given, that in the cache or a new one; and simulations of the prior.

    These come first: what the model cannot show at all is said before anything is trained.
    """
    net = network
    if net is None:
        net = cached(
            plan, simulations=simulations, seed=how.seed, options=options, show=how.progress
        )
    announce(plan, show=how.progress)
    if net is None:
        _warn_of_few_sets(plan, simulations, show=how.progress)
    prior = prior_check(
        plan, how, simulations=simulations if network is None else None, trained=net is not None
    )
    if net is None:
        net = new_network(plan, how, simulations=simulations, options=options)
    return net, prior


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
    if opened.refined:
        raise BadInputError(
            "the network given was refined for one recording and knows no other; give the network "
            "of its first round"
        )
    return opened


def _provenance(net: "Network") -> dict[str, Any]:
    """What a given network was trained on, as its card says."""
    used = net.card["simulations"]
    config = {
        "given_network": net.card.get("config_hash") or config_hash(net.card),
        "simulations": used["used"] + used["dropped"],
        "seed": net.card["seed"],
        "simulation_seed": used["seed"],
    }
    if net.folder is not None:
        config["network_path"] = str(net.folder.absolute())
    return config


def _warn_of_few_sets(plan: Plan, simulations: int, *, show: bool) -> None:
    """Say so where a network of sets of sweeps would have little to learn from."""
    if not isinstance(plan.family, SweepSets):
        return
    sets = int(plan.family.set_of(np.array([simulations - 1]))[0]) + 1
    if sets < _FEW_SETS:
        default = SET_FACTOR * plan.simulator.fit_simulations
        say(
            f"  {simulations:,} simulated sweeps are only {sets:,} sets of sweeps to learn from; by "
            f"default they are {default:,}",
            show=show,
        )


def _posterior(plan: Plan, net: "Network", given: np.ndarray) -> "Posterior":
    """What the network says of the plan's sweeps, from the features ``given[sweep, feature]``."""
    if plan.together:
        return condition_of(net, plan.observations, given)
    return posterior_given(
        net, plan.observation, given=given[0], trace=plan.trace, inputs=net.inputs
    )
