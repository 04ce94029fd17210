"""One block of LANES networks from start to end: what Python calls."""

__all__ = ["measure_block", "simulate_block"]

import numpy as np

from neurosbi_simulators.numerics import entry, kernel
from neurosbi_simulators.pyloric.integrate import CA_OUT, CA_REST, fill_noise, integrate_tile
from neurosbi_simulators.pyloric.layout import (
    CA,
    E_CA,
    FIRST_PARAMETER,
    LANES,
    N_CELLS,
    N_PARAMETER_ROWS,
    N_ROWS,
    P_NERNST,
    SLOTS,
    TILE,
    V,
)
from neurosbi_simulators.pyloric.streaming import (
    CARRIED,
    accumulate_tile,
    begin_block,
    end_block,
)

V_START = -50.0  # mV; gates and releases start at 0
_ALIGNMENT = 64  # bytes, one cache line


@kernel
def _rows(n_rows, n, real):
    """Zeros [n_rows, n] that begin with a cache line; vectors then never straddle two."""
    flat = np.zeros(n_rows * n + _ALIGNMENT, real)
    size = flat.itemsize
    first = (_ALIGNMENT - flat.ctypes.data % _ALIGNMENT) % _ALIGNMENT // size
    return flat[first : first + n_rows * n].reshape((n_rows, n))


@kernel
def _begin(cells, parameters, real):
    for c in range(N_CELLS):
        for row in range(N_PARAMETER_ROWS):
            for i in range(LANES):
                cells[c, (FIRST_PARAMETER + row) * LANES + i] = parameters[c, row, i]
        for i in range(LANES):
            cells[c, V * LANES + i] = V_START
            cells[c, CA * LANES + i] = CA_REST
            nernst = cells[c, P_NERNST * LANES + i]
            cells[c, E_CA * LANES + i] = nernst * real(np.log(CA_OUT / CA_REST))


@entry
def simulate_block(
    parameters,  # [cell, N_PARAMETER_ROWS, LANES]
    speed,  # [LANES * SLOTS], temperature factors of the gates' rates; or [0]
    table,  # [row * 2 * SLOTS], `rates.rate_table`; without speeds `rates.part_table`
    keys,  # uint32 [2, LANES]
    noise_sd,  # of the current over capacitance in one step; 0: no noise
    n_steps,
    onset,  # first step that features see
    dt,  # in double precision: features compare multiples of it with limits
    hat,  # [width, width], see `smoothing.hat_matrix`
    ring,  # steps of power that are remembered
    stride,  # of the stored traces
    traces,  # out [2, LANES, cell, samples]: voltage and power; with 0 samples nothing is stored
    bursts,  # out, float64 [LANES, cell, burst, 2]
    states,  # out, float64 [cell, N_STATE_ROWS, LANES]
    moments,  # out, float64 [cell, N_MOMENT_ROWS, LANES]
    rhythm,  # out, float64 [LANES, N_RHYTHM_ROWS]
    alive,  # out, bool [LANES]: no blow-up
):
    """Integrate one block and stream its features."""
    real = parameters.dtype.type
    step = real(dt)
    lead = len(hat) - 1
    cells = _rows(N_CELLS, N_ROWS * LANES, real)
    gates = _rows(1, N_CELLS * LANES * SLOTS, real)[0]
    opened = _rows(N_CELLS, SLOTS * LANES, real)
    own_speed = _rows(1, len(speed), real)[0]
    own_speed[:] = speed
    own_table = _rows(1, len(table), real)[0]
    own_table[:] = table
    noise = _rows(N_CELLS, TILE * LANES, real)
    buffer = _rows(N_CELLS, (lead + TILE) * LANES, real)
    power = _rows(N_CELLS, ring * LANES, real)
    smooth = _rows(N_CELLS, (CARRIED + len(hat) + TILE) * LANES, real)
    work = _rows(1, LANES, real)[0]
    rows = np.zeros((N_CELLS, LANES), np.int32)
    _begin(cells, parameters, real)
    begin_block(states, moments, alive)
    t0 = np.int64(0)
    while t0 < n_steps:
        if noise_sd > real(0.0):
            fill_noise(noise, keys, noise_sd, t0)
        at = (t0 % ring) * LANES
        now = power[:, at : at + TILE * LANES]
        integrate_tile(
            cells, gates, opened, own_speed, own_table, noise, rows, buffer, lead, now, step, real
        )
        if traces.shape[3] > 0:
            _store(traces, buffer, lead, now, t0, min(TILE, n_steps - t0), stride)
        accumulate_tile(
            buffer,
            power,
            smooth,
            work,
            hat,
            states,
            moments,
            bursts,
            alive,
            t0,
            onset,
            n_steps,
            dt,
        )
        t0 += TILE
    end_block(states, bursts, rhythm)


@kernel
def _store(traces, buffer, lead, power, t0, n, stride):
    for j in range(n):
        if (t0 + j) % stride == 0:
            for c in range(N_CELLS):
                for i in range(LANES):
                    traces[0, i, c, (t0 + j) // stride] = buffer[c, (lead + j) * LANES + i]
                    traces[1, i, c, (t0 + j) // stride] = power[c, j * LANES + i]


@entry
def measure_block(
    traces,  # [2, LANES, cell, samples]: voltage and power
    onset,
    dt,
    hat,
    ring,
    bursts,
    states,
    moments,
    rhythm,
    alive,
):
    """The same features of given traces, through the same code."""
    real = traces.dtype.type
    lead = len(hat) - 1
    n_steps = traces.shape[3]
    buffer = _rows(N_CELLS, (lead + TILE) * LANES, real)
    power = _rows(N_CELLS, ring * LANES, real)
    smooth = _rows(N_CELLS, (CARRIED + len(hat) + TILE) * LANES, real)
    work = _rows(1, LANES, real)[0]
    begin_block(states, moments, alive)
    t0 = np.int64(0)
    while t0 < n_steps:
        for j in range(TILE):
            sample = min(t0 + j, n_steps - 1)
            to = ((t0 + j) % ring) * LANES
            for c in range(N_CELLS):
                for i in range(LANES):
                    buffer[c, (lead + j) * LANES + i] = traces[0, i, c, sample]
                    power[c, to + i] = traces[1, i, c, sample]
        accumulate_tile(
            buffer,
            power,
            smooth,
            work,
            hat,
            states,
            moments,
            bursts,
            alive,
            t0,
            onset,
            n_steps,
            dt,
        )
        t0 += TILE
    end_block(states, bursts, rhythm)
