"""Ion channels, each written once; models are sets of channels with conductances.

A function advances the gates of its channel by one step, for all lanes of a block, from the NEW
voltage and then adds its conductance g and g*E to the rows from which the next voltage step is
made (staggered exponential Euler, second order in dt; only CaT, whose activation follows V
without delay, adds a small error of first order). Units: mV and ms.

Gates relax as x <- x_inf + (x - x_inf) exp(-dt r), with x_inf = a/(a+b) and r = a + b for
opening and closing rates a, b. Rates are kept as fractions so that one division gives both. With
u = V - V_T, all exponentials of the Pospischil channels but one are powers of exp(u/40).

References
----------
Pospischil et al. 2008, doi:10.1007/s00422-008-0263-8 (Na, Kd, M, CaL, CaT).
Hay et al. 2011, doi:10.1371/journal.pcbi.1002107 (Nat, Kv3.1).
"""

__all__ = [
    "advance_cal",
    "advance_cat",
    "advance_kd",
    "advance_kv31",
    "advance_m",
    "advance_na",
    "advance_nat",
    "begin_step",
    "linoid",
    "stretch_time",
    "two_state",
]

import math

from neurosbi_simulators.hodgkin_huxley.layout import (
    C_DTCA,
    C_DTHAY,
    C_ECA,
    C_EK,
    C_ENA,
    E40,
    GE,
    GTOT,
    HNAT,
    HT,
    IE40,
    LANES,
    MK,
    MT,
    P_DTM,
    P_DTNA,
    P_GCAL,
    P_GCAT,
    P_GEL,
    P_GK,
    P_GKV,
    P_GL,
    P_GM,
    P_GNA,
    P_GNAT,
    P_ITAU,
    P_MSHIFT,
    P_VT,
    H,
    M,
    N,
    P,
    Q,
    R,
    U,
    V,
)
from neurosbi_simulators.numerics import kernel
from neurosbi_simulators.numerics.exponential import decay, exp

_E3 = math.exp(3.0)
_E325 = math.exp(3.25)
_E8 = math.exp(8.0)
_E_8 = math.exp(-8.0)
_HALF_E025 = 0.5 * math.exp(0.25)
# Gates are shut for good this many slopes below their half; farther on products would overflow.
_SHUT = 25.0
_RATE_LIMIT = 140.0  # mV; beyond V_T +- this the rates stay constant (and powers stay finite)


@kernel
def linoid(z, e_z, scale, real):
    """scale * z / (e^z - 1) as a fraction; a series near z = 0, where both parts vanish."""
    near = abs(z) < real(0.3)
    zz = z * z
    series = scale * (
        real(1.0)
        - real(0.5) * z
        + zz * (real(1 / 12) - zz * (real(1 / 720) - zz * real(1 / 30240)))
    )
    numerator = series if near else scale * z
    denominator = real(1.0) if near else e_z - real(1.0)
    return numerator, denominator


@kernel
def two_state(a, a_over, b, b_over, real):
    """Steady state and rate of a gate with opening rate a/a_over and closing rate b/b_over."""
    opening = a * b_over
    total = opening + b * a_over
    over = a_over * b_over
    inverse = real(1.0) / (total * over)
    return opening * over * inverse, total * total * inverse


@kernel
def begin_step(block, real):
    """Leak conductance, and the powers that Na, Kd and M share."""
    for i in range(LANES):
        block[GTOT * LANES + i] = block[P_GL * LANES + i]
        block[GE * LANES + i] = block[P_GEL * LANES + i]
        u = block[V * LANES + i] - block[P_VT * LANES + i]
        u = real(-_RATE_LIMIT) if u < real(-_RATE_LIMIT) else u
        u = real(_RATE_LIMIT) if u > real(_RATE_LIMIT) else u
        e = exp(u * real(1 / 40))
        block[U * LANES + i] = u
        block[E40 * LANES + i] = e
        block[IE40 * LANES + i] = real(1.0) / e


@kernel
def stretch_time(block, constants, length, real):
    """Make every gate relax over ``length`` ms in one step, that is, settle."""
    constants[C_DTHAY] = real(length)
    constants[C_DTCA] = real(length)
    for i in range(LANES):
        block[P_DTNA * LANES + i] = real(length)
        block[P_DTM * LANES + i] = real(length)


@kernel
def advance_na(block, constants, real):
    """Fast sodium current g m^3 h (Pospischil, after Traub & Miles)."""
    reversal = constants[C_ENA]
    for i in range(LANES):
        u = block[U * LANES + i]
        e = block[E40 * LANES + i]
        e2 = e * e
        e4 = e2 * e2
        down = block[IE40 * LANES + i]
        down2 = down * down
        down4 = down2 * down2
        down8 = down4 * down4
        # a_m = 0.32 (u-13) / (1 - exp(-(u-13)/4)),  b_m = 0.28 (u-40) / (exp((u-40)/5) - 1)
        a, a_over = linoid(
            real(-0.25) * (u - real(13.0)), real(_E325) * down8 * down2, real(1.28), real
        )
        b, b_over = linoid(real(0.2) * (u - real(40.0)), real(_E_8) * e4 * e4, real(1.4), real)
        m_inf, m_rate = two_state(a, a_over, b, b_over, real)
        dt = block[P_DTNA * LANES + i]
        m = m_inf + (block[M * LANES + i] - m_inf) * decay(dt * m_rate)
        block[M * LANES + i] = m
    for i in range(LANES):
        u = block[U * LANES + i]
        down = block[IE40 * LANES + i]
        down2 = down * down
        down4 = down2 * down2
        # a_h = 0.128 exp(-(u-17)/18),  b_h = 4 / (1 + exp(-(u-40)/5))
        a = real(0.128) * exp((real(17.0) - u) * real(1 / 18))
        h_inf, h_rate = two_state(
            a, real(1.0), real(4.0), real(1.0) + real(_E8) * down4 * down4, real
        )
        dt = block[P_DTNA * LANES + i]
        h = h_inf + (block[H * LANES + i] - h_inf) * decay(dt * h_rate)
        block[H * LANES + i] = h
        m = block[M * LANES + i]
        g = block[P_GNA * LANES + i] * m * m * m * h
        block[GTOT * LANES + i] += g
        block[GE * LANES + i] += g * reversal


@kernel
def advance_kd(block, constants, real):
    """Delayed-rectifier potassium current g n^4 (Pospischil)."""
    reversal = constants[C_EK]
    for i in range(LANES):
        u = block[U * LANES + i]
        down = block[IE40 * LANES + i]
        down2 = down * down
        down4 = down2 * down2
        # a_n = 0.032 (u-15) / (1 - exp(-(u-15)/5)),  b_n = 0.5 exp(-(u-10)/40)
        a, a_over = linoid(
            real(-0.2) * (u - real(15.0)), real(_E3) * down4 * down4, real(0.16), real
        )
        n_inf, n_rate = two_state(a, a_over, real(_HALF_E025) * down, real(1.0), real)
        dt = block[P_DTNA * LANES + i]
        n = n_inf + (block[N * LANES + i] - n_inf) * decay(dt * n_rate)
        block[N * LANES + i] = n
        n2 = n * n
        g = block[P_GK * LANES + i] * n2 * n2
        block[GTOT * LANES + i] += g
        block[GE * LANES + i] += g * reversal


@kernel
def advance_m(block, constants, real):
    """Slow non-inactivating potassium current g p (Pospischil)."""
    reversal = constants[C_EK]
    for i in range(LANES):
        e = block[E40 * LANES + i]
        # w = exp((V+35)/20);  p_inf = 1/(1 + w^-2),  1/tau_p = (3.3 w + 1/w) / tau_max
        w = e * e * block[P_MSHIFT * LANES + i]
        ww = w * w
        inverse = real(1.0) / (w * (real(1.0) + ww))
        p_inf = ww * w * inverse
        p_rate = (real(3.3) * ww + real(1.0)) * (real(1.0) + ww) * inverse
        p_rate *= block[P_ITAU * LANES + i]
        dt = block[P_DTM * LANES + i]
        p = p_inf + (block[P * LANES + i] - p_inf) * decay(dt * p_rate)
        block[P * LANES + i] = p
        g = block[P_GM * LANES + i] * p
        block[GTOT * LANES + i] += g
        block[GE * LANES + i] += g * reversal


@kernel
def advance_cal(block, constants, real):
    """High-threshold calcium current g q^2 r (L-type, Pospischil, after Reuveni et al.)."""
    reversal = constants[C_ECA]
    dt = constants[C_DTCA]
    for i in range(LANES):
        v = block[V * LANES + i]
        # a_q = 0.055 (V+27) / (1 - exp(-(V+27)/3.8)),  b_q = 0.94 exp(-(V+75)/17)
        z = (v + real(27.0)) * real(-1 / 3.8)
        z = min(z, real(_SHUT))
        a, a_over = linoid(z, exp(z), real(0.055 * 3.8), real)
        b = real(0.94) * exp((v + real(75.0)) * real(-1 / 17))
        q_inf, q_rate = two_state(a, a_over, b, real(1.0), real)
        q = q_inf + (block[Q * LANES + i] - q_inf) * decay(dt * q_rate)
        block[Q * LANES + i] = q
        # a_r = 0.000457 exp(-(V+13)/50),  b_r = 0.0065 / (1 + exp(-(V+15)/28))
        a = real(0.000457) * exp((v + real(13.0)) * real(-1 / 50))
        b_over = real(1.0) + exp((v + real(15.0)) * real(-1 / 28))
        r_inf, r_rate = two_state(a, real(1.0), real(0.0065), b_over, real)
        r = r_inf + (block[R * LANES + i] - r_inf) * decay(dt * r_rate)
        block[R * LANES + i] = r
        g = block[P_GCAL * LANES + i] * q * q * r
        block[GTOT * LANES + i] += g
        block[GE * LANES + i] += g * reversal


@kernel
def advance_cat(block, constants, real):
    """Low-threshold calcium current g s_inf^2 u (T-type, Pospischil, after Destexhe et al.)."""
    reversal = constants[C_ECA]
    dt = constants[C_DTCA]
    for i in range(LANES):
        v = block[V * LANES + i] + real(2.0)
        s = real(1.0) / (real(1.0) + exp((v + real(57.0)) * real(-1 / 6.2)))
        h_inf = real(1.0) / (real(1.0) + exp((v + real(81.0)) * real(0.25)))
        tau = real(30.8 / 3.7) + (
            real(211.4 / 3.7) + real(1 / 3.7) * exp((v + real(113.2)) * real(0.2))
        ) / (real(1.0) + exp((v + real(84.0)) * real(1 / 3.2)))
        h = h_inf + (block[HT * LANES + i] - h_inf) * decay(dt / tau)
        block[HT * LANES + i] = h
        g = block[P_GCAT * LANES + i] * s * s * h
        block[GTOT * LANES + i] += g
        block[GE * LANES + i] += g * reversal


@kernel
def advance_nat(block, constants, real):
    """Fast transient sodium current g m^3 h of layer 5 pyramidal cells (Hay)."""
    reversal = constants[C_ENA]
    dt = constants[C_DTHAY]
    for i in range(LANES):
        v = block[V * LANES + i]
        # a_m = 0.182 (V+38) / (1 - exp(-(V+38)/6)),  b_m = 0.124 (V+38) / (exp((V+38)/6) - 1)
        z = (v + real(38.0)) * real(1 / 6)
        z = max(z, real(-_SHUT))
        e = exp(z)
        a, a_over = linoid(-z, real(1.0) / e, real(0.182 * 6), real)
        b, b_over = linoid(z, e, real(0.124 * 6), real)
        m_inf, m_rate = two_state(a, a_over, b, b_over, real)
        m = m_inf + (block[MT * LANES + i] - m_inf) * decay(dt * m_rate)
        block[MT * LANES + i] = m
    for i in range(LANES):
        v = block[V * LANES + i]
        # a_h = 0.015 (V+66) / (exp((V+66)/6) - 1),  b_h = 0.015 (V+66) / (1 - exp(-(V+66)/6))
        z = (v + real(66.0)) * real(1 / 6)
        e = exp(z)
        a, a_over = linoid(z, e, real(0.015 * 6), real)
        b, b_over = linoid(-z, real(1.0) / e, real(0.015 * 6), real)
        h_inf, h_rate = two_state(a, a_over, b, b_over, real)
        h = h_inf + (block[HNAT * LANES + i] - h_inf) * decay(dt * h_rate)
        block[HNAT * LANES + i] = h
        m = block[MT * LANES + i]
        g = block[P_GNAT * LANES + i] * m * m * m * h
        block[GTOT * LANES + i] += g
        block[GE * LANES + i] += g * reversal


@kernel
def advance_kv31(block, constants, real):
    """Fast non-inactivating potassium current g n (Kv3.1, Hay)."""
    reversal = constants[C_EK]
    dt = constants[C_DTHAY]
    for i in range(LANES):
        v = block[V * LANES + i]
        n_inf = real(1.0) / (real(1.0) + exp((v - real(18.7)) * real(-1 / 9.7)))
        rate = (real(1.0) + exp((v + real(56.56)) * real(-1 / 44.14))) * real(0.25)
        n = n_inf + (block[MK * LANES + i] - n_inf) * decay(dt * rate)
        block[MK * LANES + i] = n
        g = block[P_GKV * LANES + i] * n
        block[GTOT * LANES + i] += g
        block[GE * LANES + i] += g * reversal
