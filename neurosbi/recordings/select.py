"""Which sweeps a fit takes, and why it cannot take any."""

__all__ = [
    "default_sweep",
    "format_sweeps",
    "parse_sweeps",
    "sampled_alike",
    "select_sweeps",
    "usable_sweeps",
    "why_no_fit",
]

import re
from collections import Counter
from collections.abc import Iterable

from neurosbi.contract import Recording, Sweep
from neurosbi.errors import BadInputError
from neurosbi.recordings.passive import rheobase

LEAST_SPIKES = 5
ABOVE_RHEOBASE = 1.5
_MOST_SWEEPS = 100_000
_SAME_DT = 1e-6  # ms


def parse_sweeps(text: str) -> tuple[int, ...]:
    """``"12,14-18"`` as (12, 14, 15, 16, 17, 18), sorted and without repeats.

    Raises `BadInputError` for anything else than numbers, ranges and commas.
    """
    if not text.strip():
        raise BadInputError("no sweeps are named; write them like 12,14-18")
    numbers: set[int] = set()
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if not found:
            raise BadInputError(
                f"sweeps {text!r} are not understood at {part.strip()!r}; write them like 12,14-18"
            )
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise BadInputError(
                f"the range of sweeps {part.strip()} runs backwards; write {last}-{first}"
            )
        if last - first > _MOST_SWEEPS:
            raise BadInputError(
                f"the range of sweeps {part.strip()} is longer than any recording; write one of at most {_MOST_SWEEPS}"
            )
        numbers.update(range(first, last + 1))
    return tuple(sorted(numbers))


def format_sweeps(numbers: Iterable[int]) -> str:
    """The inverse of `parse_sweeps`: ``(12, 14, 15, 16)`` as ``"12,14-16"``."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs)


def select_sweeps(
    recording: Recording, numbers: str | Iterable[int] | None = None
) -> tuple[Sweep, ...]:
    """The sweeps with these numbers (text as for `parse_sweeps`), all of them for None.

    Raises `BadInputError` that lists the existing numbers when one does not exist.
    """
    if numbers is None:
        return recording.sweeps
    wanted = parse_sweeps(numbers) if isinstance(numbers, str) else tuple(numbers)
    existing = {s.number: s for s in recording.sweeps}
    unknown = [n for n in wanted if n not in existing]
    if unknown:
        raise BadInputError(
            f"{recording.path.name} has no sweep {format_sweeps(unknown)}; it has "
            f"{format_sweeps(existing)}"
        )
    if not wanted:
        raise BadInputError("no sweep was chosen; leave the choice out to take all")
    return tuple(existing[n] for n in wanted)


def usable_sweeps(recording: Recording) -> tuple[Sweep, ...]:
    """The sweeps without a problem."""
    return tuple(s for s in recording.sweeps if s.problem is None)


def sampled_alike(a: Sweep, b: Sweep) -> bool:
    """Whether features of both can be compared: a fit of several sweeps takes those of one dt."""
    return abs(a.dt - b.dt) <= _SAME_DT


def default_sweep(recording: Recording) -> Sweep:
    """The sweep that a fit of one sweep takes.

    Of the usable sweeps with a depolarising test step: the one with the smallest step of at least
    1.5 times rheobase and 5 spikes or more, since near rheobase few spikes carry little
    information and far above it the cell is driven beyond its usual range. If there is none, the
    one with most spikes; without spiking steps the sweep with most spikes during any other
    stimulus. Ties go to the first sweep.

    Raises `BadInputError` with the sentence of `why_no_fit` when nothing can be fitted.
    """
    reason = why_no_fit(recording)
    if reason is not None:
        raise BadInputError(f"{recording.path}: {reason}")
    spiking = [s for s in usable_sweeps(recording) if s.spikes > 0]
    stepped = [s for s in spiking if _amplitude(s) > 0]
    least = ABOVE_RHEOBASE * (rheobase(recording) or 0.0) - 1e-6
    good = [s for s in stepped if s.spikes >= LEAST_SPIKES and _amplitude(s) >= least]
    if good:
        return min(good, key=lambda s: (round(_amplitude(s), 1), s.number))
    return max(stepped or spiking, key=lambda s: (s.spikes, -s.number))


def why_no_fit(recording: Recording) -> str | None:
    """One sentence saying why nothing in the recording can be fitted, None if something can."""
    usable = usable_sweeps(recording)
    if any(s.spikes > 0 for s in usable):
        return None
    n = len(recording.sweeps)
    if all(s.clamp == "voltage" for s in recording.sweeps):
        return (
            f"{'its only sweep is' if n == 1 else f'all {n} sweeps are'} voltage clamp; record the "
            "cell in current clamp (inject current, measure voltage)"
        )
    if not usable:
        (problem, count), *_ = Counter(s.problem for s in recording.sweeps).most_common(1)
        which = "its only sweep" if n == 1 else f"{count} of {n} sweeps"
        return f"no sweep can be used ({which}: {problem})"
    if any(s.steps or s.spikes for s in usable) and not any(_amplitude(s) > 0 for s in usable):
        return (
            "the cell does not spike, and there is no depolarising step of 40 ms or more; add "
            "sweeps with a step above threshold"
        )
    strongest = max(_amplitude(s) for s in usable)
    upto = f" up to {strongest:g} pA" if strongest > 0 else ""
    return (
        f"the cell does not spike in any sweep{upto} (no crossing of -10 mV); add sweeps with a "
        "stronger step"
    )


def _amplitude(sweep: Sweep) -> float:
    return sweep.test_step.amplitude if sweep.test_step is not None else 0.0
