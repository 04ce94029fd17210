"""The steps of a fit to several sweeps: checks at every sweep, and what more sweeps bought."""

__all__ = [
    "SWEEP_DRAWS",
    "SweepChecks",
    "check_draws",
    "check_priors",
    "check_sweeps",
    "condition_of",
    "predictive_seed",
]

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from neurosbi.checks import (
    PredictiveCheck,
    compare_predictive,
    mean_distance,
    predictive_draws,
    producible_features,
)
from neurosbi.contract import (
    Observation,
    SimulationBatch,
    Simulator,
    Stimulus,
    SweepObservation,
    positions,
)
from neurosbi.progress import progress_bar
from neurosbi.seeds import derive_seed
from neurosbi.store.sweep_results import SweepGain, SweepResults

if TYPE_CHECKING:
    from neurosbi.inference.network import Network, Posterior

_PART = 1_000  # simulations between two steps of a progress bar
_PRIOR = 1_000  # prior draws simulated at each further sweep
SWEEP_DRAWS = 200  # posterior draws simulated at each sweep
_GAIN_DRAWS = 100  # posterior draws simulated at each held-out sweep, for each subset
_GAIN_SAMPLES = 1_000
_MOST_HELD_OUT = 5
_CENTRAL = (0.05, 0.95)


@dataclass(frozen=True, eq=False)
class SweepChecks:
    """Prior simulations at each sweep: ``batches`` of ``theta``; ``given[sweep, feature]``.

    ``of_training``: they are the first of those that the network is trained on.
    """

    theta: np.ndarray
    batches: tuple[SimulationBatch, ...]
    given: np.ndarray
    of_training: bool = False


def check_priors(
    simulator: Simulator,
    observations: Sequence[Observation],
    theta: np.ndarray,
    *,
    seed: int,
    threads: int | None,
    measured: np.ndarray | None = None,
    show: bool = False,
) -> SweepChecks:
    """Simulate prior draws at every sweep, all of ``theta[sim, theta]`` at the first one.

    Finds which of the features ``measured`` [feature] (None: all) the model can produce, sweep by
    sweep. ``show`` a progress bar.
    """
    batches, given = [], []
    sizes = [len(theta) if i == 0 else min(_PRIOR, len(theta)) for i in range(len(observations))]
    with progress_bar("Prior simulations", sum(sizes), show=show) as advance:
        for i, (observation, n) in enumerate(zip(observations, sizes, strict=True)):
            batch = _in_parts(
                simulator,
                theta[:n],
                observation.stimulus,
                seed=derive_seed(seed, "prior check" if i == 0 else f"prior check of sweep {i}"),
                threads=threads,
                advance=advance,
            )
            batches.append(batch)
            given.append(
                producible_features(
                    simulator.feature_set,
                    observation.x,
                    prior_x=batch.x,
                    prior_status=batch.status,
                    measured=measured,
                )
            )
    return SweepChecks(theta, tuple(batches), np.array(given))


def _in_parts(
    simulator: Simulator,
    theta: np.ndarray,
    stimulus: Stimulus,
    *,
    seed: int,
    threads: int | None,
    advance: Callable[[int], None],
) -> SimulationBatch:
    """The simulations of ``theta[sim, theta]``, which do not depend on how they are cut."""
    parts = []
    for start in range(0, len(theta), _PART):
        rows = theta[start : start + _PART]
        parts.append(
            simulator.simulate(rows, stimulus=stimulus, seed=seed, start=start, threads=threads)
        )
        advance(len(rows))
    return SimulationBatch(
        np.concatenate([p.x for p in parts]), np.concatenate([p.status for p in parts])
    )


def predictive_seed(seed: int, sweep: int, *, together: bool) -> int:
    """The seed of the noise in a fit's predictive simulations of its ``sweep``-th sweep."""
    if together:
        return derive_seed(seed, f"predictive check of sweep {sweep}")
    return derive_seed(derive_seed(seed, "predictive check"), "posterior predictive")


def condition_of(
    network: "Network", observations: Sequence[Observation], given: np.ndarray | None
) -> "Posterior":
    """The posterior of a network of sets given these sweeps; ``given[sweep, feature]``."""
    # by their columns: the holding currents were judged against the whole set
    stimuli = np.array([network.family.vector(o.stimulus) for o in observations])
    return network.posterior(np.array([o.x for o in observations]), stimuli, given)


def check_sweeps(
    simulator: Simulator,
    network: "Network | None",
    observations: Sequence[SweepObservation],
    theta: np.ndarray,
    prior: SweepChecks,
    *,
    given: np.ndarray,
    seed: int,
    threads: int | None,
) -> SweepResults:
    """Predictions of posterior draws ``theta[draw, theta]`` at every sweep, and `SweepGain`.

    Without a ``network`` of sets the gain is left out.
    """
    theta = theta[: predictive_draws(simulator, SWEEP_DRAWS)]
    batches = [
        simulator.simulate(
            theta,
            stimulus=o.stimulus,
            seed=predictive_seed(seed, i, together=True),
            threads=threads,
        )
        for i, o in enumerate(observations)
    ]
    steps = [(o.stimulus.amplitude, o.stimulus.holding) for o in observations]
    times = [(o.stimulus.onset, o.stimulus.duration) for o in observations]
    results = SweepResults(
        number=tuple(o.sweep for o in observations),
        unit=observations[0].stimulus.unit,
        step=np.column_stack([steps, times]),
        x=np.array([o.x for o in observations]),
        given=np.asarray(given, dtype=bool),
        predictive_x=np.array([b.x for b in batches]),
        predictive_status=np.array([b.status for b in batches], dtype=np.int8),
        prior_x=np.array([b.x[:_PRIOR] for b in prior.batches]),
        prior_status=np.array([b.status[:_PRIOR] for b in prior.batches], dtype=np.int8),
    )
    if network is None or len(observations) < 2:
        return results
    gain = _gain(simulator, network, observations, prior, given=given, seed=seed, threads=threads)
    return replace(results, gain=gain)


def _gain(
    simulator: Simulator,
    network: "Network",
    observations: Sequence[SweepObservation],
    prior: SweepChecks,
    *,
    given: np.ndarray,
    seed: int,
    threads: int | None,
) -> SweepGain:
    """Posteriors given 1, 2, 4, ... sweeps and given all, and how well they predict others."""
    order, held_out = _order_of_adding(observations)
    sizes = [2**k for k in range(10) if 2**k < len(order)] + [len(order)]
    subsets = [order[:size] for size in sizes]
    if held_out:
        subsets.append([*order, *held_out])
    prior_log_prob = network.prior_log_prob
    width, information, distance = [], [], []
    for subset in subsets:
        posterior = condition_of(network, [observations[i] for i in subset], given[subset])
        theta = posterior.sample(_GAIN_SAMPLES, seed=derive_seed(seed, f"subset {subset}"))
        place = 0.5 * (positions(simulator.parameters, theta) + 1)
        q5, q95 = np.quantile(place, _CENTRAL, axis=0)
        width.append((q95 - q5) / (_CENTRAL[1] - _CENTRAL[0]))
        information.append(float(np.mean(posterior.log_prob(theta) - prior_log_prob(theta))))
        checks = [
            check_draws(
                simulator,
                observations[i],
                theta[:_GAIN_DRAWS],
                prior.batches[i],
                given[i],
                seed=derive_seed(seed, f"held-out sweep {i}"),
                threads=threads,
            )
            for i in held_out
            if i not in subset
        ]
        distance.append(mean_distance(checks))
    return SweepGain(
        order=tuple(observations[i].sweep for i in order),
        held_out=tuple(observations[i].sweep for i in held_out),
        size=np.array([len(s) for s in subsets]),
        width=np.array(width),
        information=np.array(information),
        distance=np.array(distance),
    )


def _order_of_adding(observations: Sequence[Observation]) -> tuple[list[int], list[int]]:
    """Indices in the order in which sweeps are added, and those held out to predict.

    The first sweep comes first, then those that lie farthest (in amplitude) from all that were
    taken; every third sweep, by amplitude, is held out, at most five of them.
    """
    amplitude = np.array([o.stimulus.amplitude for o in observations])
    by_amplitude = [i for i in np.argsort(amplitude, kind="stable").tolist() if i != 0]
    held_out = by_amplitude[1::3] if len(observations) > 2 else []
    if len(held_out) > _MOST_HELD_OUT:
        places = np.linspace(0, len(held_out) - 1, _MOST_HELD_OUT).round().astype(int)
        held_out = [held_out[i] for i in places]
    order, left = [0], [i for i in by_amplitude if i not in held_out]
    while left:
        gaps = [min(abs(amplitude[i] - amplitude[j]) for j in order) for i in left]
        order.append(left.pop(int(np.argmax(gaps))))
    return order, held_out


def check_draws(
    simulator: Simulator,
    observation: Observation,
    theta: np.ndarray,
    prior: SimulationBatch,
    given: np.ndarray,
    *,
    seed: int,
    threads: int | None,
) -> PredictiveCheck:
    """The check of the features ``given`` [feature] at one sweep, on draws ``theta[draw, theta]``."""
    batch = simulator.simulate(theta, stimulus=observation.stimulus, seed=seed, threads=threads)
    return compare_predictive(
        simulator.feature_set,
        observation.x,
        x=batch.x,
        status=batch.status,
        prior_x=prior.x,
        prior_status=prior.status,
    ).only(given)
