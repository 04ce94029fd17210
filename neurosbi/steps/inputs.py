"""The steps of a fit to a trace: the posterior of each input by itself, and how well it predicts."""

__all__ = ["check_inputs", "posterior_given", "trace_reasons"]

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neurosbi.checks import Reason, compare_predictive, predictive_draws
from neurosbi.contract import Feature, Observation, SimulationBatch, Simulator, in_words
from neurosbi.seeds import derive_seed
from neurosbi.store.input_results import InputComparison, InputResults

if TYPE_CHECKING:
    from neurosbi.inference.network import Network, Posterior

_SAMPLES = 1_000
_PREDICTIVE = 300  # posterior draws simulated for each input


def posterior_given(
    network: "Network",
    observation: Observation,
    *,
    given: np.ndarray,
    trace: np.ndarray | None,
    inputs: str,
) -> "Posterior":
    """The posterior given ``inputs``: the features ``given[feature]``, the trace, or both."""
    kept = given & (inputs != "trace")
    return network.posterior(
        observation.x, observation.stimulus, kept, None if inputs == "features" else trace
    )


def check_inputs(
    simulator: Simulator,
    network: "Network",
    observation: Observation,
    trace: np.ndarray,
    prior: SimulationBatch,
    *,
    given: np.ndarray,
    seed: int,
    threads: int | None,
) -> InputResults:
    """Which input told more: on average (from the network's card) and at this recording.

    Predictions are compared in the features ``given[feature]``, the same ones for every input.
    """
    bins = network.trace_bins
    assert bins is not None  # only asked for networks that read traces
    card = network.card["information"]
    names = tuple(card["inputs"])
    if len(names) < 2:
        return InputResults(trace, bins)
    information, distance = [], []
    for name in names:
        posterior = posterior_given(network, observation, given=given, trace=trace, inputs=name)
        theta = posterior.sample(_SAMPLES, seed=derive_seed(seed, f"posterior given {name}"))
        gain = posterior.log_prob(theta) - network.prior_log_prob(theta)
        information.append(float(np.mean(gain)))
        batch = simulator.simulate(
            theta[: predictive_draws(simulator, _PREDICTIVE)],
            stimulus=observation.stimulus,
            seed=derive_seed(seed, "predictive check of inputs"),
            threads=threads,
        )
        check = compare_predictive(
            simulator.feature_set,
            observation.x,
            x=batch.x,
            status=batch.status,
            prior_x=prior.x,
            prior_status=prior.status,
        )
        distance.append(check.only(given).mean_distance)
    average = {
        key: np.array([card["inputs"][name][key] for name in names])
        for key in ("entropy", "information", "standard_error")
    }
    comparison = InputComparison(
        inputs=names,
        simulations=int(card["simulations"]),
        information_here=np.array(information),
        distance=np.array(distance),
        **average,
    )
    return InputResults(trace, bins, comparison)


def trace_reasons(features: Sequence[Feature], given: np.ndarray) -> list[Reason]:
    """What the other checks do not see of a posterior given a trace.

    Misspecification is checked for posteriors given features; and features that the model cannot
    produce are left out of a fit, but the trace still shows them.
    """
    unchecked = Reason(
        "caution",
        "whether the trace is of the kind that the network has learned from is not checked",
    )
    names = [in_words(f.name) for f, g in zip(features, given, strict=True) if not g]
    if not names:
        return [unchecked]
    return [
        unchecked,
        Reason(
            "caution",
            f"the network reads the trace, which also shows what the model cannot produce "
            f"({', '.join(names)})",
        ),
    ]
