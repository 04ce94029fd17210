"""Any Python function as a simulator, run in a pool of spawned processes.

The function gets one parameter set, one stimulus and one random generator. The generator is
seeded by the index of the simulation, so the result does not depend on the number of workers.
"""

__all__ = ["BlackBoxSimulator"]

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosbi.contract import (
    Feature,
    FixedStimulus,
    Parameter,
    SimulationBatch,
    Simulator,
    Status,
    Stimulus,
    StimulusBatch,
    StimulusFamily,
    Sweep,
)
from neurosbi.cores import available_cores
from neurosbi.errors import BadInputError
from neurosbi.seeds import derive_seed
from neurosbi.worker_pool import Workers

if TYPE_CHECKING:
    import xarray as xr

SimulateOne = Callable[[np.ndarray, Stimulus, np.random.Generator], Sequence[float]]

_CHUNKS_PER_WORKER = 4  # short chunks at the end keep all workers busy
_NO_STIMULUS = Stimulus.spontaneous(total=1.0)


class BlackBoxSimulator(Simulator):
    """Wraps ``function(theta[theta], stimulus, rng) -> x[feature]``.

    ``function`` must be importable (defined at the top of a module), because worker processes
    import it. ``version`` is yours: change it whenever the function changes, so that stored
    simulations and networks of the old one are not taken for the new one. A simulation that
    raises is marked as failed, its features are NaN, and the others go on; the batch carries the
    first error. Worker processes stay for the next batch and end with the simulator.
    """

    feature_sets: Mapping[str, tuple[Feature, ...]] = {}
    smallest_batch = 16
    fit_simulations = 10_000

    def __init__(
        self,
        function: SimulateOne,
        *,
        name: str,
        parameters: Sequence[Parameter],
        features: Sequence[Feature],
        version: str = "1",
        summary: str = "a Python function",
        stimulus: Stimulus = _NO_STIMULUS,
        stimulus_family: StimulusFamily | None = None,
    ) -> None:
        self.function = function
        self.name = name  # type: ignore[misc]
        self.version = version  # type: ignore[misc]
        self.summary = summary  # type: ignore[misc]
        self.parameters = tuple(parameters)
        self.feature_sets = {"default": tuple(features)}
        self._stimulus = stimulus
        self._family = stimulus_family or FixedStimulus(stimulus)
        self._workers = Workers(f"simulator {name}")
        super().__init__()

    @property
    def stimulus(self) -> Stimulus:
        """The default stimulus."""
        return self._stimulus

    @property
    def stimulus_family(self) -> StimulusFamily:
        """The stimuli one network can serve."""
        return self._family

    def simulate(
        self,
        theta: np.ndarray,
        *,
        stimulus: Stimulus | StimulusBatch | None = None,
        seed: int,
        start: int = 0,
        threads: int | None = None,
    ) -> SimulationBatch:
        """Call the function once per row; see `Simulator.simulate`. ``threads`` is worker processes."""
        theta = self.check_theta(theta)
        if isinstance(stimulus, StimulusBatch):
            if len(stimulus.values) != len(theta):
                raise BadInputError(
                    f"{self.name}: {len(stimulus.values)} stimuli do not go with {len(theta)} rows "
                    "of theta"
                )
            stimuli = [stimulus.family.stimulus(row) for row in stimulus.values]
        else:
            stimuli = [stimulus or self._stimulus] * len(theta)
        workers = max(1, min(threads or available_cores(), len(theta)))
        n_chunks = max(1, min(len(theta), _CHUNKS_PER_WORKER * workers))
        tasks = [
            (self.function, theta[c], [stimuli[i] for i in c], seed, start + int(c[0]), self._width)
            for c in np.array_split(np.arange(len(theta)), n_chunks)
            if len(c)
        ]
        if workers == 1:
            parts = [_simulate_chunk(t) for t in tasks]
        else:
            self._workers.check_importable(
                self.function, what="function", instead=", or simulate with one thread"
            )
            parts = self._workers.map(_simulate_chunk, tasks, workers=workers)
        x = np.concatenate([np.empty((0, self._width)), *(p[0] for p in parts)])
        status = np.concatenate([np.empty(0, dtype=np.int8), *(p[1] for p in parts)])
        return SimulationBatch(x, status, next((p[2] for p in parts if p[2]), ""))

    def close(self) -> None:
        """End the worker processes; the next simulation starts new ones."""
        self._workers.close()

    @property
    def _width(self) -> int:
        return len(self.feature_set)

    def traces(
        self,
        theta: np.ndarray,
        *,
        stimulus: Stimulus | None = None,
        seed: int,
        start: int = 0,
        noise: bool = True,
        stride: int = 1,
    ) -> "xr.Dataset":
        """Not available: the function returns features only."""
        raise BadInputError(f"simulator {self.name} wraps a function of features, it has no traces")

    def features_of(self, data: "xr.Dataset | Sweep") -> np.ndarray:
        """Not available: the function returns features only."""
        raise BadInputError(
            f"simulator {self.name} wraps a function of features; give the observed features "
            "themselves"
        )


def _simulate_chunk(task: tuple[Any, ...]) -> tuple[np.ndarray, np.ndarray, str]:
    function, theta, stimuli, seed, start, width = task
    x = np.full((len(theta), width), math.nan)
    status = np.full(len(theta), Status.FAILED, dtype=np.int8)
    first_error = ""
    for i, (row, stimulus) in enumerate(zip(theta, stimuli, strict=True)):
        rng = np.random.default_rng([derive_seed(seed, "black box"), start + i])
        try:
            values = np.asarray(function(row, stimulus, rng), dtype=np.float64)
            if values.shape != (width,):
                raise BadInputError(f"the function returned shape {values.shape}, not ({width},)")
        except Exception as error:  # any failure of foreign code marks this simulation only
            first_error = first_error or f"{type(error).__name__}: {error}"
            continue
        x[i], status[i] = values, Status.OK
    return x, status, first_error
