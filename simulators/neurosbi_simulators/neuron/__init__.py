"""Models that NEURON computes, in worker processes: a point neuron, a ball and stick, your own."""

from neurosbi_simulators.neuron.ball_and_stick import BallAndStick
from neurosbi_simulators.neuron.cell import Cell
from neurosbi_simulators.neuron.point import NeuronPoint
from neurosbi_simulators.neuron.simulator import NeuronSimulator

__all__ = ["BallAndStick", "Cell", "NeuronPoint", "NeuronSimulator"]
