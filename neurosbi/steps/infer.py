"""The last part of a fit: posterior samples, every check of them, and the verdict."""

__all__ = ["TRACES", "infer", "predictive_draws", "recording_facts", "trace_stride"]

from typing import TYPE_CHECKING, Any

import numpy as np

from neurosbi.checks import Reason
from neurosbi.checks.calibration import SOURCE as CALIBRATION
from neurosbi.checks.remedies import MORE_SIMULATIONS, TEST_IT
from neurosbi.contract import Recording
from neurosbi.progress import say
from neurosbi.seeds import derive_seed
from neurosbi.steps.assemble import assemble_result
from neurosbi.steps.inputs import check_inputs, trace_reasons
from neurosbi.steps.plan import Plan
from neurosbi.steps.result import Result
from neurosbi.steps.sweeps import SweepChecks, check_sweeps
from neurosbi.steps.timer import Timer

if TYPE_CHECKING:
    from neurosbi.contract import Simulator
    from neurosbi.inference.network import Network, Posterior
    from neurosbi.inference.rounds import Refinement

_MOST_PREDICTIVE = 500
TRACES = 12
_TRACE_POINTS = 20_000  # of the activity shown where no sweep was recorded


def predictive_draws(simulator: "Simulator") -> int:
    """How many posterior draws are simulated for the predictive check.

    At most 500, fewer of slow models: a twentieth of what their network is trained on by default.
    """
    return max(1, min(_MOST_PREDICTIVE, simulator.fit_simulations // 20))


def infer(
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
    timer: Timer,
    show: bool,
) -> Result:
    """Posterior samples, checks and the verdict.

    ``net`` is the network that serves every recording, ``posterior`` its word or that of the
    rounds.
    """
    from neurosbi.checks import predictive_check
    from neurosbi.steps.check import calibration_for_fit, takes_fresh_cases
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
            importance = weigh_draws(
                plan, posterior, samples=samples, seed=seed, threads=threads, progress=show
            )
    with timer("predictive checks"):
        check = predictive_check(
            simulator,
            observation,
            theta[: predictive_draws(simulator)],
            seed=derive_seed(seed, "predictive check"),
            prior_x=prior.batches[0].x,
            prior_status=prior.batches[0].status,
            n_traces=TRACES,
            stride=trace_stride(plan),
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
    diagnostics: dict[str, Any] = {}
    reasons: list[Reason] = []
    answering = posterior.network
    with timer("calibration"):
        calibration = calibration_for_fit(answering, simulator, threads=threads, progress=show)
    if calibration is None:
        remedy = TEST_IT if takes_fresh_cases(answering) else MORE_SIMULATIONS
        untested = "the calibration of the network was not tested"
        reasons.append(Reason("caution", untested, CALIBRATION, remedy))
    else:
        diagnostics["calibration"] = calibration.to_dataset()
        reasons += calibration.reasons
    if inputs is not None:
        reasons += trace_reasons(simulator.feature_set, given[0])
    else:
        with timer("misspecification"):
            protocol = RecordedProtocol.of_fit(
                net, plan.observations, given=given, theta=prior.theta, batches=prior.batches
            )
            unlike = check_misspecification(net, protocol)
        diagnostics["misspecification"] = unlike.to_dataset()
        reasons += unlike.reasons
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
        recording=recording_facts(plan),
        config=_config_of(plan, posterior.network),
        history=_columns(posterior.network.card["result"]["history"]),
        seconds=timer.seconds,
        rounds=None if refinement is None else round_table(refinement),
        importance=importance,
    )


def recording_facts(plan: Plan) -> dict[str, Any]:
    """What the report says of the data."""
    return {
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
    }


def trace_stride(plan: Plan) -> int:
    """Every how many steps a trace is kept: all of a sweep, enough for a figure of other data."""
    dt = plan.simulator.settings.get("dt")
    if isinstance(plan.recording, Recording) or not isinstance(dt, (int, float)):
        return 1
    return max(1, int(plan.observation.stimulus.total / dt / _TRACE_POINTS))


def _config_of(plan: Plan, network: "Network") -> dict[str, Any]:
    """The plan's configuration and which network the posterior is of."""
    config = {**plan.config, "network": network.card.get("config_hash")}
    if network.refined:
        config.pop("network_path", None)  # that is where the first round's lies
    return config


def _columns(history: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """One record per epoch as one list per quantity."""
    return {name: [record[name] for record in history] for name in (history[0] if history else ())}
