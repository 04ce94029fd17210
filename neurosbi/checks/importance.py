"""What importance weights say about a posterior, for the verdict."""

__all__ = ["judge_importance"]

from collections.abc import Iterator

from neurosbi.checks.remedies import MORE_SIMULATIONS
from neurosbi.checks.verdict import Reason
from neurosbi.inference.importance import UNRELIABLE_K, ImportanceSamples

_HOPELESS_K = 1.0  # the mean of the weights is infinite: no number of draws helps


def judge_importance(samples: ImportanceSamples | None) -> Iterator[Reason]:
    """A reason against the posterior where the weights of its draws have a heavy tail.

    None (no likelihood, so no weights) gives none.
    """
    if samples is None:
        return
    k = samples.pareto_k
    if k > UNRELIABLE_K:
        yield Reason(
            "do not use" if k > _HOPELESS_K else "caution",
            "the network's posterior is too narrow or misses a part of the exact one: the "
            f"importance weights of its draws have a heavy tail (Pareto k {k:.2f}, at most "
            f"{UNRELIABLE_K:g} is reliable; efficiency {100 * samples.efficiency:.1f} %)",
            remedy=MORE_SIMULATIONS,
        )
