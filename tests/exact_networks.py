"""Networks of the linear-Gaussian toy that are exact, and the same spoiled on purpose.

The posterior under the flat prior is a Gaussian inside the box; it is drawn by rejection. A
spoiled one is the exact one narrowed around its mean and shifted, both in its own standard
deviations: everywhere, or only where the first feature lies above a limit.
"""

import numpy as np
import torch
from toys import LinearGaussian

from neurosbi.contract import FixedStimulus
from neurosbi.inference.network import Network
from neurosbi.nets import FeatureEncoder
from neurosbi.priors import UnconstrainedMap


class ExactEstimator(torch.nn.Module):
    """The methods of `neurosbi.inference.estimator.FlowEstimator` that checks use."""

    def __init__(self, simulator, encoder, *, width=1.0, shift=0.0, above=-np.inf):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))  # tells the device
        self.bijection = UnconstrainedMap(simulator.parameters)
        self.encoder = encoder
        a = torch.as_tensor(simulator.matrix / simulator.noise_sd)
        self.covariance = torch.linalg.inv(a.T @ a)
        self.gain = self.covariance @ a.T / simulator.noise_sd
        self.sd = self.covariance.diag().sqrt()
        self.width, self.shift, self.above = width, shift, above

    def _x(self, condition):
        n = self.encoder.n_features
        return condition[:, :n].double() / self.encoder.features.rate + self.encoder.features.center

    def _spoiling(self, condition):
        """Mean of the Gaussian, width factor and shift for each row."""
        x = self._x(condition)
        spoiled = (x[:, :1] > self.above).double()
        return x @ self.gain.T, 1 + (self.width - 1) * spoiled, self.shift * spoiled * self.sd

    def draw(self, n, condition, *, generator=None):
        mean, width, shift = self._spoiling(condition)
        root = torch.linalg.cholesky(self.covariance)
        flat, theta = mean.repeat(n, 1), torch.empty((n * len(mean), 3), dtype=torch.float64)
        missing, tries = torch.arange(len(flat)), 1
        while len(missing):
            noise = torch.randn((tries, len(missing), 3), generator=generator, dtype=torch.float64)
            proposed = flat[missing] + noise @ root.T
            good = (proposed.abs() < 3).all(-1)
            first, found = good.int().argmax(0), good.any(0)
            theta[missing[found]] = proposed[first[found], found.nonzero()[:, 0]]
            missing = missing[~found]
            tries = min(1000, max(1, 100_000 // max(1, len(missing))))
        theta = theta.view(n, len(mean), 3)
        centre = mean.clamp(-3, 3)
        return (centre + width * (theta - centre) + shift).clamp(-3, 3)

    def log_prob(self, theta, condition):
        """Up to a constant for each condition."""
        mean, width, shift = self._spoiling(condition)
        centre = mean.clamp(-3, 3)
        exact = centre + (theta - shift - centre) / width
        off = exact - mean
        density = -0.5 * ((off @ torch.linalg.inv(self.covariance)) * off).sum(-1)
        return torch.where((exact.abs() < 3).all(-1), density, -torch.inf)

    @property
    def embedding_net(self):
        return lambda condition: self._x(condition).float()


def exact_network(simulator=None, **spoiling):
    """A network whose posterior is exact, or spoiled by ``width``, ``shift``, ``above``."""
    simulator = simulator or LinearGaussian()
    theta = simulator.sample_prior(2000, seed=99)
    x = simulator.simulate(theta, seed=99).x
    encoder = FeatureEncoder.of(x, np.empty((len(x), 0)))
    card = {
        "method": "exact",
        "simulator": simulator.config(),
        "prior": [dict(vars(p)) for p in simulator.parameters],
        "features": [dict(vars(f)) for f in simulator.feature_set],
        "stimulus_family": FixedStimulus(simulator.stimulus).to_dict(),
    }
    return Network(ExactEstimator(simulator, encoder, **spoiling), encoder, card)


def recorded_pairs_at(network, simulator, *, n, seed):
    """Prior simulations at the toy's stimulus: parameters and their batch."""
    theta = simulator.sample_prior(n, seed=seed)
    return theta, simulator.simulate(theta, seed=seed)
