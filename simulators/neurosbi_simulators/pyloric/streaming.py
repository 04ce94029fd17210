"""What the features need of the traces of a block, accumulated tile by tile.

Voltage is smoothed by a Savitzky-Golay filter (cubic, 0.5 ms): sample k of the window [onset, end)
is the value at k of the cubic fitted to the samples about it; the first and last half window use
the cubic of the first and last whole one. Moments are sums about the first voltage of the window,
in double precision. ``buffer`` [cell, (lead + TILE) * LANES] holds the voltages of a tile behind
the ``lead`` last ones of the tile before, as many as the filter looks back.
"""

__all__ = ["N_MOMENT_ROWS", "accumulate_tile", "begin_block", "end_block", "ring_of"]

import numpy as np

from neurosbi_simulators.numerics import kernel
from neurosbi_simulators.numerics.vectors import add_power_sums, add_rows, weighted_rows
from neurosbi_simulators.pyloric.bursts import (
    BURSTS,
    END_DUE,
    ENERGY,
    ENERGY_AT_END,
    ENERGY_BEFORE,
    PLATEAU_GRID,
    PLATEAU_LEVEL,
    begin_cell,
    end_cell,
    scan_cell,
    skip_cell,
)
from neurosbi_simulators.pyloric.layout import LANES, N_CELLS, TILE
from neurosbi_simulators.pyloric.rhythm import find_rhythm

(ORIGIN, SUM_1, SUM_2, SUM_3, SUM_4) = range(5)
N_MOMENT_ROWS = 5
CARRIED = 2  # smoothed samples of the tile before, to recognise maxima
BLOW_UP = 300.0  # mV; no ion has a reversal potential near it


def ring_of(hat, dt: float) -> int:
    """Steps of power that are remembered: a whole number of tiles."""
    needed = round(ENERGY_BEFORE / dt) + len(hat) + CARRIED + TILE
    return -(-needed // TILE) * TILE


@kernel
def begin_block(states, moments, alive):
    """Empty accumulators."""
    moments[:] = 0.0
    alive[:] = True
    for c in range(N_CELLS):
        for i in range(LANES):
            begin_cell(states[c], i)


@kernel
def accumulate_tile(
    buffer, power, smooth, work, hat, states, moments, bursts, alive, t0, onset, end, dt
):
    """Account for the steps ``t0 .. t0+TILE`` as far as they lie in [onset, end)."""
    lead = len(hat) - 1
    ring = power.shape[1] // LANES
    first, last = max(t0, onset), min(t0 + TILE, end)
    for c in range(N_CELLS):
        _check(buffer[c, (lead + TILE - 1) * LANES : (lead + TILE) * LANES], alive)
        if first < last:
            newest = last - 1 - onset
            if first == onset:
                _set_origin(buffer[c], moments[c], lead + first - t0)
            _add_moments(buffer[c], moments[c], lead + first - t0, lead + last - t0)
            at = (t0 % ring) * LANES
            _add_energy(power[c, at : at + TILE * LANES], states[c], first - t0, last - t0, newest)
            n, sample = _smooth(buffer[c], smooth[c], hat, t0, first, last, onset, end)
            _tops(smooth[c], work, n)
            for i in range(LANES):
                quiet = work[i] <= PLATEAU_LEVEL and n * dt > 2.0 * PLATEAU_GRID
                if quiet:
                    skip_cell(states[c], i)
                else:
                    scan_cell(
                        states[c],
                        i,
                        smooth[c],
                        sample,
                        n,
                        power[c],
                        ring,
                        onset,
                        newest,
                        bursts[i, c],
                        dt,
                    )
            _carry(smooth[c], n, CARRIED)
        _carry(buffer[c], TILE, lead)


@kernel
def end_block(states, bursts, rhythm):
    """Finish the cells and find the rhythm of each lane; ``rhythm`` [lane, N_RHYTHM_ROWS]."""
    counts = np.zeros(N_CELLS, np.int64)
    for i in range(LANES):
        for c in range(N_CELLS):
            end_cell(states[c], i, bursts[i, c])
            counts[c] = int(states[c, BURSTS, i])
        find_rhythm(bursts[i], counts, rhythm[i])


@kernel
def _check(v, alive):
    for i in range(LANES):
        alive[i] &= abs(float(v[i])) < BLOW_UP  # also False where V is not a number


@kernel
def _set_origin(v, moments, row):
    for i in range(LANES):
        moments[ORIGIN, i] = v[row * LANES + i]


@kernel
def _add_moments(v, moments, first, last):
    add_power_sums(v, first * LANES, last - first, moments, ORIGIN * LANES, moments, SUM_1 * LANES)


@kernel
def _add_energy(power, state, first, last, newest):
    """Sum the power of rows ``first .. last`` of a tile; take the energy of bursts that is due."""
    for i in range(LANES):
        due = state[END_DUE, i] - (newest - (last - 1 - first))  # rows of this tile it still needs
        if state[END_DUE, i] >= 0.0 and due <= last - first:
            total = state[ENERGY, i]
            for row in range(first, first + int(due)):
                total += float(power[row * LANES + i])
            state[ENERGY_AT_END, i] = total
            state[END_DUE, i] = -1.0
    add_rows(power, first * LANES, last - first, state, ENERGY * LANES)


@kernel
def _smooth(v, smooth, hat, t0, first, last, onset, end):
    """Smoothed samples that the new voltages allow; how many, and the number of the first."""
    width = len(hat)
    half = width // 2
    lead = width - 1
    n = 0
    sample = first - half - onset
    for t in range(max(first, onset + lead), last):
        row = lead + t - t0 - lead  # the oldest voltage under the filter
        if t == onset + lead:
            sample = 0
            for k in range(half):
                _fit(v, smooth, hat[k], row, CARRIED + n)
                n += 1
        _fit(v, smooth, hat[half], row, CARRIED + n)
        n += 1
        if t == end - 1:
            for k in range(half + 1, width):
                _fit(v, smooth, hat[k], row, CARRIED + n)
                n += 1
    return n, sample


@kernel
def _fit(v, smooth, weights, row, to):
    weighted_rows(v, row * LANES, weights, len(weights), smooth, to * LANES)


@kernel
def _tops(smooth, work, n):
    for i in range(LANES):
        work[i] = smooth[i]
    for row in range(1, CARRIED + n):
        now = smooth[row * LANES : (row + 1) * LANES]
        for i in range(LANES):
            work[i] = now[i] if now[i] > work[i] else work[i]


@kernel
def _carry(rows, n, kept):
    """The last ``kept`` of ``kept + n`` rows become the first."""
    for row in range(kept):
        old = rows[(n + row) * LANES : (n + row + 1) * LANES]
        new = rows[row * LANES : (row + 1) * LANES]
        for i in range(LANES):
            new[i] = old[i]
