"""Voltages, calcium and gates of the three cells by exponential Euler, for blocks of networks.

    C dV/dt = -sum_i g_i (V - E_i) - sum_k g_k s_k (V - E_k) + I_noise(t)

Every update of a step uses the old V, Ca, gates and releases (the published order, which makes the
scheme first order in dt). V relaxes to the voltage at which its currents balance, calcium to
Ca_inf = 0.05 uM - 14961 uM/uA I_Ca with tau = 200 ms, the gates to their steady states, all
exactly for coefficients held over the step; transmitter release advances by forward Euler, at most
to its steady state. E_Ca follows calcium by Nernst's equation.

The power is sum g (V - E)^2 over membrane currents and incoming synapses, with the reversal
potential of calcium of one step before, per membrane area.
"""

__all__ = ["advance_gates", "advance_membrane", "fill_noise", "integrate_tile"]

import numpy as np

from neurosbi_simulators.numerics import kernel
from neurosbi_simulators.numerics.exponential import event_probability as approach
from neurosbi_simulators.numerics.gaussian import normal_pair
from neurosbi_simulators.numerics.logarithm import log
from neurosbi_simulators.numerics.vectors import transpose
from neurosbi_simulators.pyloric.gates import advance_cell, advance_warm_cell
from neurosbi_simulators.pyloric.layout import (
    CA,
    E_CA,
    FRACTION,
    H_A,
    H_CAS,
    H_CAT,
    H_NA,
    KCA_FACTOR,
    LANES,
    LP,
    M_A,
    M_CAS,
    M_CAT,
    M_H,
    M_KCA,
    M_KD,
    M_NA,
    N_CELLS,
    P_A,
    P_CA_STEP,
    P_CAS,
    P_CAT,
    P_CHOL,
    P_GLUT_1,
    P_GLUT_2,
    P_H,
    P_KCA,
    P_KD,
    P_LEAK,
    P_NA,
    P_NERNST,
    PD,
    POWER,
    PY,
    S_CHOL,
    S_GLUT,
    SLOTS,
    TABLE_HIGH,
    TABLE_LOW,
    TABLE_PER_MV,
    TILE,
    V,
)

E_NA, E_K, E_H, E_LEAK = 50.0, -80.0, -20.0, -50.0  # mV
E_GLUT = -70.0  # mV; cholinergic synapses reverse at E_K
CA_REST, CA_OUT = 0.05, 3000.0  # uM
CA_HALF = 3.0  # uM, at which half of the KCa channels can open
CA_LEAST = 1e-6  # uM; keeps the logarithm defined where the calcium of a network has blown up
CAPACITANCE = 0.6283e-3  # uF
AREA = 0.628e-3  # cm2
CA_PER_CURRENT = 14961.0 * CAPACITANCE  # uM per (mV/ms)
LN_CA_OUT = np.log(CA_OUT)
NO_CONDUCTANCE = 1e-6  # of C per step; below it the current alone moves V
LAST_INTERVAL = (TABLE_HIGH - TABLE_LOW) * TABLE_PER_MV - 1.0


@kernel
def advance_membrane(cell, opened, glut_1, glut_2, chol, noise, row, dt, real):
    """One step of V and calcium of one cell in all networks; where its old V lies in the table.

    What is written (``cell``, ``row``) overlaps with nothing that is read from elsewhere; where it
    does, LLVM takes a loop without vectors.
    """
    for i in range(LANES):
        v = cell[V * LANES + i]
        ca = cell[CA * LANES + i]
        position = (v - real(TABLE_LOW)) * real(TABLE_PER_MV)
        position = position if position > real(0.0) else real(0.0)
        position = position if position < real(LAST_INTERVAL) else real(LAST_INTERVAL)
        whole = np.int32(position)
        row[i] = whole
        cell[FRACTION * LANES + i] = position - real(whole)
        cell[KCA_FACTOR * LANES + i] = ca / (ca + real(CA_HALF))

        m_na = opened[M_NA * LANES + i]
        m_cat = opened[M_CAT * LANES + i]
        m_cas = opened[M_CAS * LANES + i]
        m_a = opened[M_A * LANES + i]
        m_kca = opened[M_KCA * LANES + i] * opened[M_KCA * LANES + i]
        m_kd = opened[M_KD * LANES + i] * opened[M_KD * LANES + i]
        na = cell[P_NA * LANES + i] * (m_na * m_na * m_na) * opened[H_NA * LANES + i]
        cat = cell[P_CAT * LANES + i] * (m_cat * m_cat * m_cat) * opened[H_CAT * LANES + i]
        cas = cell[P_CAS * LANES + i] * (m_cas * m_cas * m_cas) * opened[H_CAS * LANES + i]
        a = cell[P_A * LANES + i] * (m_a * m_a * m_a) * opened[H_A * LANES + i]
        kca = cell[P_KCA * LANES + i] * (m_kca * m_kca)
        kd = cell[P_KD * LANES + i] * (m_kd * m_kd)
        h = cell[P_H * LANES + i] * opened[M_H * LANES + i]
        leak = cell[P_LEAK * LANES + i]
        glut = cell[P_GLUT_1 * LANES + i] * glut_1[i] + cell[P_GLUT_2 * LANES + i] * glut_2[i]
        acetylcholine = cell[P_CHOL * LANES + i] * chol[i]

        calcium = cat + cas
        at_k = (a + kca) + (kd + acetylcholine)
        from_na = v - real(E_NA)
        from_k = v - real(E_K)
        from_h = v - real(E_H)
        from_leak = v - real(E_LEAK)
        from_glut = v - real(E_GLUT)
        from_ca = v - cell[E_CA * LANES + i]
        power = (na * from_na * from_na + calcium * from_ca * from_ca) + (
            at_k * from_k * from_k + h * from_h * from_h
        )
        power += leak * from_leak * from_leak + glut * from_glut * from_glut
        cell[POWER * LANES + i] = power

        e_ca = cell[P_NERNST * LANES + i] * (real(LN_CA_OUT) - log(max(ca, real(CA_LEAST))))
        cell[E_CA * LANES + i] = e_ca
        from_ca = v - e_ca
        ca_inf = real(CA_REST) - real(CA_PER_CURRENT) * calcium * from_ca
        cell[CA * LANES + i] = ca + (ca_inf - ca) * cell[P_CA_STEP * LANES + i]

        g = ((na + calcium) + (at_k + h)) + (leak + glut)
        outward = (na * from_na + calcium * from_ca) + (at_k * from_k + h * from_h)
        outward += leak * from_leak + glut * from_glut
        x = dt * g
        per_current = approach(x) / g if x > real(NO_CONDUCTANCE) else dt
        cell[V * LANES + i] = v + (noise[i] - outward) * per_current


@kernel
def advance_gates(cells, gates, opened, speed, table, rows):
    """One step of all gates, and their transposed copy ``opened`` [cell, slot * LANES + lane].

    With ``speed`` [lane * SLOTS + slot] the table holds dt / tau (`rates.rate_table`); where
    ``speed`` is empty, it holds the parts themselves (`rates.part_table`).
    """
    warm = len(speed) > 0
    for c in range(N_CELLS):
        for i in range(LANES):
            at = (c * LANES + i) * SLOTS
            row = np.int64(rows[c, i]) * (2 * SLOTS)
            fraction = cells[c, FRACTION * LANES + i]
            kca = cells[c, KCA_FACTOR * LANES + i]
            if warm:
                advance_warm_cell(gates, at, table, row, speed, i * SLOTS, fraction, kca)
            else:
                advance_cell(gates, at, table, row, fraction, kca)
        transpose(gates, c * LANES * SLOTS, opened[c], 0)


@kernel
def fill_noise(noise, keys, scale, t0):
    """Noise currents of the steps of one tile, ``noise[cell, step * LANES + lane]``."""
    for c in range(N_CELLS):
        row = noise[c]
        for pair in range(TILE // 2):
            counter = np.uint32(((t0 >> 1) + pair) * 4 + c)
            for i in range(LANES):
                a, b = normal_pair(counter, keys[0, i], keys[1, i])
                row[2 * pair * LANES + i] = scale * a
                row[(2 * pair + 1) * LANES + i] = scale * b


@kernel
def integrate_tile(cells, gates, opened, speed, table, noise, rows, voltage, lead, power, dt, real):
    """TILE steps; V before each goes to ``voltage`` (``lead`` rows in).

    ``power`` gets that of the step before, so it lags ``voltage`` by one.
    """
    glut_pd = opened[PD, S_GLUT * LANES : (S_GLUT + 1) * LANES]
    glut_lp = opened[LP, S_GLUT * LANES : (S_GLUT + 1) * LANES]
    glut_py = opened[PY, S_GLUT * LANES : (S_GLUT + 1) * LANES]
    chol = opened[PD, S_CHOL * LANES : (S_CHOL + 1) * LANES]
    for j in range(TILE):
        begin, end = j * LANES, (j + 1) * LANES
        for c in range(N_CELLS):
            v = voltage[c, lead * LANES + begin : lead * LANES + end]
            p = power[c, begin:end]
            for i in range(LANES):
                v[i] = cells[c, V * LANES + i]
                p[i] = cells[c, POWER * LANES + i]
        for c in range(N_CELLS):
            glut_1 = glut_lp if c == PD else glut_pd
            glut_2 = glut_lp if c == PY else glut_py
            current = noise[c, begin:end]
            advance_membrane(cells[c], opened[c], glut_1, glut_2, chol, current, rows[c], dt, real)
        advance_gates(cells, gates, opened, speed, table, rows)
