"""What several verbs share: choices, ``--set name=value``, stimuli and shard lists as text."""

__all__ = [
    "Device",
    "Existing",
    "OutputFormat",
    "parse_settings",
    "parse_shards",
    "parse_stimulus",
]

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurosbi.errors import BadInputError

if TYPE_CHECKING:
    from neurosbi.contract import Simulator, Stimulus, StimulusFamily

_WORDS = {"true": True, "yes": True, "false": False, "no": False, "none": None}
_STEP_NUMBERS = ("amplitude", "onset", "duration", "total", "holding")
_RANGES = ("amplitude", "onset", "duration")
_STEP_EXAMPLE = "amplitude=170,onset=205,duration=1000,unit=pA"


Device = Annotated[
    str,
    typer.Option(help="Where networks run: auto (a GPU where there is one), cpu, cuda or cuda:1."),
]


class Existing(StrEnum):
    """What to do with output that exists."""

    resume = "resume"
    overwrite = "overwrite"
    error = "error"


class OutputFormat(StrEnum):
    """How the result is printed."""

    text = "text"
    json = "json"


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """``["dt=0.02", "channel=Kv"]`` as ``{"dt": 0.02, "channel": "Kv"}``.

    Numbers, true/false and none become values, everything else stays text. Raises
    `BadInputError` for a pair without ``=`` or a name given twice.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = (part.strip() for part in pair.partition("="))
        if not equals or not name or not text:
            raise BadInputError(
                f"a setting is written name=value, for example dt=0.02, not {pair!r}"
            )
        if name in settings:
            raise BadInputError(f"setting {name} is given twice; leave one out")
        if name == "features":
            raise BadInputError("the feature set is chosen with --features, not with --set")
        settings[name] = _value(text)
    return settings


def parse_shards(text: str) -> tuple[int, ...]:
    """``"0-3,7"`` as ``(0, 1, 2, 3, 7)``.

    Raises `BadInputError` if it is written in any other way.
    """
    shards: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first:
            raise BadInputError(f"shards are written like 3 or 0-9 or 0-3,7, not {text!r}")
        shards.update(range(first, last + 1))
    return tuple(sorted(shards))


def parse_stimulus(text: str, simulator: "Simulator") -> "Stimulus | StimulusFamily":
    """A stimulus as written on the command line.

    "family": all stimuli of the simulator's family; "default": the simulator's default stimulus;
    "amplitude=170,onset=205,duration=1000,total=1450,holding=0,unit=pA": one step (ms);
    the same with ranges low:high for amplitude, onset and duration: a family of steps. Currents
    without a unit are in pA, as in `Stimulus.step`.
    Raises `BadInputError` for anything else, and for a current into a model that takes none.
    """
    if text == "family":
        return simulator.stimulus_family
    if text == "default":
        return simulator.stimulus
    values = _step_values(text)
    if simulator.stimulus.is_spontaneous:
        raise BadInputError(
            f"{simulator.name} is spontaneously active and takes no current; leave --stimulus out"
        )
    unit = values.pop("unit", "pA")
    if any(":" in v for v in values.values()):
        return _step_family(text, values, unit)
    from neurosbi.contract import Stimulus

    numbers = {name: _number(name, v) for name, v in values.items()}
    return Stimulus.step(**numbers, unit=unit)


def _step_values(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for pair in text.split(","):
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or name not in (*_STEP_NUMBERS, "unit"):
            raise BadInputError(
                "a stimulus is family, default, or a step with amplitude, onset, duration and "
                f"perhaps total, holding and unit, like {_STEP_EXAMPLE}; {pair!r} is none of these"
            )
        values[name] = value
    missing = [name for name in _RANGES if name not in values]
    if missing:
        raise BadInputError(f"the step stimulus lacks {', '.join(missing)}; write {_STEP_EXAMPLE}")
    return values


def _step_family(text: str, values: dict[str, str], unit: str) -> "StimulusFamily":
    from neurosbi.contract import StepFamily

    if "total" in values or not all(":" in values[name] for name in _RANGES):
        raise BadInputError(
            "a family of steps has a range low:high for each of amplitude, onset and duration, "
            f"and no total, for example amplitude=50:300,onset=100:110,duration=500:600; got {text}"
        )
    ranges = {}
    for name in _RANGES:
        low, _, high = values[name].partition(":")
        ranges[name] = (_number(name, low), _number(name, high))
    return StepFamily(unit=unit, holding=_number("holding", values.get("holding", "0")), **ranges)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadInputError(f"{name} is a number, not {text!r}") from None


def _value(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
