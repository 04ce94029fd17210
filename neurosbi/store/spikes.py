"""Spikes of simulated networks on disk: values and offsets, in one Zarr group.

| array             | dims           | dtype   | meaning                                        |
|-------------------|----------------|---------|------------------------------------------------|
| `spike_time`      | spike          | float64 | ms from the start of the simulation, in order  |
| `spike_unit`      | spike          | int32   | which unit spiked                              |
| `spike_offset`    | boundary       | int64   | simulation s has spikes offset[s]..offset[s+1] |
| `unit`, `unit_population` | unit   | text    | names of the units and of their populations    |
| `theta`           | sim, parameter | float64 | parameters                                     |
| `parameter`       | parameter      | text    | their names                                    |

`xarray.open_zarr` reads the group, and `Simulator.features_of` takes what it gives. Spikes are
appended piece by piece, so memory does not grow with their number.
"""

__all__ = ["StoredSpikes", "open_spikes", "write_spikes"]

import json
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec
from zarr.errors import ZarrUserWarning

from neurosbi import __version__
from neurosbi.contract import Simulator, SpikeTrains, Stimulus
from neurosbi.errors import BadInputError
from neurosbi.store.atomic import atomic_path
from neurosbi.store.cache import config_hash
from neurosbi.store.simulation_layout import is_vacant

if TYPE_CHECKING:
    import xarray as xr

LAYOUT = "neurosbi spikes 1"
_CHUNK = 1 << 20  # spikes
_ARRAYS = {
    "spike_time": ("spike", np.float64, "ms", "time from the start of the simulation"),
    "spike_unit": ("spike", np.int32, "1", "unit that spiked"),
    "spike_offset": ("boundary", np.int64, "1", "first spike of each simulation"),
}


@dataclass(frozen=True, eq=False)
class StoredSpikes:
    """Spikes of ``n`` simulations with parameters ``theta[sim, parameter]``."""

    path: Path
    theta: np.ndarray
    parameters: tuple[str, ...]
    units: tuple[str, ...]
    populations: tuple[str, ...]
    attributes: dict[str, Any]

    @property
    def n(self) -> int:
        """Number of simulations."""
        return len(self.theta)

    def are_of(self, simulator: Simulator, *, stimulus: Stimulus | None, seed: int) -> bool:
        """Whether they are spikes of this very configuration, ``stimulus`` and ``seed``."""
        made = _origin(simulator, stimulus, seed)
        return config_hash({k: self.attributes.get(k) for k in made}) == config_hash(made)

    def trains(self, sim: int) -> SpikeTrains:
        """The spike trains of one simulation after its burn-in.

        Raises `BadInputError` for a simulation that is not there.
        """
        if not 0 <= sim < self.n:
            raise BadInputError(f"{self.path} has simulations 0 to {self.n - 1}, not {sim}")
        group: Any = zarr.open_group(self.path, mode="r")
        first, last = (int(v) for v in group["spike_offset"][sim : sim + 2])
        time, unit = group["spike_time"][first:last], group["spike_unit"][first:last]
        start, stop = float(self.attributes["onset"]), float(self.attributes["offset"])
        inside = (time >= start) & (time < stop)
        time, unit = time[inside], unit[inside]
        order = np.argsort(unit, kind="stable")  # times stay in order within a unit
        ends = np.searchsorted(unit[order], np.arange(1, len(self.units)))
        return SpikeTrains(
            path=self.path,
            times=tuple(np.split(time[order], ends)),
            units=self.units,
            populations=self.populations,
            start=start,
            stop=stop,
            metadata={"name": f"{self.path.stem}-{sim}"},
        )


def write_spikes(
    path: Path,
    simulator: Simulator,
    pieces: Iterable[tuple[np.ndarray, "xr.Dataset"]],
    *,
    stimulus: Stimulus | None = None,
    seed: int,
    existing: str = "error",
) -> StoredSpikes:
    """Write pieces of (``theta[sim, theta]``, what `Simulator.traces` gives for it), atomically.

    ``existing`` is "error" or "overwrite", which replaces other spikes only. Raises
    `BadInputError` for a path that is taken, or a simulator whose traces have no spikes.
    """
    path = Path(path)
    if not is_vacant(path):
        if existing != "overwrite":
            raise BadInputError(f"{path} exists; choose another path, or --existing overwrite")
        open_spikes(path)  # refuses to replace anything but spikes
    with atomic_path(path) as temporary:
        group: Any = None
        n_spikes = 0
        for theta, traces in pieces:
            if "spike_time" not in traces:
                raise BadInputError(f"simulator {simulator.name} gives no spikes to keep")
            if group is None:
                group = _create(temporary, simulator, traces, _origin(simulator, stimulus, seed))
                group["spike_offset"].append(np.zeros(1, dtype=np.int64))
            group["theta"].append(np.asarray(theta, dtype=np.float64))
            for name in ("spike_time", "spike_unit"):
                group[name].append(traces[name].values.astype(_ARRAYS[name][1]))
            group["spike_offset"].append(traces["spike_offset"].values[1:] + n_spikes)
            n_spikes += traces.sizes["spike"]
        if group is None:
            raise BadInputError(f"there are no simulations whose spikes {path} could keep")
        with warnings.catch_warnings():
            # zarr and xarray read consolidated metadata; only its place in the standard is open
            warnings.simplefilter("ignore", ZarrUserWarning)
            zarr.consolidate_metadata(temporary)
    return open_spikes(path)


def open_spikes(path: str | Path) -> StoredSpikes:
    """Open what `write_spikes` wrote.

    Raises `BadInputError` if ``path`` does not exist or is something else.
    """
    path = Path(path)
    if not path.exists():
        raise BadInputError(
            f"{path} does not exist; give a folder that neurosbi simulate --spikes wrote"
        )
    try:
        attributes = json.loads((path / "zarr.json").read_text())["attributes"]
        known = attributes["layout"] == LAYOUT
    except (OSError, ValueError, KeyError, TypeError):
        attributes, known = {}, False
    if not known:
        raise BadInputError(
            f"{path} is not a store of spikes; give a folder that neurosbi simulate --spikes wrote, or "
            "another one to write to"
        )
    group: Any = zarr.open_group(path, mode="r")
    return StoredSpikes(
        path=path,
        theta=group["theta"][:],
        parameters=tuple(map(str, group["parameter"][:])),
        units=tuple(map(str, group["unit"][:])),
        populations=tuple(map(str, group["unit_population"][:])),
        attributes=attributes,
    )


def _origin(simulator: Simulator, stimulus: Stimulus | None, seed: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "stimulus": (stimulus or simulator.stimulus).to_dict(),
        **simulator.config(),
    }


def _create(path: Path, simulator: Simulator, traces: "xr.Dataset", origin: dict[str, Any]) -> Any:
    attributes = {
        "layout": LAYOUT,
        "neurosbi_version": __version__,
        "onset": float(traces.attrs["onset"]),
        "offset": float(traces.attrs["offset"]),
        **origin,
    }
    group = zarr.create_group(path, attributes=attributes)
    for name, (dim, dtype, unit, description) in _ARRAYS.items():
        _array(group, name, (0,), (_CHUNK,), dtype, (dim,), unit, description)
    width = len(simulator.parameters)
    units = {p.name: p.unit for p in simulator.parameters}
    _array(
        group,
        "theta",
        (0, width),
        (1024, width),
        np.float64,
        ("sim", "parameter"),
        units,
        "parameters",
    )
    for name, dim, values in (
        ("parameter", "parameter", [p.name for p in simulator.parameters]),
        ("unit", "unit", traces["unit"].values),
        ("unit_population", "unit", traces["unit_population"].values),
    ):
        array = group.create_array(
            name,
            shape=(len(values),),
            chunks=(max(1, len(values)),),
            dtype="string",  # type: ignore[arg-type]
            dimension_names=(dim,),
        )
        array[:] = np.array(list(map(str, values)), dtype=object)
    return group


def _array(
    group: Any,
    name: str,
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    dtype: Any,
    dims: tuple[str, ...],
    units: Any,
    description: str,
) -> None:
    group.create_array(
        name,
        shape=shape,
        chunks=chunks,
        dtype=dtype,
        dimension_names=dims,
        compressors=ZstdCodec(level=1, checksum=True),
        attributes={"units": units, "description": description},
    )
