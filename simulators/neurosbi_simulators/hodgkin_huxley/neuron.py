"""A point neuron as a `Simulator`: parameter sets in, features or traces out.

Subclasses say how their parameters become rows of the kernel (`PointNeuron.rows`) and which
channels they have; everything else is here.
"""

__all__ = ["PointNeuron"]

from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from neurosbi.contract import (
    COARSEST_DT,
    SHORTEST_REST,
    CurrentStep,
    FeatureTable,
    Observation,
    Setting,
    SimulationBatch,
    Simulator,
    Status,
    Stimulus,
    StimulusBatch,
    StimulusFamily,
    Sweep,
    SweepObservation,
    TraceBins,
)
from neurosbi.contract.resample import average_down
from neurosbi.cores import available_cores
from neurosbi.errors import BadInputError
from neurosbi.seeds import derive_seed
from neurosbi_simulators.hodgkin_huxley import integrate as kernels
from neurosbi_simulators.hodgkin_huxley import layout as rows
from neurosbi_simulators.hodgkin_huxley import streaming as mo
from neurosbi_simulators.hodgkin_huxley.features import (
    AUTOCORRELATION_LAGS,
    FEATURE_SETS,
    compute_features,
)
from neurosbi_simulators.numerics import spikes as sp
from neurosbi_simulators.numerics.gaussian import lane_keys

if TYPE_CHECKING:
    import xarray as xr

BLOW_UP = 300.0  # mV; no ion has a reversal potential near it
FINEST_DT = 0.02  # ms; faster recordings are averaged down to about this
LONGEST_STEP = 1500.0  # ms; longer steps are analysed up to here
LONGEST_REST = 200.0  # ms before a step that are used
MOST_STEPS = 16_000_000  # step numbers are kept exactly in single precision up to here
NEVER_NEGATIVE = ("C_m", "g_CaL", "g_CaT", "noise")
TINY_CONDUCTANCE = 1e-9  # keeps V_inf defined where every conductance is zero

COMMON_SETTINGS = (
    Setting("dt", "ms", 0.025, "time step of the integration"),
    Setting(
        "initial_voltage",
        "mV",
        "rest",
        "voltage at the start, a number or 'rest' for the model's own resting potential",
    ),
    Setting("precision", "", "single", "'single' or 'double' floating-point arithmetic"),
)


class PointNeuron(Simulator):
    """Shared machinery of the Hodgkin-Huxley family; see the subclasses for the models."""

    setting_table: ClassVar[tuple[Setting, ...]] = COMMON_SETTINGS
    feature_sets = FEATURE_SETS
    channels: ClassVar[tuple[int, ...]]

    def __init__(self, *, features: str | None = None, **settings: Any) -> None:
        super().__init__(features=features, **settings)
        self._check_numbers()
        dt = self.settings["dt"]
        if not isinstance(dt, (int, float)) or not 0 < dt <= COARSEST_DT:
            raise BadInputError(
                f"{self.name}: dt is {dt} ms, but spikes need a time step of at most "
                f"{COARSEST_DT} ms; use for example 0.025"
            )
        if self.settings["precision"] not in ("single", "double"):
            raise BadInputError(
                f"{self.name}: precision is 'single' or 'double', not "
                f"{self.settings['precision']!r}"
            )
        start = self.settings["initial_voltage"]
        if start != "rest" and not (isinstance(start, (int, float)) and np.isfinite(start)):
            raise BadInputError(
                f"{self.name}: initial_voltage is a number in mV or 'rest', not {start!r}"
            )

    def _check_numbers(self) -> None:
        for setting in self.setting_table:
            value = self.settings[setting.name]
            if not isinstance(setting.default, float):
                continue
            if not isinstance(value, (int, float)) or not np.isfinite(value):
                raise BadInputError(
                    f"{self.name}: {setting.name} is {value!r}, but it must be a number in "
                    f"{setting.unit}, for example {setting.default:g}"
                )
            if (setting.name in NEVER_NEGATIVE and value < 0) or (
                setting.name == "C_m" and value == 0
            ):
                raise BadInputError(
                    f"{self.name}: {setting.name} is {value:g} {setting.unit}, but it cannot be "
                    f"negative{' or zero' if setting.name == 'C_m' else ''}"
                )

    @property
    def dt(self) -> float:
        """Time step in ms."""
        return float(self.settings["dt"])

    @abstractmethod
    def rows(self, theta: np.ndarray) -> dict[int, np.ndarray]:
        """Kernel rows (see `layout`) of ``theta[sim, theta]``: conductances, rate factors, noise.

        Time-step rows are given per ms of dt; noise as the current's sd times sqrt(ms).
        """

    @abstractmethod
    def constants(self) -> dict[int, float]:
        """Kernel scalars: reversal potentials in mV, rate factors of the temperature."""

    def in_model_units(self, stimulus: Stimulus) -> Stimulus:
        """The stimulus in the unit of this model's currents."""
        if stimulus.unit != self.stimulus.unit:
            raise BadInputError(
                f"{self.name} takes a stimulus in {self.stimulus.unit}, not in {stimulus.unit}"
            )
        return stimulus

    # -- the simulator contract

    def simulate(
        self,
        theta: np.ndarray,
        *,
        stimulus: Stimulus | StimulusBatch | None = None,
        seed: int,
        start: int = 0,
        threads: int | None = None,
    ) -> SimulationBatch:
        """Features and status; see `Simulator.simulate`."""
        theta = self.check_theta(theta)
        if len(theta) == 0:
            return SimulationBatch(np.empty((0, len(self.feature_set))), np.empty(0, dtype=np.int8))
        drive = _Drive.of(self, stimulus, len(theta))
        run = self._run(theta, drive, seed=seed, start=start, threads=threads)
        x = self._features(run, drive)
        return SimulationBatch(x, run.status())

    def trace_bins(self, family: StimulusFamily) -> TraceBins:
        """See `Simulator.trace_bins`."""
        return TraceBins.covering(family)

    def simulate_binned(
        self,
        theta: np.ndarray,
        *,
        bins: TraceBins,
        stimulus: Stimulus | StimulusBatch | None = None,
        seed: int,
        start: int = 0,
        threads: int | None = None,
    ) -> SimulationBatch:
        """Features, status and binned voltage; see `Simulator.simulate_binned`."""
        theta = self.check_theta(theta)
        if len(theta) == 0:
            empty = np.empty((0, *bins.shape), dtype=np.float32)
            return replace(self.simulate(theta, seed=seed), trace=empty)
        drive = _Drive.of(self, stimulus, len(theta))
        run = self._run(theta, drive, seed=seed, start=start, threads=threads, bins=bins)
        run.binned[run.status() == Status.BLOW_UP] = np.nan
        return SimulationBatch(self._features(run, drive), run.status(), trace=run.binned)

    def observe_binned(self, observation: SweepObservation, bins: TraceBins) -> np.ndarray:
        """See `Simulator.observe_binned`; by the code that bins simulations."""
        stimulus = observation.stimulus
        run = self._accumulate(
            observation.voltage[None],
            dt=observation.dt,
            onset=stimulus.onset,
            offset=stimulus.offset,
            bins=bins,
        )
        return run.binned[0]

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
        """Voltage traces; sample ``k`` is V at ``k * stride * dt``. See `Simulator.traces`."""
        import xarray as xr

        theta = self.check_theta(theta)
        stimulus = self.in_model_units(stimulus or self.stimulus)
        drive = _Drive.of(self, stimulus, len(theta))
        run = self._run(theta, drive, seed=seed, start=start, noisy=noise, stride=stride)
        time = np.arange(run.traces.shape[1]) * self.dt * stride
        return xr.Dataset(
            {
                "v": (("sim", "time"), run.traces, {"units": "mV", "long_name": "voltage"}),
                "current": (
                    "time",
                    stimulus.sampled(self.dt)[::stride],
                    {"units": stimulus.unit, "long_name": "injected current"},
                ),
            },
            coords={"time": ("time", time, {"units": "ms"})},
            attrs={
                "simulator": self.name,
                "dt": self.dt * stride,
                "onset": stimulus.onset,
                "offset": stimulus.offset,
            },
        )

    def features_of(self, data: "xr.Dataset | Sweep") -> np.ndarray:
        """The same features of traces made by `traces` [sim, feature] or of a sweep [feature]."""
        if isinstance(data, Sweep):
            return self.observe(data).x
        v = np.atleast_2d(data["v"].values)
        return self._measure(
            v, dt=data.attrs["dt"], onset=data.attrs["onset"], offset=data.attrs["offset"]
        )

    def observe(self, sweep: Sweep) -> SweepObservation:
        """The sweep cut to its stimulus, its features, and notes on what was assumed."""
        if sweep.problem:
            raise BadInputError(f"sweep {sweep.number} cannot be fitted: {sweep.problem}")
        if sweep.dt > COARSEST_DT + 1e-9:
            raise BadInputError(
                f"sweep {sweep.number} is sampled every {sweep.dt:g} ms, too coarse for spike "
                f"shapes; at most {COARSEST_DT} ms is needed"
            )
        step = sweep.test_step
        cut = _cut_step(sweep, step) if step else _cut_waveform(sweep)
        voltage, _, dt = average_down(cut.voltage, cut.current, dt=sweep.dt, target_dt=FINEST_DT)
        x = self._measure(
            voltage[None, :], dt=dt, onset=cut.stimulus.onset, offset=cut.stimulus.offset
        )[0]
        return SweepObservation(
            sweep=sweep.number,
            stimulus=self.in_model_units(cut.stimulus),
            voltage=voltage,
            dt=dt,
            x=x,
            notes=cut.notes,
        )

    def observe_table(self, table: FeatureTable) -> Observation:
        """Refused: what these features mean depends on the current, which a table does not tell."""
        raise BadInputError(
            f"{table.path.name} holds features, but those of {self.name} say nothing without the "
            "current injected: give the recording itself, or name another simulator (--simulator)"
        )

    # -- how a call becomes blocks

    def _run(
        self,
        theta: np.ndarray,
        drive: "_Drive",
        *,
        seed: int,
        start: int,
        threads: int | None = None,
        noisy: bool = True,
        stride: int = 0,
        bins: TraceBins | None = None,
    ) -> "_Run":
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
        lag_steps = self._lag_steps(dt)
        moments = np.empty((n_blocks, mo.N_MOMENT_ROWS, rows.LANES))
        spikes = np.empty((n_blocks, sp.N_SPIKE_ROWS, rows.LANES))
        lag_sums = np.empty((n_blocks, 3 * len(lag_steps), rows.LANES))
        wave = drive.wave(dt).astype(real)
        edges, sections, binned = _bin_arrays(bins, dt, n_blocks)

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

        _over_blocks(one, n_blocks, threads)
        back = np.empty(n_sims, dtype=np.int64)
        back[order] = np.arange(n_sims)
        return _Run(
            moments=_by_simulation(moments, back),
            spikes=_by_simulation(spikes, back),
            lag_sums=_by_simulation(lag_sums, back),
            traces=traces.reshape(n_blocks * rows.LANES, samples)[back],
            binned=binned.reshape(n_blocks * rows.LANES, *binned.shape[2:])[back],
        )

    def _measure(self, v: np.ndarray, *, dt: float, onset: float, offset: float) -> np.ndarray:
        """Features of given traces [sim, time]."""
        run = self._accumulate(v, dt=dt, onset=onset, offset=offset)
        window = np.ones((2, len(v))) * [[round(onset / dt)], [_end(v, offset, dt)]]
        return compute_features(
            tuple(f.name for f in self.feature_set),
            moments=run.moments,
            spikes=run.spikes,
            lag_sums=run.lag_sums,
            on=window[0],
            off=window[1],
            dt=dt,
        )

    def _accumulate(
        self,
        v: np.ndarray,
        *,
        dt: float,
        onset: float,
        offset: float,
        bins: TraceBins | None = None,
    ) -> "_Run":
        """What the kernel accumulates of given traces [sim, time]."""
        n_sims = len(v)
        if v.dtype != np.float32:
            v = np.asarray(v, dtype=np.float64)
        n_blocks = -(-n_sims // rows.LANES)
        lanes = np.minimum(np.arange(n_blocks * rows.LANES), n_sims - 1)
        on = np.full(rows.LANES, round(onset / dt), dtype=np.int64)
        off = np.full(rows.LANES, _end(v, offset, dt), dtype=np.int64)
        lag_steps = self._lag_steps(dt)
        moments = np.empty((n_blocks, mo.N_MOMENT_ROWS, rows.LANES))
        spikes = np.empty((n_blocks, sp.N_SPIKE_ROWS, rows.LANES))
        lag_sums = np.empty((n_blocks, 3 * len(lag_steps), rows.LANES))

        edges, sections, binned = _bin_arrays(bins, dt, n_blocks)

        def one(b: int) -> None:
            block = np.ascontiguousarray(v[lanes[b * rows.LANES : (b + 1) * rows.LANES]])
            kernels.measure_block(
                block,
                on,
                off,
                dt,
                lag_steps,
                moments[b],
                spikes[b],
                lag_sums[b],
                edges,
                sections,
                binned[b],
            )

        _over_blocks(one, n_blocks, None)
        back = np.arange(n_sims)
        return _Run(
            moments=_by_simulation(moments, back),
            spikes=_by_simulation(spikes, back),
            lag_sums=_by_simulation(lag_sums, back),
            traces=v,
            binned=binned.reshape(n_blocks * rows.LANES, *binned.shape[2:])[back],
        )

    def _lag_steps(self, dt: float) -> np.ndarray:
        wanted = any(f.name.startswith("autocorrelation") for f in self.feature_set)
        lags = AUTOCORRELATION_LAGS if wanted else ()
        return np.array([round(lag / dt) for lag in lags], dtype=np.int64)

    def _features(self, run: "_Run", drive: "_Drive") -> np.ndarray:
        x = compute_features(
            tuple(f.name for f in self.feature_set),
            moments=run.moments,
            spikes=run.spikes,
            lag_sums=run.lag_sums,
            on=drive.on.astype(np.float64),
            off=drive.off.astype(np.float64),
            dt=self.dt,
        )
        x[run.status() == Status.BLOW_UP] = np.nan
        return x


class _Run:
    """What the kernel accumulated, by simulation.

    Rows [row, sim], ``traces[sim, time]`` and ``binned[sim, channel, bin]``.
    """

    def __init__(
        self,
        *,
        moments: np.ndarray,
        spikes: np.ndarray,
        lag_sums: np.ndarray,
        traces: np.ndarray,
        binned: np.ndarray,
    ) -> None:
        self.moments, self.spikes, self.lag_sums = moments, spikes, lag_sums
        self.traces, self.binned = traces, binned

    def status(self) -> np.ndarray:
        """int8 [sim]: blow-up where V left all bounds or is not a number."""
        m = self.moments
        bounded = (m[mo.HIGHEST] < BLOW_UP) & (m[mo.LOWEST] > -BLOW_UP)
        fine = bounded & np.isfinite(m[mo.POWER_1]) & np.isfinite(m[mo.ORIGIN])
        status = np.where(self.spikes[sp.SPIKES] > 0, Status.OK, Status.NO_SPIKES)
        return np.where(fine, status, Status.BLOW_UP).astype(np.int8)


class _Drive:
    """The stimulus of every simulation in steps of dt: arrays [sim], or one shared waveform.

    The current that flows before the onset is the holding current, also of a waveform, so that a
    start from rest is a start from the rest under that current.
    """

    def __init__(self, *, on, off, steps, amplitude, holding, shared: Stimulus | None) -> None:
        self.on, self.off, self.steps = on, off, steps
        self.amplitude, self.holding, self.shared = amplitude, holding, shared

    @classmethod
    def of(
        cls, simulator: PointNeuron, stimulus: Stimulus | StimulusBatch | None, n: int
    ) -> "_Drive":
        dt = simulator.dt
        if isinstance(stimulus, StimulusBatch):
            if len(stimulus) != n:
                raise BadInputError(
                    f"there are {n} parameter sets but {len(stimulus)} stimuli; give one each"
                )
            stimuli = [stimulus.family.stimulus(row) for row in stimulus.values]
        else:
            stimuli = [stimulus or simulator.stimulus]
        stimuli = [simulator.in_model_units(s) for s in stimuli]
        columns = np.array(
            [
                (
                    round(s.onset / dt),
                    round(s.offset / dt),
                    round(s.total / dt),
                    s.amplitude if s.is_step else 0.0,
                    _baseline(s),
                )
                for s in stimuli
            ]
        )
        columns = np.broadcast_to(columns, (n, 5))
        if n and np.any(columns[:, 1] <= columns[:, 0]):
            raise BadInputError(f"a stimulus is shorter than one time step of {dt} ms")
        if n and np.any(columns[:, 2] > MOST_STEPS):
            raise BadInputError(
                f"a stimulus of {columns[:, 2].max() * dt:.0f} ms is longer than "
                f"{MOST_STEPS:,} time steps of {dt} ms; cut it"
            )
        whole = columns[:, :3].astype(np.int64)
        return cls(
            on=whole[:, 0],
            off=whole[:, 1],
            steps=whole[:, 2],
            amplitude=columns[:, 3],
            holding=columns[:, 4],
            shared=None if stimuli[0].is_step else stimuli[0],
        )

    def rows(self) -> dict[int, np.ndarray]:
        return {
            rows.P_ON: self.on,
            rows.P_OFF: self.off,
            rows.P_END: self.steps,
            rows.P_AMP: self.amplitude,
            rows.P_HOLD: self.holding,
        }

    def wave(self, dt: float) -> np.ndarray:
        if self.shared is None:
            return np.zeros(1)
        return self.shared.sampled(dt) - _baseline(self.shared)


def _baseline(stimulus: Stimulus) -> float:
    """The current that flows before the stimulus begins."""
    if stimulus.current is None or stimulus.onset == 0:
        return stimulus.holding
    return stimulus.holding + float(stimulus.current[0])


class _Cut:
    """A sweep cut to what is analysed."""

    def __init__(
        self,
        voltage: np.ndarray,
        current: np.ndarray,
        stimulus: Stimulus,
        notes: tuple[str, ...],
    ) -> None:
        self.voltage, self.current, self.stimulus, self.notes = voltage, current, stimulus, notes


def _cut_step(sweep: Sweep, step: CurrentStep) -> _Cut:
    notes = []
    begin = max(sweep.quiet_from(step), step.onset - LONGEST_REST)
    if step.onset - begin < SHORTEST_REST:
        raise BadInputError(
            f"sweep {sweep.number} has only {step.onset - begin:.0f} ms of recording before its "
            f"step; {SHORTEST_REST:.0f} ms are needed to measure the resting potential"
        )
    if step.holding:
        notes.append(f"the holding current of {step.holding:.3g} pA is part of the stimulus")
    end = min(step.offset, step.onset + LONGEST_STEP)
    if end < step.offset:
        notes.append(f"only the first {LONGEST_STEP:.0f} ms of the {step.duration:.0f} ms step")
    first, last = round(begin / sweep.dt), round(end / sweep.dt)
    voltage = np.asarray(sweep.voltage[first:last], dtype=np.float64)
    _check_voltage(sweep.number, voltage)
    onset = step.onset - first * sweep.dt
    duration = (last - first) * sweep.dt - onset
    stimulus = Stimulus.step(
        amplitude=step.amplitude, onset=onset, duration=duration, holding=step.holding
    )
    return _Cut(voltage, sweep.current[first:last], stimulus, tuple(notes))


def _cut_waveform(sweep: Sweep) -> _Cut:
    first = sweep.usable_from
    voltage = np.asarray(sweep.voltage[first:], dtype=np.float64)
    _check_voltage(sweep.number, voltage)
    current = np.asarray(sweep.current[first:], dtype=np.float64)
    stimulus = Stimulus.waveform(current, dt=sweep.dt)
    if stimulus.onset < SHORTEST_REST:
        raise BadInputError(
            f"sweep {sweep.number} has no step, and its current already flows at the start; "
            f"{SHORTEST_REST:.0f} ms of constant current before it are needed"
        )
    return _Cut(
        voltage, current, stimulus, ("the recorded current waveform itself is the stimulus",)
    )


def _check_voltage(number: int, voltage: np.ndarray) -> None:
    bad = np.flatnonzero(~np.isfinite(voltage))
    if len(bad):
        raise BadInputError(
            f"sweep {number} has {len(bad)} voltage samples that are not numbers within its "
            "stimulus; choose another sweep with --sweeps"
        )


def _over_blocks(one, n_blocks: int, threads: int | None) -> None:
    workers = min(threads or available_cores(), n_blocks)
    if workers <= 1:
        for b in range(n_blocks):
            one(b)
        return
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, range(n_blocks)))


def _bin_arrays(
    bins: TraceBins | None, dt: float, n_blocks: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges and sections of the kernel, and room for [block, lane, channel, bin]; none without bins."""
    if bins is None:
        nothing = np.empty((n_blocks, rows.LANES, 3, 0), dtype=np.float32)
        return np.zeros((2, 0), dtype=np.int64), np.zeros(1, dtype=np.int64), nothing
    sections = np.cumsum([0, *(s.n for s in bins.sections)])
    return bins.edges(dt), sections, np.empty((n_blocks, rows.LANES, *bins.shape), dtype=np.float32)


def _end(v: np.ndarray, offset: float, dt: float) -> int:
    """First sample behind the stimulus, or behind the trace."""
    return min(round(offset / dt), v.shape[1])


def _by_simulation(blocks: np.ndarray, back: np.ndarray) -> np.ndarray:
    """[block, row, lane] -> [row, sim] in the order of the caller."""
    n_blocks, n_rows, lanes = blocks.shape
    return blocks.swapaxes(0, 1).reshape(n_rows, n_blocks * lanes)[:, back]
