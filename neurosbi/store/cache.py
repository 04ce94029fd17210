"""Where trained networks and simulations are kept between runs, and the key they are kept by."""

__all__ = ["cache_directory", "config_hash", "finite_data", "plain_data"]

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurosbi.cache_folder import cache_directory
from neurosbi.errors import BadInputError


def config_hash(config: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that are the same for equal plain data.

    The order of keys does not matter, nor whether a whole number is written 1 or 1.0, nor whether
    a sequence is a list, a tuple or a numpy array.
    """
    text = json.dumps(_whole_numbers(plain_data(config)), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def plain_data(values: Any) -> Any:
    """``values`` as JSON gives them back: dicts, lists, text, numbers, True, False, None.

    Raises `BadInputError` for anything that is not data (a function, an open file).
    """
    try:
        return json.loads(json.dumps(values, default=_from_numpy))
    except (TypeError, ValueError) as error:
        raise BadInputError(
            f"a configuration holds numbers, text and lists of them: {error}"
        ) from error


def finite_data(values: Any) -> Any:
    """`plain_data`, with None for numbers that are not finite (strict JSON has none of them).

    Raises `BadInputError` as `plain_data` does.
    """
    return _finite(plain_data(values))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _from_numpy(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{value!r} is of type {type(value).__name__}")


def _whole_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole_numbers(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(v) for v in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value
