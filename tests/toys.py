"""Small simulators with known answers, for tests of everything that is not a simulator."""

import numpy as np
import xarray as xr

from neurosbi.contract import (
    Feature,
    Parameter,
    SimulationBatch,
    Simulator,
    Status,
    StepFamily,
    Stimulus,
    StimulusBatch,
    Sweep,
)
from neurosbi.seeds import uniform_rows

FAMILY = StepFamily(
    unit="pA", amplitude=(10.0, 100.0), onset=(50.0, 100.0), duration=(100.0, 200.0)
)


def normal_rows(n, width, *, seed, purpose, start=0):
    from scipy.special import ndtri

    return ndtri(
        np.clip(uniform_rows(n, width, seed=seed, purpose=purpose, start=start), 1e-12, 1 - 1e-12)
    )


class LinearGaussian(Simulator):
    """x = A theta + N(0, noise^2); the posterior under the box is a truncated Gaussian.

    With ``hide_last`` the last feature is undefined (NaN) wherever theta_0 < 0.
    """

    name = "linear-gaussian"
    version = "1"
    summary = "a linear map with Gaussian noise"
    noise_sd = 0.5
    matrix = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, -0.5], [0.3, 0.0, 1.0], [1.0, 1.0, 1.0]])
    feature_sets = {
        "default": tuple(Feature(f"y{i}", "1", "a linear combination") for i in range(4)),
    }
    parameters = tuple(Parameter(f"t{i}", "1", -3.0, 3.0) for i in range(3))
    hide_last = False

    @property
    def stimulus(self):
        return Stimulus.step(amplitude=50.0, onset=60.0, duration=150.0)

    def simulate(self, theta, *, stimulus=None, seed, start=0, threads=None):
        theta = self.check_theta(theta)
        x = theta @ self.matrix.T + self.noise_sd * normal_rows(
            len(theta), 4, seed=seed, purpose="toy noise", start=start
        )
        if self.hide_last:
            x[theta[:, 0] < 0, -1] = np.nan
        return SimulationBatch(x, np.zeros(len(theta), dtype=np.int8))

    def traces(self, theta, *, stimulus=None, seed, start=0, noise=True, stride=1):
        raise NotImplementedError

    def features_of(self, data):
        raise NotImplementedError


class HalfHidden(LinearGaussian):
    """The last feature is undefined where theta_0 < 0."""

    name = "half-hidden"
    hide_last = True


class PassiveMembrane(Simulator):
    """V relaxes to V_rest + R I with time constant tau, plus white measurement noise.

    Features: rest (mV), steady deflection (mV) and time constant (ms, from the 63 % crossing).
    """

    name = "passive-membrane"
    version = "1"
    summary = "a passive membrane"
    parameters = (
        Parameter("R", "MOhm", 50.0, 300.0, description="input resistance"),
        Parameter("tau", "ms", 5.0, 40.0, description="time constant"),
        Parameter("V_rest", "mV", -80.0, -60.0, description="resting potential"),
    )
    feature_sets = {
        "default": (
            Feature("rest", "mV", "mean voltage before the step"),
            Feature("deflection", "mV", "steady deflection at the end of the step"),
            Feature("charging_time", "ms", "time to 63 % of the deflection"),
        )
    }
    dt = 0.1

    @property
    def stimulus(self):
        return Stimulus.step(amplitude=50.0, onset=60.0, duration=150.0)

    @property
    def stimulus_family(self):
        return FAMILY

    def _trace(self, row, stimulus, index, seed, noise=True):
        t = np.arange(round(stimulus.total / self.dt)) * self.dt
        rise = 1 - np.exp(-np.clip(t - stimulus.onset, 0, None) / row[1])
        v = row[2] + row[0] * stimulus.amplitude * 1e-3 * rise
        if noise:
            v = v + 0.1 * normal_rows(1, len(t), seed=seed, purpose="toy noise", start=index)[0]
        return v

    def _features(self, v, stimulus, dt):
        on, off = round(stimulus.onset / dt), round(stimulus.offset / dt)
        rest = v[:on].mean()
        end = v[off - (off - on) // 5 : off].mean() - rest
        above = np.flatnonzero((v[on:off] - rest) * np.sign(end) >= 0.632 * abs(end))
        return np.array([rest, end, above[0] * dt if len(above) else np.nan])

    def simulate(self, theta, *, stimulus=None, seed, start=0, threads=None):
        theta = self.check_theta(theta)
        if not isinstance(stimulus, StimulusBatch):
            stimuli = [stimulus or self.stimulus] * len(theta)
        else:
            stimuli = [stimulus.family.stimulus(v) for v in stimulus.values]
        x = np.array(
            [
                self._features(self._trace(row, s, start + i, seed), s, self.dt)
                for i, (row, s) in enumerate(zip(theta, stimuli, strict=True))
            ]
        ).reshape(len(theta), 3)
        return SimulationBatch(x, np.full(len(theta), Status.OK, dtype=np.int8))

    def traces(self, theta, *, stimulus=None, seed, start=0, noise=True, stride=1):
        stimulus = stimulus or self.stimulus
        v = np.array(
            [
                self._trace(row, stimulus, start + i, seed, noise)[::stride]
                for i, row in enumerate(self.check_theta(theta))
            ]
        )
        time = np.arange(v.shape[1]) * self.dt * stride
        return xr.Dataset(
            {"v": (("sim", "time"), v, {"units": "mV"})},
            coords={"time": ("time", time, {"units": "ms"})},
            attrs={"stimulus": str(stimulus.to_dict())},
        )

    def features_of(self, data):
        if isinstance(data, Sweep):
            step = data.test_step
            stimulus = Stimulus.step(
                amplitude=step.amplitude, onset=step.onset, duration=step.duration
            )
            return self._features(data.voltage, stimulus, data.dt)
        return np.array([self._features(v, self.stimulus, self.dt) for v in data["v"].values])
