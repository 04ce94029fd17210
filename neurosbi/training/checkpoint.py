"""The state of an unfinished training on disk: written whole or not at all, read without pickle."""

__all__ = ["UnusableCheckpointError", "read_checkpoint", "write_checkpoint"]

from pathlib import Path
from typing import Any

import torch

from neurosbi.errors import BadInputError
from neurosbi.store import atomic_path

LAYOUT = 3


class UnusableCheckpointError(BadInputError):
    """A checkpoint that is damaged, of another version, or of another training."""


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors and plain data) to ``path``."""
    with atomic_path(path) as temporary:
        torch.save({"layout": LAYOUT, **state}, temporary)


def read_checkpoint(path: Path, *, device: torch.device) -> dict[str, Any]:
    """The state in ``path``. Raises `UnusableCheckpointError` if it is none of this program."""
    remedy = "delete it, or use --existing overwrite, to train from the start"
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # a damaged file ends in any kind of error, also KeyError
        raise UnusableCheckpointError(
            f"{path} is not a readable training checkpoint; {remedy}"
        ) from error
    if not isinstance(state, dict) or state.get("layout") != LAYOUT:
        raise UnusableCheckpointError(
            f"{path} is a checkpoint of another version of neurosbi; {remedy}"
        )
    return state
