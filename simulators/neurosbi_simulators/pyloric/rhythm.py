"""The rhythm of the network from the bursts of its cells.

A *cycle* lasts from the start of one AB/PD burst to that of the next. It is triphasic if exactly
one burst of each cell starts in it. Where at least 90 % of the cycles are triphasic, delays and
gaps are means over these; elsewhere they are undefined. A triphasic rhythm is *pyloric-like* if in
at least 70 % of the triphasic cycles LP starts and ends no later than PY, and AB/PD ends before LP
starts.

References: A. A. Prinz, D. Bucher, E. Marder, Nat. Neurosci. 2004, doi:10.1038/nn1352.
"""

__all__ = ["N_RHYTHM_ROWS", "find_rhythm"]

import math

import numpy as np

from neurosbi_simulators.numerics import kernel
from neurosbi_simulators.pyloric.layout import LP, N_CELLS, PD, PY

TRIPHASIC = 0.9  # of the cycles
PYLORIC = 0.7  # of the triphasic cycles

# rows of the result, in samples
(PERIOD, PD_LP, PD_PY, LP_PY, GAP_PD_LP, GAP_LP_PY, PYLORIC_LIKE) = range(7)
N_RHYTHM_ROWS = 7


@kernel
def find_rhythm(bursts, counts, rhythm):
    """``bursts`` [cell, burst, 2] of which ``counts`` [cell] are real; ``rhythm`` [N_RHYTHM_ROWS]."""
    rhythm[:] = math.nan
    rhythm[PYLORIC_LIKE] = 0.0
    cycles = counts[PD] - 1
    if cycles < 1:
        return
    rhythm[PERIOD] = (bursts[PD, cycles, 0] - bursts[PD, 0, 0]) / cycles
    for row in range(PERIOD + 1, PYLORIC_LIKE):
        rhythm[row] = 0.0
    triphasic, pyloric = 0, 0
    next_burst = np.zeros(N_CELLS, np.int64)  # the first of each cell not before the cycle
    for cycle in range(cycles):
        begin, end = bursts[PD, cycle, 0], bursts[PD, cycle + 1, 0]
        single = True
        for c in range(N_CELLS):
            while next_burst[c] < counts[c] and bursts[c, next_burst[c], 0] < begin:
                next_burst[c] += 1
            inside = next_burst[c]
            while inside < counts[c] and bursts[c, inside, 0] < end:
                inside += 1
            single &= inside - next_burst[c] == 1
        if not single:
            continue
        pd_end = bursts[PD, cycle, 1]
        lp_start, lp_end = bursts[LP, next_burst[LP], 0], bursts[LP, next_burst[LP], 1]
        py_start, py_end = bursts[PY, next_burst[PY], 0], bursts[PY, next_burst[PY], 1]
        triphasic += 1
        rhythm[PD_LP] += lp_start - begin
        rhythm[PD_PY] += py_start - begin
        rhythm[LP_PY] += py_start - lp_start
        rhythm[GAP_PD_LP] += lp_start - pd_end
        rhythm[GAP_LP_PY] += py_start - lp_end
        pyloric += lp_start <= py_start and lp_end <= py_end and pd_end <= lp_start
    if triphasic < TRIPHASIC * cycles:
        rhythm[PERIOD + 1 : PYLORIC_LIKE] = math.nan
        return
    for row in range(PERIOD + 1, PYLORIC_LIKE):
        rhythm[row] /= triphasic
    if pyloric >= PYLORIC * triphasic:
        rhythm[PYLORIC_LIKE] = 1.0
