"""The contract between recordings, simulators and inference: frozen data, numpy only."""

from neurosbi.contract.recording import CurrentStep, Recording, Sweep
from neurosbi.contract.simulator import Observation, SimulationBatch, Simulator, Status
from neurosbi.contract.stimulus import (
    FixedStimulus,
    StepFamily,
    Stimulus,
    StimulusBatch,
    StimulusFamily,
    family_from_dict,
)
from neurosbi.contract.tables import Feature, Parameter, Setting, prior_bounds, sample_box

__all__ = [
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
    "family_from_dict",
    "prior_bounds",
    "sample_box",
]
