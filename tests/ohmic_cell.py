"""A cell of which one sweep tells little and several tell all, for tests of sets of sweeps."""

import numpy as np
from toys import FAMILY, LinearGaussian, normal_rows

from neurosbi.contract import Feature, Parameter, SimulationBatch, StimulusBatch, SweepSets


class OhmicCell(LinearGaussian):
    """V = V_rest + R I + noise at every step: one sweep cannot tell R from V_rest, several can."""

    name = "ohmic-cell"
    noise_sd = 2.0  # mV
    parameters = (
        Parameter("R", "MOhm", 50.0, 300.0),
        Parameter("V_rest", "mV", -80.0, -60.0),
    )
    feature_sets = {"default": (Feature("v", "mV", "steady voltage"),)}

    @property
    def stimulus_family(self):
        return FAMILY

    def simulate(self, theta, *, stimulus=None, seed, start=0, threads=None):
        theta = self.check_theta(theta)
        assert isinstance(stimulus, StimulusBatch)
        current = np.array([stimulus.family.stimulus(v).amplitude for v in stimulus.values])
        noise = normal_rows(len(theta), 1, seed=seed, purpose="toy noise", start=start)[:, 0]
        v = theta[:, 1] + theta[:, 0] * current * 1e-3 + self.noise_sd * noise
        status = np.zeros(len(theta), dtype=np.int8)
        return SimulationBatch(v[:, None], status)


SETS = SweepSets(FAMILY, sizes=(1, 2, 4, 8))
