"""neurosbi: from a neural recording to a trustworthy posterior over mechanistic models.

The names below are the public Python interface. They load on first use, so that
``import neurosbi`` stays fast and needs neither torch nor numba.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "BlackBoxSimulator": "neurosbi.registry",
    "Feature": "neurosbi.contract",
    "FeatureTable": "neurosbi.contract",
    "FixedStimulus": "neurosbi.contract",
    "Parameter": "neurosbi.contract",
    "CurrentStep": "neurosbi.contract",
    "Recording": "neurosbi.contract",
    "Simulator": "neurosbi.contract",
    "SpikeTrains": "neurosbi.contract",
    "SpontaneousFamily": "neurosbi.contract",
    "StepFamily": "neurosbi.contract",
    "Stimulus": "neurosbi.contract",
    "Sweep": "neurosbi.contract",
    "check": "neurosbi.steps.check",
    "fit": "neurosbi.steps.fit",
    "open_network": "neurosbi.steps.train",
    "open_result": "neurosbi.steps.result_folder",
    "open_simulations": "neurosbi.store",
    "read_data": "neurosbi.recordings",
    "read_recording": "neurosbi.recordings",
    "restrict": "neurosbi.steps.restrict",
    "simulate": "neurosbi.steps.simulate",
    "simulator": "neurosbi.registry",
    "simulator_names": "neurosbi.registry",
    "train": "neurosbi.steps.train",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'neurosbi' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
