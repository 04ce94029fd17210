"""Results of a long benchmark, cell by cell, in a Zarr store: what is done is not done again."""

__all__ = ["Cells"]

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from filelock import FileLock


class Cells:
    """Numbers over the coordinates ``axes`` (name -> labels); NaN where nothing was run yet.

    ``variables`` maps a name to the axes it has, its unit and what it is. Several processes may
    fill one store.
    """

    def __init__(
        self,
        path: Path,
        axes: Mapping[str, Sequence[Any]],
        variables: Mapping[str, tuple[Sequence[str], str, str]],
    ) -> None:
        self.path = path
        self._lock = FileLock(path.with_name(f".{path.name}.lock"))
        self._new, self._old = (path.with_name(f".{path.name}.{end}") for end in ("new", "old"))
        with self._lock:
            self._recover()
        self._empty = xr.Dataset(
            {
                name: (
                    tuple(dims),
                    np.full([len(axes[d]) for d in dims], np.nan),
                    {"units": unit, "description": description},
                )
                for name, (dims, unit, description) in variables.items()
            },
            coords={name: list(labels) for name, labels in axes.items()},
        )

    def read(self) -> xr.Dataset:
        """All cells."""
        if not self.path.is_dir():
            return self._empty.copy(deep=True)
        with xr.open_zarr(self.path, consolidated=False) as stored:
            return stored.load().combine_first(self._empty).reindex_like(self._empty)

    def missing(self, name: str, **where: Any) -> np.ndarray:
        """bool: the cells of variable ``name`` that are still to be run."""
        return np.isnan(self.read()[name].sel(where).values)

    def write(self, values: Mapping[str, float], **where: Any) -> None:
        """Set one cell of every variable in ``values``; its other axes are left out of ``where``."""
        with self._lock:
            self._recover()
            cells = self.read()
            for name, value in values.items():
                place = {k: v for k, v in where.items() if k in cells[name].dims}
                cells[name].loc[place] = value
            self._replace(cells)

    def _recover(self) -> None:
        if self._old.is_dir() and not self.path.exists():  # killed while it was replaced
            self._old.rename(self.path)

    def _replace(self, cells: xr.Dataset) -> None:
        for leftover in (self._new, self._old):
            shutil.rmtree(leftover, ignore_errors=True)
        plain = cells.drop_encoding()
        for name, labels in plain.coords.items():
            if labels.dtype.kind in "US":
                plain[name] = labels.astype(object)
        plain.to_zarr(self._new, mode="w", zarr_format=3, consolidated=False)
        if self.path.exists():
            self.path.rename(self._old)
        self._new.rename(self.path)
        shutil.rmtree(self._old, ignore_errors=True)
