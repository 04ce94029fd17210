"""A store of simulations on disk: filled shard by shard, resumed after any interruption.

A shard is a run of consecutive simulations. It is written by one process, counts as present only
when its marker says so (see `neurosbi.store.shards`), and is checked against that marker when it
is read. Several processes may fill different shards of one store at the same time.
"""

__all__ = ["SimulationRows", "SimulationStore", "SimulationSummary", "open_simulations"]

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from neurosbi.contract import (
    Feature,
    Parameter,
    Simulator,
    StimulusFamily,
    TraceBins,
    is_valid,
)
from neurosbi.errors import BadInputError, FitError
from neurosbi.store.atomic import disk_full, write_json
from neurosbi.store.shards import ShardMarker, checksum, marker_path, read_marker, write_marker
from neurosbi.store.simulation_config import SimulationConfig
from neurosbi.store.simulation_layout import (
    LAYOUT,
    arrays_of,
    create_layout,
    grow_layout,
    is_vacant,
    read_attributes,
)

if TYPE_CHECKING:
    import xarray as xr

_SHARDS_WANTED = 64  # what a kill or an interruption may cost is about one of them
_LARGEST_SHARD = 65_536
_LEFTOVER_AGE = 600.0  # seconds after which a temporary file belongs to a process that died


@dataclass(frozen=True, eq=False)
class SimulationRows:
    """Consecutive simulations of a store, as numpy arrays.

    ``theta[sim, parameter]`` float64, ``x[sim, feature]`` float32 (NaN: undefined),
    ``status[sim]`` int8 (see `Status`), ``valid[sim]`` bool, ``stimulus[sim, protocol]`` float64
    (no columns if every simulation had the same stimulus).
    """

    theta: np.ndarray
    x: np.ndarray
    status: np.ndarray
    valid: np.ndarray
    stimulus: np.ndarray

    def __len__(self) -> int:
        return len(self.theta)


@dataclass(frozen=True)
class SimulationSummary:
    """Counts: ``n`` wanted, ``done``, ``valid`` among them, ``undefined`` per feature among those."""

    n: int
    done: int
    valid: int
    undefined: dict[str, int]

    @property
    def valid_fraction(self) -> float:
        """Fraction of the finished simulations that ended properly (NaN if there are none)."""
        return self.valid / self.done if self.done else float("nan")

    @property
    def undefined_fraction(self) -> dict[str, float]:
        """Per feature, the fraction of the valid simulations in which it is undefined."""
        return {
            name: count / self.valid if self.valid else float("nan")
            for name, count in self.undefined.items()
        }


class SimulationStore:
    """The first ``n`` simulations of a store. Make one with `create_or_resume` or `open`."""

    def __init__(self, path: Path, *, n: int | None = None) -> None:
        self.path = Path(path)
        attributes = read_attributes(self.path)
        self.config = SimulationConfig.from_attributes(attributes)
        self.config_hash: str = attributes["config_hash"]
        self.shard_size: int = attributes["shard_size"]
        self._group = zarr.open_group(self.path, mode="r+")
        self._stored = self._array("theta").shape[0]
        self.n = self._stored if n is None else n
        self._verified: set[tuple[int, str]] = set()
        if not 1 <= self.n <= self._stored:
            raise BadInputError(
                f"{self.path} holds {self._stored} simulations, {self.n} were asked for; run "
                f"neurosbi simulate with -n {self.n} to add the others"
            )

    @classmethod
    def open(cls, path: str | Path, *, n: int | None = None) -> "SimulationStore":
        """The store at ``path``, or its first ``n`` simulations.

        Raises `BadInputError` if there is none, or it is too short.
        """
        return cls(Path(path), n=n)

    @classmethod
    def create_or_resume(
        cls,
        path: str | Path,
        simulator: Simulator,
        *,
        n: int,
        family: StimulusFamily,
        seed: int,
        shard_size: int | None = None,
        traces: bool = False,
    ) -> "SimulationStore":
        """The store at ``path`` for these simulations: made, taken up again, or lengthened to ``n``.

        ``shard_size`` is the number of simulations of a shard (None: what the store has, or about
        64 shards in a new one); ``traces`` keeps the voltage in bins too. Raises `BadInputError`,
        and leaves the path as it is, if it holds something else, simulations of another
        configuration, or shards of another size.
        """
        path = Path(path)
        if n < 1 or (shard_size is not None and shard_size < 1):
            raise BadInputError("the number of simulations and the shard size are at least 1")
        config = SimulationConfig.of(simulator, family=family, seed=seed, traces=traces)
        if is_vacant(path):
            size = shard_size or default_shard_size(n, smallest=simulator.smallest_batch)
            create_layout(path, config, n=n, shard_size=size)
        store = cls(path)
        store.check_config(config)
        if shard_size not in (None, store.shard_size):
            raise BadInputError(
                f"{path} has shards of {store.shard_size} simulations, not {shard_size}; leave "
                "the shard size out to go on with it"
            )
        if n > store._stored:
            (path / "manifest.json").unlink(missing_ok=True)
            grow_layout(path, config, n=n)
        return cls(path, n=n)

    def __len__(self) -> int:
        return self.n

    def __repr__(self) -> str:
        done = "complete" if self.complete else f"{len(self.missing_shards())} shards missing"
        return f"<SimulationStore {self.path}: {self.n} of {self.config.name}, {done}>"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The columns of theta."""
        return self.config.parameters

    @property
    def features(self) -> tuple[Feature, ...]:
        """The columns of x."""
        return self.config.features

    @property
    def family(self) -> StimulusFamily:
        """The stimuli that were given."""
        return self.config.family

    @property
    def trace_bins(self) -> TraceBins | None:
        """The bins of the voltage that is kept, None if only features are."""
        return self.config.trace

    @property
    def simulator_config(self) -> Mapping[str, Any]:
        """What ``simulator.config()`` was."""
        return self.config.simulator

    @property
    def seed(self) -> int:
        """The seed of parameters, stimuli and noise."""
        return self.config.seed

    def check_config(self, config: SimulationConfig) -> None:
        """Raises `BadInputError` that says what differs if the store is of another configuration."""
        differences = self.config.differences(config)
        if differences:
            raise BadInputError(
                f"{self.path} holds simulations of another configuration ({differences}); choose "
                "another path, or replace it with --existing overwrite"
            )

    # ---- shards -------------------------------------------------------------------------------

    @property
    def n_shards(self) -> int:
        """Number of shards that hold the ``n`` simulations."""
        return -(-self.n // self.shard_size)

    def shard_rows(self, shard: int) -> tuple[int, int]:
        """Rows ``start, stop`` of a shard.

        Raises `BadInputError` if there is no such shard.
        """
        if not 0 <= shard < self.n_shards:
            raise BadInputError(
                f"{self.path} has no shard {shard}; its shards are 0 to {self.n_shards - 1}"
            )
        start = shard * self.shard_size
        return start, min(start + self.shard_size, self._stored)

    def missing_shards(self) -> tuple[int, ...]:
        """The shards that have still to be simulated, in order."""
        return tuple(k for k in range(self.n_shards) if self._marker(k) is None)

    @property
    def complete(self) -> bool:
        """True if no shard is missing."""
        return all(self._marker(k) is not None for k in range(self.n_shards))

    def damaged_shards(self, shards: Sequence[int] | None = None) -> tuple[int, ...]:
        """Those of ``shards`` (None: all) that are present but fail their checksum. Reads them."""
        damaged = []
        for shard in range(self.n_shards) if shards is None else shards:
            marker = self._marker(shard)
            if marker is not None and any(
                self._load(name, shard, marker) is None for name in arrays_of(self.config)
            ):
                damaged.append(shard)
        return tuple(damaged)

    def discard_shard(self, shard: int) -> None:
        """Make a shard missing again."""
        (self.path / "manifest.json").unlink(missing_ok=True)
        marker_path(self.path, shard).unlink(missing_ok=True)
        for name, (_, _, row) in arrays_of(self.config).items():
            # the new chunk must not be merged into an old one that may be damaged
            self._chunk(name, shard, len(row)).unlink(missing_ok=True)
            self._verified.discard((shard, name))

    def write_shard(
        self,
        shard: int,
        *,
        theta: np.ndarray,
        x: np.ndarray,
        status: np.ndarray,
        stimulus: np.ndarray,
        trace: np.ndarray | None = None,
    ) -> None:
        """Write all rows of a shard, then declare it complete.

        ``x`` is kept as float32; what does not fit into it is undefined (NaN). Raises `FitError`
        if an array has the wrong shape or the disk is full; the shard is then missing.
        """
        start, stop = self.shard_rows(shard)
        with np.errstate(over="ignore"):
            x = np.asarray(x).astype(np.float32)
        x[~np.isfinite(x)] = np.nan  # also makes every NaN the same bits
        status = np.asarray(status)
        arrays = {
            "theta": np.asarray(theta, dtype=np.float64),
            "x": x,
            "status": status.astype(np.int8),
            "valid": is_valid(status),
            "stimulus": np.asarray(stimulus, dtype=np.float64),
            "trace": np.asarray(trace, dtype=np.float32),
        }
        layout = arrays_of(self.config)
        for name, (_, _, row) in layout.items():
            if arrays[name].shape != (stop - start, *row):
                raise FitError(
                    f"simulator {self.config.name} returned {name} of shape "
                    f"{arrays[name].shape} for {stop - start} simulations, not "
                    f"{(stop - start, *row)}"
                )
        valid = arrays["valid"]
        with disk_full(self.path):
            self.discard_shard(shard)
            for name in layout:
                self._array(name)[start:stop] = arrays[name]
            marker = ShardMarker(
                start=start,
                stop=stop,
                crc32={name: checksum(arrays[name]) for name in layout},
                valid=int(valid.sum()),
                undefined=tuple(int(c) for c in np.isnan(x[valid]).sum(axis=0)),
            )
            write_marker(self.path, shard, marker)

    def finish(self) -> bool:
        """Write ``manifest.json`` if every shard of the store is present; True if it is.

        A workflow depends on this file: it is there only when the store is whole.
        """
        whole = SimulationStore(self.path)
        if not whole.complete:
            return False
        summary = whole.summary()
        self._sweep_leftovers()
        manifest = {
            "layout": LAYOUT,
            "simulator": self.config.name,
            "config_hash": self.config_hash,
            "seed": self.seed,
            "n": whole.n,
            "valid": summary.valid,
            "undefined": summary.undefined,
        }
        write_json(self.path / "manifest.json", manifest)
        return True

    # ---- reading ------------------------------------------------------------------------------

    def read(self, start: int = 0, stop: int | None = None) -> SimulationRows:
        """Rows ``start .. stop`` (None: to the end), read shard by shard.

        Raises `BadInputError` that names the shard if one is missing or damaged.
        """
        names = [name for name in arrays_of(self.config) if name != "trace"]
        columns = {name: self._column(name, start, stop) for name in names}
        if "stimulus" not in columns:
            columns["stimulus"] = np.empty((len(columns["theta"]), 0))
        return SimulationRows(**columns)

    def read_traces(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Binned voltage of rows ``start .. stop``, float32 [sim, channel, bin].

        NaN where a sweep does not reach. Raises `BadInputError` if the store has none, and what
        `read` raises.
        """
        if self.trace_bins is None:
            raise BadInputError(
                f"{self.path} holds features only; simulate with --traces (and another output) "
                "for networks that read traces"
            )
        return self._column("trace", start, stop)

    @property
    def theta(self) -> np.ndarray:
        """All parameters, float64 [sim, parameter]."""
        return self._column("theta")

    @property
    def x(self) -> np.ndarray:
        """All features, float32 [sim, feature]; NaN: undefined."""
        return self._column("x")

    @property
    def status(self) -> np.ndarray:
        """How each simulation ended, int8 [sim] (see `Status`)."""
        return self._column("status")

    @property
    def valid(self) -> np.ndarray:
        """Which simulations ended properly, bool [sim]."""
        return self._column("valid")

    @property
    def stimulus(self) -> np.ndarray:
        """The stimulus parameters, float64 [sim, protocol]; no columns for a fixed stimulus."""
        return self._column("stimulus") if self.family.parameters else np.empty((self.n, 0))

    def to_xarray(self) -> "xr.Dataset":
        """The simulations as an `xarray.Dataset`, read lazily; units in the attributes.

        Lazy reading does not check shards: call `read` or `damaged_shards` for that.
        """
        import xarray as xr

        return xr.open_zarr(self.path).isel(sim=slice(self.n))

    def summary(self) -> SimulationSummary:
        """Counts of finished, valid and undefined simulations, from the shards present."""
        done = valid = 0
        undefined = np.zeros(len(self.features), dtype=np.int64)
        for shard in range(self.n_shards):
            marker = self._marker(shard)
            if marker is None:
                continue
            if marker.stop <= self.n:
                done += marker.stop - marker.start
                valid += marker.valid
                undefined += np.array(marker.undefined, dtype=np.int64)
            else:
                rows = self.read(marker.start, self.n)
                done += len(rows)
                valid += int(rows.valid.sum())
                undefined += np.isnan(rows.x[rows.valid]).sum(axis=0)
        names = [f.name for f in self.features]
        return SimulationSummary(
            self.n, done, valid, dict(zip(names, undefined.tolist(), strict=True))
        )

    # ---- private ------------------------------------------------------------------------------

    def _array(self, name: str) -> zarr.Array[Any]:
        array = self._group[name]
        if not isinstance(array, zarr.Array):
            raise BadInputError(f"{self.path} is not a store of simulations: {name} is no array")
        return array

    def _chunk(self, name: str, shard: int, row_dims: int) -> Path:
        return self.path.joinpath(name, "c", str(shard), *["0"] * row_dims)

    def _marker(self, shard: int) -> ShardMarker | None:
        marker = read_marker(self.path, shard)
        start, stop = self.shard_rows(shard)
        # after the store grew, its last shard may be longer than what was written, and after
        # another process lengthened it, longer than it was when it was opened here
        return marker if marker and marker.start == start and marker.stop >= stop else None

    def _load(self, name: str, shard: int, marker: ShardMarker) -> np.ndarray | None:
        """One array of a shard; None if it cannot be decoded or fails its checksum."""
        try:
            array = self._array(name)
            if marker.stop > array.shape[0]:
                array = zarr.open_array(self.path, path=name, mode="r")
            values = np.asarray(array[marker.start : marker.stop])
        except (MemoryError, PermissionError):
            raise
        except Exception:  # every codec has its own error for bytes it cannot decode
            return None
        if (shard, name) not in self._verified:
            if checksum(values) != marker.crc32.get(name):
                return None
            self._verified.add((shard, name))
        return values

    def _column(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        stop = self.n if stop is None else stop
        if not 0 <= start <= stop <= self.n:
            raise BadInputError(f"{self.path} has rows 0 to {self.n}, not {start} to {stop}")
        _, dtype, row = arrays_of(self.config)[name]
        values = np.empty((stop - start, *row), dtype=dtype)
        for shard in range(start // self.shard_size, -(-stop // self.shard_size)):
            part, first = self._shard_column(name, shard)
            low, high = max(start, first), min(stop, first + len(part))
            values[low - start : high - start] = part[low - first : high - first]
        return values

    def _shard_column(self, name: str, shard: int) -> tuple[np.ndarray, int]:
        marker = self._marker(shard)
        if marker is None:
            raise BadInputError(
                f"{self.path} is not complete, shard {shard} is the first that is missing; run "
                "the same neurosbi simulate command again to fill it"
            )
        values = self._load(name, shard, marker)
        if values is None:
            raise BadInputError(
                f"shard {shard} of {self.path} is damaged ({name} does not match its checksum); "
                "run the same neurosbi simulate command with --existing resume to compute it again"
            )
        return values, marker.start

    def _sweep_leftovers(self) -> None:
        """Remove temporary files of processes that were killed."""
        for pattern in ("*/c/**/*.partial", "shards/.*.part"):
            for leftover in self.path.glob(pattern):
                try:
                    if time.time() - leftover.stat().st_mtime > _LEFTOVER_AGE:
                        leftover.unlink()
                except OSError:  # another process was faster
                    continue


def open_simulations(path: str | Path, *, n: int | None = None) -> SimulationStore:
    """The simulations at ``path``, or the first ``n`` of them.

    Raises `BadInputError` if there is no store, or it is too short.
    """
    return SimulationStore.open(path, n=n)


def default_shard_size(n: int, *, smallest: int) -> int:
    """A power of two, at least ``smallest``, that cuts ``n`` simulations into about 64 shards."""
    size = 1 << max(0, -(-n // _SHARDS_WANTED) - 1).bit_length()
    return min(max(size, smallest), _LARGEST_SHARD)
