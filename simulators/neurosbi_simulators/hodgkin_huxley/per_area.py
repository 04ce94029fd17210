"""What models per membrane area of the Pospischil type share: parameters, prior, units, stimuli.

`HodgkinHuxley` and its double in NEURON differ only in who integrates.
"""

__all__ = ["AREA_SETTINGS", "PerArea"]

from typing import Any

import numpy as np

from neurosbi.contract import Parameter, Setting, Stimulus, StimulusFamily
from neurosbi.errors import BadInputError
from neurosbi_simulators.hodgkin_huxley.current_clamp import CurrentClampSimulator
from neurosbi_simulators.hodgkin_huxley.recorded_sweep import current_clamp_steps

_SOURCE = "Goncalves et al. 2020"
_AMPERE = 1e-6  # uA per pA

AREA_SETTINGS = (
    Setting("C_m", "uF/cm2", 1.0, "membrane capacitance", sign="positive"),
    Setting("E_Na", "mV", 53.0, "sodium reversal potential"),
    Setting("E_K", "mV", -107.0, "potassium reversal potential"),
    Setting("E_Ca", "mV", 120.0, "calcium reversal potential"),
    Setting(
        "g_CaL",
        "mS/cm2",
        0.0,
        "high-threshold calcium conductance (0: no such channel)",
        sign="not negative",
    ),
    Setting(
        "g_CaT",
        "mS/cm2",
        0.0,
        "low-threshold calcium conductance (0: no such channel)",
        sign="not negative",
    ),
    Setting(
        "area",
        "cm2",
        None,
        "membrane area, by which a current in pA becomes a current density; by default a fit "
        "estimates it from the recording",
        role="preparation",
    ),
)


class PerArea(CurrentClampSimulator):
    """Eight parameters, currents per membrane area, which the setting ``area`` converts."""

    papers = (
        "Pospischil et al. 2008, doi:10.1007/s00422-008-0263-8",
        "Goncalves et al. 2020, doi:10.7554/eLife.56261",
    )
    may_be_negative = ("minus_E_leak",)
    must_be_positive = ("tau_max",)
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

    def __init__(self, *, features: str | None = None, **settings: Any) -> None:
        super().__init__(features=features, **settings)
        area = self.settings["area"]
        if area is not None and not (isinstance(area, (int, float)) and 1e-7 < area < 1e-1):
            raise BadInputError(
                f"{self.name}: area is {area} cm2, but a neuron has about 1e-5 to 1e-3 cm2 "
                "(1 cm2 = 1e8 um2)"
            )

    @property
    def stimulus(self) -> Stimulus:
        """The published synthetic protocol: 5e-4 uA on a soma of 70 um radius, 10 to 110 ms."""
        return Stimulus.step(
            amplitude=5e-4 / (np.pi * 70e-4**2), onset=10, duration=100, total=120, unit="uA/cm2"
        )

    @property
    def stimulus_family(self) -> StimulusFamily:
        """Depolarising steps as current-clamp labs use them."""
        return current_clamp_steps("uA/cm2", amplitude=(0.2, 10.0))

    def in_model_units(self, stimulus: Stimulus) -> Stimulus:
        """pA become uA/cm2 by the setting ``area``."""
        if stimulus.unit == "uA/cm2":
            return stimulus
        area = self.settings["area"]
        if area is None:
            raise BadInputError(
                f"{self.name} computes per membrane area, so a current in pA needs the cell's area "
                "in cm2 (setting area: --set area=1.9e-4); or give the current in uA/cm2, or use "
                "hodgkin-huxley-cortical, which needs none"
            )
        return stimulus.scaled(_AMPERE / area, "uA/cm2")
