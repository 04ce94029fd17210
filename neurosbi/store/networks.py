"""A trained network on disk: a folder with ``weights.safetensors`` and ``card.json``.

The folder appears whole or not at all. Weights are plain tensors: nothing is ever unpickled.
"""

__all__ = ["is_network", "read_network", "write_network"]

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from neurosbi.errors import BadInputError
from neurosbi.store.atomic import atomic_path
from neurosbi.store.cache import finite_data

CARD, WEIGHTS = "card.json", "weights.safetensors"
LAYOUT = 2

_PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def write_network(path: Path, weights: Mapping[str, np.ndarray], card: Mapping[str, Any]) -> None:
    """Write the folder ``path``; an earlier one there is replaced only when this one is whole."""
    with atomic_path(Path(path)) as temporary:
        temporary.mkdir()
        save_file(dict(weights), temporary / WEIGHTS)
        text = json.dumps(finite_data({"layout": LAYOUT, **card}), indent=1, allow_nan=False)
        (temporary / CARD).write_text(text + "\n")


def read_network(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The weights by name and the card.

    Raises `BadInputError` when the folder is missing, incomplete, damaged, of a later layout, or
    when the weights are a pickle (which could run any code and is never opened).
    """
    path = Path(path)
    if path.is_file():
        what = "a pickled file" if _is_pickle(path) else "a file"
        raise BadInputError(
            f"{path} is {what}, not a network: a network is a folder with {CARD} and {WEIGHTS}, "
            "written by neurosbi train"
        )
    if not path.is_dir():
        raise BadInputError(f"there is no network at {path}; train one with neurosbi train")
    for name in (CARD, WEIGHTS):
        if not (path / name).is_file():
            raise BadInputError(f"{path} is not a network: it has no {name}")
    card = _read_card(path / CARD)
    weights = path / WEIGHTS
    if _is_pickle(weights):
        raise BadInputError(
            f"{weights} is a pickle, which could run any code when opened, so it is refused; "
            "train the network again with neurosbi train"
        )
    try:
        return load_file(weights), card
    except (SafetensorError, OSError, ValueError) as error:
        raise BadInputError(f"{weights} is damaged ({error}); train the network again") from error


def is_network(path: Path) -> bool:
    """Whether ``path`` holds a finished network."""
    return (Path(path) / CARD).is_file() and (Path(path) / WEIGHTS).is_file()


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text())
    except (ValueError, OSError) as error:
        raise BadInputError(f"{path} is damaged ({error}); train the network again") from error
    if not isinstance(card, dict) or "layout" not in card:
        raise BadInputError(f"{path} is not the card of a network; train the network again")
    if card["layout"] != LAYOUT:
        raise BadInputError(
            f"{path} has layout {card['layout']}, this version of neurosbi reads {LAYOUT}; "
            "update neurosbi or train the network again"
        )
    return card


def _is_pickle(path: Path) -> bool:
    """torch.save files are zip archives of a pickle; plain pickles start with their protocol."""
    with path.open("rb") as file:
        start = file.read(9)
    # A safetensors file begins with the length of its JSON header as 8 bytes, little-endian, and
    # that number can look like the start of a pickle (1408 is 0x80 0x05).
    if start[8:] == b"{" and 8 + int.from_bytes(start[:8], "little") <= path.stat().st_size:
        return False
    return start.startswith(_PICKLE_STARTS)
