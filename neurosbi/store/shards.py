"""One shard of a simulation store is present only if its marker says so.

A marker ``shards/<k>.json`` is written, atomically, after all arrays of the shard. It holds a
checksum of each array, so that a shard which was cut short, or altered later, is noticed.
"""

__all__ = ["ShardMarker", "checksum", "marker_path", "read_marker", "write_marker"]

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from neurosbi.store.atomic import write_json


@dataclass(frozen=True)
class ShardMarker:
    """Rows ``start .. stop``, the CRC-32 of each array, and counts for a summary.

    ``valid`` counts simulations that ended properly, ``undefined[feature]`` those among them in
    which a feature is undefined.
    """

    start: int
    stop: int
    crc32: Mapping[str, int]
    valid: int
    undefined: tuple[int, ...]


def checksum(values: np.ndarray) -> int:
    """CRC-32 of the array's little-endian bytes in C order."""
    values = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return zlib.crc32(values.data.cast("B")) if values.size else 0


def marker_path(store: Path, shard: int) -> Path:
    """The file that says shard ``shard`` is complete."""
    return store / "shards" / f"{shard:06d}.json"


def write_marker(store: Path, shard: int, marker: ShardMarker) -> None:
    """Declare a shard complete; its arrays must be on disk by now."""
    write_json(marker_path(store, shard), asdict(marker))


def read_marker(store: Path, shard: int) -> ShardMarker | None:
    """The marker of a shard; None if there is none, or if it is not readable as one."""
    try:
        values = json.loads(marker_path(store, shard).read_text())
        return ShardMarker(
            start=int(values["start"]),
            stop=int(values["stop"]),
            crc32={str(k): int(v) for k, v in values["crc32"].items()},
            valid=int(values["valid"]),
            undefined=tuple(int(v) for v in values["undefined"]),
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None
