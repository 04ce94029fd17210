"""A membrane with two levels of voltage, for networks that read traces: all answers are known.

v is a before the onset and b during the step, each a parameter plus Gaussian noise that is drawn
once. So the trace is a function of (a, b): features (a, b) are sufficient, the feature a alone
misses the second parameter, and the trace misses nothing.
"""

import numpy as np
from scipy.integrate import quad
from scipy.special import ndtr
from toys import normal_rows

from neurosbi.contract import (
    Feature,
    Parameter,
    SimulationBatch,
    Simulator,
    Status,
    Stimulus,
    SweepObservation,
    TraceBins,
)

NOISE = 0.5  # mV
WIDTH = 10.0  # mV, of both priors


# shorter before the onset than the bins reach: some are absent
STEP = Stimulus.step(amplitude=40.0, onset=30.0, duration=60.0)


class TwoLevels(Simulator):
    name = "two-levels"
    version = "1"
    summary = "two levels of voltage"
    parameters = (Parameter("rest", "mV", -75.0, -65.0), Parameter("level", "mV", -70.0, -60.0))
    feature_sets = {
        "sufficient": (Feature("a", "mV", "before"), Feature("b", "mV", "during")),
        "blind": (Feature("a", "mV", "before"),),
    }
    default_features = "sufficient"
    dt = 0.25

    @property
    def stimulus(self):
        return STEP

    def trace_bins(self, family):
        return TraceBins.covering(family)

    def _levels(self, theta, seed, start):
        noise = normal_rows(len(theta), 2, seed=seed, purpose="levels", start=start)
        return self.check_theta(theta) + NOISE * noise

    def simulate(self, theta, *, stimulus=None, seed, start=0, threads=None):
        x = self._levels(theta, seed, start)[:, : len(self.feature_set)]
        return SimulationBatch(x, np.full(len(x), Status.OK, dtype=np.int8))

    def simulate_binned(self, theta, *, bins, stimulus=None, seed, start=0, threads=None):
        batch = self.simulate(theta, seed=seed, start=start)
        levels = self._levels(theta, seed, start)
        during = np.arange(round(STEP.offset / self.dt)) >= round(STEP.onset / self.dt)
        v = np.where(during, levels[:, 1:], levels[:, :1])
        trace = bins.of(v, dt=self.dt, onset=STEP.onset, offset=STEP.offset)
        return SimulationBatch(batch.x, batch.status, trace=trace)

    def observation(self, a, b, stimulus):
        v = np.full(round(stimulus.offset / self.dt), float(b))
        v[: round(stimulus.onset / self.dt)] = a
        x = np.array([a, b])[: len(self.feature_set)]
        return SweepObservation(sweep=0, stimulus=stimulus, voltage=v, dt=self.dt, x=x)

    def traces(self, theta, *, stimulus=None, seed, start=0, noise=True, stride=1):
        raise NotImplementedError

    def features_of(self, data):
        raise NotImplementedError


def information_of_a_level():
    """Mutual information (nats) of a uniform parameter of range WIDTH and itself plus noise."""

    def minus_log_density(y):
        p = (ndtr((y + WIDTH) / NOISE) - ndtr(y / NOISE)) / WIDTH
        return -p * np.log(p)

    points = (-WIDTH, 0.0)
    edges = (-WIDTH - 8 * NOISE, 8 * NOISE)
    entropy, _ = quad(minus_log_density, *edges, points=points, limit=200)
    return entropy - 0.5 * np.log(2 * np.pi * np.e * NOISE**2)
