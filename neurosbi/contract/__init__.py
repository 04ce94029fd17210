"""The contract between recordings, simulators and inference: frozen data, numpy only."""

from neurosbi.contract.families import (
    FixedStimulus,
    StepFamily,
    StimulusBatch,
    StimulusFamily,
    SweepSets,
    family_from_dict,
)
from neurosbi.contract.recording import (
    COARSEST_DT,
    SHORTEST_REST,
    CurrentStep,
    Recording,
    Sweep,
)
from neurosbi.contract.simulator import Observation, SimulationBatch, Simulator, Status
from neurosbi.contract.stimulus import Stimulus
from neurosbi.contract.tables import Feature, Parameter, Setting, prior_bounds, sample_box
from neurosbi.contract.trace_bins import BinSection, TraceBins

__all__ = [
    "COARSEST_DT",
    "SHORTEST_REST",
    "BinSection",
    "CurrentStep",
    "Feature",
    "FixedStimulus",
    "Observation",
    "Parameter",
    "Recording",
    "Setting",
    "SimulationBatch",
    "Simulator",
    "Status",
    "StepFamily",
    "Stimulus",
    "StimulusBatch",
    "StimulusFamily",
    "Sweep",
    "SweepSets",
    "TraceBins",
    "family_from_dict",
    "prior_bounds",
    "sample_box",
]
