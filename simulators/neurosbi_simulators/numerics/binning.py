"""Mean, highest and lowest voltage in bins of time, found while the trace streams by.

The bins are those of `neurosbi.contract.TraceBins`: runs of samples counted from the onset, in
ascending order within a section. ``state`` [section, N_BIN_ROWS, lane] remembers which bin each
lane is in and what that bin has held so far, so nothing grows with the duration of the trace.
"""

__all__ = ["N_BIN_ROWS", "begin_bins", "bin_lane"]

from neurosbi_simulators.numerics.jit import kernel

(BIN, SUM, TOP, BOTTOM) = range(4)
N_BIN_ROWS = 4


@kernel
def begin_bins(state, lane, edges, sections, on):
    """Start every section at its first bin that lies within the trace.

    ``edges`` int64 [2, bin]: first sample of a bin and of the next, from the onset; ``sections``
    int64 [section + 1]: the first bin of each section, and the number of bins.
    """
    for s in range(len(sections) - 1):
        b = sections[s]
        while b < sections[s + 1] and edges[0, b] + on < 0:
            b += 1
        state[s, BIN, lane] = b


@kernel
def bin_lane(state, lane, tile, row0, lanes, first_step, n, on, end, edges, sections, binned):
    """Feed ``n`` samples of one lane, those of steps ``first_step`` and following.

    ``binned`` [lane, channel, bin] gets a bin when it is full; one that reaches beyond step
    ``end`` never is.
    """
    for s in range(len(sections) - 1):
        b = int(state[s, BIN, lane])
        last = sections[s + 1]
        while b < last and edges[0, b] + on < first_step + n:
            begin, after = edges[0, b] + on, edges[1, b] + on
            if after > end:
                b = last
                break
            low = max(begin, first_step)
            high = min(after, first_step + n)
            first = float(tile[(row0 + low - first_step) * lanes + lane])
            total, top, bottom = 0.0, first, first
            if low > begin:
                total = state[s, SUM, lane]
                top = state[s, TOP, lane]
                bottom = state[s, BOTTOM, lane]
            for step in range(low, high):
                v = float(tile[(row0 + step - first_step) * lanes + lane])
                total += v
                top = max(top, v)
                bottom = min(bottom, v)
            if high < after:
                state[s, SUM, lane] = total
                state[s, TOP, lane] = top
                state[s, BOTTOM, lane] = bottom
                break
            binned[lane, 0, b] = total / (after - begin)
            binned[lane, 1, b] = top
            binned[lane, 2, b] = bottom
            b += 1
        state[s, BIN, lane] = b
