"""Voltage by staggered exponential Euler, for blocks of parameter sets side by side.

C dV/dt = -sum_k g_k (V - E_k) + I(t) + sigma xi(t). With the conductances of the gates held over
a step, V relaxes to V_inf = (sum g E + I) / sum g with rate sum g / C, exactly. The gates then
follow from the new V (see `channels`). The scheme is second order in dt as long as V and gates
stay half a step apart. Sample ``k`` of a trace is V at time k dt, and the current of sample k
acts from k dt to (k+1) dt. White noise enters as a current sigma N(0,1)/sqrt(dt) per step, so its
effect does not depend on dt.
"""

__all__ = ["measure_block", "simulate_block"]

import math

import numpy as np

from neurosbi_simulators.hodgkin_huxley import channels as ch
from neurosbi_simulators.hodgkin_huxley.lags import accumulate_lags, history_rows
from neurosbi_simulators.hodgkin_huxley.layout import (
    FIRST_PARAMETER,
    GE,
    GTOT,
    HAS_CAL,
    HAS_CAT,
    HAS_KV,
    HAS_M,
    HAS_NAT,
    LANES,
    N_PARAMETER_ROWS,
    N_ROWS,
    P_AMP,
    P_DTC,
    P_END,
    P_HOLD,
    P_NOISE,
    P_OFF,
    P_ON,
    TILE,
    TILE_NOISE,
    TILE_V,
    V,
)
from neurosbi_simulators.hodgkin_huxley.streaming import (
    HIGHEST,
    LOWEST,
    ORIGIN,
    accumulate_tile,
)
from neurosbi_simulators.numerics import entry, kernel
from neurosbi_simulators.numerics.binning import N_BIN_ROWS, begin_bins, bin_lane
from neurosbi_simulators.numerics.gaussian import normal_pair
from neurosbi_simulators.numerics.spikes import (
    LAST_PEAK,
    RING,
    grid_stride,
)

SETTLED = 1e9  # ms; a step this long puts every gate at its steady state
SCAN_FROM, SCAN_TO, SCAN_STEP = -300.0, 60.0, 2.0  # mV, where a resting potential is searched
BISECTIONS = 30


@kernel
def advance_gates(block, constants, has, real):
    """All channels of the model follow the new voltage."""
    ch.begin_step(block, real)
    ch.advance_na(block, constants, real)
    ch.advance_kd(block, constants, real)
    if has[HAS_M]:
        ch.advance_m(block, constants, real)
    if has[HAS_CAL]:
        ch.advance_cal(block, constants, real)
    if has[HAS_CAT]:
        ch.advance_cat(block, constants, real)
    if has[HAS_NAT]:
        ch.advance_nat(block, constants, real)
    if has[HAS_KV]:
        ch.advance_kv31(block, constants, real)


@kernel
def fill_noise(block, keys, t0):
    """Standard normals for the steps of one tile."""
    for pair in range(TILE // 2):
        counter = np.uint32((t0 >> 1) + pair)
        low = (TILE_NOISE + 2 * pair) * LANES
        for i in range(LANES):
            a, b = normal_pair(counter, keys[0, i], keys[1, i])
            block[low + i] = a
            block[low + LANES + i] = b


@kernel
def integrate_tile(block, constants, has, wave, t0, real):
    """TILE steps from step ``t0``; the voltage of each is kept in the block."""
    for j in range(TILE):
        now = real(t0 + j)
        shared = wave[min(t0 + j, len(wave) - 1)]
        for i in range(LANES):
            v = block[V * LANES + i]
            block[(TILE_V + j) * LANES + i] = v
            inside = (now >= block[P_ON * LANES + i]) & (now < block[P_OFF * LANES + i])
            step = block[P_AMP * LANES + i] if inside else real(0.0)
            noise = block[P_NOISE * LANES + i] * block[(TILE_NOISE + j) * LANES + i]
            current = (shared + block[P_HOLD * LANES + i]) + (step + noise)
            g = block[GTOT * LANES + i]
            v_inf = (block[GE * LANES + i] + current) / g
            relax = ch.decay(block[P_DTC * LANES + i] * g)
            block[V * LANES + i] = v_inf + (v - v_inf) * relax
        advance_gates(block, constants, has, real)


@kernel
def begin_at_rest(block, constants, has, initial_v, real):
    """V of every lane at ``initial_v`` (NaN: its lowest resting potential), gates in steady state.

    The resting potential is found by a scan upwards and bisection of the steady-state current,
    which is inward at very negative V and outward at very positive V, so a crossing exists.
    """
    timed = block[FIRST_PARAMETER * LANES : (FIRST_PARAMETER + N_PARAMETER_ROWS) * LANES].copy()
    slow = constants.copy()
    ch.stretch_time(block, slow, SETTLED, real)
    low = np.full(LANES, SCAN_FROM)
    high = np.full(LANES, math.nan)
    n_scan = int((SCAN_TO - SCAN_FROM) / SCAN_STEP) + 1
    for k in range(n_scan + BISECTIONS + 1):
        for i in range(LANES):
            v = SCAN_FROM + k * SCAN_STEP
            if k >= n_scan:
                v = 0.5 * (low[i] + (SCAN_TO if math.isnan(high[i]) else high[i]))
            if k == n_scan + BISECTIONS and not math.isnan(initial_v[i]):
                v = initial_v[i]
            block[V * LANES + i] = real(v)
        for _ in range(2):  # twice: one stretched step leaves 1e-7 of the old gate
            advance_gates(block, slow, has, real)
        for i in range(LANES):
            v = float(block[V * LANES + i])
            if _net_current(block, i) <= 0.0:
                if math.isnan(high[i]) or k >= n_scan:
                    high[i] = v
            elif math.isnan(high[i]) or k >= n_scan:
                low[i] = v
    for k in range(len(timed)):
        block[FIRST_PARAMETER * LANES + k] = timed[k]


@kernel
def _net_current(block, i):
    """Depolarising current at the present voltage, with the gates where they are."""
    inward = float(block[GE * LANES + i]) + float(block[P_HOLD * LANES + i])
    return inward - float(block[GTOT * LANES + i]) * float(block[V * LANES + i])


@kernel
def begin_features(block, moments, spikes):
    """Empty accumulators, the reference voltage being the present one."""
    moments[:] = 0.0
    spikes[:] = 0.0
    for i in range(LANES):
        moments[ORIGIN, i] = block[V * LANES + i]
        moments[HIGHEST, i] = -1e30
        moments[LOWEST, i] = 1e30
        spikes[LAST_PEAK, i] = -1e30


@entry
def simulate_block(
    parameters,  # [N_PARAMETER_ROWS, LANES]
    keys,  # uint32 [2, LANES]
    initial_v,  # float64 [LANES], NaN: start from rest
    n_steps,
    constants,
    has,
    wave,  # current common to all lanes, at least one sample
    dt,
    noisy,
    stride,  # of the stored traces
    traces,  # out [LANES, samples]; with 0 samples nothing is stored
    lag_steps,  # int64 [lag], lags of the autocorrelation; may be empty
    moments,  # out, float64 [N_MOMENT_ROWS, LANES]
    spikes,  # out, float64 [N_SPIKE_ROWS, LANES]
    lag_sums,  # out, float64 [3 * lag, LANES]
    edges,  # int64 [2, bin], see `numerics.binning`
    sections,  # int64 [section + 1]
    binned,  # out, float32 [LANES, channel, bin]; with 0 bins nothing is binned
):
    """Integrate one block of LANES simulations and stream its features."""
    real = parameters.dtype.type
    grid = grid_stride(dt)
    block = np.zeros(N_ROWS * LANES, parameters.dtype)
    ring = np.zeros(RING * LANES, parameters.dtype)
    for row in range(N_PARAMETER_ROWS):
        for i in range(LANES):
            block[(FIRST_PARAMETER + row) * LANES + i] = parameters[row, i]
    begin_at_rest(block, constants, has, initial_v, real)
    begin_features(block, moments, spikes)
    lag_sums[:] = 0.0
    history = np.zeros(history_rows(lag_steps) * LANES, block.dtype)
    work = np.zeros(3 * LANES, block.dtype)
    first_on, last_on = _onsets(block)
    bin_state = _begin_binning(block, edges, sections, binned)
    t0 = np.int64(0)  # after a literal 0, callees would be compiled twice: for 0 and for int64
    while t0 < n_steps:
        if noisy:
            fill_noise(block, keys, t0)
        integrate_tile(block, constants, has, wave, t0, real)
        n = min(TILE, n_steps - t0)
        accumulate_tile(block, moments, spikes, ring, t0, n, first_on, last_on, grid, dt, real)
        if len(lag_steps) > 0:
            accumulate_lags(block, history, moments[ORIGIN], lag_sums, lag_steps, t0, work, real)
        if binned.shape[2] > 0:
            _bin_tile(block, bin_state, t0, n, edges, sections, binned)
        if traces.shape[1] > 0:
            for j in range(n):
                if (t0 + j) % stride == 0:
                    for i in range(LANES):
                        traces[i, (t0 + j) // stride] = block[(TILE_V + j) * LANES + i]
        t0 += TILE


@entry
def measure_block(
    traces,  # [LANES, samples]
    on,  # int64 [LANES]
    off,
    dt,
    lag_steps,
    moments,
    spikes,
    lag_sums,
    edges,
    sections,
    binned,
):
    """The same features of given traces, through the same code."""
    real = traces.dtype.type
    grid = grid_stride(dt)
    n_steps = traces.shape[1]
    block = np.zeros(N_ROWS * LANES, traces.dtype)
    ring = np.zeros(RING * LANES, traces.dtype)
    for i in range(LANES):
        block[V * LANES + i] = traces[i, 0]
        block[P_ON * LANES + i] = on[i]
        block[P_OFF * LANES + i] = off[i]
        block[P_END * LANES + i] = n_steps
    begin_features(block, moments, spikes)
    lag_sums[:] = 0.0
    history = np.zeros(history_rows(lag_steps) * LANES, block.dtype)
    work = np.zeros(3 * LANES, block.dtype)
    first_on, last_on = _onsets(block)
    bin_state = _begin_binning(block, edges, sections, binned)
    t0 = np.int64(0)  # after a literal 0, callees would be compiled twice: for 0 and for int64
    while t0 < n_steps:
        n = min(TILE, n_steps - t0)
        for j in range(TILE):
            sample = min(t0 + j, n_steps - 1)
            for i in range(LANES):
                block[(TILE_V + j) * LANES + i] = traces[i, sample]
        accumulate_tile(block, moments, spikes, ring, t0, n, first_on, last_on, grid, dt, real)
        if len(lag_steps) > 0:
            accumulate_lags(block, history, moments[ORIGIN], lag_sums, lag_steps, t0, work, real)
        if binned.shape[2] > 0:
            _bin_tile(block, bin_state, t0, n, edges, sections, binned)
        t0 += TILE


@kernel
def _onsets(block):
    """The earliest and the latest onset of all lanes, in steps."""
    first_on = int(block[P_ON * LANES])
    last_on = first_on
    for i in range(1, LANES):
        on = int(block[P_ON * LANES + i])
        first_on = min(first_on, on)
        last_on = max(last_on, on)
    return first_on, last_on


@kernel
def _begin_binning(block, edges, sections, binned):
    state = np.zeros((len(sections) - 1, N_BIN_ROWS, LANES))
    binned[:] = math.nan
    for i in range(LANES):
        begin_bins(state, i, edges, sections, int(block[P_ON * LANES + i]))
    return state


@kernel
def _bin_tile(block, state, t0, n, edges, sections, binned):
    """Account for the samples of steps ``t0 .. t0+n`` of all lanes, up to their offset."""
    for i in range(LANES):
        on = int(block[P_ON * LANES + i])
        end = int(min(block[P_OFF * LANES + i], block[P_END * LANES + i]))
        mine = min(n, end - t0)
        if mine > 0:
            bin_lane(state, i, block, TILE_V, LANES, t0, mine, on, end, edges, sections, binned)
