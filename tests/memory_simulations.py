"""Simulations in memory with the attributes of a store on disk."""

from dataclasses import dataclass

import numpy as np

from neurosbi.contract import FixedStimulus, SweepSets
from neurosbi.store import config_hash


@dataclass
class Rows:
    theta: np.ndarray
    x: np.ndarray
    valid: np.ndarray
    stimulus: np.ndarray


class MemorySimulations:
    def __init__(self, simulator, n, *, seed=0, family=None):
        self.family = family or FixedStimulus(simulator.stimulus)
        self.parameters, self.features = simulator.parameters, simulator.feature_set
        self.simulator_config, self.seed, self.n = simulator.config(), seed, n
        self.config_hash = config_hash(self.simulator_config | {"family": self.family.to_dict()})
        self.theta = (
            simulator.sample_sets(family, n, seed=seed)
            if isinstance(family, SweepSets)
            else simulator.sample_prior(n, seed=seed)
        )
        stimuli = self.family.sample(n, seed=seed)
        batch = simulator.simulate(self.theta, stimulus=stimuli, seed=seed)
        self.x, self.valid, self.stimulus = batch.x, batch.valid, stimuli.values

    def read(self, start, stop):
        cut = slice(start, stop)
        return Rows(self.theta[cut], self.x[cut], self.valid[cut], self.stimulus[cut])
