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

from neurosbi.contract import Setting
from neurosbi_simulators.hodgkin_huxley import layout as rows
from neurosbi_simulators.hodgkin_huxley.neuron import (
    COMMON_SETTINGS,
    TINY_CONDUCTANCE,
    PointNeuron,
)
from neurosbi_simulators.hodgkin_huxley.per_area import AREA_SETTINGS, PerArea


class HodgkinHuxley(PerArea, PointNeuron):
    """Eight parameters, currents per membrane area; see the module for the equations."""

    name = "hodgkin-huxley"
    version = "2"
    summary = "cortical point neuron with Na, Kd, M and leak currents, per membrane area"
    setting_table: ClassVar[tuple[Setting, ...]] = (*COMMON_SETTINGS, *AREA_SETTINGS)

    def __init__(self, *, features: str | None = None, **settings: Any) -> None:
        super().__init__(features=features, **settings)
        calcium = [
            (self.settings["g_CaL"], rows.HAS_CAL),
            (self.settings["g_CaT"], rows.HAS_CAT),
        ]
        self.channels = (rows.HAS_M, *(flag for g, flag in calcium if g))  # type: ignore[misc]

    def rows(self, theta: np.ndarray) -> dict[int, np.ndarray]:
        """See `PointNeuron.rows`."""
        g_na, g_k, g_leak, g_m, tau_max, minus_v_t, sigma, minus_e_leak = theta.T
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
