"""The likelihood of given counts together with its derivatives, in one pass forwards.

Every quantity of `integrate` is accompanied by its derivatives (tangents) in the directions of the
parameters. Ages lie side by side in vector lanes, for the quantities and then for each direction
in turn; the exponentials are shared. Given the counts, populations are independent, and a
population depends only on its own constants and on the synapses it receives, so it needs few
directions.

With e = exp(-dt/tau_m) and dots for tangents, the equations of one age are

    u.     = e u. + e. u + h.               lam. = lam ((u. - theta.)/Delta_u
    P.     = (1 - P)(lam_old. + lam.)              + (u - theta)(1/Delta_u). + (ln c).)
    (Pm).  = P. m + P m.                    m.  <- m. - (Pm).
                                            v.  <- (1 - P)^2 v. - 2 (1 - P) P. v + (Pm).

References: forward-mode differentiation as in Griewank & Walther 2008, Evaluating Derivatives,
doi:10.1137/1.9780898717761.
"""

__all__ = ["gradient_of_population"]


import numpy as np

from neurosbi_simulators.mesogif.integrate import CLIP, log_probabilities
from neurosbi_simulators.mesogif.layout import (
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
)
from neurosbi_simulators.numerics import entry, kernel
from neurosbi_simulators.numerics.exponential import event_probability, exp
from neurosbi_simulators.numerics.jit import reduction

# -- rows of one value per age: the state, its tangents (as far as N) and work
(M, V, U, LAM, N) = range(5)
(PAST, ABOVE, P) = range(3)
(D_THETA, D_P, D_SPIKES) = range(3)

# -- tangents of what all ages share, [row, direction]
(A_H_TOTAL, A_TH_FREE, A_H, A_LAM_FREE, A_X, A_Z, A_G, A_SYNAPSE) = range(8)


@reduction
def total(values):
    """The sum of an array."""
    s = values.dtype.type(0.0)
    for k in range(len(values)):
        s += values[k]
    return s


@reduction
def dot(a, b):
    """The sum of products of two arrays."""
    s = a.dtype.type(0.0)
    for k in range(len(a)):
        s += a[k] * b[k]
    return s


@kernel
def row_from(rows, row, ages, first):
    """One row of a flat array, from age ``first`` on."""
    return rows[row * ages + first : (row + 1) * ages]


@kernel
def older_spikes(past, n_spiked, per_spike, real):
    """What the spikes of all older ages add to the threshold, for every age."""
    s = real(0.0)
    for age in range(len(past) - 2, 0, -1):
        past[age] = s
        s += n_spiked[age] * per_spike[age]


@kernel
def hazards(old, new, work, tables, ages, refractory, rows, h_total, th_free):
    """All ages at once: potential, hazard and probability to spike; the history one step older.

    One short loop for each quantity: LLVM vectorises loops over few arrays only.
    """
    real = old.dtype.type
    e, idu, haz, one = rows[P_E], rows[P_IDU], rows[P_HAZ], real(1.0)
    older_spikes(row_from(work, PAST, ages, 0), row_from(old, N, ages, 0), tables[ages:], real)
    for row in (M, N):
        new[row * ages + 1 : (row + 1) * ages] = old[row * ages : (row + 1) * ages - 1]
    # from here on without the refractory ages; what is older by one step lies one further
    u_old, u = row_from(old, U, ages, refractory), row_from(new, U, ages, refractory + 1)
    n = len(u)
    for k in range(n):
        u[k] = u_old[k] * e + h_total
    above, past = row_from(work, ABOVE, ages, refractory), row_from(work, PAST, ages, refractory)
    theta = tables[refractory:ages]
    for k in range(n):
        above[k] = u[k] - (th_free + theta[k] + past[k])
    lam_old, lam = row_from(old, LAM, ages, refractory), row_from(new, LAM, ages, refractory + 1)
    for k in range(n):
        lam[k] = haz * exp(above[k] * idu)
    p = row_from(work, P, ages, refractory)
    for k in range(n):
        p[k] = event_probability(lam_old[k] + lam[k])
    m_old, m = row_from(old, M, ages, refractory), row_from(new, M, ages, refractory + 1)
    for k in range(n):
        m[k] = m_old[k] - p[k] * m_old[k]
    v_old, v = row_from(old, V, ages, refractory), row_from(new, V, ages, refractory + 1)
    for k in range(n):
        v[k] = (one - p[k]) * (one - p[k]) * v_old[k] + p[k] * m_old[k]


@kernel
def tangents_of_ages(
    d_old, d_new, scratch, d_tables, old, new, work, ages, refractory, rows, d_rows, d_h, d_th
):
    """One direction, all ages; the sums of (P m)., (P v)., v. and m. over them."""
    real = old.dtype.type
    one, two = real(1.0), real(2.0)
    e, idu, d_e, d_idu = rows[P_E], rows[P_IDU], d_rows[P_E], d_rows[P_IDU]
    d_ln_haz = d_rows[P_HAZ] / rows[P_HAZ]
    u_old, du_old = row_from(old, U, ages, refractory), row_from(d_old, U, ages, refractory)
    du = row_from(d_new, U, ages, refractory + 1)
    n = len(du)
    for k in range(n):
        du[k] = e * du_old[k] + d_e * u_old[k] + d_h
    lam, d_lam = (
        row_from(new, LAM, ages, refractory + 1),
        row_from(d_new, LAM, ages, refractory + 1),
    )
    above = row_from(work, ABOVE, ages, refractory)
    if len(d_tables) > 0:  # this direction changes what a spike adds to the threshold
        lift = row_from(scratch, D_THETA, ages, 0)
        older_spikes(lift, row_from(old, N, ages, 0), d_tables[ages:], real)
        for k in range(ages):
            lift[k] += d_tables[k]
        lift = lift[refractory:]
        for k in range(n):
            d_lam[k] = lam[k] * ((du[k] - d_th - lift[k]) * idu + above[k] * d_idu + d_ln_haz)
    else:
        for k in range(n):
            d_lam[k] = lam[k] * ((du[k] - d_th) * idu + above[k] * d_idu + d_ln_haz)
    p, dp = row_from(work, P, ages, refractory)[:n], row_from(scratch, D_P, ages, refractory)[:n]
    d_lam_old = row_from(d_old, LAM, ages, refractory)
    for k in range(n):
        dp[k] = (one - p[k]) * (d_lam_old[k] + d_lam[k])
    m, dm = row_from(old, M, ages, refractory), row_from(d_old, M, ages, refractory)[:n]
    spikes = row_from(scratch, D_SPIKES, ages, refractory)[:n]
    for k in range(n):
        spikes[k] = dp[k] * m[k] + p[k] * dm[k]
    dm_new, dv_new = (
        row_from(d_new, M, ages, refractory + 1),
        row_from(d_new, V, ages, refractory + 1),
    )
    for k in range(n):
        dm_new[k] = dm[k] - spikes[k]
    v, dv = row_from(old, V, ages, refractory), row_from(d_old, V, ages, refractory)[:n]
    for k in range(n):
        stays = one - p[k]
        dv_new[k] = stays * (stays * dv[k] - two * dp[k] * v[k]) + spikes[k]
    return total(spikes), dot(dp, v) + dot(p, dv), total(dv), total(dm)


@kernel
def receive_with_tangents(rows, d_rows, arriving, synapse, shared):
    """What the input adds to the potential in this step, and its derivatives."""
    h_total = rows[P_REST]
    shared[A_H_TOTAL, :] = d_rows[:, P_REST]
    for b in range(len(arriving)):
        n, y = arriving[b], synapse[b]
        h_total += rows[P_CA + b] * n + rows[P_CY + b] * y
        synapse[b] = (y - n) * rows[P_ES + b] + n
        for d in range(len(d_rows)):
            dy = shared[A_SYNAPSE + b, d]
            shared[A_H_TOTAL, d] += (
                d_rows[d, P_CA + b] * n + d_rows[d, P_CY + b] * y + rows[P_CY + b] * dy
            )
            shared[A_SYNAPSE + b, d] = dy * rows[P_ES + b] + (y - n) * d_rows[d, P_ES + b]
    return h_total


@kernel
def release_with_tangents(old, d_old, ages, refractory, rows, d_rows, h_total, shared):
    """The refractory period ends, as in `integrate.release`."""
    real = rows.dtype.type
    half, zero, one = real(0.5), real(0.0), real(1.0)
    e, reset = rows[P_E], rows[P_UR]
    u = (half * (reset + reset * e + h_total) - h_total) / e
    old[U * ages + refractory] = u
    old[V * ages + refractory] = zero
    old[LAM * ages + refractory] = zero
    for d in range(len(d_rows)):
        charged = d_rows[d, P_UR] * (one + e) + reset * d_rows[d, P_E] - shared[A_H_TOTAL, d]
        d_old[d, U * ages + refractory] = (half * charged - u * d_rows[d, P_E]) / e


@kernel
def slopes(p):
    """Derivatives of ln p and ln(1 - p), continued as in `integrate.log_probabilities`."""
    if p < CLIP:
        return 1.0 / CLIP, -1.0 / (1.0 - p) if p > 0.0 else 0.0
    if p > 1.0 - CLIP:
        return 1.0 / p if p < 1.0 else 0.0, -1.0 / CLIP
    return 1.0 / p, -1.0 / (1.0 - p)


@entry
def gradient_of_population(
    rows,  # [N_PARAMETER_ROWS]
    d_rows,  # [direction, N_PARAMETER_ROWS]
    tables,  # THETA, PAST [2 * ages], one age more than is kept
    d_tables,  # [direction, 2 * ages]
    threshold_changes,  # bool [direction]: whether d_tables is not zero
    neurons,
    refractory,
    delay,
    given,  # float64 [time, population]
    a,  # the population
    first,  # step from which on counts count
    gradient,  # out, float64 [direction]
):
    """Log-likelihood of one population's counts, and its derivatives."""
    real = rows.dtype.type
    one, two = real(1.0), real(2.0)
    directions, ages, sources = len(d_rows), len(tables) // 2, given.shape[1]
    oldest = ages - 1  # what leaves the history in a step
    shared = np.zeros((A_SYNAPSE + sources, directions), rows.dtype)
    d_old = np.zeros((directions, 4 * ages), rows.dtype)
    d_new = np.zeros((directions, 4 * ages), rows.dtype)
    scratch = np.zeros(3 * ages, rows.dtype)
    old = np.zeros(5 * ages, rows.dtype)
    new = np.zeros(5 * ages, rows.dtype)
    work = np.zeros(3 * ages, rows.dtype)
    synapse = np.zeros(sources, rows.dtype)
    arriving = np.zeros(sources, rows.dtype)
    h = rows[P_REST] / (one - rows[P_E])
    for d in range(directions):
        shared[A_H, d] = (d_rows[d, P_REST] + h * d_rows[d, P_E]) / (one - rows[P_E])
    x, z, g, lam_free = real(neurons), real(0.0), real(0.0), real(0.0)
    log_likelihood = 0.0
    gradient[:] = 0.0
    for t in range(given.shape[0]):
        if t >= delay:
            for b in range(sources):
                arriving[b] = given[t - delay, b]
        h_total = receive_with_tangents(rows, d_rows, arriving, synapse, shared)
        th_free = rows[P_UTH] + rows[P_GOUT] * g
        release_with_tangents(old, d_old, ages, refractory, rows, d_rows, h_total, shared)
        hazards(old, new, work, tables, ages, refractory, rows, h_total, th_free)
        m, v = row_from(old, M, ages, 0)[:oldest], row_from(old, V, ages, refractory)
        p = row_from(work, P, ages, refractory)[: oldest - refractory]
        sum_pm, sum_m = dot(p, m[refractory:]), total(m)
        sum_pv, sum_v = dot(p, v), total(v[: len(p)])

        h_old = h
        h = h * rows[P_E] + h_total
        above = h - th_free
        lam = rows[P_HAZ] * exp(above * rows[P_IDU])
        p_free = event_probability(lam_free + lam)
        stays = one - p_free
        spread, missing = sum_v + z, neurons - sum_m - x
        per_spread = 1.0 / spread if spread > 0.0 else 0.0
        ratio = (sum_pv + p_free * z) * per_spread
        probability = (sum_pm + p_free * x + ratio * missing) / neurons
        n = given[t, a]
        weight = 0.0
        if t >= first:
            log_p, log_q = log_probabilities(probability)
            log_likelihood += n * log_p + (neurons - n) * log_q
            slope_p, slope_q = slopes(probability)
            weight = (n * slope_p + (neurons - n) * slope_q) / neurons

        n_left, m_left = new[N * ages + oldest], new[M * ages + oldest]
        v_left = new[V * ages + oldest]
        for d in range(directions):
            d_th = d_rows[d, P_UTH] + d_rows[d, P_GOUT] * g + rows[P_GOUT] * shared[A_G, d]
            d_h_total = shared[A_H_TOTAL, d]
            d_pm, d_pv, d_v, d_m = tangents_of_ages(
                d_old[d],
                d_new[d],
                scratch,
                d_tables[d] if threshold_changes[d] else d_tables[d, :0],
                old,
                new,
                work,
                ages,
                refractory,
                rows,
                d_rows[d],
                d_h_total,
                d_th,
            )
            d_h = shared[A_H, d] * rows[P_E] + h_old * d_rows[d, P_E] + d_h_total
            d_lam = lam * (
                (d_h - d_th) * rows[P_IDU]
                + above * d_rows[d, P_IDU]
                + d_rows[d, P_HAZ] / rows[P_HAZ]
            )
            dp = stays * (shared[A_LAM_FREE, d] + d_lam)
            dx, dz = shared[A_X, d], shared[A_Z, d]
            d_ratio = per_spread * (d_pv + dp * z + p_free * dz - ratio * (d_v + dz))
            spikes = dp * x + p_free * dx
            gradient[d] += weight * (d_pm + spikes + d_ratio * missing - ratio * (d_m + dx))
            shared[A_H, d], shared[A_LAM_FREE, d] = d_h, d_lam
            shared[A_X, d] = dx - spikes + d_new[d, M * ages + oldest]
            shared[A_Z, d] = (
                stays * (stays * dz - two * dp * z) + spikes + d_new[d, V * ages + oldest]
            )
            shared[A_G, d] = (
                shared[A_G, d] * rows[P_GE] + g * d_rows[d, P_GE] + n_left * d_rows[d, P_GIN]
            )
        lam_free = lam
        z = stays * stays * z + p_free * x + v_left
        x = stays * x + m_left
        g = g * rows[P_GE] + rows[P_GIN] * n_left
        old, new = new, old
        d_old, d_new = d_new, d_old
        old[M * ages + 1] = n
        old[N * ages + 1] = n
    return log_likelihood
