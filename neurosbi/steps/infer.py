"""The last part of a fit: posterior samples, every check of them, and the verdict."""

__all__ = ["infer", "predictions", "recording_facts"]

from typing import TYPE_CHECKING, Any

import numpy as np

from neurosbi.checks import PredictiveCheck, Reason, predictive_check, predictive_draws
from neurosbi.checks.calibration import SOURCE as CALIBRATION
from neurosbi.checks.remedies import MORE_SIMULATIONS, REFINE, TEST_IT
from neurosbi.contract import Recording, in_words
from neurosbi.progress import say
from neurosbi.seeds import derive_seed
from neurosbi.steps.assemble import assemble_result
from neurosbi.steps.execution import Execution
from neurosbi.steps.inputs import check_inputs, trace_reasons
from neurosbi.steps.plan import Plan
from neurosbi.steps.recording_checks import (
    OF_TRAINING,
    RecordedProtocol,
    check_misspecification,
)
from neurosbi.steps.result import Result
from neurosbi.steps.sweeps import SweepChecks, check_sweeps

if TYPE_CHECKING:
    from neurosbi.checks.misspecification import Misspecification
    from neurosbi.inference.network import Network, Posterior
    from neurosbi.inference.rounds import Refinement

_TRACES = 12
_TRACE_POINTS = 20_000  # of the activity shown where no sweep was recorded


def infer(
    plan: Plan,
    net: "Network",
    posterior: "Posterior",
    prior: SweepChecks,
    how: Execution,
    *,
    given: np.ndarray,
    refinement: "Refinement | None",
    samples: int,
) -> Result:
    """Posterior samples, checks and the verdict.

    ``net`` is the network that serves every recording, ``posterior`` its word or that of the
    rounds; ``given[sweep, feature]`` are the features it is conditioned on.
    """
    from neurosbi.steps.likelihood import weigh_draws
    from neurosbi.steps.refine import round_table

    say("sampling the posterior and simulating from it", show=how.progress)
    with how.timer("sampling"):
        theta = posterior.sample(samples, seed=derive_seed(how.seed, "posterior"))
        log_prob = posterior.log_prob(theta)
    importance = None
    if plan.simulator.has_likelihood:
        with how.timer("likelihoods"):
            importance = weigh_draws(plan, posterior, how, samples=samples)
    with how.timer("predictive checks"):
        predictive = predictions(plan, theta, prior, how)
        sweeps = inputs = None
        if plan.together:
            sweeps = check_sweeps(
                plan.simulator,
                # a network refined for all sweeps cannot say what fewer would have told
                net if posterior.network is net else None,
                plan.sweeps,
                theta,
                prior,
                given=given,
                seed=how.seed,
                threads=how.threads,
            )
        if plan.trace is not None:
            inputs = check_inputs(
                plan.simulator,
                net,
                plan.observation,
                plan.trace,
                prior.batches[0],
                given=given[0],
                seed=how.seed,
                threads=how.threads,
            )
    diagnostics, reasons = _test_calibration(plan, posterior.network, how)
    if plan.trace is not None:
        reasons += trace_reasons(plan.simulator.feature_set, given[0])
    else:
        unlike = _test_misspecification(plan, net, prior, how, given=given)
        diagnostics["misspecification"] = unlike.to_dataset()
        reasons += unlike.reasons
    reasons += _restriction_reasons(plan)
    reasons += _measured_reasons(plan, posterior.network)
    return assemble_result(
        plan.simulator,
        plan.observation,
        theta=theta,
        log_prob=log_prob,
        predictive=predictive,
        prior_theta=prior.theta,
        prior_x=prior.batches[0].x,
        prior_status=prior.batches[0].status,
        given=given[0],
        sweeps=sweeps,
        inputs=inputs,
        further=reasons,
        diagnostics=diagnostics,
        seed=how.seed,
        recording=recording_facts(plan),
        config=_config_of(plan, posterior.network, prior),
        history=_columns(posterior.network.card["result"]["history"]),
        seconds=how.timer.seconds,
        rounds=None if refinement is None else round_table(refinement),
        importance=importance,
    )


def predictions(
    plan: Plan, theta: np.ndarray, prior: SweepChecks, how: Execution
) -> PredictiveCheck:
    """The first draws of ``theta[draw, theta]``, simulated and compared with what figures show."""
    return predictive_check(
        plan.simulator,
        plan.observation,
        theta[: predictive_draws(plan.simulator)],
        seed=derive_seed(how.seed, "predictive check"),
        prior_x=prior.batches[0].x,
        prior_status=prior.batches[0].status,
        n_traces=_TRACES,
        stride=_trace_stride(plan),
        threads=how.threads,
    )


def _test_calibration(
    plan: Plan, network: "Network", how: Execution
) -> tuple[dict[str, Any], list[Reason]]:
    """What there is to store of the calibration, and to say of it in the verdict."""
    from neurosbi.steps.check import calibration_for_fit, takes_fresh_cases

    with how.timer("calibration"):
        calibration = calibration_for_fit(
            network, plan.simulator, threads=how.threads, progress=how.progress
        )
    if calibration is not None:
        return {"calibration": calibration.to_dataset()}, list(calibration.reasons)
    remedy = TEST_IT if takes_fresh_cases(network) else MORE_SIMULATIONS
    untested = "the calibration of the network was not tested"
    return {}, [Reason("caution", untested, CALIBRATION, remedy)]


def _test_misspecification(
    plan: Plan, net: "Network", prior: SweepChecks, how: Execution, *, given: np.ndarray
) -> "Misspecification":
    with how.timer("misspecification"):
        protocol = RecordedProtocol.of_fit(
            net, plan.observations, given=given, theta=prior.theta, batches=prior.batches
        )
        return check_misspecification(net, protocol)


def _restriction_reasons(plan: Plan) -> list[Reason]:
    """A restricted prior excludes where data that lack a feature come from."""
    if plan.simulator.prior_region is None or not plan.undefined_features:
        return []
    undefined = ", ".join(map(in_words, plan.undefined_features))
    return [
        Reason(
            "do not use",
            "the prior is restricted to where all features are defined, which "
            f"{undefined} of this recording {'is' if len(plan.undefined_features) == 1 else 'are'} not",
            remedy="fit it with the whole prior",
        )
    ]


def _measured_reasons(plan: Plan, network: "Network") -> list[Reason]:
    """A network that serves all data has hardly seen any with almost nothing measured."""
    from neurosbi.inference.simulations import MOST_WITHHELD

    n, total = int(plan.measured.sum()), len(plan.measured)
    if network.refined or n >= (1 - MOST_WITHHELD) * total:
        return []
    few = f"only {n} of {total} features were measured, and networks learn from few such cases"
    remedy = REFINE if plan.config.get("rounds", 1) == 1 else ""
    return [Reason("caution", few, remedy=remedy)]


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


def _trace_stride(plan: Plan) -> int:
    """Every how many steps a trace is kept: all of a sweep, enough for a figure of other data."""
    dt = plan.simulator.settings.get("dt")
    if isinstance(plan.recording, Recording) or not isinstance(dt, (int, float)):
        return 1
    return max(1, int(plan.observation.stimulus.total / dt / _TRACE_POINTS))


def _config_of(plan: Plan, network: "Network", prior: SweepChecks) -> dict[str, Any]:
    """The plan's configuration, which network the posterior is of, and what it may have learned."""
    config = {**plan.config, "network": network.card.get("config_hash")}
    if prior.of_training:
        config["prior_simulations"] = OF_TRAINING
    if network.refined:
        config.pop("network_path", None)  # that is where the first round's lies
    return config


def _columns(history: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """One record per epoch as one list per quantity."""
    return {name: [record[name] for record in history] for name in (history[0] if history else ())}
