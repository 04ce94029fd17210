"""May this posterior be used? One of three words, and the reasons in sentences.

**do not use**, if any of these holds:

1. an observed feature lies outside what the model can produce by more than ``FAR_OUTSIDE`` of the
   model's range, or the recording has a feature that no simulation has (or the reverse);
2. the combination of features is more than ``FAR_JOINT`` times as far from the nearest simulations
   as 99 % of the simulations are;
3. fewer than ``FEWEST_VALID`` of the posterior draws give a simulation that ends properly;
4. predictions of the posterior are, in the median feature, farther from the recording than
   those of the prior (ratio of distances above ``WORSE_THAN_PRIOR``);
5. more than ``MOST_MISSED`` of the compared features are not reproduced;
6. almost no prediction (share below ``NO_AGREEMENT``) agrees with the recording on whether a
   feature is defined.

**caution**, if none of those but any of these holds: a feature or the combination lies outside by
less; between ``FEWEST_VALID`` and ``MOST_VALID`` of the draws are valid; the ratio of distances is
above ``HARDLY_BETTER``; any feature is not reproduced; few predictions (share below
``LITTLE_AGREEMENT``) agree on whether a feature is defined; no feature can be compared.

Features that were left out of the fit (see `selection`) do not enter these rules. Leaving out any
is a reason for caution; leaving out more than ``MOST_LEFT_OUT`` of them, not to use the posterior.

**trust** otherwise. Further checks add `Reason` objects of their own (see `calibration`,
`local_calibration` and `misspecification` for their rules); the worst level among all reasons is
the verdict.
"""

__all__ = ["LEVELS", "Level", "Reason", "Verdict", "judge", "verdict_of"]

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from neurosbi.checks.predictive import PredictiveCheck
from neurosbi.checks.prior_predictive import PriorPredictiveCheck
from neurosbi.checks.remedies import ANOTHER_MODEL, MORE_SIMULATIONS
from neurosbi.contract import in_words

Level = Literal["trust", "caution", "do not use"]
LEVELS: tuple[Level, ...] = ("trust", "caution", "do not use")

# At the rim of the prior range a network still interpolates between nearby simulations; a tenth of
# the whole range beyond the last simulation it does not.
FAR_OUTSIDE = 0.1
FAR_JOINT = 2.0
# Draws that blow up are parameter sets that cannot have made the recording: the posterior then
# puts that much of its mass on impossible models.
FEWEST_VALID = 0.5
MOST_VALID = 0.95
# 1: conditioning on the recording did not bring the simulations nearer to it.
WORSE_THAN_PRIOR = 1.0
HARDLY_BETTER = 0.6
MOST_MISSED = 0.5
NO_AGREEMENT = 0.05
# Under the right posterior the recording is one more prediction: where two of three predictions
# have a feature, one recording of three lacks it, and nothing is wrong.
LITTLE_AGREEMENT = 0.2
# Fewer complete predictions than this are told beside their distance, which is that of the others.
NEARLY_ALL = 0.95
# With half of what was measured out of reach, the model is one of another kind of cell.
MOST_LEFT_OUT = 0.5

_OPENINGS = {
    "trust": "This posterior can be trusted as far as it was checked",
    "caution": "Use this posterior with caution",
    "do not use": "Do not use this posterior",
}


@dataclass(frozen=True)
class Reason:
    """One finding: what it means for the posterior, and the sentence that says so.

    ``source`` names the check it comes from, for those that can be repeated by themselves;
    ``remedy`` what can be done about it, "" where nothing can.
    """

    level: Level
    sentence: str
    source: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Verdict:
    """The level and the reasons for it, worst first, and what can be done about them."""

    level: Level
    reasons: tuple[str, ...]
    remedies: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The verdict in one sentence, with its reasons."""
        return f"{_OPENINGS[self.level]}: {'; '.join(self.reasons)}."

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "level": self.level,
            "reasons": list(self.reasons),
            "remedies": list(self.remedies),
        }

    @property
    def opening(self) -> str:
        """The verdict without its reasons."""
        return _OPENINGS[self.level]


def judge(
    predictive: PredictiveCheck,
    prior_predictive: PriorPredictiveCheck,
    *,
    left_out: Sequence[str] = (),
    further: Iterable[Reason] = (),
    exact: bool = False,
) -> Verdict:
    """The verdict by the rules above, with the reasons of ``further`` checks added.

    Both checks are those of the features that were used; ``left_out`` describes the others. Of an
    ``exact`` posterior (no network) predictions that are far off speak against the model alone.
    """
    reasons = [
        *_left_out(left_out, len(predictive.features)),
        *_reach(prior_predictive),
        *_predictions(predictive, ANOTHER_MODEL if exact else MORE_SIMULATIONS),
        *further,
    ]
    return verdict_of(reasons, otherwise=_all_well(predictive))


def verdict_of(reasons: Iterable[Reason], *, otherwise: str) -> Verdict:
    """The worst level among ``reasons``; ``otherwise`` is the reason to trust when there are none."""
    ordered = sorted(reasons, key=lambda reason: -LEVELS.index(reason.level))
    if not ordered or ordered[0].level == "trust":
        return Verdict("trust", (otherwise, *(r.sentence for r in ordered)))
    against = [r for r in ordered if r.level != "trust"]
    remedies = dict.fromkeys(r.remedy for r in against if r.remedy)
    return Verdict(ordered[0].level, tuple(r.sentence for r in against), tuple(remedies))


def _left_out(described: Sequence[str], used: int) -> Iterator[Reason]:
    if described:
        share = len(described) / (len(described) + used)
        yield Reason(
            "do not use" if share > MOST_LEFT_OUT else "caution",
            f"left out of the fit, because the model cannot produce {'them' if len(described) > 1 else 'it'} "
            f"together with the other features: {'; '.join(described)}",
            remedy=ANOTHER_MODEL,
        )


def _reach(check: PriorPredictiveCheck) -> Iterator[Reason]:
    far = check.outside & (check.excess > FAR_OUTSIDE)
    near = check.outside & ~far
    if far.any():
        items = "; ".join(check.describe(i) for i in np.flatnonzero(far))
        noun = "these features lie" if far.sum() > 1 else "this feature lies"
        yield Reason(
            "do not use",
            f"{noun} outside what the model can produce: {items}",
            remedy=ANOTHER_MODEL,
        )
    if near.any():
        items = "; ".join(check.describe(i) for i in np.flatnonzero(near))
        yield Reason(
            "caution",
            f"at the very edge of what the model can produce: {items}",
            remedy=ANOTHER_MODEL,
        )
    if check.joint_outside:
        level = "do not use" if check.joint_ratio > FAR_JOINT else "caution"
        yield Reason(
            level,
            "no simulation combines the features as the recording does (it is "
            f"{check.joint_ratio:.1f} times as far from its neighbours as 99 % of the simulations)",
            remedy=ANOTHER_MODEL,
        )


def _presence(
    check: PredictiveCheck, level: Level, chosen: np.ndarray, how: str, only: str, remedy: str
) -> Iterator[Reason]:
    """One reason for all features that are ``how`` in the recording and seldom so in predictions."""
    if not chosen.any():
        return
    names = [in_words(f.name) for f, c in zip(check.features, chosen, strict=True) if c]
    low, high = (f"{100 * f(check.defined[chosen]):.0f}" for f in (np.min, np.max))
    be, them = ("is", "it") if len(names) == 1 else ("are", "them")
    yield Reason(
        level,
        f"{', '.join(names)} {be} {how} in the recording, but {only}"
        f"{low if low == high else f'{low} to {high}'} % of the predictions have {them}",
        remedy=remedy,
    )


def _predictions(check: PredictiveCheck, remedy: str) -> Iterator[Reason]:
    if check.valid_fraction < MOST_VALID:
        yield Reason(
            "do not use" if check.valid_fraction < FEWEST_VALID else "caution",
            f"only {100 * check.valid_fraction:.0f} % of the posterior draws give a simulation that "
            "ends properly",
            remedy=remedy,
        )
    if not check.valid.any():
        return
    observed = np.isfinite(check.x_observed)
    never, seldom = check.presence < NO_AGREEMENT, check.presence < LITTLE_AGREEMENT
    levels: tuple[tuple[Level, np.ndarray], ...] = (
        ("do not use", never),
        ("caution", seldom & ~never),
    )
    for level, chosen in levels:
        yield from _presence(check, level, chosen & observed, "defined", "only ", remedy)
        yield from _presence(check, level, chosen & ~observed, "undefined", "", remedy)
    compared = np.isfinite(check.distance)
    if not compared.any():
        yield Reason("caution", "no feature of the recording could be compared with predictions")
        return
    ratio = check.relative_distance
    if ratio > HARDLY_BETTER:
        far = ratio > WORSE_THAN_PRIOR
        yield Reason(
            "do not use" if far else "caution",
            f"simulations of the posterior are {'farther from' if far else 'hardly nearer to'} the "
            "recording than simulations of the prior in half of the features or more "
            f"({ratio:.2f} times their distance in the median one)",
            remedy=remedy,
        )
    missed = np.flatnonzero(check.missed)
    if len(missed):
        names = ", ".join(in_words(check.features[i].name) for i in missed)
        most = len(missed) > MOST_MISSED * compared.sum()
        yield Reason(
            "do not use" if most else "caution",
            f"simulations of the posterior do not reproduce {names}",
            remedy=remedy,
        )


def _all_well(check: PredictiveCheck) -> str:
    facts = []
    if np.isfinite(check.mean_distance):
        facts.append(f"mean distance {check.mean_distance:.2f} prior standard deviations")
    values = check.x[check.valid][:, np.isfinite(check.x_observed)]
    complete = float(np.mean(np.isfinite(values).all(axis=1))) if len(values) else 1.0
    if complete < NEARLY_ALL:
        facts.append(f"{100 * complete:.0f} % of the simulations have all that the recording has")
    together = "; ".join(facts)
    return (
        "the recording lies within what the model can produce, and simulations of the posterior "
        f"reproduce its features{f' ({together})' if facts else ''}"
    )
