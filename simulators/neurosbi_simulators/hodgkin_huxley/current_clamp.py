"""What every model with one recorded voltage under an injected current shares.

Subclasses integrate: they say what becomes of parameter sets (`run_batch`, `voltages`). Settings,
features, bins and the way a recorded sweep is compared with simulations are here, so that one
neuron means the same whichever program computes it.
"""

__all__ = ["CLAMP_SETTINGS", "CurrentClampSimulator"]

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from neurosbi.contract import (
    COARSEST_DT,
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
from neurosbi.errors import BadInputError
from neurosbi_simulators.hodgkin_huxley.accumulated import Accumulated, accumulate, end_step
from neurosbi_simulators.hodgkin_huxley.features import AUTOCORRELATION_LAGS, FEATURE_SETS
from neurosbi_simulators.hodgkin_huxley.recorded_sweep import cut_sweep

if TYPE_CHECKING:
    import xarray as xr

CLAMP_SETTINGS = (
    Setting("dt", "ms", 0.025, "time step of the integration", sign="positive"),
    Setting(
        "initial_voltage",
        "mV",
        "rest",
        "voltage at the start, a number or 'rest' for the model's own resting potential",
    ),
)


class CurrentClampSimulator(Simulator):
    """A model of which one voltage is recorded while current flows; features of that voltage."""

    setting_table: ClassVar[tuple[Setting, ...]] = CLAMP_SETTINGS
    feature_sets = FEATURE_SETS

    def __init__(self, *, features: str | None = None, **settings: Any) -> None:
        super().__init__(features=features, **settings)
        dt = self.settings["dt"]
        if dt > COARSEST_DT:
            raise BadInputError(
                f"{self.name}: dt is {dt} ms, but spikes need a time step of at most "
                f"{COARSEST_DT} ms; use for example 0.025"
            )
        start = self.settings["initial_voltage"]
        if start != "rest" and not (isinstance(start, (int, float)) and np.isfinite(start)):
            raise BadInputError(
                f"{self.name}: initial_voltage is a number in mV or 'rest', not {start!r}"
            )

    @property
    def dt(self) -> float:
        """Time step in ms."""
        return float(self.settings["dt"])

    def in_model_units(self, stimulus: Stimulus) -> Stimulus:
        """The stimulus in the unit of this model's currents."""
        if stimulus.unit != self.stimulus.unit:
            raise BadInputError(
                f"{self.name} takes a stimulus in {self.stimulus.unit}, not in {stimulus.unit}"
            )
        return stimulus

    # -- what a subclass computes

    @abstractmethod
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
        """Features and status of one or more parameter sets, and their voltage in ``bins``."""

    @abstractmethod
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
        """V in mV at every ``stride``-th step, [sim, time]."""

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
        return self.run_batch(
            theta, stimulus=stimulus, seed=seed, start=start, threads=threads, bins=None
        )

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
            return SimulationBatch(
                np.empty((0, len(self.feature_set))),
                np.empty(0, dtype=np.int8),
                trace=np.empty((0, *bins.shape), dtype=np.float32),
            )
        return self.run_batch(
            theta, stimulus=stimulus, seed=seed, start=start, threads=threads, bins=bins
        )

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
        v = self.voltages(
            theta, stimulus=stimulus, seed=seed, start=start, noise=noise, stride=stride
        )
        return xr.Dataset(
            {
                "v": (("sim", "time"), v, {"units": "mV", "long_name": "voltage"}),
                "current": (
                    "time",
                    stimulus.sampled(self.dt)[::stride],
                    {"units": stimulus.unit, "long_name": "injected current"},
                ),
            },
            coords={"time": ("time", np.arange(v.shape[1]) * self.dt * stride, {"units": "ms"})},
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
        window = {key: data.attrs[key] for key in ("dt", "onset", "offset")}
        return self.measure(v, **window)[0]

    def observe(self, sweep: Sweep) -> SweepObservation:
        """The sweep cut to its stimulus, its features, and notes on what was assumed."""
        cut = cut_sweep(sweep)
        x, _ = self.measure(
            cut.voltage[None, :], dt=cut.dt, onset=cut.stimulus.onset, offset=cut.stimulus.offset
        )
        return SweepObservation(
            sweep=sweep.number,
            stimulus=self.in_model_units(cut.stimulus),
            voltage=cut.voltage,
            dt=cut.dt,
            x=x[0],
            notes=cut.notes,
        )

    def observe_table(self, table: FeatureTable) -> Observation:
        """Refused: what these features mean depends on the current, which a table does not tell."""
        raise BadInputError(
            f"{table.path.name} holds features, but those of {self.name} say nothing without the "
            "current injected: give the recording itself, or name another simulator (--simulator)"
        )

    def observe_binned(self, observation: SweepObservation, bins: TraceBins) -> np.ndarray:
        """See `Simulator.observe_binned`; by the code that bins simulations."""
        stimulus = observation.stimulus
        _, kept = self.measure(
            observation.voltage[None],
            dt=observation.dt,
            onset=stimulus.onset,
            offset=stimulus.offset,
            bins=bins,
        )
        return kept.binned[0]

    # -- from what was accumulated to features

    def measure(
        self,
        v: np.ndarray,
        *,
        dt: float,
        onset: float,
        offset: float,
        bins: TraceBins | None = None,
    ) -> tuple[np.ndarray, Accumulated]:
        """Features [sim, feature] of given traces ``v[sim, time]``, and what they come from."""
        kept = accumulate(
            v, dt=dt, onset=onset, offset=offset, lag_steps=self.lag_steps(dt), bins=bins
        )
        ones = np.ones(len(v))
        x = kept.features(
            self.feature_names,
            on=ones * round(onset / dt),
            off=ones * end_step(v, offset, dt),
            dt=dt,
        )
        return x, kept

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the features, in order."""
        return tuple(f.name for f in self.feature_set)

    def lag_steps(self, dt: float) -> np.ndarray:
        """The lags of the autocorrelation in steps; none where no feature needs them."""
        wanted = any(name.startswith("autocorrelation") for name in self.feature_names)
        lags = AUTOCORRELATION_LAGS if wanted else ()
        return np.array([round(lag / dt) for lag in lags], dtype=np.int64)

    @staticmethod
    def batch(x: np.ndarray, kept: Accumulated, bins: TraceBins | None) -> SimulationBatch:
        """Features and bins with those of simulations that blew up removed."""
        status = kept.status()
        x[status == Status.BLOW_UP] = np.nan
        kept.binned[status == Status.BLOW_UP] = np.nan
        return SimulationBatch(x, status, trace=None if bins is None else kept.binned)
