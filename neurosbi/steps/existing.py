"""Results that are there already: refuse, take, or replace them."""

__all__ = ["Existing", "claim_folder", "existing_result"]

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from neurosbi.contract import in_words
from neurosbi.errors import BadInputError
from neurosbi.progress import say
from neurosbi.steps.plan import Plan
from neurosbi.steps.result import Result
from neurosbi.steps.result_folder import open_result
from neurosbi.store import config_hash
from neurosbi.store.atomic import check_writable

Existing = Literal["error", "resume", "skip", "overwrite"]

# where a network lies does not matter, nor whether prior simulations were left of its training
_NOT_COMPARED = ("network", "network_path", "prior_simulations")


def claim_folder(folder: Path, plan: Plan, existing: Existing, *, show: bool) -> Result | None:
    """`existing_result`, said on stderr; where there is none, make sure the folder can be written."""
    done = existing_result(folder, plan, existing)
    if done is None:
        check_writable(folder)
    else:
        differing = _differing(done.config, plan.config)
        say(
            f"{folder} holds a result of another configuration ({', '.join(differing)}) and is left "
            "as it is; --existing overwrite replaces it"
            if differing
            else f"{folder} holds this result already",
            show=show,
        )
    return done


def existing_result(folder: Path, plan: Plan, existing: Existing) -> Result | None:
    """The finished result to return instead of fitting, if any; refuses where one is in the way."""
    if existing not in ("error", "resume", "skip", "overwrite"):
        raise BadInputError(f"existing is error, resume, skip or overwrite, not {existing!r}")
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"{folder} is a file; give a folder for the result with -o")
    if not folder.exists() or not any(folder.iterdir()):
        return None
    if not (folder / "manifest.json").is_file():
        raise BadInputError(
            f"{folder} exists and holds no result of neurosbi; choose another folder with -o"
        )
    if existing == "overwrite":
        return None
    if existing == "error":
        raise BadInputError(
            f"there is a result in {folder} already; choose another folder with -o, or say "
            "--existing overwrite, skip or resume"
        )
    result = open_result(folder)
    remedy = "choose another folder with -o, or replace it with --existing overwrite"
    if result.config.get("recording") != plan.config["recording"]:
        raise BadInputError(
            f"{folder} holds the result of another recording than {plan.recording.path}; {remedy}"
        )
    differing = _differing(result.config, plan.config)
    if existing == "resume" and differing:
        raise BadInputError(
            f"{folder} holds the result of another configuration ({', '.join(differing)}); {remedy}"
        )
    return result


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The names, in words, of what two configurations do not share."""
    return [
        in_words(name)
        for name in sorted({*one, *other} - {*_NOT_COMPARED})
        if config_hash({"": one.get(name)}) != config_hash({"": other.get(name)})
    ]
