"""What a fit of spike trains or of a table of features will do, found out before any simulation."""

__all__ = ["plan_data"]

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosbi.contract import (
    FeatureTable,
    FixedStimulus,
    Observation,
    Simulator,
    SpikeTrains,
    StimulusFamily,
)
from neurosbi.errors import BadInputError
from neurosbi.inference.methods import METHODS
from neurosbi.registry import simulator as make_simulator
from neurosbi.steps.restrict import as_trained

if TYPE_CHECKING:
    from neurosbi.inference.network import Network


def plan_data(
    data: SpikeTrains | FeatureTable,
    *,
    simulator: str | Simulator,
    method: str,
    features: str | None,
    settings: Mapping[str, Any] | None,
    network: "Network | None",
    only_for_sweeps: Mapping[str, bool],
) -> tuple[Simulator, Observation, StimulusFamily, str, dict[str, Any]]:
    """Simulator, observation, stimuli, method and configuration of a fit to ``data``.

    ``only_for_sweeps`` says which arguments were given that make sense for current-clamp sweeps
    alone. Raises `BadInputError` with the reason when these data cannot be fitted.
    """
    kind = "features" if isinstance(data, FeatureTable) else "spike trains"
    for argument, given in only_for_sweeps.items():
        if given:
            raise BadInputError(f"{data.path.name} holds {kind}, no sweeps; leave {argument} out")
    if isinstance(simulator, str):
        simulator = make_simulator(simulator, features=features, **(settings or {}))
    elif features is not None or settings:
        raise BadInputError(
            f"features and settings go with the name of a simulator, but {simulator.name} was given "
            "ready made; give them where it is made"
        )
    if isinstance(data, FeatureTable):
        observation = simulator.observe_table(data)
    else:
        observation = simulator.observe_spikes(data)
    if not np.isfinite(observation.x).any():
        raise BadInputError(
            f"{data.path.name}: all features are undefined, so there is nothing to infer from"
        )
    family = simulator.stimulus_family if network is None else network.family
    if network is not None:
        simulator = as_trained(simulator, network.card["simulator"])
        network.check_simulator(simulator)
        method = network.method
    reason = family.why_not(observation.stimulus)
    if reason is not None and network is not None:
        raise BadInputError(
            f"the network given was not trained for these data: {reason}; leave --network out to "
            "train one"
        )
    if reason is not None:
        family = FixedStimulus(observation.stimulus)
        if method in METHODS:
            note = f"a network for these data alone, because {reason}"
            observation = replace(observation, notes=(*observation.notes, note))
    config = {
        "recording": _hash_of(data),
        "method": method,
        "simulator": simulator.config(),
        "preparation": {
            s.name: simulator.settings[s.name]
            for s in simulator.setting_table
            if s.role == "preparation"
        },
        "stimulus_family": family.to_dict()["kind"],
    }
    return simulator, observation, family, method, config


def _hash_of(data: SpikeTrains | FeatureTable) -> str:
    """SHA-256 of what the data say."""
    digest = hashlib.sha256()
    if isinstance(data, FeatureTable):
        for name in sorted(data.values):
            digest.update(f"{name}={float(data.values[name])!r}\n".encode())
        return digest.hexdigest()
    digest.update(repr((data.units, data.populations, data.start, data.stop)).encode())
    for times in data.times:
        digest.update(np.ascontiguousarray(times, dtype="<f8").tobytes())
    return digest.hexdigest()
