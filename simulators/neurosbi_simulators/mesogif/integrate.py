"""Mesoscopic dynamics of GIF populations, for blocks of parameter sets side by side.

Neurons of a population are told apart only by when they last spiked. Of the n(t - k) that spiked
k steps ago, m_k are expected to have survived without another spike, with variance v_k; those of
before the history are lumped as x, with variance z. All of one age share the potential u_k and the
threshold theta_k, so they spike in this step with probability

    P_k = 1 - exp(-dt (lambda_k(t) + lambda_k(t + dt))/2),  lambda_k = c exp((u_k - theta_k)/Delta_u)
    theta_k = theta_free + theta(k) + sum_{older j} n_j Delta_u (1 - exp(-theta(j)/Delta_u))/N

and the number of spikes of the population is drawn around

    nbar = sum P m + P_free x + P_Lambda (N - sum m - x),
    P_Lambda = (sum P v + P_free z)/(sum v + z):    n(t) ~ Binomial(N, nbar/N),

where the last term corrects for the fact that survivors and spikes must add up to N.

Given the counts n(t) of a recording, the same pass gives nbar(t) and with it the exact
log-likelihood of the counts under this model; nothing needs to be drawn.

References: Schwalger, Deger & Gerstner 2017, doi:10.1371/journal.pcbi.1005507. We differ where
their scheme is of first order in dt: neurons become excitable in the step in which their
refractory period ends, for half of it, with half a step of charging (not one step later); a spike
counts from the middle of its step; spikes are never both in the history and in theta_free.
"""

__all__ = ["CLIP", "likelihood_block", "simulate_block"]

import math

import numpy as np

from neurosbi_simulators.mesogif.layout import (
    EXPECTED,
    H_TOTAL,
    LAM,
    LAM_FREE,
    LANES,
    N_RECORD_ROWS,
    N_STATE_ROWS,
    P_CA,
    P_CY,
    P_E,
    P_ES,
    P_GE,
    P_GIN,
    P_GOUT,
    P_HAZ,
    P_IDU,
    P_REST,
    P_UR,
    P_UTH,
    PAST,
    RECORD,
    SUM_M,
    SUM_PAST,
    SUM_PM,
    SUM_PV,
    SUM_V,
    SYNAPSE,
    TH_FREE,
    THETA,
    W_E,
    W_HAZ,
    W_IDU,
    X_FREE,
    Z_FREE,
    G,
    H,
    M,
    N,
    U,
    V,
)
from neurosbi_simulators.numerics import entry, kernel
from neurosbi_simulators.numerics.binomial import binomial
from neurosbi_simulators.numerics.exponential import event_probability, exp, fused

CLIP = 1e-6  # spiking probabilities below this, or as near to 1, are not resolved


@kernel
def begin(cells, state, parameters, tables, size, real):
    """All neurons of one population at rest, none of which has spiked recently."""
    cells[:] = real(0.0)
    state[:] = real(0.0)
    for k in range(tables.shape[0]):
        for i in range(LANES):
            cells[(k * N_RECORD_ROWS + THETA) * LANES + i] = tables[k, 0, i]
            cells[(k * N_RECORD_ROWS + PAST) * LANES + i] = tables[k, 1, i]
    for i in range(LANES):
        state[X_FREE * LANES + i] = real(size)
        state[H * LANES + i] = parameters[P_REST, i] / (real(1.0) - parameters[P_E, i])
        state[W_E * LANES + i] = parameters[P_E, i]
        state[W_IDU * LANES + i] = parameters[P_IDU, i]
        state[W_HAZ * LANES + i] = parameters[P_HAZ, i]


@kernel
def receive(state, parameters, arriving):
    """Input of this step: what ``arriving[population, lane]`` spikes add to the potential."""
    for i in range(LANES):
        state[H_TOTAL * LANES + i] = parameters[P_REST, i]
    for b in range(arriving.shape[0]):
        synapse = state[(SYNAPSE + b) * LANES : (SYNAPSE + b + 1) * LANES]
        for i in range(LANES):
            n, y = arriving[b, i], synapse[i]
            state[H_TOTAL * LANES + i] += parameters[P_CA + b, i] * n + parameters[P_CY + b, i] * y
            synapse[i] = fused(y - n, parameters[P_ES + b, i], n)


@kernel
def survive(record, state, real):
    """One age: hazard, sums over neurons, and the survivors one step older."""
    one = real(1.0)
    for i in range(LANES):
        u = fused(record[U * LANES + i], state[W_E * LANES + i], state[H_TOTAL * LANES + i])
        past = state[SUM_PAST * LANES + i]
        theta = state[TH_FREE * LANES + i] + record[THETA * LANES + i] + past
        n = record[N * LANES + i]
        state[SUM_PAST * LANES + i] = fused(n, record[PAST * LANES + i], past)
        lam = state[W_HAZ * LANES + i] * exp((u - theta) * state[W_IDU * LANES + i])
        p = event_probability(record[LAM * LANES + i] + lam)
        m, v = record[M * LANES + i], record[V * LANES + i]
        spikes = p * m
        state[SUM_PM * LANES + i] += spikes
        state[SUM_PV * LANES + i] = fused(p, v, state[SUM_PV * LANES + i])
        state[SUM_V * LANES + i] += v
        state[SUM_M * LANES + i] += m
        survivors = one - p
        record[RECORD + U * LANES + i] = u
        record[RECORD + LAM * LANES + i] = lam
        record[RECORD + M * LANES + i] = m - spikes
        record[RECORD + V * LANES + i] = fused(survivors * survivors, v, spikes)
        record[RECORD + N * LANES + i] = n


@kernel
def wait(record, state):
    """One refractory age: everyone survives."""
    for i in range(LANES):
        m = record[M * LANES + i]
        state[SUM_M * LANES + i] += m
        record[RECORD + M * LANES + i] = m
        record[RECORD + N * LANES + i] = m


@kernel
def forget(record, real):
    """One age without neurons."""
    for i in range(LANES):
        record[RECORD + M * LANES + i] = real(0.0)
        record[RECORD + V * LANES + i] = real(0.0)
        record[RECORD + N * LANES + i] = real(0.0)


@kernel
def release(record, state, parameters, real):
    """The refractory period ends: from reset, with half a step of charging to come."""
    half = real(0.5)
    for i in range(LANES):
        e, h = parameters[P_E, i], state[H_TOTAL * LANES + i]
        reset = parameters[P_UR, i]
        charged = half * (reset + fused(reset, e, h))
        record[U * LANES + i] = (charged - h) / e  # `survive` charges by a whole step
        record[V * LANES + i] = real(0.0)
        record[LAM * LANES + i] = real(0.0)


@kernel
def expect(cells, occupied, state, parameters, size, history, refractory, real):
    """Expected spikes of this step (row EXPECTED), and the history one step older."""
    for i in range(LANES):
        state[H * LANES + i] = fused(
            state[H * LANES + i], parameters[P_E, i], state[H_TOTAL * LANES + i]
        )
        threshold = fused(parameters[P_GOUT, i], state[G * LANES + i], parameters[P_UTH, i])
        state[TH_FREE * LANES + i] = threshold
        for row in (SUM_PAST, SUM_PM, SUM_PV, SUM_V, SUM_M):
            state[row * LANES + i] = real(0.0)
    release(cells[refractory * RECORD : (refractory + 1) * RECORD], state, parameters, real)
    for age in range(history, 0, -1):
        record = cells[age * RECORD : (age + 2) * RECORD]
        occupied[age + 1] = occupied[age]
        if occupied[age] == 0:
            forget(record, real)
        elif age >= refractory:
            survive(record, state, real)
        else:
            wait(record, state)
    left = cells[(history + 1) * RECORD : (history + 2) * RECORD]
    for i in range(LANES):
        x, z = state[X_FREE * LANES + i], state[Z_FREE * LANES + i]
        lam = parameters[P_HAZ, i] * exp(
            (state[H * LANES + i] - state[TH_FREE * LANES + i]) * parameters[P_IDU, i]
        )
        p = event_probability(state[LAM_FREE * LANES + i] + lam)
        state[LAM_FREE * LANES + i] = lam
        spread = state[SUM_V * LANES + i] + z
        shared = fused(p, z, state[SUM_PV * LANES + i])
        missing = real(size) - state[SUM_M * LANES + i] - x
        correction = shared / spread * missing if spread > real(0.0) else real(0.0)
        state[EXPECTED * LANES + i] = fused(p, x, state[SUM_PM * LANES + i]) + correction
        survivors = real(1.0) - p
        state[Z_FREE * LANES + i] = survivors * survivors * z + p * x + left[V * LANES + i]
        state[X_FREE * LANES + i] = survivors * x + left[M * LANES + i]
        state[G * LANES + i] = (
            state[G * LANES + i] * parameters[P_GE, i] + parameters[P_GIN, i] * left[N * LANES + i]
        )


@kernel
def spike(cells, occupied, counts):
    """The ``counts[lane]`` spikes of this step become the youngest of the history."""
    any_spike = False
    for i in range(LANES):
        cells[RECORD + M * LANES + i] = counts[i]
        cells[RECORD + N * LANES + i] = counts[i]
        any_spike |= counts[i] != counts.dtype.type(0.0)
    occupied[1] = 1 if any_spike else 0


@entry
def simulate_block(
    parameters,  # [population, N_PARAMETER_ROWS, LANES]
    tables,  # [population, age, 2, LANES]
    sizes,  # int64 [population]
    history,
    refractory,
    delay,  # steps
    keys,  # uint64 [LANES]
    drawn,  # False: the expected counts themselves, without noise
    counts,  # out [time, population, LANES]
):
    """Counts of LANES simulations."""
    real = parameters.dtype.type
    n_steps, m = counts.shape[0], len(sizes)
    longest = history.max() + 2
    cells = np.zeros((m, longest * RECORD), parameters.dtype)
    occupied = np.zeros((m, longest), np.uint8)
    state = np.zeros((m, N_STATE_ROWS * LANES), parameters.dtype)
    nothing = np.zeros((m, LANES), parameters.dtype)
    for a in range(m):
        begin(cells[a], state[a], parameters[a], tables[a, : history[a] + 1], sizes[a], real)
    for t in range(n_steps):
        arriving = counts[t - delay] if t >= delay else nothing
        for a in range(m):
            receive(state[a], parameters[a], arriving)
            expect(
                cells[a],
                occupied[a],
                state[a],
                parameters[a],
                sizes[a],
                history[a],
                refractory[a],
                real,
            )
            size = float(sizes[a])
            for i in range(LANES):
                expected = state[a, EXPECTED * LANES + i]
                if drawn:
                    counter = np.uint64(t * m + a)
                    counts[t, a, i] = binomial(size, float(expected) / size, keys[i], counter)
                else:
                    counts[t, a, i] = min(max(expected, real(0.0)), real(size))
            spike(cells[a], occupied[a], counts[t, a])


@entry
def likelihood_block(
    parameters,
    tables,
    sizes,
    history,
    refractory,
    delay,
    given,  # float64 [time, population], the observed counts
    first,  # step from which on they count
    log_likelihood,  # out, float64 [LANES]; without the binomial coefficients
    clipped,  # out, int64 [population, LANES], steps with a count that is `impossible`
):
    """Log-likelihood of given counts under LANES parameter sets.

    Given the counts, populations do not see each other's state: each is passed alone.
    """
    real = parameters.dtype.type
    m = len(sizes)
    log_likelihood[:] = 0.0
    clipped[:] = 0
    state = np.zeros(N_STATE_ROWS * LANES, parameters.dtype)
    arriving = np.zeros((m, LANES), parameters.dtype)
    now = np.zeros(LANES, parameters.dtype)
    for a in range(m):
        cells = np.zeros((history[a] + 2) * RECORD, parameters.dtype)
        occupied = np.zeros(history[a] + 2, np.uint8)
        begin(cells, state, parameters[a], tables[a, : history[a] + 1], sizes[a], real)
        size = float(sizes[a])
        for t in range(given.shape[0]):
            if t >= delay:
                for b in range(m):
                    arriving[b, :] = given[t - delay, b]
            else:
                arriving[:] = real(0.0)
            receive(state, parameters[a], arriving)
            expect(
                cells,
                occupied,
                state,
                parameters[a],
                sizes[a],
                history[a],
                refractory[a],
                real,
            )
            n = given[t, a]
            if t >= first:
                for i in range(LANES):
                    p = float(state[EXPECTED * LANES + i]) / size
                    log_p, log_q = log_probabilities(p)
                    log_likelihood[i] += n * log_p + (size - n) * log_q
                    if impossible(p, n, size):
                        clipped[a, i] += 1
            now[:] = n
            spike(cells, occupied, now)


@kernel
def impossible(p, n, size):
    """Whether the model cannot, or can hardly, make a count ``n`` of ``size`` with probability ``p``.

    Silence where hardly a spike is expected is possible; p a little below 0 or above 1 is rounding.
    """
    if p < CLIP:
        return p < -CLIP or n > 0.0
    return not p <= 1.0 + CLIP or (p > 1.0 - CLIP and n < size)


@kernel
def log_probabilities(p):
    """ln p and ln(1 - p), continued where p leaves [CLIP, 1 - CLIP].

    What would go to minus infinity goes on along its tangent, so that it stays finite, falls, and
    its gradient points back; the other is right as far as 0 (or 1) and 0 from there on.
    """
    if p < CLIP:
        return math.log(CLIP) + (p - CLIP) / CLIP, math.log1p(-max(p, 0.0))
    if p > 1.0 - CLIP:
        return math.log(min(p, 1.0)), math.log(CLIP) + (1.0 - CLIP - p) / CLIP
    return math.log(p), math.log1p(-p)
