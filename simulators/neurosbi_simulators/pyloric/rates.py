"""Steady states and time constants of the gates, and their table over the voltage.

With sig(V; a, b) = 1 / (1 + exp((V + a) / b)), V in mV and times in ms, at 10 degC:

    channel  gates   activation, its tau                       inactivation, its tau
    Na       m^3 h   sig(25.5, -5.29)                          sig(48.9, 5.18)
                     2.64 - 2.52 sig(120, -25)                 1.34 sig(62.9, -10) (1.5 + sig(34.9, 3.6))
    CaT      m^3 h   sig(27.1, -7.2), 43.4 - 42.6 sig(68.1, -20.5)
                     and sig(32.1, 5.5), 210 - 179.6 sig(55, -16.9)
    CaS      m^3 h   sig(33, -8.1), 2.8 + 14 / (e^((V+27)/10) + e^(-(V+70)/13))
                     and sig(60, 6.2), 120 + 300 / (e^((V+55)/9) + e^(-(V+65)/16))
    A        m^3 h   sig(27.2, -8.7), 23.2 - 20.8 sig(32.9, -15.2)
                     and sig(56.9, 4.9), 77.2 - 58.4 sig(38.9, -26.5)
    KCa      m^4     Ca / (Ca + 3 uM) sig(28.3, -12.6), 180.6 - 150.2 sig(46, -22.7)
    Kd       m^4     sig(12.3, -11.8), 14.4 - 12.8 sig(28.3, -19.2)
    H        m       sig(75, 5.5), 2 / (e^(-14.59 - 0.086 V) + e^(-1.87 + 0.0701 V))

and for the transmitter release of a presynaptic cell s_inf = sig(35, -5), tau = k (1 - s_inf) with
k = 40 ms (glutamate) and 100 ms (acetylcholine).

References: A. A. Prinz, D. Bucher, E. Marder, Nat. Neurosci. 2004, doi:10.1038/nn1352;
Z. Liu, J. Golowasch, E. Marder, L. F. Abbott, J. Neurosci. 1998,
doi:10.1523/JNEUROSCI.18-07-02309.1998.
"""

__all__ = ["FASTEST_TAU", "part_table", "rate_table", "steady_states", "time_constants"]

import numpy as np

from neurosbi_simulators.pyloric.layout import (
    S_GLUT,
    SLOTS,
    TABLE_HIGH,
    TABLE_LOW,
    TABLE_PER_MV,
)

FASTEST_TAU = 0.12  # ms at 10 degC: activation of Na during a spike
_GLUTAMATE, _ACETYLCHOLINE = 40.0, 100.0  # ms, unbinding of the transmitter
_MOST_STEPS = 1e3  # time constants per step that the table holds at most; beyond 1 nothing changes


def sigmoid(v: np.ndarray, a: float, b: float) -> np.ndarray:
    """1 / (1 + exp((V + a) / b))."""
    return 1.0 / (1.0 + np.exp((v + a) / b))


def steady_states(v: np.ndarray) -> np.ndarray:
    """Steady state of each gate at ``v`` [v] in mV, [v, gate] in the order of `layout`.

    That of KCa still has to be multiplied by Ca / (Ca + 3 uM).
    """
    release = sigmoid(v, 35.0, -5.0)
    columns = (
        sigmoid(v, 25.5, -5.29),
        sigmoid(v, 27.1, -7.2),
        sigmoid(v, 33.0, -8.1),
        sigmoid(v, 27.2, -8.7),
        sigmoid(v, 28.3, -12.6),
        sigmoid(v, 12.3, -11.8),
        sigmoid(v, 75.0, 5.5),
        sigmoid(v, 48.9, 5.18),
        sigmoid(v, 32.1, 5.5),
        sigmoid(v, 60.0, 6.2),
        sigmoid(v, 56.9, 4.9),
        release,
        release,
    )
    return np.stack(columns, axis=-1)


def time_constants(v: np.ndarray) -> np.ndarray:
    """Time constant of each gate at ``v`` [v] in mV and 10 degC, ms, [v, gate]."""
    unbound = sigmoid(v, 35.0, 5.0)  # 1 - s_inf, without loss of digits
    columns = (
        2.64 - 2.52 * sigmoid(v, 120.0, -25.0),
        43.4 - 42.6 * sigmoid(v, 68.1, -20.5),
        2.8 + 14.0 / (np.exp((v + 27.0) / 10.0) + np.exp(-(v + 70.0) / 13.0)),
        23.2 - 20.8 * sigmoid(v, 32.9, -15.2),
        180.6 - 150.2 * sigmoid(v, 46.0, -22.7),
        14.4 - 12.8 * sigmoid(v, 28.3, -19.2),
        2.0 / (np.exp(-14.59 - 0.086 * v) + np.exp(-1.87 + 0.0701 * v)),
        1.34 * sigmoid(v, 62.9, -10.0) * (1.5 + sigmoid(v, 34.9, 3.6)),
        210.0 - 179.6 * sigmoid(v, 55.0, -16.9),
        120.0 + 300.0 / (np.exp((v + 55.0) / 9.0) + np.exp(-(v + 65.0) / 16.0)),
        77.2 - 58.4 * sigmoid(v, 38.9, -26.5),
        _GLUTAMATE * unbound,
        _ACETYLCHOLINE * unbound,
    )
    return np.stack(columns, axis=-1)


def rate_table(dt: float, dtype: type) -> np.ndarray:
    """Steady states and dt / tau at 10 degC, [v, 2 * SLOTS]; the kernel interpolates linearly."""
    return _table(dt).astype(dtype)


def part_table(dt: float, speed: np.ndarray, dtype: type) -> np.ndarray:
    """Steady states and the part of the way to them in one step, for rates ``speed`` [SLOTS] times
    those at 10 degC: 1 - exp(-dt / tau), for transmitter release min(dt / tau, 1).
    """
    table = _table(dt)
    steps = table[:, SLOTS:] * speed
    table[:, SLOTS:] = -np.expm1(-steps)
    table[:, SLOTS + S_GLUT :] = np.minimum(steps[:, S_GLUT:], 1.0)
    return table.astype(dtype)


def _table(dt: float) -> np.ndarray:
    n = round((TABLE_HIGH - TABLE_LOW) * TABLE_PER_MV) + 1
    v = TABLE_LOW + np.arange(n) / TABLE_PER_MV
    states, steps = steady_states(v), np.minimum(dt / time_constants(v), _MOST_STEPS)
    table = np.zeros((n, 2 * SLOTS))
    table[:, : states.shape[1]] = states
    table[:, SLOTS : SLOTS + steps.shape[1]] = steps
    return table
