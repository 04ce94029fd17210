"""A ball with sticks: a soma, a dendrite and an axon, with channels of their own densities.

In every section, with x along it and d its diameter,

    C_m dV/dt = d / (4 R_a) d2V/dx2 - sum_k g_k (V - E_k) + I(x, t)

with a leak, sodium, delayed-rectifier potassium and (in the soma) M currents of the Pospischil
type; see `neurosbi_simulators.hodgkin_huxley.channels` for their rates. Current flows into the
soma, where V is recorded. The geometry is a setting: with the default one the membrane has 7e-5
cm2, a pyramidal cell's electrotonic size rather than its shape.

References
----------
Rall 1962, doi:10.1111/j.1749-6632.1962.tb54120.x (the reduction of a dendritic tree to a
cylinder); Pospischil et al. 2008, doi:10.1007/s00422-008-0263-8 (channels); Kole et al. 2008,
doi:10.1038/nn2040 (high sodium density in the axon). The sections and ranges are our own choice.
"""

__all__ = ["BallAndStick"]

from collections.abc import Mapping
from typing import Any, ClassVar

from neurosbi.contract import Parameter, Setting
from neurosbi_simulators.neuron.cell import Cell, segments_for
from neurosbi_simulators.neuron.mechanisms import CHANNELS
from neurosbi_simulators.neuron.simulator import NEURON_SETTINGS, NeuronSimulator

_PAPER = "Goncalves et al. 2020"
_OWN = "own choice"
_SIEMENS = 1e-3  # S per mS
_SECTIONS = ("soma", "dendrite", "axon")


class BallAndStick(NeuronSimulator):
    """Twelve parameters, currents in pA; see the module for the equations."""

    name = "neuron-ball-and-stick"
    version = "1"
    summary = "soma, dendrite and axon with channel densities of their own, computed by NEURON"
    papers = (
        "Rall 1962, doi:10.1111/j.1749-6632.1962.tb54120.x",
        "Pospischil et al. 2008, doi:10.1007/s00422-008-0263-8",
        "Kole et al. 2008, doi:10.1038/nn2040",
    )
    may_be_negative = ("V_T", "E_leak")
    must_be_positive = ("tau_max", "R_a")
    parameters = (
        Parameter("g_Na_soma", "mS/cm2", 0.5, 80.0, "linear", "sodium, soma", _PAPER, 30.0),
        Parameter("g_K_soma", "mS/cm2", 1e-4, 15.0, "linear", "delayed rectifier, soma", _PAPER, 5),
        Parameter("g_M_soma", "mS/cm2", 1e-4, 2.0, "linear", "slow potassium (M), soma", _OWN, 0.3),
        Parameter("g_Na_dendrite", "mS/cm2", 1e-4, 20.0, "linear", "sodium, dendrite", _OWN, 3.0),
        Parameter(
            "g_K_dendrite", "mS/cm2", 1e-4, 10.0, "linear", "delayed rectifier, dendrite", _OWN, 1.0
        ),
        Parameter("g_Na_axon", "mS/cm2", 0.5, 250.0, "linear", "sodium, axon", _OWN, 100.0),
        Parameter(
            "g_K_axon", "mS/cm2", 1e-4, 60.0, "linear", "delayed rectifier, axon", _OWN, 20.0
        ),
        Parameter("g_leak", "mS/cm2", 1e-3, 0.6, "linear", "leak, all sections", _PAPER, 0.1),
        Parameter("tau_max", "ms", 50.0, 3000.0, "linear", "slowest M time constant", _PAPER, 600),
        Parameter("V_T", "mV", -90.0, -40.0, "linear", "threshold shift of Na and K", _PAPER, -60),
        Parameter("E_leak", "mV", -100.0, -35.0, "linear", "leak reversal", _PAPER, -70.0),
        Parameter("R_a", "Ohm cm", 50.0, 300.0, "linear", "axial resistivity", _OWN, 150.0),
    )
    setting_table: ClassVar[tuple[Setting, ...]] = (
        *NEURON_SETTINGS,
        Setting("temperature", "degC", 36.0, "temperature of the bath, scales the gating rates"),
        Setting("C_m", "uF/cm2", 1.0, "membrane capacitance", sign="positive"),
        Setting("E_Na", "mV", 53.0, "sodium reversal potential"),
        Setting("E_K", "mV", -107.0, "potassium reversal potential"),
        Setting("soma_diameter", "um", 20.0, "diameter and length of the soma", sign="positive"),
        Setting("dendrite_length", "um", 500.0, "length of the dendrite", sign="positive"),
        Setting("dendrite_diameter", "um", 3.0, "diameter of the dendrite", sign="positive"),
        Setting("axon_length", "um", 200.0, "length of the axon", sign="positive"),
        Setting("axon_diameter", "um", 1.5, "diameter of the axon", sign="positive"),
    )
    mechanisms = CHANNELS

    @property
    def celsius(self) -> float:
        """Temperature in degC."""
        return float(self.settings["temperature"])

    def build(self, h: Any) -> Cell:
        """See `NeuronSimulator.build`; the dendrite leaves the soma at one end, the axon at the other."""
        size = self.settings
        soma, dendrite, axon = (h.Section(name=name) for name in _SECTIONS)
        soma.L = soma.diam = size["soma_diameter"]
        hardest = next(p.high for p in self.parameters if p.name == "R_a")
        for section in (dendrite, axon):
            section.L = size[f"{section.name()}_length"]
            section.diam = size[f"{section.name()}_diameter"]
            section.nseg = segments_for(
                section.L, section.diam, axial_resistance=hardest, capacitance=size["C_m"]
            )
        dendrite.connect(soma(1))
        axon.connect(soma(0))
        for section in (soma, dendrite, axon):
            for channel in ("pas", "pos_na", "pos_kd"):
                section.insert(channel)
        soma.insert("pos_m")
        return Cell(soma(0.5), {s.name(): [s] for s in (soma, dendrite, axon)})

    def set_parameters(self, cell: Cell, p: Mapping[str, float]) -> None:
        """See `NeuronSimulator.set_parameters`."""
        speed = 2.3 ** ((self.celsius - 36.0) / 10.0)
        constants = self.settings
        for section in _SECTIONS:
            cell.set(
                section,
                Ra=p["R_a"],
                cm=constants["C_m"],
                g_pas=p["g_leak"] * _SIEMENS,
                e_pas=p["E_leak"],
                gbar_pos_na=p[f"g_Na_{section}"] * _SIEMENS,
                e_pos_na=constants["E_Na"],
                VT_pos_na=p["V_T"],
                speed_pos_na=speed,
                gbar_pos_kd=p[f"g_K_{section}"] * _SIEMENS,
                e_pos_kd=constants["E_K"],
                VT_pos_kd=p["V_T"],
                speed_pos_kd=speed,
            )
        cell.set(
            "soma",
            gbar_pos_m=p["g_M_soma"] * _SIEMENS,
            e_pos_m=constants["E_K"],
            taumax_pos_m=p["tau_max"],
            speed_pos_m=speed,
        )
