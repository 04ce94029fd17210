"""Networks and counts that several tests of the mesoscopic model use."""

from dataclasses import replace

import numpy as np
from neurosbi_simulators.mesogif import MesoGif
from neurosbi_simulators.population.network import PRESETS, PopulationNetwork

TWO = PRESETS["two-populations"]


def defaults(model: MesoGif) -> np.ndarray:
    """The network's own parameters, [1, theta]."""
    return np.array([[p.default for p in model.parameters]])


def alone(**changes) -> PopulationNetwork:
    """One population whose neurons do not see each other."""
    single = {
        name: values[:1]
        for name, values in vars(TWO).items()
        if isinstance(values, tuple) and name not in ("p", "w")
    }
    one = PopulationNetwork(p=((0.1,),), w=((0.0,),), delay=1.0, **single)
    return replace(one, **{"J_th": (0.0,), **changes})


def counts_from(model: MesoGif, *, steps: int, seed: int, theta=None) -> np.ndarray:
    """Counts [time, population] of one simulation."""
    theta = defaults(model) if theta is None else theta
    return model._counts(np.atleast_2d(theta), steps, seed=seed, start=0)[0].astype(np.float64)
