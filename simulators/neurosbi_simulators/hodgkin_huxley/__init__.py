"""Point neurons of Hodgkin-Huxley type: channels, one kernel, two published models."""

from neurosbi_simulators.hodgkin_huxley.cortical import CorticalHodgkinHuxley
from neurosbi_simulators.hodgkin_huxley.pospischil import HodgkinHuxley

__all__ = ["CorticalHodgkinHuxley", "HodgkinHuxley"]
