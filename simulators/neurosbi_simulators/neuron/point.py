"""The Pospischil point neuron in NEURON: the model of `hodgkin-huxley`, by another program.

The same parameters, prior, stimuli, features and noise as `HodgkinHuxley`, one compartment, and
channels from .mod files; so that the compiled kernel can be checked, and posteriors of one be
simulated with the other.

References
----------
Pospischil et al. 2008, doi:10.1007/s00422-008-0263-8; Goncalves et al. 2020,
doi:10.7554/eLife.56261.
"""

__all__ = ["NeuronPoint"]

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from neurosbi.contract import Setting
from neurosbi_simulators.hodgkin_huxley.current_clamp import CLAMP_SETTINGS
from neurosbi_simulators.hodgkin_huxley.per_area import AREA_SETTINGS, PerArea
from neurosbi_simulators.neuron.cell import Cell
from neurosbi_simulators.neuron.mechanisms import CHANNELS
from neurosbi_simulators.neuron.simulator import NeuronSimulator

_SIDE = 20.0  # um; length and diameter of the compartment
_AREA = math.pi * _SIDE**2 * 1e-8  # cm2
_SIEMENS = 1e-3  # S per mS


class NeuronPoint(PerArea, NeuronSimulator):
    """Eight parameters, currents per membrane area; see the module."""

    name = "neuron-point"
    version = "1"
    summary = "the point neuron of hodgkin-huxley, computed by NEURON"
    setting_table: ClassVar[tuple[Setting, ...]] = (*CLAMP_SETTINGS, *AREA_SETTINGS)
    mechanisms = CHANNELS

    @property
    def nanoampere(self) -> float:
        """nA per uA/cm2, of this compartment."""
        return _AREA * 1e3

    def noise_intensity(self, theta: np.ndarray) -> np.ndarray:
        """See `NeuronSimulator.noise_intensity`."""
        return theta[:, [p.name for p in self.parameters].index("sigma")]

    def build(self, h: Any) -> Cell:
        """See `NeuronSimulator.build`."""
        soma = h.Section(name="soma")
        soma.L = soma.diam = _SIDE
        for channel in ("pas", "pos_na", "pos_kd", "pos_m", "pos_cal", "pos_cat"):
            soma.insert(channel)
        return Cell(soma(0.5), {"soma": [soma]})

    def set_parameters(self, cell: Cell, p: Mapping[str, float]) -> None:
        """See `NeuronSimulator.set_parameters`."""
        constants = self.settings
        cell.set(
            "soma",
            cm=constants["C_m"],
            g_pas=p["g_leak"] * _SIEMENS,
            e_pas=-p["minus_E_leak"],
            gbar_pos_na=p["g_Na"] * _SIEMENS,
            e_pos_na=constants["E_Na"],
            VT_pos_na=-p["minus_V_T"],
            gbar_pos_kd=p["g_K"] * _SIEMENS,
            e_pos_kd=constants["E_K"],
            VT_pos_kd=-p["minus_V_T"],
            gbar_pos_m=p["g_M"] * _SIEMENS,
            e_pos_m=constants["E_K"],
            taumax_pos_m=p["tau_max"],
            gbar_pos_cal=constants["g_CaL"] * _SIEMENS,
            e_pos_cal=constants["E_Ca"],
            gbar_pos_cat=constants["g_CaT"] * _SIEMENS,
            e_pos_cat=constants["E_Ca"],
        )
