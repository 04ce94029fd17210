"""What is kept of voltage traces while they stream by: sums, spikes, bins; and the features of it.

The kernels fill one row per lane, block by block; here the rows are put in the order of the
simulations. `accumulate` does so for given traces, recorded or from another program.
"""

__all__ = ["Accumulated", "accumulate", "bin_arrays", "by_simulation"]


import numpy as np

from neurosbi.contract import Status, TraceBins
from neurosbi.cores import in_threads
from neurosbi_simulators.hodgkin_huxley import integrate as kernels
from neurosbi_simulators.hodgkin_huxley import layout as rows
from neurosbi_simulators.hodgkin_huxley import streaming as mo
from neurosbi_simulators.hodgkin_huxley.features import compute_features
from neurosbi_simulators.numerics import spikes as sp

BLOW_UP = 300.0  # mV; no ion has a reversal potential near it


class Accumulated:
    """What the kernel accumulated, by simulation.

    Rows [row, sim], ``traces[sim, time]`` and ``binned[sim, channel, bin]``.
    """

    def __init__(
        self,
        *,
        moments: np.ndarray,
        spikes: np.ndarray,
        lag_sums: np.ndarray,
        traces: np.ndarray,
        binned: np.ndarray,
    ) -> None:
        self.moments, self.spikes, self.lag_sums = moments, spikes, lag_sums
        self.traces, self.binned = traces, binned

    def status(self) -> np.ndarray:
        """int8 [sim]: blow-up where V left all bounds or is not a number."""
        m = self.moments
        bounded = (m[mo.HIGHEST] < BLOW_UP) & (m[mo.LOWEST] > -BLOW_UP)
        fine = bounded & np.isfinite(m[mo.POWER_1]) & np.isfinite(m[mo.ORIGIN])
        status = np.where(self.spikes[sp.SPIKES] > 0, Status.OK, Status.NO_SPIKES)
        return np.where(fine, status, Status.BLOW_UP).astype(np.int8)

    def features(
        self, names: tuple[str, ...], *, on: np.ndarray, off: np.ndarray, dt: float
    ) -> np.ndarray:
        """The named features [sim, feature]; ``on``, ``off`` are the stimulus in steps [sim]."""
        return compute_features(
            names,
            moments=self.moments,
            spikes=self.spikes,
            lag_sums=self.lag_sums,
            on=on,
            off=off,
            dt=dt,
        )


def accumulate(
    v: np.ndarray,
    *,
    dt: float,
    onset: float,
    offset: float,
    lag_steps: np.ndarray,
    bins: TraceBins | None = None,
) -> Accumulated:
    """What the kernels accumulate of given traces ``v[sim, time]``; see `measure_block`."""
    n_sims = len(v)
    if v.dtype != np.float32:
        v = np.asarray(v, dtype=np.float64)
    n_blocks = -(-n_sims // rows.LANES)
    lanes = np.minimum(np.arange(n_blocks * rows.LANES), n_sims - 1)
    on = np.full(rows.LANES, round(onset / dt), dtype=np.int64)
    off = np.full(rows.LANES, end_step(v, offset, dt), dtype=np.int64)
    moments = np.empty((n_blocks, mo.N_MOMENT_ROWS, rows.LANES))
    spikes = np.empty((n_blocks, sp.N_SPIKE_ROWS, rows.LANES))
    lag_sums = np.empty((n_blocks, 3 * len(lag_steps), rows.LANES))
    edges, sections, binned = bin_arrays(bins, dt, n_blocks)

    def one(b: int) -> None:
        block = np.ascontiguousarray(v[lanes[b * rows.LANES : (b + 1) * rows.LANES]])
        kernels.measure_block(
            block,
            on,
            off,
            dt,
            lag_steps,
            moments[b],
            spikes[b],
            lag_sums[b],
            edges,
            sections,
            binned[b],
        )

    in_threads(one, range(n_blocks), None)
    back = np.arange(n_sims)
    return Accumulated(
        moments=by_simulation(moments, back),
        spikes=by_simulation(spikes, back),
        lag_sums=by_simulation(lag_sums, back),
        traces=v,
        binned=binned.reshape(n_blocks * rows.LANES, *binned.shape[2:])[back],
    )


def end_step(v: np.ndarray, offset: float, dt: float) -> int:
    """First sample behind the stimulus, or behind the trace."""
    return min(round(offset / dt), v.shape[1])


def bin_arrays(
    bins: TraceBins | None, dt: float, n_blocks: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges and sections of the kernel, and room for [block, lane, channel, bin]; none without bins."""
    if bins is None:
        nothing = np.empty((n_blocks, rows.LANES, 3, 0), dtype=np.float32)
        return np.zeros((2, 0), dtype=np.int64), np.zeros(1, dtype=np.int64), nothing
    sections = np.cumsum([0, *(s.n for s in bins.sections)])
    return bins.edges(dt), sections, np.empty((n_blocks, rows.LANES, *bins.shape), dtype=np.float32)


def by_simulation(blocks: np.ndarray, back: np.ndarray) -> np.ndarray:
    """[block, row, lane] -> [row, sim] in the order of the caller."""
    n_blocks, n_rows, lanes = blocks.shape
    return blocks.swapaxes(0, 1).reshape(n_rows, n_blocks * lanes)[:, back]
