"""Simulators that take their time or fail, importable by worker processes."""

import os
import time

import numpy as np
from toys import LinearGaussian, PassiveMembrane

from neurosbi.contract import Feature, Parameter, SimulationBatch, Status

PARAMETERS = (Parameter("mean", "mV", -1.0, 1.0), Parameter("spread", "mV", 0.1, 2.0, "log"))
FEATURES = (Feature("first", "mV"), Feature("second", "mV"))


class SlowMembrane(PassiveMembrane):
    """A passive membrane that waits in every batch."""

    name = "slow-membrane"
    wait = 0.01

    def simulate(self, theta, **keywords):
        time.sleep(self.wait)
        return super().simulate(theta, **keywords)


class HalfDefined(LinearGaussian):
    """The last feature is undefined where t0 < 0; simulations with t1 > 2 blow up."""

    name = "half-defined"
    hide_last = True

    def simulate(self, theta, **keywords):
        batch = super().simulate(theta, **keywords)
        status = np.where(theta[:, 1] > 2, Status.BLOW_UP, Status.OK).astype(np.int8)
        return SimulationBatch(batch.x, status)


def gaussian_pair(theta, stimulus, rng):
    return theta[0] + theta[1] * rng.standard_normal(2) + 1e-3 * stimulus.amplitude


def fails_below_zero(theta, stimulus, rng):
    if theta[0] < 0:
        raise ArithmeticError(f"no solution for {theta[0]:.3f}")
    return gaussian_pair(theta, stimulus, rng)


def always_fails(theta, stimulus, rng):
    raise ArithmeticError("no solution at all")


def three_values(theta, stimulus, rng):
    return [1.0, 2.0, 3.0]


def dies(theta, stimulus, rng):
    os._exit(7)


def waits(theta, stimulus, rng):
    time.sleep(60)
    return [0.0, 0.0]
