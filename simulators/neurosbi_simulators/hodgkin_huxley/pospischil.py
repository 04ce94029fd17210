"""The eight-parameter cortical neuron of Pospischil et al. 2008, per membrane area.

C dV/dt = -gNa m^3 h (V-E_Na) - gK n^4 (V-E_K) - gM p (V-E_K) - gl (V-E_l) + I + sigma xi(t),
plus, on request, the high- and low-threshold calcium currents of the same paper.

Prior, constants and features follow the study of Allen cells in Goncalves et al. 2020.

References
----------
Pospischil et al. 2008, doi:10.1007/s00422-008-0263-8; Goncalves et al. 2020,
doi:10.7554/eLife.56261. We differ: the noise is white in continuous time in both, but a start
from rest replaces the start at the first recorded voltage (setting ``initial_voltage``).
"""

__all__ = ["HodgkinHuxley"]

from typing import Any, ClassVar

import numpy as np

from neurosbi.contract import Parameter, Setting, StepFamily, Stimulus, StimulusFamily
from neurosbi.errors import BadInputError
from neurosbi_simulators.hodgkin_huxley import layout as rows
from neurosbi_simulators.hodgkin_huxley.neuron import (
    COMMON_SETTINGS,
    TINY_CONDUCTANCE,
    PointNeuron,
)
from neurosbi_simulators.hodgkin_huxley.recorded_sweep import LONGEST_REST, LONGEST_STEP

_SOURCE = "Goncalves et al. 2020"
_AMPERE = 1e-6  # uA per pA


class HodgkinHuxley(PointNeuron):
    """Eight parameters, currents per membrane area; see the module for the equations."""

    name = "hodgkin-huxley"
    version = "1"
    summary = "cortical point neuron with Na, Kd, M and leak currents, per membrane area"
    papers = (
        "Pospischil et al. 2008, doi:10.1007/s00422-008-0263-8",
        "Goncalves et al. 2020, doi:10.7554/eLife.56261",
    )
    parameters = (
        Parameter("g_Na", "mS/cm2", 0.5, 80.0, "linear", "fast sodium conductance", _SOURCE, 50.0),
        Parameter("g_K", "mS/cm2", 1e-4, 15.0, "linear", "delayed rectifier", _SOURCE, 5.0),
        Parameter("g_leak", "mS/cm2", 1e-4, 0.6, "linear", "leak conductance", _SOURCE, 0.1),
        Parameter("g_M", "mS/cm2", 1e-4, 0.6, "linear", "slow potassium (M)", _SOURCE, 0.07),
        Parameter("tau_max", "ms", 50.0, 3000.0, "linear", "slowest M time constant", _SOURCE, 600),
        Parameter("minus_V_T", "mV", 40.0, 90.0, "linear", "minus threshold shift", _SOURCE, 60.0),
        Parameter(
            "sigma", "uA ms^0.5/cm2", 1e-4, 0.15, "linear", "intensity of the noise", _SOURCE, 0.1
        ),
        Parameter("minus_E_leak", "mV", 35.0, 100.0, "linear", "minus leak reversal", _SOURCE, 70),
    )
    setting_table: ClassVar[tuple[Setting, ...]] = (
        *COMMON_SETTINGS,
        Setting("C_m", "uF/cm2", 1.0, "membrane capacitance"),
        Setting("E_Na", "mV", 53.0, "sodium reversal potential"),
        Setting("E_K", "mV", -107.0, "potassium reversal potential"),
        Setting("E_Ca", "mV", 120.0, "calcium reversal potential"),
        Setting("g_CaL", "mS/cm2", 0.0, "high-threshold calcium conductance (0: no such channel)"),
        Setting("g_CaT", "mS/cm2", 0.0, "low-threshold calcium conductance (0: no such channel)"),
        Setting(
            "area",
            "cm2",
            None,
            "membrane area, by which a current in pA becomes a current density",
            role="preparation",
        ),
    )

    def __init__(self, *, features: str | None = None, **settings: Any) -> None:
        super().__init__(features=features, **settings)
        area = self.settings["area"]
        if area is not None and not (isinstance(area, (int, float)) and 1e-7 < area < 1e-1):
            raise BadInputError(
                f"{self.name}: area is {area} cm2, but a neuron has about 1e-5 to 1e-3 cm2 "
                "(1 cm2 = 1e8 um2)"
            )
        calcium = [
            (self.settings["g_CaL"], rows.HAS_CAL),
            (self.settings["g_CaT"], rows.HAS_CAT),
        ]
        self.channels = (rows.HAS_M, *(flag for g, flag in calcium if g))  # type: ignore[misc]

    @property
    def stimulus(self) -> Stimulus:
        """The published synthetic protocol: 5e-4 uA on a soma of 70 um radius, 10 to 110 ms."""
        return Stimulus.step(
            amplitude=5e-4 / (np.pi * 70e-4**2), onset=10, duration=100, total=120, unit="uA/cm2"
        )

    @property
    def stimulus_family(self) -> StimulusFamily:
        """Depolarising steps as current-clamp labs use them."""
        return StepFamily(
            unit="uA/cm2",
            amplitude=(0.2, 10.0),
            onset=(20.0, LONGEST_REST + 1),
            duration=(200.0, LONGEST_STEP),
        )

    def in_model_units(self, stimulus: Stimulus) -> Stimulus:
        """pA become uA/cm2 by the setting ``area``."""
        if stimulus.unit == "uA/cm2":
            return stimulus
        area = self.settings["area"]
        if area is None:
            raise BadInputError(
                f"{self.name} computes per membrane area: give the cell's area in cm2 "
                "(--area, for example 1.9e-4), or use hodgkin-huxley-cortical, which needs none"
            )
        return stimulus.scaled(_AMPERE / area, "uA/cm2")

    def rows(self, theta: np.ndarray) -> dict[int, np.ndarray]:
        """See `PointNeuron.rows`."""
        g_na, g_k, g_leak, g_m, tau_max, minus_v_t, sigma, minus_e_leak = theta.T
        if np.any(theta[:, :7] < 0):
            raise BadInputError(f"{self.name}: conductances, tau_max and sigma cannot be negative")
        one = np.ones(len(theta))
        g_leak = g_leak + TINY_CONDUCTANCE
        return {
            rows.P_VT: -minus_v_t,
            rows.P_MSHIFT: np.exp((35.0 - minus_v_t) / 20.0),
            rows.P_GNA: g_na,
            rows.P_GK: g_k,
            rows.P_GM: g_m,
            rows.P_GL: g_leak,
            rows.P_GEL: -g_leak * minus_e_leak,
            rows.P_GCAL: self.settings["g_CaL"] * one,
            rows.P_GCAT: self.settings["g_CaT"] * one,
            rows.P_ITAU: 1.0 / tau_max,
            rows.P_DTC: one / self.settings["C_m"],
            rows.P_DTNA: one,
            rows.P_DTM: one,
            rows.P_NOISE: sigma,
        }

    def constants(self) -> dict[int, float]:
        """See `PointNeuron.constants`."""
        return {
            rows.C_ENA: self.settings["E_Na"],
            rows.C_EK: self.settings["E_K"],
            rows.C_ECA: self.settings["E_Ca"],
            rows.C_DTHAY: 1.0,
            rows.C_DTCA: 1.0,
        }
