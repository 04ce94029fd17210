"""Where things lie in a block: one flat array of rows, each with one value per lane.

A block integrates LANES parameter sets side by side; lane ``l`` of row ``r`` is ``block[r * LANES
+ l]``. One array with compile-time row numbers lets LLVM vectorise over lanes without run-time
alias checks. Time advances in tiles of TILE steps whose voltages stay in the first-level cache.
"""

LANES = 64
TILE = 32  # steps; even, because noise comes in pairs

# -- state rows
(V, GTOT, GE, M, H, N, P, Q, R, U, MT, HNAT, HT, MK, E40, IE40) = range(16)
# -- parameter rows
(
    P_VT,  # mV, threshold shift of the Pospischil channels
    P_MSHIFT,  # exp((V_T + 35)/20), links the M current's rates to those of Na and Kd
    P_GNA,
    P_GK,
    P_GM,
    P_GL,
    P_GEL,  # g_leak * E_leak
    P_GCAL,
    P_GCAT,
    P_GNAT,
    P_GKV,
    P_ITAU,  # 1 / tau_max, per ms
    P_DTC,  # dt / C
    P_DTNA,  # dt times the rate factor of Na and Kd
    P_DTM,  # dt times the rate factor of M
    P_NOISE,  # standard deviation of the noise current in one step
    P_AMP,  # step amplitude
    P_HOLD,  # holding current
    P_ON,  # first step of the stimulus
    P_OFF,  # first step after it
    P_END,  # number of steps of this lane
) = range(16, 37)
N_PARAMETER_ROWS = 21
FIRST_PARAMETER = 16
# -- work rows of one tile
TILE_V = 37  # TILE rows of voltage
TILE_NOISE = TILE_V + TILE
# -- rows of partial sums, kept in the working precision for one tile
SUM_1, SUM_2, SUM_3, SUM_4, SUM_5, TOP, BOTTOM, REST_SUM, REST_SQ, REST_ALL, REST_ALL_SQ = range(
    TILE_NOISE + TILE, TILE_NOISE + TILE + 11
)
N_ROWS = REST_ALL_SQ + 1

# -- scalars shared by all lanes of a simulation call
(C_ENA, C_EK, C_ECA, C_DTHAY, C_DTCA) = range(5)
N_CONSTANTS = 5

# -- which channels are computed at all
(HAS_M, HAS_CAL, HAS_CAT, HAS_NAT, HAS_KV) = range(5)
N_CHANNEL_FLAGS = 5

__all__ = [name for name in dir() if name.isupper()]
