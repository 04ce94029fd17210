"""A leaky integrator with noise as a Python function: a simulator nobody wrote a class for."""

import numpy as np

import neurosbi as nb
from neurosbi.contract import Feature, Parameter, StepFamily, Stimulus

NAME = "black-box-example"
DT = 1.0  # ms
STIMULUS = Stimulus.step(amplitude=100.0, onset=50.0, duration=100.0)
FAMILY = StepFamily(unit="pA", amplitude=(10.0, 200.0), onset=(20.0, 60.0), duration=(50.0, 120.0))
PARAMETERS = (
    Parameter("R", "MOhm", 50.0, 300.0, "linear", "input resistance", "a passive cell"),
    Parameter("tau", "ms", 5.0, 40.0, "log", "time constant", "a passive cell"),
)
FEATURES = (
    Feature("rest_sd", "mV", "standard deviation before the step"),
    Feature("deflection", "mV", "mean voltage in the second half of the step"),
)


def leaky_integrator(theta, stimulus, rng):
    resistance, tau = theta
    current = stimulus.sampled(DT) + 10.0 * rng.standard_normal(round(stimulus.total / DT))
    v, voltages = 0.0, []
    for now in current:
        v += (1 - np.exp(-DT / tau)) * (1e-3 * resistance * now - v)
        voltages.append(v)
    on, off = round(stimulus.onset / DT), round(stimulus.offset / DT)
    return [np.std(voltages[:on]), np.mean(voltages[(on + off) // 2 : off])]


def build():
    return nb.BlackBoxSimulator(
        leaky_integrator,
        name=NAME,
        parameters=PARAMETERS,
        features=FEATURES,
        stimulus=STIMULUS,
        stimulus_family=FAMILY,
    )
