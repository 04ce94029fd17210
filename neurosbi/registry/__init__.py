"""Simulators by name: the entry points "neurosbi.simulators" of all installed packages."""

from neurosbi.registry.black_box import BlackBoxSimulator
from neurosbi.registry.names import simulator, simulator_names

__all__ = ["BlackBoxSimulator", "simulator", "simulator_names"]
