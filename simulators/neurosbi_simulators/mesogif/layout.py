"""Where things lie: arrays of rows, each with one value per lane; a lane is one parameter set.

The history of a population is one record of rows for each age of a spike, in steps; LANES values
to a row. Spikes of age k are read from record k and written to record k + 1, so ageing costs
nothing, all of a step's reads and writes lie at constant distances, and LLVM vectorises over
lanes. Numba cannot prove this for separate arrays.
"""

LANES = 16
MOST_POPULATIONS = 4

# -- rows of one record of the history: neurons whose last spike has this age
(
    M,  # how many of them have not spiked again (expected)
    V,  # variance of that number
    U,  # membrane potential, mV
    LAM,  # integrated hazard of half a step, at the end of the last step
    N,  # how many spiked
    THETA,  # threshold that a spike of this age adds, mV; the same at every step
    PAST,  # mV per spike that these spikes add to the threshold of neurons that spiked later
) = range(7)
N_RECORD_ROWS = 7
RECORD = N_RECORD_ROWS * LANES

# -- parameter rows of one population
(
    P_E,  # exp(-dt/tau_m)
    P_REST,  # u_rest (1 - exp(-dt/tau_m)), mV
    P_UTH,  # mV
    P_IDU,  # 1/Delta_u
    P_HAZ,  # c dt/2
    P_UR,  # mV
    P_GE,  # exp(-dt/tau_th)
    P_GIN,  # spikes to rate per ms, times (1 - exp(-dt/tau_th))
    P_GOUT,  # mV ms, threshold of neurons without a recent spike for each unit of g
    P_ES,  # exp(-dt/tau_s) of the synapses from each population
) = range(10)
P_CA = P_ES + MOST_POPULATIONS  # mV per spike that arrives in this step, from each population
P_CY = P_CA + MOST_POPULATIONS  # mV per spike still in the synapse
N_PARAMETER_ROWS = P_CY + MOST_POPULATIONS

# -- state and work rows of one population
(
    H,  # membrane potential of neurons without a recent spike, mV
    LAM_FREE,  # their hazard, like LAM
    X_FREE,  # their number
    Z_FREE,  # its variance
    G,  # rate of the spikes that left the history, 1/ms
    EXPECTED,  # expected number of spikes of this step
    H_TOTAL,  # what the input adds to every membrane potential in this step, mV
    TH_FREE,  # threshold of neurons without a recent spike
    SUM_PAST,  # what spikes older than the present age add to the threshold
    SUM_PM,
    SUM_PV,
    SUM_V,
    SUM_M,
    W_E,  # copies of parameter rows, for constant distances
    W_IDU,
    W_HAZ,
    SYNAPSE,  # spikes in the synapses from each population
) = range(17)
N_STATE_ROWS = SYNAPSE + MOST_POPULATIONS

__all__ = [name for name in dir() if name.isupper()]
