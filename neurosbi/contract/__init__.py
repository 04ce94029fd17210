"""The contract between recordings, simulators and inference: frozen data, numpy only."""

from neurosbi.contract.families import (
    FixedStimulus,
    SpontaneousFamily,
    StepFamily,
    StimulusBatch,
    StimulusFamily,
    SweepSets,
    family_from_dict,
)
from neurosbi.contract.feature_table import FeatureTable
from neurosbi.contract.prior_region import PriorRegion
from neurosbi.contract.recording import (
    COARSEST_DT,
    SHORTEST_REST,
    CurrentStep,
    Recording,
    Sweep,
)
from neurosbi.contract.simulator import (
    Observation,
    SimulationBatch,
    Simulator,
    Status,
    SweepObservation,
    is_valid,
)
from neurosbi.contract.spike_trains import ONE_POPULATION, SpikeTrains
from neurosbi.contract.stimulus import Stimulus
from neurosbi.contract.tables import (
    Feature,
    Parameter,
    Setting,
    at_positions,
    positions,
    prior_bounds,
    sample_box,
    shrinkage,
    stretch,
)
from neurosbi.contract.trace_bins import BinSection, TraceBins
from neurosbi.contract.words import file_name, in_words, percent

Recorded = Recording | SpikeTrains | FeatureTable
"""What can be read and fitted."""

__all__ = [
    "COARSEST_DT",
    "ONE_POPULATION",
    "SHORTEST_REST",
    "BinSection",
    "CurrentStep",
    "Feature",
    "FeatureTable",
    "FixedStimulus",
    "Observation",
    "Parameter",
    "PriorRegion",
    "Recorded",
    "Recording",
    "Setting",
    "SimulationBatch",
    "Simulator",
    "SpikeTrains",
    "SpontaneousFamily",
    "Status",
    "StepFamily",
    "Stimulus",
    "StimulusBatch",
    "StimulusFamily",
    "Sweep",
    "SweepObservation",
    "SweepSets",
    "TraceBins",
    "at_positions",
    "family_from_dict",
    "file_name",
    "in_words",
    "is_valid",
    "percent",
    "positions",
    "prior_bounds",
    "sample_box",
    "shrinkage",
    "stretch",
]
