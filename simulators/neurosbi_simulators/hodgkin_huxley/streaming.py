"""Features of a block of traces, tile by tile: moments in vector loops, spikes lane by lane.

Sums are taken in the working precision over one tile, about the first voltage of that tile, and
then moved to double precision about a fixed reference. That keeps the higher moments of a nearly
constant trace, which plain power sums lose.
"""

__all__ = ["N_MOMENT_ROWS", "accumulate_tile"]

import math

from neurosbi_simulators.hodgkin_huxley.layout import (
    BOTTOM,
    LANES,
    P_END,
    P_OFF,
    P_ON,
    REST_ALL,
    REST_ALL_SQ,
    REST_SQ,
    REST_SUM,
    SUM_1,
    SUM_2,
    SUM_3,
    SUM_4,
    SUM_5,
    TILE,
    TILE_V,
    TOP,
)
from neurosbi_simulators.numerics import kernel
from neurosbi_simulators.numerics.spikes import (
    LEVEL,
    PHASE,
    PREVIOUS,
    RING,
    finish_lane,
    scan_lane,
)

# rows of ``moments`` [row, lane], float64
ORIGIN, COUNT, POWER_1, POWER_2, POWER_3, POWER_4, POWER_5 = range(7)
REST_ALL_SUM, REST_COUNT, REST_POWER_1, REST_POWER_2, HIGHEST, LOWEST = range(7, 13)
REST_ALL_POWER_2 = 13
N_MOMENT_ROWS = 14

REST_TAIL = 0.9  # the standard deviation at rest is that of the last tenth before the stimulus


@kernel
def accumulate_tile(block, moments, spikes, ring, t0, n, first_on, last_on, stride, dt, real):
    """Account for the samples of steps ``t0 .. t0+n`` of all lanes.

    ``n`` is TILE except in the last tile. The vector loops always take whole tiles: what lies
    behind a lane's end also lies behind its offset and is masked out. Lanes of one block may end
    at different steps; nothing behind its own end counts for a lane, so that its features do not
    depend on the company it is simulated in.
    """
    for j in range(n):
        if (t0 + j) % stride == 0:
            slot = ((t0 + j) // stride) & (RING - 1)
            for i in range(LANES):
                ring[slot * LANES + i] = block[(TILE_V + j) * LANES + i]
    if t0 < last_on:
        _rest(block, moments, t0, real)
    if t0 + TILE > first_on:
        _stimulus(block, moments, t0, real)
    else:
        _extremes(block)
    for i in range(LANES):
        left = int(block[P_END * LANES + i]) - t0
        if left <= 0:
            continue
        mine = min(left, TILE)
        if mine < TILE:
            _lane_extremes(block, i, mine)
        last = block[(TILE_V + mine - 1) * LANES + i]
        if not abs(last) < real(1e30):  # also where it is not a number, which no maximum shows
            moments[HIGHEST, i] = math.inf
        moments[HIGHEST, i] = max(moments[HIGHEST, i], float(block[TOP * LANES + i]))
        moments[LOWEST, i] = min(moments[LOWEST, i], float(block[BOTTOM * LANES + i]))
        if block[TOP * LANES + i] > LEVEL or spikes[PHASE, i] != 0.0:
            on = float(block[P_ON * LANES + i])
            off = float(block[P_OFF * LANES + i])
            scan_lane(spikes, i, block, TILE_V, LANES, t0, mine, on, off, ring, stride, dt)
            if left <= TILE:
                finish_lane(spikes, i, t0 + left, on, off, ring, LANES, stride, dt)
        else:
            spikes[PREVIOUS, i] = last


@kernel
def _extremes(block):
    for i in range(LANES):
        first = block[TILE_V * LANES + i]
        block[TOP * LANES + i] = first
        block[BOTTOM * LANES + i] = first
    for j in range(1, TILE):
        for i in range(LANES):
            v = block[(TILE_V + j) * LANES + i]
            top = block[TOP * LANES + i]
            bottom = block[BOTTOM * LANES + i]
            block[TOP * LANES + i] = v if v > top else top
            block[BOTTOM * LANES + i] = v if v < bottom else bottom


@kernel
def _lane_extremes(block, i, n):
    """Extremes of the first ``n`` samples of a tile in which a lane ends."""
    top = block[TILE_V * LANES + i]
    bottom = top
    for j in range(1, n):
        v = block[(TILE_V + j) * LANES + i]
        top = max(top, v)
        bottom = min(bottom, v)
    block[TOP * LANES + i] = top
    block[BOTTOM * LANES + i] = bottom


@kernel
def _masked(v, origin, now, on, off, real):
    inside = (now >= on) & (now < off)
    return v - origin if inside else real(0.0)


@kernel
def _stimulus(block, moments, t0, real):
    for i in range(LANES):
        first = block[TILE_V * LANES + i]
        block[TOP * LANES + i] = first
        block[BOTTOM * LANES + i] = first
        block[SUM_1 * LANES + i] = real(0.0)
        block[SUM_2 * LANES + i] = real(0.0)
        block[SUM_3 * LANES + i] = real(0.0)
        block[SUM_4 * LANES + i] = real(0.0)
        block[SUM_5 * LANES + i] = real(0.0)
    for quarter in range(TILE // 4):
        j = 4 * quarter
        now = real(t0 + j)
        for i in range(LANES):
            on = block[P_ON * LANES + i]
            off = block[P_OFF * LANES + i]
            origin = block[TILE_V * LANES + i]
            v0 = block[(TILE_V + j) * LANES + i]
            v1 = block[(TILE_V + j + 1) * LANES + i]
            v2 = block[(TILE_V + j + 2) * LANES + i]
            v3 = block[(TILE_V + j + 3) * LANES + i]
            top = block[TOP * LANES + i]
            bottom = block[BOTTOM * LANES + i]
            top = v0 if v0 > top else top
            top = v1 if v1 > top else top
            top = v2 if v2 > top else top
            block[TOP * LANES + i] = v3 if v3 > top else top
            bottom = v0 if v0 < bottom else bottom
            bottom = v1 if v1 < bottom else bottom
            bottom = v2 if v2 < bottom else bottom
            block[BOTTOM * LANES + i] = v3 if v3 < bottom else bottom
            x0 = _masked(v0, origin, now, on, off, real)
            x1 = _masked(v1, origin, now + real(1.0), on, off, real)
            x2 = _masked(v2, origin, now + real(2.0), on, off, real)
            x3 = _masked(v3, origin, now + real(3.0), on, off, real)
            s0 = x0 * x0
            s1 = x1 * x1
            s2 = x2 * x2
            s3 = x3 * x3
            c0 = s0 * x0
            c1 = s1 * x1
            c2 = s2 * x2
            c3 = s3 * x3
            block[SUM_1 * LANES + i] += (x0 + x1) + (x2 + x3)
            block[SUM_2 * LANES + i] += (s0 + s1) + (s2 + s3)
            block[SUM_3 * LANES + i] += (c0 + c1) + (c2 + c3)
            block[SUM_4 * LANES + i] += (s0 * s0 + s1 * s1) + (s2 * s2 + s3 * s3)
            block[SUM_5 * LANES + i] += (c0 * s0 + c1 * s1) + (c2 * s2 + c3 * s3)
    for i in range(LANES):
        on = float(block[P_ON * LANES + i])
        off = float(block[P_OFF * LANES + i])
        n = min(max(off - t0, 0.0), float(TILE)) - min(max(on - t0, 0.0), float(TILE))
        d = float(block[TILE_V * LANES + i]) - moments[ORIGIN, i]
        s1 = float(block[SUM_1 * LANES + i])
        s2 = float(block[SUM_2 * LANES + i])
        s3 = float(block[SUM_3 * LANES + i])
        s4 = float(block[SUM_4 * LANES + i])
        s5 = float(block[SUM_5 * LANES + i])
        moments[COUNT, i] += n
        moments[POWER_1, i] += s1 + n * d
        moments[POWER_2, i] += s2 + d * (2.0 * s1 + n * d)
        moments[POWER_3, i] += s3 + d * (3.0 * s2 + d * (3.0 * s1 + n * d))
        moments[POWER_4, i] += s4 + d * (4.0 * s3 + d * (6.0 * s2 + d * (4.0 * s1 + n * d)))
        moments[POWER_5, i] += s5 + d * (
            5.0 * s4 + d * (10.0 * s3 + d * (10.0 * s2 + d * (5.0 * s1 + n * d)))
        )


@kernel
def _rest(block, moments, t0, real):
    for i in range(LANES):
        block[REST_ALL * LANES + i] = real(0.0)
        block[REST_ALL_SQ * LANES + i] = real(0.0)
        block[REST_SUM * LANES + i] = real(0.0)
        block[REST_SQ * LANES + i] = real(0.0)
    for j in range(TILE):
        now = real(t0 + j)
        for i in range(LANES):
            on = block[P_ON * LANES + i]
            x = block[(TILE_V + j) * LANES + i] - block[TILE_V * LANES + i]
            x = x if now < on else real(0.0)
            tail = x if now >= real(REST_TAIL) * on else real(0.0)
            block[REST_ALL * LANES + i] += x
            block[REST_ALL_SQ * LANES + i] += x * x
            block[REST_SUM * LANES + i] += tail
            block[REST_SQ * LANES + i] += tail * tail
    for i in range(LANES):
        on = float(block[P_ON * LANES + i])
        d = float(block[TILE_V * LANES + i]) - moments[ORIGIN, i]
        n_all = min(max(on - t0, 0.0), float(TILE))
        first = math.ceil(float(real(REST_TAIL) * block[P_ON * LANES + i]))
        n = n_all - min(max(first - t0, 0.0), n_all)
        s1 = float(block[REST_SUM * LANES + i])
        s2 = float(block[REST_SQ * LANES + i])
        all_1 = float(block[REST_ALL * LANES + i])
        all_2 = float(block[REST_ALL_SQ * LANES + i])
        moments[REST_ALL_SUM, i] += all_1 + n_all * d
        moments[REST_ALL_POWER_2, i] += all_2 + d * (2.0 * all_1 + n_all * d)
        moments[REST_COUNT, i] += n
        moments[REST_POWER_1, i] += s1 + n * d
        moments[REST_POWER_2, i] += s2 + d * (2.0 * s1 + n * d)
