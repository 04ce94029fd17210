"""Models, parameter sets and stimuli that several tests of the Hodgkin-Huxley family use."""

import numpy as np
from neurosbi_simulators.hodgkin_huxley import CorticalHodgkinHuxley, HodgkinHuxley

from neurosbi.contract import Stimulus

MODELS = (HodgkinHuxley, CorticalHodgkinHuxley)


def default_theta(model, **changes):
    """The default parameter set as one row, some values changed by name."""
    values = {p.name: p.default for p in model.parameters} | changes
    return np.array([[values[p.name] for p in model.parameters]], dtype=np.float64)


def passive_theta(model, **changes):
    """No active channel, no noise."""
    active = [p.name for p in model.parameters if p.name.startswith("g_") and p.name != "g_leak"]
    quiet = dict.fromkeys(active, 0.0)
    if any(p.name == "sigma" for p in model.parameters):
        quiet["sigma"] = 0.0
    return default_theta(model, **(quiet | changes))


def voltage(model, theta, *, stimulus=None, seed=0, noise=False, **options):
    """Traces as a plain array [sim, time]."""
    return model.traces(theta, stimulus=stimulus, seed=seed, noise=noise, **options)["v"].values


def step_for(model, *, amplitude=None, onset=10.0, duration=100.0, total=120.0):
    """A step in the model's own unit, by default as strong as the model's default stimulus."""
    default = model.stimulus
    return Stimulus.step(
        amplitude=default.amplitude if amplitude is None else amplitude,
        onset=onset,
        duration=duration,
        total=total,
        unit=default.unit,
    )
