"""Networks of spiking neurons: stochastic (GIF) or with a sharp threshold (LIF)."""

from neurosbi_simulators.spiking.balanced import BalancedNetwork
from neurosbi_simulators.spiking.gif import SpikingGif

__all__ = ["BalancedNetwork", "SpikingGif"]
