"""Simulations of a simulator in memory."""

from dataclasses import fields

from neurosbi.contract import FixedStimulus, SweepSets
from neurosbi.inference.memory import ArraySimulations
from neurosbi.store import config_hash


class MemorySimulations(ArraySimulations):
    def __init__(self, simulator, n, *, seed=0, family=None, traces=False, failed=()):
        family = family or FixedStimulus(simulator.stimulus)
        theta = (
            simulator.sample_sets(family, n, seed=seed)
            if isinstance(family, SweepSets)
            else simulator.sample_prior(n, seed=seed)
        )
        stimuli = family.sample(n, seed=seed)
        bins = simulator.trace_bins(family) if traces else None
        how = {"stimulus": stimuli, "seed": seed}
        batch = (
            simulator.simulate(theta, **how)
            if bins is None
            else simulator.simulate_binned(theta, bins=bins, **how)
        )
        valid = batch.valid.copy()
        valid[list(failed)] = False
        super().__init__(
            theta=theta,
            x=batch.x,
            valid=valid,
            stimulus=stimuli.values,
            parameters=simulator.parameters,
            features=simulator.feature_set,
            family=family,
            simulator_config=simulator.config(),
            config_hash=config_hash(simulator.config() | {"family": family.to_dict()}),
            seed=seed,
            trace_bins=bins,
            trace=batch.trace,
        )


def as_arrays(simulations, **changed):
    """The same simulations with other arrays, named by these."""
    names = (f.name for f in fields(ArraySimulations) if f.name != "config_hash")
    return ArraySimulations(**({name: getattr(simulations, name) for name in names} | changed))
