"""The Zarr group of a simulation store: its arrays, names, units and attributes.

| array       | dims            | dtype   | meaning                                              |
|-------------|-----------------|---------|------------------------------------------------------|
| `theta`     | sim, parameter  | float64 | parameters drawn from the prior                      |
| `x`         | sim, feature    | float32 | features, NaN where undefined                        |
| `status`    | sim             | int8    | how the simulation ended; -1: not simulated yet      |
| `valid`     | sim             | bool    | it ended properly                                    |
| `stimulus`  | sim, protocol   | float64 | parameters of the stimulus, if its family has any    |
| `trace`     | sim, channel, bin | float32 | voltage in bins of time, if it was asked for       |
| `parameter`, `feature`, `protocol`, `channel` | | text | the names of the columns               |
| `bin`       | bin             | float64 | middle of each bin, from the onset of the stimulus   |

One chunk along ``sim`` is one shard, so tasks that write different shards never touch the same
file. `xarray.open_zarr` reads the group with its names; units are in the attributes.
"""

__all__ = [
    "arrays_of",
    "create_layout",
    "grow_layout",
    "is_simulation_store",
    "is_vacant",
    "read_attributes",
]

import errno
import json
import os
import shutil
import uuid
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec
from zarr.errors import ZarrUserWarning

from neurosbi import __version__
from neurosbi.contract import Status
from neurosbi.errors import BadInputError
from neurosbi.store.atomic import disk_full
from neurosbi.store.simulation_config import SimulationConfig

LAYOUT = "neurosbi simulations 1"

_FILL = {
    np.dtype(np.float64): np.nan,
    np.dtype(np.float32): np.nan,
    np.dtype(np.int8): -1,
    np.dtype(bool): False,
}


def is_simulation_store(path: Path) -> bool:
    """True if ``path`` is a store of simulations, complete or not."""
    try:
        attributes = json.loads((path / "zarr.json").read_text())["attributes"]
        return attributes["layout"] == LAYOUT
    except (OSError, ValueError, KeyError, TypeError):
        return False


def is_vacant(path: Path) -> bool:
    """True if there is nothing at ``path``, or an empty folder, as workflow tools make it."""
    if path.is_dir():
        with os.scandir(path) as entries:
            return next(entries, None) is None
    return not os.path.lexists(path)


def read_attributes(path: Path) -> dict[str, Any]:
    """The attributes of a store.

    Raises `BadInputError` if ``path`` does not exist or is something else.
    """
    if not path.exists():
        raise BadInputError(
            f"{path} does not exist; make it with: neurosbi simulate SIMULATOR -n 100000 -o {path}"
        )
    if not is_simulation_store(path):
        raise BadInputError(
            f"{path} exists and is not a store of simulations; it is left as it is, choose "
            "another path"
        )
    return json.loads((path / "zarr.json").read_text())["attributes"]


def arrays_of(
    config: SimulationConfig,
) -> dict[str, tuple[tuple[str, ...], np.dtype, tuple[int, ...]]]:
    """Name -> (dims, dtype, shape of one row) of the arrays that have a row per simulation."""
    arrays = {
        "theta": (("sim", "parameter"), np.dtype(np.float64), (len(config.parameters),)),
        "x": (("sim", "feature"), np.dtype(np.float32), (len(config.features),)),
        "status": (("sim",), np.dtype(np.int8), ()),
        "valid": (("sim",), np.dtype(bool), ()),
    }
    if config.family.parameters:
        width = len(config.family.parameters)
        arrays["stimulus"] = (("sim", "protocol"), np.dtype(np.float64), (width,))
    if config.trace is not None:
        arrays["trace"] = (("sim", "channel", "bin"), np.dtype(np.float32), config.trace.shape)
    return arrays


def create_layout(path: Path, config: SimulationConfig, *, n: int, shard_size: int) -> bool:
    """Make an empty store of ``n`` rows, whole or not at all.

    Returns False, and changes nothing, if another process made one at ``path`` meanwhile.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part")
    with disk_full(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write_group(temporary, config, n, shard_size)
            # renaming onto a folder works only while that one is empty: the first process wins
            temporary.rename(path)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return False
            raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return True


def grow_layout(path: Path, config: SimulationConfig, *, n: int) -> None:
    """Lengthen the arrays to ``n`` rows; rows that exist stay.

    Readers go by the consolidated metadata, which is replaced in one step at the end, so a
    process that dies here leaves the store as it was.
    """
    with disk_full(path):
        known: Any = zarr.open_group(path, mode="r")["theta"]
        if known.shape[0] >= n:
            return  # another process was faster
        group = zarr.open_group(path, mode="r+", use_consolidated=False)
        for name, (_, _, row) in arrays_of(config).items():
            array = group[name]
            # longer than n is what a process left that died while it lengthened the store
            if isinstance(array, zarr.Array) and array.shape[0] != n:
                array.resize((n, *row))
        _consolidate(path)


def _write_group(path: Path, config: SimulationConfig, n: int, shard_size: int) -> None:
    attributes = {
        "layout": LAYOUT,
        "neurosbi_version": __version__,
        "simulator": config.name,
        "seed": config.seed,
        "shard_size": shard_size,
        **config.attributes(),
    }
    group = zarr.create_group(path, attributes=attributes)
    for name, (dims, dtype, row) in arrays_of(config).items():
        group.create_array(
            name,
            shape=(n, *row),
            chunks=(shard_size, *(max(1, width) for width in row)),
            dtype=dtype,
            fill_value=_FILL[dtype],
            dimension_names=dims,
            compressors=ZstdCodec(level=1, checksum=True),
            attributes=_array_attributes(name, config),
        )
    _write_names(group, "parameter", [p.name for p in config.parameters])
    _write_names(group, "feature", [f.name for f in config.features])
    if config.family.parameters:
        _write_names(group, "protocol", [p.name for p in config.family.parameters])
    if config.trace is not None:
        _write_names(group, "channel", config.trace.channels)
        time = config.trace.time
        axis = group.create_array(
            "bin",
            shape=time.shape,
            dtype=time.dtype,
            dimension_names=("bin",),
            attributes={"units": "ms", "description": "middle of the bin, from the onset"},
        )
        axis[:] = time
    _consolidate(path)


def _array_attributes(name: str, config: SimulationConfig) -> dict[str, Any]:
    match name:
        case "theta":
            return {
                "description": "parameters, drawn from the prior",
                "units": {p.name: p.unit for p in config.parameters},
            }
        case "x":
            return {
                "description": "features; NaN where a feature is undefined",
                "units": {f.name: f.unit for f in config.features},
            }
        case "stimulus":
            return {
                "description": "parameters of the stimulus",
                "units": {p.name: p.unit for p in config.family.parameters},
            }
        case "trace":
            return {
                "description": "voltage in bins of time; NaN where a sweep does not reach",
                "units": config.trace.unit if config.trace else "",
            }
        case "status":
            return {
                "description": "how the simulation ended; -1: not simulated yet",
                "codes": {s.name.lower(): int(s) for s in Status},
            }
        case _:
            return {"description": "the simulation ended properly"}


def _write_names(group: zarr.Group, name: str, names: Sequence[str]) -> None:
    array = group.create_array(
        name,
        shape=(len(names),),
        chunks=(max(1, len(names)),),
        dtype="string",  # type: ignore[arg-type]
        dimension_names=(name,),
    )
    array[:] = np.array(names, dtype=object)


def _consolidate(path: Path) -> None:
    with warnings.catch_warnings():
        # zarr and xarray read consolidated metadata; only its place in the standard is open
        warnings.simplefilter("ignore", ZarrUserWarning)
        zarr.consolidate_metadata(path)
