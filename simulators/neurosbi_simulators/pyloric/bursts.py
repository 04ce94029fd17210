"""Spikes, bursts and plateaus of one cell, found while its smoothed voltage streams by.

Definitions (after Prinz et al. 2004, as in the code of Deistler et al. 2022):

* a *spike* is a local maximum of the smoothed voltage above -10 mV; its time is that of the sample
  before the maximum;
* a *burst* ends where no spike follows within 150 ms, and with the last spike; only bursts longer
  than 40 ms count;
* a *plateau* is the longest run above -30 mV, ended by a sample below, from the start of one
  counted burst to the start of the next (of the last: to the last spike), sampled every 0.25 ms;
* the *energy of a burst* is that from 2 ms before its first to 12 ms behind its last spike.

Whether a burst counts is known only some spikes after it began. Until then its plateau is tracked
beside that of the burst before, which goes on if the new one turns out too short.
"""

__all__ = ["N_STATE_ROWS", "begin_cell", "end_cell", "scan_cell", "skip_cell"]

from neurosbi_simulators.numerics import kernel
from neurosbi_simulators.pyloric.layout import LANES

SPIKE_LEVEL = -10.0  # mV
PLATEAU_LEVEL = -30.0  # mV
BURST_GAP = 150.0  # ms
SHORTEST_BURST = 40.0  # ms
PLATEAU_GRID = 0.25  # ms
ENERGY_BEFORE, ENERGY_AFTER = 2.0, 12.0  # ms
_EARLY = 2  # samples by which a maximum is recognised after the time it is given
_SLACK = 1e-9  # of a sample, against rounding of multiples of dt

(
    SPIKES,
    LAST_SPIKE,  # samples since the onset, as all times here
    BURSTS,  # those that count
    DURATION_SUM,  # in samples
    PLATEAU_SUM,  # in samples
    BURST_ENERGY,
    ENERGY,  # since the onset
    START,  # of the burst that goes on
    COUNTS,  # 1 if it is long enough already
    ENERGY_AT_START,
    END_DUE,  # when its energy will be complete, -1 if that is past
    ENERGY_AT_END,
    ANCHOR,  # start of the last burst that counts, -1 if there is none: its plateau
    RUN,
    LONGEST,
    LONGEST_AT_START,  # its longest run when the present burst began
    LONGEST_AT_SPIKE,  # and at the last spike
    NEW_ANCHOR,  # the same for a burst that may be too short
    NEW_RUN,
    NEW_LONGEST,
) = range(20)
N_STATE_ROWS = 20


@kernel
def begin_cell(state, lane):
    """Nothing has been seen yet; ``state`` float64 [N_STATE_ROWS, LANES]."""
    for row in range(N_STATE_ROWS):
        state[row, lane] = 0.0
    for row in (END_DUE, ANCHOR, NEW_ANCHOR):
        state[row, lane] = -1.0


@kernel
def scan_cell(state, lane, smooth, first, n, power, ring, onset, newest, bursts, dt):
    """Feed ``n`` smoothed samples, the first of which is number ``first`` since the onset.

    ``smooth[(2 + k) * LANES + lane]`` is sample ``first + k``; the two before it are those that
    precede. ``power`` is a ring of ``ring`` steps from the start of the simulation; it ends with
    sample ``newest``, up to which ENERGY counts. ``bursts`` [burst, 2] gets start and end of each
    burst that counts.
    """
    every = max(1, round(PLATEAU_GRID / dt))
    begin = max(0, _EARLY - first)
    due = _next_on_grid(state, lane, first + begin - _EARLY, every)
    for k in range(begin, n):
        sample = first + k - _EARLY
        top = smooth[(k + 1) * LANES + lane]
        if top > SPIKE_LEVEL:
            before, after = smooth[k * LANES + lane], smooth[(k + 2) * LANES + lane]
            if top >= before and after <= top:
                _spike(state, lane, sample, power, ring, onset, newest, bursts, dt)
                due = _next_on_grid(state, lane, sample, every)
        if sample == due:
            _plateau(state, lane, sample, smooth[k * LANES + lane] > PLATEAU_LEVEL, every)
            due = _next_on_grid(state, lane, sample + 1, every)


@kernel
def skip_cell(state, lane):
    """Feed a stretch that is below all levels and longer than the grid of plateaus."""
    state[LONGEST, lane] = max(state[LONGEST, lane], state[RUN, lane])
    state[RUN, lane] = 0.0
    state[NEW_LONGEST, lane] = max(state[NEW_LONGEST, lane], state[NEW_RUN, lane])
    state[NEW_RUN, lane] = 0.0


@kernel
def end_cell(state, lane, bursts):
    """The window is over."""
    if state[END_DUE, lane] >= 0.0:
        state[ENERGY_AT_END, lane] = state[ENERGY, lane]
    if state[SPIKES, lane] > 0.0:
        _close_burst(state, lane, bursts)
    if state[ANCHOR, lane] >= 0.0:
        state[PLATEAU_SUM, lane] += state[LONGEST_AT_SPIKE, lane]


@kernel
def _spike(state, lane, sample, power, ring, onset, newest, bursts, dt):
    now = float(sample)
    gap = (now - state[LAST_SPIKE, lane] + _SLACK) * dt
    if state[SPIKES, lane] == 0.0 or gap >= BURST_GAP:
        if state[SPIKES, lane] > 0.0:
            _close_burst(state, lane, bursts)
        state[START, lane] = now
        state[COUNTS, lane] = 0.0
        begin = max(0, sample - round(ENERGY_BEFORE / dt))
        state[ENERGY_AT_START, lane] = state[ENERGY, lane] - _recent(
            power, lane, ring, onset + begin, onset + newest
        )
        state[LONGEST_AT_START, lane] = state[LONGEST, lane]
        state[NEW_ANCHOR, lane] = now
        state[NEW_RUN, lane] = 0.0
        state[NEW_LONGEST, lane] = 0.0
    elif state[COUNTS, lane] == 0.0 and (now - state[START, lane] - _SLACK) * dt > SHORTEST_BURST:
        _count_burst(state, lane, bursts)
    state[LAST_SPIKE, lane] = now
    state[SPIKES, lane] += 1.0
    state[END_DUE, lane] = now + round(ENERGY_AFTER / dt)
    state[LONGEST_AT_SPIKE, lane] = state[LONGEST, lane]


@kernel
def _count_burst(state, lane, bursts):
    """The present burst has become long enough: its plateau replaces that of the one before."""
    if state[ANCHOR, lane] >= 0.0:
        state[PLATEAU_SUM, lane] += state[LONGEST_AT_START, lane]
    state[ANCHOR, lane] = state[NEW_ANCHOR, lane]
    state[RUN, lane] = state[NEW_RUN, lane]
    state[LONGEST, lane] = state[NEW_LONGEST, lane]
    state[NEW_ANCHOR, lane] = -1.0
    state[COUNTS, lane] = 1.0
    bursts[int(state[BURSTS, lane]), 0] = state[START, lane]
    state[BURSTS, lane] += 1.0


@kernel
def _close_burst(state, lane, bursts):
    state[NEW_ANCHOR, lane] = -1.0
    if state[COUNTS, lane] > 0.0:
        bursts[int(state[BURSTS, lane]) - 1, 1] = state[LAST_SPIKE, lane]
        state[DURATION_SUM, lane] += state[LAST_SPIKE, lane] - state[START, lane]
        state[BURST_ENERGY, lane] += state[ENERGY_AT_END, lane] - state[ENERGY_AT_START, lane]


@kernel
def _plateau(state, lane, sample, above, every):
    """One sample for the runs above PLATEAU_LEVEL, on the grids that begin with the bursts."""
    for anchor, run, longest in ((ANCHOR, RUN, LONGEST), (NEW_ANCHOR, NEW_RUN, NEW_LONGEST)):
        begin = int(state[anchor, lane])
        if begin >= 0 and (sample - begin) % every == 0:
            if above:
                state[run, lane] += every
            else:
                state[longest, lane] = max(state[longest, lane], state[run, lane])
                state[run, lane] = 0.0


@kernel
def _next_on_grid(state, lane, sample, every):
    """The first sample from ``sample`` on at which a plateau is looked for."""
    due = sample + every  # also where there is no burst yet: nothing happens there
    for anchor in (ANCHOR, NEW_ANCHOR):
        begin = int(state[anchor, lane])
        if begin >= 0:
            due = min(due, sample + (begin - sample) % every)
    return due


@kernel
def _recent(power, lane, ring, begin, newest):
    """Sum of the power of steps ``begin`` to ``newest``."""
    total = 0.0
    for step in range(begin, newest + 1):
        total += float(power[(step % ring) * LANES + lane])
    return total
