"""How a call becomes blocks of lanes: coefficients side by side, and threads over blocks."""

__all__ = ["Populations", "over_blocks"]

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from neurosbi.cores import in_threads
from neurosbi_simulators.mesogif.coefficients import Grid, coefficients, with_tangents
from neurosbi_simulators.mesogif.layout import LANES
from neurosbi_simulators.population.parameters import NetworkParameters


@dataclass(frozen=True, eq=False)
class Populations:
    """A network on its time grid: what kernels need besides theta.

    ``real`` is the floating-point type of the kernel.
    """

    parameters: NetworkParameters
    grid: Grid
    real: type[np.float32] | type[np.float64]

    @property
    def sizes(self) -> np.ndarray:
        """Neurons, int64 [population]."""
        return np.array(self.parameters.network.size, dtype=np.int64)

    @property
    def constants(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """Sizes, ages of the history, refractory steps and steps of delay, as kernels take them."""
        return (
            self.sizes,
            np.array(self.grid.history, dtype=np.int64),
            np.array(self.grid.refractory, dtype=np.int64),
            self.grid.delay,
        )

    def lanes(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Parameter rows [population, row, lane] and tables [population, age, 2, lane].

        Of at most LANES parameter sets; the last is repeated in lanes that are left over.
        """
        full = theta[np.minimum(np.arange(LANES), len(theta) - 1)]
        all_rows, all_tables = coefficients(self.parameters.values(full), *self._shape)
        return self._stacked(all_rows, all_tables)

    def tangents(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The derivatives of the same for one parameter set, by each column of theta."""
        constants = self.parameters.values(theta[None])
        return self._stacked(*with_tangents(constants, self.parameters.targets, *self._shape))

    @property
    def _shape(self) -> tuple[tuple[int, ...], Grid]:
        return self.parameters.network.size, self.grid

    def _stacked(
        self, all_rows: list[np.ndarray], all_tables: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        longest = max(len(t) for t in all_tables)
        tables = np.zeros((len(all_tables), longest, *all_tables[0].shape[1:]), dtype=self.real)
        for a, table in enumerate(all_tables):
            tables[a, : len(table)] = table
        return np.ascontiguousarray(np.stack(all_rows), dtype=self.real), tables


def over_blocks(
    one: Callable[[slice], None], n: int, threads: int | None, *, size: int = LANES
) -> None:
    """Call ``one`` with the rows of each block of ``size``; ``threads`` (None: all cores) at a time."""
    blocks = [slice(start, min(start + size, n)) for start in range(0, n, size)]
    in_threads(one, blocks, threads)
