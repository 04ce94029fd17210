"""Autocorrelation of the voltage during the stimulus at a few lags, while it streams by.

For each lag k the sums of x(t) x(t-k), x(t-k) and x(t) over all pairs inside the stimulus are
kept; with the mean, known at the end, they give sum (x(t) - mean)(x(t-k) - mean). The past is
remembered for the longest lag only.
"""

__all__ = ["accumulate_lags", "history_rows"]

from neurosbi_simulators.hodgkin_huxley.layout import LANES, P_OFF, P_ON, TILE, TILE_V
from neurosbi_simulators.numerics import kernel


@kernel
def history_rows(lag_steps):
    """Rows of history needed for these lags: whole tiles, the present one included."""
    longest = 0
    for k in range(len(lag_steps)):
        longest = max(longest, lag_steps[k])
    return (longest // TILE + 2) * TILE


@kernel
def accumulate_lags(block, history, origin, sums, lag_steps, t0, work, real):
    """Account for one tile; ``sums`` is float64 [3 * lag, lane], ``origin`` [lane] in mV."""
    rows = len(history) // LANES
    for j in range(TILE):
        row = (t0 + j) % rows
        for i in range(LANES):
            history[row * LANES + i] = block[(TILE_V + j) * LANES + i] - real(origin[i])
    for k in range(len(lag_steps)):
        lag = lag_steps[k]
        work[:] = real(0.0)
        for j in range(TILE):
            then = t0 + j - lag
            if then < 0:
                continue
            now_row = history[((t0 + j) % rows) * LANES :]
            then_row = history[(then % rows) * LANES :]
            now_step = real(t0 + j)
            then_step = real(then)
            for i in range(LANES):
                inside = (then_step >= block[P_ON * LANES + i]) & (
                    now_step < block[P_OFF * LANES + i]
                )
                x = now_row[i] if inside else real(0.0)
                y = then_row[i] if inside else real(0.0)
                work[i] += x * y
                work[LANES + i] += y
                work[2 * LANES + i] += x
        for i in range(LANES):
            sums[3 * k, i] += work[i]
            sums[3 * k + 1, i] += work[LANES + i]
            sums[3 * k + 2, i] += work[2 * LANES + i]
