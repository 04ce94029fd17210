"""The calibration of a network, kept beside it: ``calibration.json`` in the network's folder.

It is keyed by the network's configuration, so that one left by another network is not taken for
its own, and replaced whole or not at all.
"""

__all__ = ["CALIBRATION", "network_hash", "read_calibration", "write_calibration"]

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from neurosbi.store.atomic import atomic_path
from neurosbi.store.cache import config_hash, finite_data

CALIBRATION = "calibration.json"
_LAYOUT = 2  # also raised when test cases are drawn or ranked in another way


def network_hash(card: Mapping[str, Any]) -> str:
    """What a calibration is keyed by: the configuration of the training."""
    return str(card.get("config_hash") or config_hash(finite_data(dict(card))))


def read_calibration(folder: Path, card: Mapping[str, Any]) -> xr.Dataset | None:
    """The stored calibration of the network in ``folder``; None if it has no readable one."""
    try:
        stored = json.loads((Path(folder) / CALIBRATION).read_text())
        if stored["layout"] != _LAYOUT or stored["network"] != network_hash(card):
            return None
        return xr.Dataset.from_dict(stored["calibration"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # it can be computed again


def write_calibration(folder: Path, card: Mapping[str, Any], calibration: xr.Dataset) -> None:
    """Keep ``calibration`` in the network's ``folder``."""
    stored = {
        "layout": _LAYOUT,
        "network": network_hash(card),
        "calibration": calibration.to_dict(data="list"),
    }
    with atomic_path(Path(folder) / CALIBRATION) as temporary:
        temporary.write_text(json.dumps(stored, allow_nan=False) + "\n")
