"""A recorded passive cell with a posterior that is nearly exact: rejection among simulations."""

import functools

import numpy as np
from toys import PassiveMembrane

from neurosbi.checks import predictive_check
from neurosbi.contract import SweepObservation
from neurosbi.steps.assemble import assemble_result

SIMULATOR = PassiveMembrane()
TRUTH = np.array([[150.0, 15.0, -70.0]])


def observe(theta=TRUTH, *, seed=7, gain=1.0):
    """An observation simulated from ``theta``, its deflection multiplied by ``gain``."""
    stimulus = SIMULATOR.stimulus
    v = SIMULATOR.traces(theta, stimulus=stimulus, seed=seed).v.values[0]
    rest = v[: round(stimulus.onset / SIMULATOR.dt)].mean()
    v = rest + gain * (v - rest) if gain != 1 else v
    x = SIMULATOR._features(v, stimulus, SIMULATOR.dt)
    return SweepObservation(
        sweep=3,
        stimulus=stimulus,
        voltage=v,
        dt=SIMULATOR.dt,
        x=x,
        notes=("current step found at 60 ms",),
    )


@functools.cache
def prior_simulations(n=1000, *, seed=5):
    theta = SIMULATOR.sample_prior(n, seed=seed)
    batch = SIMULATOR.simulate(theta, seed=seed)
    return theta, batch.x, batch.status


def rejection_posterior(x, *, n=4000, keep=60, seed=1):
    """The ``keep`` of ``n`` prior draws whose features are nearest to ``x``."""
    theta, simulated, _ = prior_simulations(n, seed=seed)
    distance = (np.abs(simulated - x) / simulated.std(axis=0)).max(axis=1)
    return theta[np.argsort(distance)[:keep]]


def fitted(observation=None, **changes):
    """A complete result of the passive cell."""
    observation = observation or observe()
    theta = changes.pop("theta", None)
    theta = rejection_posterior(observation.x) if theta is None else theta
    prior_theta, prior_x, prior_status = prior_simulations()
    check = predictive_check(
        SIMULATOR, observation, theta, seed=0, prior_x=prior_x, prior_status=prior_status
    )
    values = {
        "theta": theta,
        "log_prob": np.linspace(-1, 0, len(theta)),
        "predictive": check,
        "prior_theta": prior_theta,
        "prior_x": prior_x,
        "prior_status": prior_status,
        "seed": 0,
        "recording": {"name": "cell <b>7</b>", "path": "/data/cell.abf"},
        "config": {"method": "npe", "simulations": 4000},
        "history": {"epoch": [1, 2, 3], "train_loss": [3.0, 2, 1], "validation_loss": [3.0, 2, 2]},
        "seconds": {"simulate": 1.5},
    }
    return assemble_result(SIMULATOR, observation, **(values | changes))
