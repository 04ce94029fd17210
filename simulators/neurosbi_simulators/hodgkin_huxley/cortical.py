"""The thirteen-parameter patch-clamp neuron of motor cortex, in absolute units.

C A dV/dt = -A sum_k g_k (V - E_k) - (V - E_leak) / R + I + noise, with fast sodium of two kinds
(Hay: Nat; Pospischil: Na), potassium (Pospischil: Kd, M; Hay: Kv3.1), high-threshold calcium and
a leak. The membrane area A follows from the time constant and the input resistance: A = tau/(C R).
So currents are in pA and nothing about the size of the cell has to be known.

References
----------
Vetter et al. 2024 (Sourcerer), arXiv:2402.07808, after the model of the group's patch-seq study;
Hay et al. 2011, doi:10.1371/journal.pcbi.1002107; Pospischil et al. 2008,
doi:10.1007/s00422-008-0263-8. We differ: gates follow the new voltage (second order in dt instead
of first), and the noise is white in continuous time; its default intensity equals 10 pA per
sample at their time step of 0.04 ms.
"""

__all__ = ["CorticalHodgkinHuxley"]

from typing import ClassVar

import numpy as np

from neurosbi.contract import Parameter, Setting, Stimulus, StimulusFamily
from neurosbi_simulators.hodgkin_huxley import layout as rows
from neurosbi_simulators.hodgkin_huxley.neuron import (
    COMMON_SETTINGS,
    PointNeuron,
)
from neurosbi_simulators.hodgkin_huxley.recorded_sweep import current_clamp_steps

_SOURCE = "Vetter et al. 2024"


class CorticalHodgkinHuxley(PointNeuron):
    """Thirteen parameters, currents in pA; see the module for the equations."""

    name = "hodgkin-huxley-cortical"
    version = "2"
    summary = "patch-clamped cortical neuron in absolute units (pA, MOhm); needs no membrane area"
    papers = (
        "Vetter et al. 2024, arXiv:2402.07808",
        "Hay et al. 2011, doi:10.1371/journal.pcbi.1002107",
        "Pospischil et al. 2008, doi:10.1007/s00422-008-0263-8",
    )
    may_be_negative = ("E_leak", "V_T")
    must_be_positive = ("C_m", "R_in", "tau", "tau_max", "r_SS")
    parameters = (
        Parameter("C_m", "uF/cm2", 0.1, 15.0, "linear", "membrane capacitance", _SOURCE, 1.0),
        Parameter("R_in", "MOhm", 20.0, 1000.0, "linear", "input resistance", _SOURCE, 150.0),
        Parameter("tau", "ms", 0.1, 70.0, "linear", "membrane time constant", _SOURCE, 20.0),
        Parameter("g_Nat", "mS/cm2", 0.0, 250.0, "linear", "transient sodium", _SOURCE, 20.0),
        Parameter("g_Na", "mS/cm2", 0.0, 100.0, "linear", "fast sodium", _SOURCE, 50.0),
        Parameter("g_Kd", "mS/cm2", 0.0, 30.0, "linear", "delayed rectifier", _SOURCE, 5.0),
        Parameter("g_M", "mS/cm2", 0.0, 3.0, "linear", "slow potassium (M)", _SOURCE, 0.1),
        Parameter("g_Kv31", "mS/cm2", 0.0, 250.0, "linear", "fast potassium Kv3.1", _SOURCE, 10.0),
        Parameter("g_L", "mS/cm2", 0.0, 3.0, "linear", "high-threshold calcium", _SOURCE, 0.01),
        Parameter("E_leak", "mV", -130.0, -50.0, "linear", "leak reversal", _SOURCE, -75.0),
        Parameter("tau_max", "ms", 50.0, 4000.0, "linear", "slowest M time constant", _SOURCE, 600),
        Parameter(
            "V_T", "mV", -90.0, -35.0, "linear", "threshold shift of Na and Kd", _SOURCE, -60
        ),
        Parameter("r_SS", "1", 0.1, 3.0, "linear", "slowing of Na and Kd gates", _SOURCE, 1.0),
    )
    default_features = "default"
    setting_table: ClassVar[tuple[Setting, ...]] = (
        *COMMON_SETTINGS,
        Setting("temperature", "degC", 25.0, "temperature of the bath, scales the gating rates"),
        Setting("noise", "pA ms^0.5", 2.0, "intensity of the noise current", sign="not negative"),
        Setting("E_Na", "mV", 69.0, "sodium reversal potential"),
        Setting("E_K", "mV", -98.4, "potassium reversal potential"),
        Setting("E_Ca", "mV", 127.2, "calcium reversal potential"),
    )
    channels = (rows.HAS_M, rows.HAS_CAL, rows.HAS_NAT, rows.HAS_KV)

    @property
    def stimulus(self) -> Stimulus:
        """The protocol of the motor-cortex study: 300 pA from 100 to 700 ms."""
        return Stimulus.step(amplitude=300, onset=100, duration=600, total=800)

    @property
    def stimulus_family(self) -> StimulusFamily:
        """Depolarising steps as current-clamp labs use them."""
        return current_clamp_steps("pA", amplitude=(20.0, 600.0))

    def rows(self, theta: np.ndarray) -> dict[int, np.ndarray]:
        """See `PointNeuron.rows`; conductances in nS, capacitance in pF, currents in pA."""
        c, r_in, tau, g_nat, g_na, g_kd, g_m, g_kv, g_l, e_leak, tau_max, v_t, r_ss = theta.T
        capacitance = tau / r_in * 1e3  # pF
        area = capacitance / c * 1e-6  # cm2, from pF and uF/cm2
        to_ns = area * 1e6  # nS per mS/cm2
        g_leak = 1e3 / r_in  # nS
        pospischil = 2.3 ** ((self.settings["temperature"] - 36.0) / 10.0)
        return {
            rows.P_VT: v_t,
            rows.P_MSHIFT: np.exp((v_t + 35.0) / 20.0),
            rows.P_GNA: g_na * to_ns,
            rows.P_GK: g_kd * to_ns,
            rows.P_GM: g_m * to_ns,
            rows.P_GL: g_leak,
            rows.P_GEL: g_leak * e_leak,
            rows.P_GCAL: g_l * to_ns,
            rows.P_GNAT: g_nat * to_ns,
            rows.P_GKV: g_kv * to_ns,
            rows.P_ITAU: 1.0 / tau_max,
            rows.P_DTC: 1.0 / capacitance,
            rows.P_DTNA: pospischil / r_ss,
            rows.P_DTM: np.full(len(theta), pospischil),
            rows.P_NOISE: np.full(len(theta), float(self.settings["noise"])),
        }

    def constants(self) -> dict[int, float]:
        """See `PointNeuron.constants`."""
        return {
            rows.C_ENA: self.settings["E_Na"],
            rows.C_EK: self.settings["E_K"],
            rows.C_ECA: self.settings["E_Ca"],
            rows.C_DTHAY: 2.3 ** ((self.settings["temperature"] - 21.0) / 10.0),
            rows.C_DTCA: 1.0,
        }
