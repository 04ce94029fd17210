"""What a refinement aims at: one observation, and how to simulate what else could have been seen."""

__all__ = ["Pool", "SimulateRows", "Target"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurosbi.contract import Feature, FixedStimulus, Parameter, Stimulus, StimulusFamily
from neurosbi.inference.memory import ArraySimulations
from neurosbi.inference.network import Network, Posterior
from neurosbi.seeds import derive_seed

SimulateRows = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]

_NO_STIMULUS = FixedStimulus(Stimulus.step(amplitude=0.0, onset=0.0, duration=1.0))


@dataclass(frozen=True, eq=False)
class Target:
    """One observation, and how to simulate what could have been observed instead.

    ``simulate_rows(theta[draw, theta], start) -> (x[row, feature], valid[row])`` with one row for
    each draw and sweep, sweeps fastest; ``start`` is the number of the first draw among all.
    ``x_o[feature]``, or ``x_o[sweep, feature]`` with ``stimulus[sweep, parameter]`` where
    ``family`` is one of sets of sweeps. Features that are NaN in ``x_o`` and False in ``given``
    are hidden from the networks.
    """

    parameters: tuple[Parameter, ...]
    features: tuple[Feature, ...]
    x_o: np.ndarray
    simulate_rows: SimulateRows
    family: StimulusFamily = _NO_STIMULUS
    stimulus: np.ndarray = field(default_factory=lambda: np.empty((1, 0)))
    given: np.ndarray | None = None
    config: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_function(
        cls,
        simulate: Callable[[np.ndarray, np.random.Generator], np.ndarray],
        parameters: Sequence[Parameter],
        x_o: np.ndarray,
        *,
        seed: int = 0,
    ) -> "Target":
        """The target of a plain function ``simulate(theta[sim, theta], rng) -> x[sim, column]``."""

        def simulate_rows(theta: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray]:
            rng = np.random.default_rng(derive_seed(seed, f"simulations from {start}"))
            x = np.asarray(simulate(theta, rng), dtype=np.float64)
            return x, np.asarray(np.isfinite(x).any(axis=1))

        features = tuple(Feature(f"x{i}", "1") for i in range(np.size(x_o)))
        return cls(tuple(parameters), features, np.ravel(x_o).astype(float), simulate_rows)

    def posterior(self, network: Network) -> Posterior:
        """What a network trained for this target says of it."""
        stimulus = self.stimulus if self.family.parameters else None
        return network.posterior(self._hidden(self.x_o), stimulus)

    @property
    def n_rows(self) -> int:
        """Rows of simulations for each draw of the parameters."""
        return len(self.stimulus)

    def simulations(self, pool: "Pool", *, seed: int) -> ArraySimulations:
        """The pool as training data."""
        n = len(pool.theta)
        shape = (n, *self.x_o.shape)
        return ArraySimulations(
            theta=np.repeat(pool.theta, self.n_rows, axis=0),
            x=self._hidden(pool.x.reshape(shape)).reshape(pool.x.shape),
            valid=pool.valid,
            stimulus=np.tile(self.stimulus, (n, 1)),
            parameters=self.parameters,
            features=self.features,
            family=self.family,
            simulator_config=self.config,
            seed=seed,
        )

    def _hidden(self, x: np.ndarray) -> np.ndarray:
        return x if self.given is None else np.where(self.given, x, np.nan)


@dataclass(frozen=True, eq=False)
class Pool:
    """Draws ``theta[draw, theta]`` and their simulations ``x[row, feature]``, ``valid[row]``."""

    theta: np.ndarray
    x: np.ndarray
    valid: np.ndarray

    def with_rows(self, other: "Pool") -> "Pool":
        """Both together."""
        mine, its = vars(self), vars(other)
        return Pool(**{name: np.concatenate([mine[name], its[name]]) for name in mine})

    def only(self, kept: np.ndarray) -> "Pool":
        """The draws ``kept`` [draw]."""
        if not len(kept):
            return self
        rows = np.repeat(kept, len(self.x) // len(self.theta))
        return Pool(self.theta[kept], self.x[rows], self.valid[rows])
