"""Where trained networks and simulations are kept between runs, and the key they are kept by."""

__all__ = ["cache_directory", "config_hash"]

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs


def cache_directory() -> Path:
    """The user's cache folder for neurosbi; the variable NEUROSBI_CACHE_DIR moves it."""
    chosen = os.environ.get("NEUROSBI_CACHE_DIR")
    return (
        Path(chosen) if chosen else Path(platformdirs.user_cache_dir("neurosbi", appauthor=False))
    )


def config_hash(config: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that are the same for equal plain data, whatever the key order."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
