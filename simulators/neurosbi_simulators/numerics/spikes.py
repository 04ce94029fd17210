"""Spikes of one voltage trace, found while it streams by.

Definitions (the feature tables quote them):

* a *spike* begins when V rises through -10 mV and its *peak* is the largest V before V falls
  below -10 mV again; it belongs to the stimulus if its peak does;
* *threshold*: V where dV/dt last rises through 10 mV/ms before the peak; dV/dt is taken on a grid
  of about 0.1 ms (so that measurement noise of fast recordings does not decide), with linear
  interpolation between grid points;
* *amplitude*: peak - threshold;  *width*: time between the two crossings of threshold +
  amplitude/2, undefined where V is still above it 5 ms after the peak;  *trough*: the lowest V
  within 5 ms after the peak, or before the next spike;
* *peaks* are counted separately, by the rule of Goncalves et al. 2020 (doi:10.7554/eLife.56261):
  every local maximum above -10 mV, at least 0.5 ms after the one before.

``state`` holds one column per lane, so that nothing grows with the duration of the trace. A short
ring of grid voltages is all that is remembered of the past: a spike that stays above -10 mV until
its own onset has left the ring (10 ms and more) has no threshold, width or trough.
"""

__all__ = ["N_SPIKE_ROWS", "RING", "finish_lane", "grid_stride", "scan_lane"]

import math

from neurosbi_simulators.numerics.jit import kernel

LEVEL = -10.0  # mV
SLOPE = 10.0  # mV/ms
GRID = 0.1  # ms, aimed at
TROUGH_WINDOW = 5.0  # ms
LOOK_BACK = 5.0  # ms, the longest upstroke that is searched for a threshold
REFRACTORY = 0.5  # ms, between counted peaks
RING = 256  # grid points remembered; a grid step is 0.067 to 0.14 ms
AHEAD = 32  # samples; so far ahead of the one being looked at may the ring be filled

(
    PHASE,  # 0 below the level, 1 above it, 2 waiting for the trough
    PREVIOUS,  # V of the sample before
    RISING,
    LAST_PEAK,  # step of the last local maximum
    PEAKS,
    PEAK_V,
    PEAK_T,
    SPIKES,
    FIRST_T,
    LAST_T,
    FIRST_ISI,
    LAST_ISI,
    ISI_SUM,
    ISI_SQ,
    ADAPT_SUM,
    FIRST_EIGHTH,
    FIRST_QUARTER,
    FIRST_HALF,
    THRESHOLD_SUM,
    AMPLITUDE_SUM,
    AMPLITUDE_SQ,
    SHAPED,  # spikes with a threshold
    WIDTH_SUM,
    WIDTHS,
    AHP_SUM,
    AHPS,
    LAST_AMPLITUDE,
    AMPLITUDE_RATIO_SUM,
    FIRST_SHAPE,  # threshold, amplitude, width, trough of the first spike
    _S1,
    _S2,
    _S3,
    THIRD_SHAPE,  # and of the third
    _T1,
    _T2,
    _T3,
    FIRST_AMPLITUDE,
) = range(37)
N_SPIKE_ROWS = 37


@kernel
def grid_stride(dt):
    """Samples per grid point."""
    return max(1, round(GRID / dt))


@kernel
def scan_lane(state, lane, tile, row0, lanes, first_step, n, on, off, ring, stride, dt):
    """Feed ``n`` samples of one lane, those of steps ``first_step`` and following."""
    previous = state[PREVIOUS, lane]
    rising = state[RISING, lane] > 0.0
    for j in range(n):
        step = first_step + j
        v = float(tile[(row0 + j) * lanes + lane])
        if v > LEVEL:
            if previous <= LEVEL:
                if state[PHASE, lane] == 2.0:
                    _finish_spike(state, lane, step, on, off, ring, lanes, stride, dt)
                state[PHASE, lane] = 1.0
                state[PEAK_V, lane] = v
                state[PEAK_T, lane] = step
                rising = True
            elif v < previous:
                if rising:
                    _count_peak(state, lane, step - 1, on, off, dt)
                rising = False
            elif v > previous:
                rising = True
            if state[PHASE, lane] == 1.0 and v > state[PEAK_V, lane]:
                state[PEAK_V, lane] = v
                state[PEAK_T, lane] = step
        else:
            if previous > LEVEL:
                if rising:
                    _count_peak(state, lane, step - 1, on, off, dt)
                if state[PHASE, lane] == 1.0:
                    state[PHASE, lane] = 2.0
            rising = False
            if state[PHASE, lane] == 2.0 and (step - state[PEAK_T, lane]) * dt >= TROUGH_WINDOW:
                _finish_spike(state, lane, step, on, off, ring, lanes, stride, dt)
                state[PHASE, lane] = 0.0
        previous = v
    state[PREVIOUS, lane] = previous
    state[RISING, lane] = 1.0 if rising else 0.0


@kernel
def finish_lane(state, lane, end_step, on, off, ring, lanes, stride, dt):
    """The trace is over: complete a spike whose trough was still awaited."""
    if state[PHASE, lane] == 2.0:
        _finish_spike(state, lane, end_step - 1, on, off, ring, lanes, stride, dt)
        state[PHASE, lane] = 0.0


@kernel
def _count_peak(state, lane, step, on, off, dt):
    if on < step < off:
        if (step - state[LAST_PEAK, lane]) * dt > REFRACTORY:
            state[PEAKS, lane] += 1.0
        state[LAST_PEAK, lane] = step


@kernel
def _finish_spike(state, lane, now, on, off, ring, lanes, stride, dt):
    peak_t = state[PEAK_T, lane]
    if not on < peak_t < off:
        return
    _count_intervals(state, lane, peak_t, on, off, dt)
    threshold, width, trough = _shape(state, lane, now, ring, lanes, stride, dt)
    spikes = state[SPIKES, lane]
    if spikes == 1.0 or spikes == 3.0:
        row = FIRST_SHAPE if spikes == 1.0 else THIRD_SHAPE
        state[row, lane] = threshold
        state[row + 1, lane] = state[PEAK_V, lane] - threshold
        state[row + 2, lane] = width
        state[row + 3, lane] = trough
    if math.isnan(threshold):
        return
    amplitude = state[PEAK_V, lane] - threshold
    if state[SHAPED, lane] > 0.0:
        state[AMPLITUDE_RATIO_SUM, lane] += (amplitude - state[LAST_AMPLITUDE, lane]) / (
            amplitude + state[LAST_AMPLITUDE, lane]
        )
    else:
        state[FIRST_AMPLITUDE, lane] = amplitude
    state[SHAPED, lane] += 1.0
    state[LAST_AMPLITUDE, lane] = amplitude
    state[THRESHOLD_SUM, lane] += threshold
    state[AMPLITUDE_SUM, lane] += amplitude
    state[AMPLITUDE_SQ, lane] += amplitude * amplitude
    if not math.isnan(width):
        state[WIDTH_SUM, lane] += width
        state[WIDTHS, lane] += 1.0
    if not math.isnan(trough):
        state[AHP_SUM, lane] += threshold - trough
        state[AHPS, lane] += 1.0


@kernel
def _count_intervals(state, lane, peak_t, on, off, dt):
    spikes = state[SPIKES, lane]
    if spikes == 0.0:
        state[FIRST_T, lane] = peak_t
    else:
        isi = (peak_t - state[LAST_T, lane]) * dt
        if spikes == 1.0:
            state[FIRST_ISI, lane] = isi
        else:
            last = state[LAST_ISI, lane]
            state[ADAPT_SUM, lane] += (isi - last) / (isi + last)
        state[LAST_ISI, lane] = isi
        state[ISI_SUM, lane] += isi
        state[ISI_SQ, lane] += isi * isi
    state[LAST_T, lane] = peak_t
    state[SPIKES, lane] = spikes + 1.0
    passed = (peak_t - on) / (off - on)
    state[FIRST_EIGHTH, lane] += 1.0 if passed < 0.125 else 0.0
    state[FIRST_QUARTER, lane] += 1.0 if passed < 0.25 else 0.0
    state[FIRST_HALF, lane] += 1.0 if passed < 0.5 else 0.0


@kernel
def _shape(state, lane, now, ring, lanes, stride, dt):
    """Threshold (mV), width (ms) and trough (mV) of the spike just passed; NaN where undefined."""
    step = stride * dt
    top = int(state[PEAK_T, lane]) // stride
    newest = int(now) // stride
    kept = newest - RING + 2 + AHEAD // stride  # what is older may be overwritten
    if top <= kept:
        return math.nan, math.nan, math.nan
    oldest = max(0, kept, top - int(LOOK_BACK / step))
    threshold = math.nan
    base = top
    steep = False
    for g in range(top, oldest, -1):
        slope = (_at(ring, g, lane, lanes) - _at(ring, g - 1, lane, lanes)) / step
        if slope >= SLOPE:
            steep = True
            base = g
        elif steep:
            # slopes belong to the middles of grid intervals; find where they pass SLOPE
            after = (_at(ring, g + 1, lane, lanes) - _at(ring, g, lane, lanes)) / step
            where = g - 0.5 + (SLOPE - slope) / (after - slope)
            low = math.floor(where)
            part = where - low
            threshold = (1.0 - part) * _at(ring, low, lane, lanes) + part * _at(
                ring, low + 1, lane, lanes
            )
            break
    trough = math.nan
    last = min(newest, top + int(TROUGH_WINDOW / step))
    if last > top:
        trough = _at(ring, top + 1, lane, lanes)
        for g in range(top + 2, last + 1):
            trough = min(trough, _at(ring, g, lane, lanes))
    width = math.nan
    if not math.isnan(threshold):
        half = 0.5 * (threshold + state[PEAK_V, lane])
        rise = math.nan
        for g in range(base, top + 1):
            after_v = _at(ring, g, lane, lanes)
            if after_v >= half:
                before_v = _at(ring, g - 1, lane, lanes)
                rise = g - (after_v - half) / (after_v - before_v) if before_v < half else g
                break
        for g in range(top + 1, last + 1):
            after_v = _at(ring, g, lane, lanes)
            if after_v < half:
                before_v = _at(ring, g - 1, lane, lanes)
                if before_v >= half:
                    width = (g - (half - after_v) / (before_v - after_v) - rise) * step
                break
    return threshold, width, trough


@kernel
def _at(ring, g, lane, lanes):
    return float(ring[(g & (RING - 1)) * lanes + lane])
