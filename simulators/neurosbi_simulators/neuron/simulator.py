"""A model in NEURON as a `Simulator`: one cell per worker process, one simulation at a time.

Only worker processes import NEURON: all sections and channels of a process belong to one model,
and whatever else a user does with NEURON stays apart from it. Noise is a white current at the
recorded site, the same numbers as in the Hodgkin-Huxley kernel.

References
----------
Carnevale & Hines 2006, The NEURON Book, doi:10.1017/CBO9780511541612.
"""

__all__ = ["NEURON_SETTINGS", "NeuronSimulator"]

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from neurosbi.contract import (
    Setting,
    SimulationBatch,
    Status,
    Stimulus,
    StimulusBatch,
    StimulusFamily,
    TraceBins,
)
from neurosbi.cores import available_cores
from neurosbi.errors import BadInputError, NeuroSBIError
from neurosbi.seeds import derive_seed
from neurosbi.worker_pool import Workers
from neurosbi_simulators.hodgkin_huxley.current_clamp import CLAMP_SETTINGS, CurrentClampSimulator
from neurosbi_simulators.hodgkin_huxley.drive import Drive, baseline
from neurosbi_simulators.hodgkin_huxley.recorded_sweep import current_clamp_steps
from neurosbi_simulators.neuron.cell import Cell
from neurosbi_simulators.neuron.mechanisms import compiled
from neurosbi_simulators.neuron.run import Run
from neurosbi_simulators.numerics.gaussian import lane_keys, normals

NEURON_SETTINGS = (
    *CLAMP_SETTINGS,
    Setting("noise", "pA ms^0.5", 2.0, "intensity of the noise current", sign="not negative"),
)
_CHUNKS_PER_WORKER = 4  # short chunks at the end keep all workers busy
_LARGEST_CHUNK = 64  # simulations whose traces a worker holds together


class NeuronSimulator(CurrentClampSimulator):
    """Subclasses `build` their cell and `set_parameters`; all else follows.

    ``mechanisms`` is a folder with .mod files, None for a model that needs none of its own;
    ``celsius`` the temperature that NEURON tells its channels.
    """

    setting_table: ClassVar[tuple[Setting, ...]] = NEURON_SETTINGS
    needs: ClassVar[tuple[str, ...]] = ("neuron",)
    mechanisms: ClassVar[Path | None] = None
    smallest_batch = 16
    fit_simulations = 10_000

    def __init__(self, *, features: str | None = None, **settings: Any) -> None:
        super().__init__(features=features, **settings)
        self._workers = Workers(f"simulator {self.name}")

    # -- what a model is

    @abstractmethod
    def build(self, h: Any) -> Cell:
        """Make the cell with NEURON's interpreter ``h``; called once in every worker process."""

    @abstractmethod
    def set_parameters(self, cell: Cell, p: Mapping[str, float]) -> None:
        """Give the cell one parameter set, by the names and in the units of ``parameters``."""

    @property
    def celsius(self) -> float:
        """Temperature in degC."""
        return 36.0

    @property
    def stimulus(self) -> Stimulus:
        """150 pA from 100 to 700 ms."""
        return Stimulus.step(amplitude=150, onset=100, duration=600, total=800)

    @property
    def stimulus_family(self) -> StimulusFamily:
        """Depolarising steps as current-clamp labs use them."""
        return current_clamp_steps("pA", amplitude=(20.0, 600.0))

    @property
    def nanoampere(self) -> float:
        """nA per unit of this model's stimulus."""
        return 1e-3

    def noise_intensity(self, theta: np.ndarray) -> np.ndarray:
        """Intensity of the noise current [sim], in the stimulus' unit times ms^0.5."""
        return np.full(len(theta), float(self.settings["noise"]))

    # -- see `CurrentClampSimulator`

    def run_batch(
        self,
        theta: np.ndarray,
        *,
        stimulus: Stimulus | StimulusBatch | None,
        seed: int,
        start: int,
        threads: int | None,
        bins: TraceBins | None,
    ) -> SimulationBatch:
        """See `CurrentClampSimulator.run_batch`; ``threads`` is the number of worker processes."""
        parts = self._map(theta, stimulus, seed=seed, start=start, workers=threads, bins=bins)
        return SimulationBatch(
            np.concatenate([p.x for p in parts]),
            np.concatenate([p.status for p in parts]),
            next((p.error for p in parts if p.error), ""),
            None if bins is None else np.concatenate([p.trace for p in parts]),
        )

    def voltages(
        self,
        theta: np.ndarray,
        *,
        stimulus: Stimulus,
        seed: int,
        start: int,
        noise: bool,
        stride: int,
    ) -> np.ndarray:
        """See `CurrentClampSimulator.voltages`."""
        parts = self._map(theta, stimulus, seed=seed, start=start, noise=noise, stride=stride)
        return np.concatenate(parts)

    def _map(
        self,
        theta: np.ndarray,
        stimulus: Stimulus | StimulusBatch | None,
        *,
        seed: int,
        start: int,
        workers: int | None = None,
        noise: bool = True,
        bins: TraceBins | None = None,
        stride: int = 0,
    ) -> list[Any]:
        Drive.of(self, stimulus, len(theta))  # refuses what does not fit before any work
        self._workers.check_importable(type(self), what="class")
        library = None if self.mechanisms is None else compiled(self.mechanisms)
        stimulus = self.stimulus if stimulus is None else stimulus
        workers = max(1, min(workers or available_cores(), len(theta)))
        n_chunks = max(
            min(len(theta), _CHUNKS_PER_WORKER * workers), -(-len(theta) // _LARGEST_CHUNK)
        )
        tasks = [
            _Task(
                self,
                library,
                theta[rows],
                stimulus[rows] if isinstance(stimulus, StimulusBatch) else stimulus,
                seed=seed,
                start=start + int(rows[0]),
                noise=noise,
                bins=bins,
                stride=stride,
            )
            for rows in np.array_split(np.arange(len(theta)), n_chunks)
        ]
        return self._workers.map(_work, tasks, workers=workers)

    def close(self) -> None:
        """End the worker processes; the next simulation starts new ones."""
        self._workers.close()


@dataclass(frozen=True, eq=False)
class _Task:
    """A few simulations for one worker; ``stride`` > 0 asks for their traces instead of features."""

    simulator: NeuronSimulator
    library: Path | None
    theta: np.ndarray
    stimulus: Stimulus | StimulusBatch
    seed: int
    start: int
    noise: bool
    bins: TraceBins | None
    stride: int

    def stimuli(self) -> list[Stimulus]:
        """One stimulus for each simulation, in the model's units."""
        if isinstance(self.stimulus, Stimulus):
            return [self.simulator.in_model_units(self.stimulus)] * len(self.theta)
        return [
            self.simulator.in_model_units(self.stimulus.family.stimulus(row))
            for row in self.stimulus.values
        ]


_run: Run | None = None  # the cell of this worker process


def _work(task: _Task) -> SimulationBatch | np.ndarray:
    global _run
    model = task.simulator
    if _run is None:
        try:
            _run = Run(model, task.library)
        except NeuroSBIError:
            raise
        except Exception as error:  # a user's own model may fail in any way
            raise BadInputError(
                f"the cell of simulator {model.name} cannot be built: "
                f"{type(error).__name__}: {error}"
            ) from error
    if task.stride:
        voltages, error = _voltages(_run, task)
        if error:
            raise BadInputError(f"{model.name}: {error}")
        return np.stack([v[:: task.stride] for v in voltages])
    return _features(task, *_voltages(_run, task))


def _voltages(run: Run, task: _Task) -> tuple[list[np.ndarray], str]:
    """V of every simulation (NaN where NEURON failed), and the first failure in words."""
    model, names = task.simulator, [p.name for p in task.simulator.parameters]
    intensity = model.noise_intensity(task.theta) * (model.nanoampere / np.sqrt(model.dt))
    indices = task.start + np.arange(len(task.theta))
    keys = lane_keys(derive_seed(task.seed, "membrane noise"), indices)
    voltages, first_error = [], ""
    for i, stimulus in enumerate(task.stimuli()):
        current = stimulus.sampled(model.dt) * model.nanoampere
        if task.noise and intensity[i]:
            current = current + intensity[i] * normals(keys[i], len(current))
        values = dict(zip(names, task.theta[i].tolist(), strict=True))
        try:
            v = run.voltage(values, current, resting_current=baseline(stimulus) * model.nanoampere)
        except Exception as error:  # any failure of NEURON marks this simulation only
            first_error = first_error or f"{type(error).__name__}: {error}"
            v = np.full(len(current), np.nan)
        voltages.append(v)
    return voltages, first_error


def _features(task: _Task, voltages: list[np.ndarray], error: str) -> SimulationBatch:
    """Features of a few traces, through the code of the whole family."""
    model, stimuli = task.simulator, task.stimuli()
    together = isinstance(task.stimulus, Stimulus)
    groups = [voltages] if together else [[v] for v in voltages]
    parts = []
    for group, stimulus in zip(groups, stimuli, strict=False):
        x, kept = model.measure(
            np.stack(group),
            dt=model.dt,
            onset=stimulus.onset,
            offset=stimulus.offset,
            bins=task.bins,
        )
        parts.append(model.batch(x, kept, task.bins))
    failed = np.array([np.isnan(v).all() for v in voltages])
    status = np.concatenate([p.status for p in parts])
    status[failed] = Status.FAILED
    traces = None if task.bins is None else np.concatenate([p.trace for p in parts])
    return SimulationBatch(np.concatenate([p.x for p in parts]), status, error, traces)
