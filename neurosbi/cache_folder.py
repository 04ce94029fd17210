"""The user's cache folder: networks, simulations and compiled code that are kept between runs."""

__all__ = ["cache_directory"]

import os
from pathlib import Path

import platformdirs


def cache_directory() -> Path:
    """The user's cache folder for neurosbi; the variable NEUROSBI_CACHE_DIR moves it."""
    chosen = os.environ.get("NEUROSBI_CACHE_DIR")
    return (
        Path(chosen).expanduser()
        if chosen
        else Path(platformdirs.user_cache_dir("neurosbi", appauthor=False))
    )
