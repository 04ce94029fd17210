"""A point neuron as a `Simulator`: parameter sets in, features or traces out.

Subclasses say how their parameters become rows of the kernel (`PointNeuron.rows`) and which
channels they have; what has to do with current clamp in general is in `current_clamp`.
"""

__all__ = ["PointNeuron"]

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from neurosbi.contract import Setting, SimulationBatch, Stimulus, StimulusBatch, TraceBins
from neurosbi.cores import in_threads
from neurosbi.seeds import derive_seed
from neurosbi_simulators.hodgkin_huxley import integrate as kernels
from neurosbi_simulators.hodgkin_huxley import layout as rows
from neurosbi_simulators.hodgkin_huxley import streaming as mo
from neurosbi_simulators.hodgkin_huxley.accumulated import (
    Accumulated,
    bin_arrays,
    by_simulation,
)
from neurosbi_simulators.hodgkin_huxley.current_clamp import CLAMP_SETTINGS, CurrentClampSimulator
from neurosbi_simulators.hodgkin_huxley.drive import Drive
from neurosbi_simulators.numerics import spikes as sp
from neurosbi_simulators.numerics.gaussian import lane_keys

TINY_CONDUCTANCE = 1e-9  # keeps V_inf defined where every conductance is zero

COMMON_SETTINGS = (
    *CLAMP_SETTINGS,
    Setting("precision", "", "single", "floating-point arithmetic", choices=("single", "double")),
)


class PointNeuron(CurrentClampSimulator):
    """Shared machinery of the Hodgkin-Huxley family; see the subclasses for the models."""

    setting_table: ClassVar[tuple[Setting, ...]] = COMMON_SETTINGS
    channels: ClassVar[tuple[int, ...]]

    @abstractmethod
    def rows(self, theta: np.ndarray) -> dict[int, np.ndarray]:
        """Kernel rows (see `layout`) of ``theta[sim, theta]``: conductances, rate factors, noise.

        Time-step rows are given per ms of dt; noise as the current's sd times sqrt(ms).
        """

    @abstractmethod
    def constants(self) -> dict[int, float]:
        """Kernel scalars: reversal potentials in mV, rate factors of the temperature."""

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
        """See `CurrentClampSimulator.run_batch`."""
        drive = Drive.of(self, stimulus, len(theta))
        kept = self._run(theta, drive, seed=seed, start=start, threads=threads, bins=bins)
        return self.batch(self._features(kept, drive), kept, bins)

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
        drive = Drive.of(self, stimulus, len(theta))
        return self._run(theta, drive, seed=seed, start=start, noisy=noise, stride=stride).traces

    def _run(
        self,
        theta: np.ndarray,
        drive: Drive,
        *,
        seed: int,
        start: int,
        threads: int | None = None,
        noisy: bool = True,
        stride: int = 0,
        bins: TraceBins | None = None,
    ) -> Accumulated:
        real = np.float32 if self.settings["precision"] == "single" else np.float64
        n_sims, dt = len(theta), self.dt
        order = np.argsort(drive.steps, kind="stable")  # blocks of similar length waste least
        n_blocks = -(-n_sims // rows.LANES)
        lanes = np.concatenate([order, np.repeat(order[-1:], n_blocks * rows.LANES - n_sims)])
        table = np.zeros((rows.N_PARAMETER_ROWS, n_sims))
        for row, values in (self.rows(theta) | drive.rows()).items():
            table[row - rows.FIRST_PARAMETER] = values
        for row in (rows.P_DTC, rows.P_DTNA, rows.P_DTM):
            table[row - rows.FIRST_PARAMETER] *= dt
        table[rows.P_NOISE - rows.FIRST_PARAMETER] /= np.sqrt(dt)
        parameters = np.ascontiguousarray(
            table[:, lanes].reshape(rows.N_PARAMETER_ROWS, n_blocks, rows.LANES).swapaxes(0, 1),
            dtype=real,
        )
        all_keys = lane_keys(derive_seed(seed, "membrane noise"), start + lanes)
        keys = np.ascontiguousarray(all_keys.reshape(n_blocks, rows.LANES, 2).swapaxes(1, 2))
        constants = np.zeros(rows.N_CONSTANTS, dtype=real)
        for index, value in self.constants().items():
            constants[index] = value
        constants[rows.C_DTHAY] *= dt
        constants[rows.C_DTCA] *= dt
        has = np.zeros(rows.N_CHANNEL_FLAGS, dtype=np.bool_)
        has[list(self.channels)] = True
        voltage = self.settings["initial_voltage"]
        initial = np.full(rows.LANES, np.nan if voltage == "rest" else float(voltage))
        steps = drive.steps[lanes].reshape(n_blocks, rows.LANES).max(axis=1)
        samples = -(-int(steps.max()) // stride) if stride else 0
        traces = np.empty((n_blocks, rows.LANES, samples), dtype=real)
        lag_steps = self.lag_steps(dt)
        moments = np.empty((n_blocks, mo.N_MOMENT_ROWS, rows.LANES))
        spikes = np.empty((n_blocks, sp.N_SPIKE_ROWS, rows.LANES))
        lag_sums = np.empty((n_blocks, 3 * len(lag_steps), rows.LANES))
        wave = drive.wave(dt).astype(real)
        edges, sections, binned = bin_arrays(bins, dt, n_blocks)

        def one(b: int) -> None:
            kernels.simulate_block(
                parameters[b],
                keys[b],
                initial,
                int(steps[b]),
                constants,
                has,
                wave,
                dt,
                noisy,
                max(stride, 1),
                traces[b],
                lag_steps,
                moments[b],
                spikes[b],
                lag_sums[b],
                edges,
                sections,
                binned[b],
            )

        in_threads(one, range(n_blocks), threads)
        back = np.empty(n_sims, dtype=np.int64)
        back[order] = np.arange(n_sims)
        return Accumulated(
            moments=by_simulation(moments, back),
            spikes=by_simulation(spikes, back),
            lag_sums=by_simulation(lag_sums, back),
            traces=traces.reshape(n_blocks * rows.LANES, samples)[back],
            binned=binned.reshape(n_blocks * rows.LANES, *binned.shape[2:])[back],
        )

    def _features(self, kept: Accumulated, drive: Drive) -> np.ndarray:
        return kept.features(
            self.feature_names,
            on=drive.on.astype(np.float64),
            off=drive.off.astype(np.float64),
            dt=self.dt,
        )
