"""The parameters of the circuit, their prior, and how they become rows of the kernel.

Order: eight maximal conductances of each of AB/PD, LP and PY (mS/cm2), then seven synapses (nS),
and on request fifteen Q10s. Bounds are those of Goncalves et al. 2020: the range of the cells of
Prinz et al. 2004, padded; synapses from 0.01 nS to 1 uS (AB to LP: 10 uS), uniform in their
logarithm.

With f = Q10^((T - 283 K) / 10 K), conductances are multiplied by f and time constants divided by f.
The activations of CaS and KCa have Q10s of their own, 2.0 and 1.6, always.

References
----------
Prinz et al. 2004, doi:10.1038/nn1352; Goncalves et al. 2020, doi:10.7554/eLife.56261; Deistler et
al. 2022, doi:10.1073/pnas.2207632119; Caplan et al. 2014, doi:10.1523/JNEUROSCI.0280-14.2014
(Q10s). We differ: synapses are given in nS with a log-uniform prior, which is the published uniform
prior of their logarithm.
"""

__all__ = [
    "CELLS",
    "CELSIUS",
    "CIRCUIT",
    "Q10",
    "Q10_DEFAULTS",
    "gate_speeds",
    "kernel_rows",
]

import numpy as np

from neurosbi.contract import Parameter
from neurosbi_simulators.pyloric import layout as at
from neurosbi_simulators.pyloric.integrate import AREA, CAPACITANCE

CELLS = ("PD", "LP", "PY")  # PD stands for the pacemaker AB/PD: a slash cannot be in a name
CELSIUS = 273.0  # K; the published model counts 10 degC as 283 K
REFERENCE = 10.0  # degC
_GAS, _FARADAY = 8.31451e3, 96485.3415  # mJ/(mol K), C/mol
_CA_TAU = 200.0  # ms
_NS = 1e-6  # mS
_PRINZ, _CAPLAN = "Goncalves et al. 2020", "Deistler et al. 2022"

_CONDUCTANCES = ("Na", "CaT", "CaS", "A", "KCa", "Kd", "H", "leak")
_WORDS = (
    "fast sodium",
    "transient calcium",
    "slow calcium",
    "transient potassium (A)",
    "calcium-activated potassium",
    "delayed rectifier potassium",
    "hyperpolarisation-activated inward current",
    "leak",
)
# (low, high) of each cell
_RANGES = {
    "PD": ((0, 500), (0, 7.5), (0, 8), (0, 60), (0, 15), (25, 150), (0, 0.02), (0, 0.01)),
    "LP": ((0, 200), (0, 2.5), (2, 12), (10, 60), (0, 10), (0, 125), (0, 0.06), (0.01, 0.04)),
    "PY": ((0, 600), (0, 12.5), (0, 4), (30, 60), (0, 5), (50, 150), (0, 0.06), (0, 0.04)),
}
# a draw of the prior whose rhythm is pyloric-like and near that of the preparation 845_082_0044
_DEFAULTS = {
    "PD": (411, 1.94, 7.30, 27.9, 11.2, 50.6, 0.00914, 0.000692),
    "LP": (137, 1.74, 6.45, 31.7, 3.61, 87.8, 0.00513, 0.0349),
    "PY": (117, 2.68, 3.10, 50.6, 2.45, 98.6, 0.0516, 0.0377),
}
_GLUTAMATE, _ACETYLCHOLINE = "glutamate", "acetylcholine"
# name, highest conductance in nS, transmitter, default in nS
_SYNAPSES = (
    ("AB-LP", 1e4, _GLUTAMATE, 609.0),
    ("PD-LP", 1e3, _ACETYLCHOLINE, 3.68),
    ("AB-PY", 1e3, _GLUTAMATE, 4.54),
    ("PD-PY", 1e3, _ACETYLCHOLINE, 412.0),
    ("LP-PD", 1e3, _GLUTAMATE, 109.0),
    ("LP-PY", 1e3, _GLUTAMATE, 0.0327),
    ("PY-LP", 1e3, _GLUTAMATE, 723.0),
)
(AB_LP, PD_LP, AB_PY, PD_PY, LP_PD, LP_PY, PY_LP) = range(7)
_LEAST_SYNAPSE = 0.01  # nS

CIRCUIT: tuple[Parameter, ...] = (
    *(
        Parameter(
            f"{cell}.g_{name}",
            "mS/cm2",
            float(low),
            float(high),
            "linear",
            f"{words} conductance of {cell}",
            _PRINZ,
            float(default),
        )
        for cell in CELLS
        for name, words, (low, high), default in zip(
            _CONDUCTANCES, _WORDS, _RANGES[cell], _DEFAULTS[cell], strict=True
        )
    ),
    *(
        Parameter(
            f"{name}.g",
            "nS",
            _LEAST_SYNAPSE,
            high,
            "log",
            f"synapse from {name.replace('-', ' to ')} ({transmitter})",
            _PRINZ,
            default,
        )
        for name, high, transmitter, default in _SYNAPSES
    ),
)

# name, default, highest, what
_Q10S = (
    *(
        (f"g_{name}", 1.5, 4.0 if name == "H" else 2.0, words)
        for name, words in zip(_CONDUCTANCES, _WORDS, strict=True)
    ),
    ("g_glut", 1.5, 2.0, "glutamatergic conductances"),
    ("g_chol", 1.5, 2.0, "cholinergic conductances"),
    ("tau_m", 2.4, 4.0, "rates of activation (other than of CaS and KCa)"),
    ("tau_h", 2.8, 4.0, "rates of inactivation"),
    ("tau_Ca", 2.0, 4.0, "rate of calcium buffering"),
    ("tau_glut", 1.7, 4.0, "unbinding of glutamate"),
    ("tau_chol", 1.7, 4.0, "unbinding of acetylcholine"),
)
Q10: tuple[Parameter, ...] = tuple(
    Parameter(f"Q10.{name}", "1", 1.0, high, "linear", f"Q10 of {what}", _CAPLAN, default)
    for name, default, high, what in _Q10S
)
Q10_DEFAULTS = np.array([default for _, default, _, _ in _Q10S])
(Q_SYN, Q_TAU_M, Q_TAU_H, Q_TAU_CA, Q_TAU_SYN) = (8, 10, 11, 12, 13)
_Q10_M_CAS, _Q10_M_KCA = 2.0, 1.6


def kernel_rows(
    theta: np.ndarray, q10: np.ndarray, temperature: np.ndarray, dt: float
) -> np.ndarray:
    """Parameter rows [cell, row, sim] of `layout` for ``theta[sim, 31]`` and ``q10[sim, 15]``.

    ``temperature[sim]`` in degC. Conductances become rates, over the capacitance, in 1/ms.
    """
    factor = _factors(q10, temperature)
    rows = np.zeros((at.N_CELLS, at.N_PARAMETER_ROWS, len(theta)))

    def row(cell: int, name: int) -> np.ndarray:
        return rows[cell, name - at.FIRST_PARAMETER]

    membrane = theta[:, :24].reshape(-1, at.N_CELLS, 8) * AREA / CAPACITANCE
    rows[:, :8] = (membrane * factor[:, None, :8]).transpose(1, 2, 0)
    synapse = (theta[:, 24:31] * _NS / CAPACITANCE).T
    glut, chol = factor[:, Q_SYN], factor[:, Q_SYN + 1]
    row(at.PD, at.P_GLUT_1)[:] = synapse[LP_PD] * glut
    row(at.LP, at.P_GLUT_1)[:] = synapse[AB_LP] * glut
    row(at.LP, at.P_GLUT_2)[:] = synapse[PY_LP] * glut
    row(at.LP, at.P_CHOL)[:] = synapse[PD_LP] * chol
    row(at.PY, at.P_GLUT_1)[:] = synapse[AB_PY] * glut
    row(at.PY, at.P_GLUT_2)[:] = synapse[LP_PY] * glut
    row(at.PY, at.P_CHOL)[:] = synapse[PD_PY] * chol
    for cell in range(at.N_CELLS):
        row(cell, at.P_NERNST)[:] = _GAS * (temperature + CELSIUS) / (2.0 * _FARADAY)
        row(cell, at.P_CA_STEP)[:] = -np.expm1(-dt * factor[:, Q_TAU_CA] / _CA_TAU)
    return rows


def gate_speeds(q10: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """Factor of the rate of each gate, [sim, SLOTS]."""
    factor = _factors(q10, temperature)
    tens = (temperature - REFERENCE) / 10.0
    speeds = np.ones((len(q10), at.SLOTS))
    speeds[:, : at.H_NA] = factor[:, [Q_TAU_M]]
    speeds[:, at.M_CAS] = _Q10_M_CAS**tens
    speeds[:, at.M_KCA] = _Q10_M_KCA**tens
    speeds[:, at.H_NA : at.S_GLUT] = factor[:, [Q_TAU_H]]
    speeds[:, at.S_GLUT : at.S_GLUT + 2] = factor[:, Q_TAU_SYN:]
    return speeds


def _factors(q10: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    return q10 ** ((temperature - REFERENCE) / 10.0)[:, None]
