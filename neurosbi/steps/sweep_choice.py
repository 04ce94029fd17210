"""Which sweeps of a recording are fitted together, and why others are not."""

__all__ = ["TooFewSweepsError", "sweeps_together"]

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from neurosbi.contract import Recording, Simulator, Sweep, SweepObservation, SweepSets
from neurosbi.contract.families import HOLDING_TOLERANCE
from neurosbi.errors import BadInputError
from neurosbi.recordings import format_sweeps, sampled_alike


class TooFewSweepsError(BadInputError):
    """There is nothing that sweeps could be fitted together with; ``reason`` says why."""

    def __init__(self, recording: Recording, reason: str) -> None:
        super().__init__(f"{recording.path.name} cannot be fitted as a set of sweeps: {reason}")
        self.reason = reason


def sweeps_together(
    recording: Recording,
    chosen: Sequence[Sweep],
    simulator: Simulator,
    family: SweepSets,
    *,
    reference: Sweep,
    least: int,
    by_name: bool,
) -> tuple[list[SweepObservation], list[str]]:
    """The observations of the ``chosen`` sweeps that ``family`` can hold, ``reference`` first.

    Also gives notes on what was left out. ``by_name`` says that the user named the sweeps: then
    they must have been sampled alike; otherwise those sampled like ``reference`` are taken.

    Raises `TooFewSweepsError` if the recording as a whole has fewer than ``least`` of them or the
    reference is not one of them, `BadInputError` for named sweeps of different sampling.
    """
    largest = max((abs(s.test_step.amplitude) for s in recording.sweeps if s.test_step), default=0)
    observed: dict[int, SweepObservation] = {}
    reasons: dict[int, str] = {}
    for sweep in recording.sweeps:
        found = _observation(sweep, simulator, family, largest=largest)
        if isinstance(found, str):
            reasons[sweep.number] = found
        else:
            observed[sweep.number] = found
    if len(observed) < least or reference.number not in observed:
        raise TooFewSweepsError(
            recording,
            f"of sweep {reference.number}, {reasons[reference.number]}"
            if reference.number in reasons
            else f"it has fewer than {least} usable steps",
        )
    numbers = [s.number for s in chosen]
    usable = [s for s in chosen if s.number in observed]
    left_out = {n: reasons[n] for n in numbers if n in reasons}
    usable, others = _sampled_alike(recording, usable, reference, by_name=by_name)
    left_out |= {s.number: f"it is sampled every {s.dt:g} ms" for s in others}
    usable, dense = _spread(usable, reference, most=family.most)
    left_out |= {s.number: f"a fit takes at most {family.most} sweeps" for s in dense}
    ordered = [reference, *(s for s in usable if s.number != reference.number)]
    return [observed[s.number] for s in ordered], _notes(left_out)


def _observation(
    sweep: Sweep, simulator: Simulator, family: SweepSets, *, largest: float
) -> SweepObservation | str:
    """The sweep as the simulator sees it, or why it cannot be in a set."""
    if sweep.problem:
        return sweep.problem
    if sweep.test_step is None:
        return "it has no current step"
    try:
        observation = simulator.observe(sweep)
    except BadInputError as error:
        return str(error)
    if not np.isfinite(observation.x).any():
        return "all its features are undefined"
    stimulus = observation.stimulus
    # against the largest step of the cell: beside a step near 0 any holding current would be large
    if abs(sweep.test_step.holding) <= HOLDING_TOLERANCE * largest:
        stimulus = replace(stimulus, holding=family.steps.holding)
    return family.why_not(stimulus) or observation


def _sampled_alike(
    recording: Recording, usable: Sequence[Sweep], reference: Sweep, *, by_name: bool
) -> tuple[list[Sweep], list[Sweep]]:
    """Those sampled as often as the reference sweep, and the others."""
    alike = [s for s in usable if sampled_alike(s, reference)]
    others = [s for s in usable if not sampled_alike(s, reference)]
    if by_name and others:
        raise BadInputError(
            f"{recording.path.name}: sweeps {format_sweeps(s.number for s in alike)} are sampled "
            f"every {reference.dt:g} ms, but {format_sweeps(s.number for s in others)} every "
            f"{others[0].dt:g} ms; features of both cannot be compared, so fit them separately "
            "(--sweeps)"
        )
    return alike, others


def _spread(
    usable: Sequence[Sweep], reference: Sweep, *, most: int
) -> tuple[list[Sweep], list[Sweep]]:
    """At most ``most`` sweeps, evenly spread over the amplitudes, the reference among them."""
    if len(usable) <= most:
        return list(usable), []
    rest = [s for s in usable if s.number != reference.number]
    rest.sort(key=lambda s: (s.test_step.amplitude if s.test_step else 0.0, s.number))
    places = np.unique(np.linspace(0, len(rest) - 1, most - 1).round().astype(int))
    kept = {reference.number, *(rest[i].number for i in places)}
    return [s for s in usable if s.number in kept], [s for s in usable if s.number not in kept]


def _notes(left_out: dict[int, str]) -> list[str]:
    """One note for every reason, the most frequent first."""
    return [
        f"sweep{'s' if count > 1 else ''} "
        f"{format_sweeps(n for n, other in left_out.items() if other == reason)} left out: {reason}"
        for reason, count in Counter(left_out.values()).most_common()
    ]
