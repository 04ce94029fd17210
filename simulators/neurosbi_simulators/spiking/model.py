"""A network of spiking neurons as a `Simulator`: parameter sets in, features or spikes out.

Features are those of population counts and of single spike trains (see `population.features` and
`population.trains`), of as many neurons as an experiment records. Subclasses say how parameters
become networks; everything else is here.
"""

__all__ = ["COMMON_SETTINGS", "SpikingSimulator"]

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from neurosbi.contract import (
    Observation,
    Setting,
    SimulationBatch,
    SpikeTrains,
    Status,
    Stimulus,
    StimulusBatch,
    Sweep,
)
from neurosbi.cores import available_cores, in_threads
from neurosbi.errors import BadInputError
from neurosbi.seeds import derive_seed
from neurosbi_simulators.numerics.gaussian import lane_keys
from neurosbi_simulators.population.features import BIN, count_features, measure_counts
from neurosbi_simulators.population.settings import per_population
from neurosbi_simulators.population.simulator import DURATIONS, PopulationSimulator
from neurosbi_simulators.population.trains import measure_trains, train_features
from neurosbi_simulators.spiking.memory import simulations_at_once
from neurosbi_simulators.spiking.network import SpikingNetwork, discretise
from neurosbi_simulators.spiking.observe import spikes_of
from neurosbi_simulators.spiking.run import Spikes, run

if TYPE_CHECKING:
    import xarray as xr

BACKENDS = ("numba", "brian2")
COMMON_SETTINGS = (
    *DURATIONS,
    Setting("dt", "ms", 0.2, "time step of the integration", sign="positive"),
    Setting(
        "recorded",
        "neurons",
        100,
        "neurons of each population whose spikes are seen: a number, one for each population like "
        "80,20, or all",
    ),
    Setting("backend", "", "numba", "brian2: the same model in Brian2", choices=BACKENDS),
)


class SpikingSimulator(PopulationSimulator):
    """Shared machinery of the spiking networks; see the subclasses for the models."""

    setting_table: ClassVar[tuple[Setting, ...]] = COMMON_SETTINGS
    most_steps = 1 << 30
    most_steps_because = "that can be numbered in 32 bits"
    smallest_batch = 8
    fit_simulations = 20_000
    names: tuple[str, ...]
    size: tuple[int, ...]

    def __init__(self, *, features: str | None = None, **settings: Any) -> None:
        self.feature_sets = feature_sets(self.names)  # type: ignore[misc]
        super().__init__(features=features, **settings)
        self.recorded = self._recorded(self.settings["recorded"])

    def _recorded(self, given: Any) -> tuple[int, ...]:
        if given == "all":
            return self.size
        counts = per_population(self.name, "recorded", given, self.names)
        # a number for all populations means at most that many of each
        shared = not isinstance(given, (str, list, tuple))
        recorded = tuple(
            min(n, size) if shared else n for n, size in zip(counts, self.size, strict=True)
        )
        if any(not 0 <= n <= size for n, size in zip(recorded, self.size, strict=True)):
            raise BadInputError(
                f"{self.name}: {given} neurons cannot be recorded of "
                f"{', '.join(f'{s} in {p}' for p, s in zip(self.names, self.size, strict=True))}"
            )
        if not any(recorded):
            raise BadInputError(
                f"{self.name}: without recorded neurons there are no features; record at least 1 "
                "(--set recorded=...)"
            )
        return recorded

    @abstractmethod
    def networks(self, theta: np.ndarray) -> list[SpikingNetwork]:
        """One network for each row of ``theta[sim, theta]``.

        Raises `BadInputError` for values no neuron can have.
        """

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
        window = self.window(stimulus)
        x = np.full((len(theta), len(self.feature_set)), np.nan)
        status = np.zeros(len(theta), dtype=np.int8)

        def keep(row: int, spikes: Spikes) -> None:
            if not spikes.finite:
                status[row] = Status.BLOW_UP
                return
            status[row] = Status.OK if len(spikes.time) else Status.NO_SPIKES
            time = spikes.time - window.onset
            x[row] = self._measure(time, spikes.unit, self.recorded, window.duration)

        self._each(theta, keep, window.onset, window, seed=seed, start=start, threads=threads)
        return SimulationBatch(x, status)

    def spikes(
        self,
        theta: np.ndarray,
        *,
        stimulus: Stimulus | None = None,
        seed: int,
        start: int = 0,
        threads: int | None = None,
        noise: bool = True,
    ) -> list[Spikes]:
        """The spikes of the recorded neurons of each simulation, from time 0 on."""
        theta = self.check_theta(theta)
        found: dict[int, Spikes] = {}
        window = self.window(stimulus)
        self._each(
            theta,
            found.__setitem__,
            0.0,
            window,
            seed=seed,
            start=start,
            threads=threads,
            noise=noise,
        )
        return [found[row] for row in range(len(theta))]

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
        """Spikes, and counts and rates in bins of ``stride`` ms with dims (sim, time, population).

        The spikes of simulation s are ``spike_time[spike]`` (ms, from the start of the simulation)
        and ``spike_unit[spike]`` from ``spike_offset[s]`` up to ``spike_offset[s + 1]``; the units
        have the names ``unit`` and the ``unit_population``.
        """
        import xarray as xr

        window = self.window(stimulus)
        found = self.spikes(theta, stimulus=stimulus, seed=seed, start=start, noise=noise)
        width = BIN * stride
        n = int(window.total / width + 1e-9)
        counts = np.stack(
            [_counts(s.time, s.unit, self.recorded, width, n) for s in found]
            or [np.empty((0, n, len(self.names)))]
        ).reshape(-1, n, len(self.names))
        dims = ("sim", "time", "population")
        recorded = np.array(self.recorded, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            rate = 1e3 * counts / (recorded * width)
        offset = np.cumsum([0, *(len(s.time) for s in found)], dtype=np.int64)
        times = [s.time for s in found] or [np.empty(0)]
        units = [s.unit for s in found] or [np.empty(0, dtype=np.int32)]
        return xr.Dataset(
            {
                "counts": (dims, counts, {"units": "1", "long_name": "spikes per bin"}),
                "rate": (dims, rate, {"units": "Hz", "long_name": "rate per neuron"}),
                "spike_time": ("spike", np.concatenate(times), {"units": "ms"}),
                "spike_unit": ("spike", np.concatenate(units), {"units": "1"}),
                "spike_offset": ("boundary", offset, {"units": "1"}),
            },
            coords={
                "time": ("time", np.arange(n) * width, {"units": "ms"}),
                "population": list(self.names),
                "unit": list(self.unit_names),
                "unit_population": ("unit", list(self.unit_populations)),
            },
            attrs={
                "simulator": self.name,
                "dt": width,
                "onset": window.onset,
                "offset": window.total,
            },
        )

    def features_of(self, data: "xr.Dataset | Sweep") -> np.ndarray:
        """The same features of the spikes of `traces` [sim, feature]."""
        if isinstance(data, Sweep):
            return self.observe(data).x
        onset, stop = float(data.attrs["onset"]), float(data.attrs["offset"])
        offset = data["spike_offset"].values
        populations = list(map(str, data["unit_population"].values))
        units = [populations.count(name) for name in self.names]
        time, unit = data["spike_time"].values, data["spike_unit"].values
        x = np.full((len(offset) - 1, len(self.feature_set)), np.nan)
        for row, (first, last) in enumerate(zip(offset[:-1], offset[1:], strict=True)):
            inside = slice(first + np.searchsorted(time[first:last], onset), last)
            x[row] = self._measure(time[inside] - onset, unit[inside], units, stop - onset)
        return x

    def observe_spikes(self, trains: SpikeTrains) -> Observation:
        """The recorded units as if they were neurons of the network; see `spikes_of`."""
        observed = spikes_of(
            trains,
            names=self.names,
            recorded=self.recorded,
            duration=float(self.settings["duration"]),
        )
        x = self._measure(observed.time, observed.unit, observed.units, self.stimulus.duration)
        n = int(self.stimulus.duration / BIN + 1e-9)
        counts = _counts(observed.time, observed.unit, observed.units, BIN, n)
        counts[:, np.array(observed.units) == 0] = np.nan
        # without units of a population that simulations record; of others no feature is defined
        recorded = [
            name
            for name, n, wanted in zip(self.names, observed.units, self.recorded, strict=True)
            if n or not wanted
        ]
        theirs = {f.name for f in feature_sets(recorded)[self.features_name]}
        return Observation(
            stimulus=self.stimulus,
            x=x,
            record=counts,
            dt=BIN,
            not_measured=tuple(f.name for f in self.feature_set if f.name not in theirs),
            notes=observed.notes,
        )

    @property
    def unit_populations(self) -> tuple[str, ...]:
        """The population of each recorded neuron."""
        return tuple(p for p, n in zip(self.names, self.recorded, strict=True) for _ in range(n))

    @property
    def unit_names(self) -> tuple[str, ...]:
        """Names of the recorded neurons, like E0."""
        return tuple(
            f"{p}{i}" for p, n in zip(self.names, self.recorded, strict=True) for i in range(n)
        )

    # -- how a call becomes simulations

    def _each(
        self,
        theta: np.ndarray,
        keep: Callable[[int, Spikes], None],
        onset: float,
        window: Stimulus,
        *,
        seed: int,
        start: int,
        threads: int | None,
        noise: bool = True,
    ) -> None:
        """Simulate every row and hand its spikes from ``onset`` on to ``keep``."""
        networks = (
            self.networks(theta) if noise else [self.silenced(n) for n in self.networks(theta)]
        )
        if not networks:
            return
        for network in networks:  # refusals before any work
            discretise(network, self.dt)
        workers = simulations_at_once(
            max(networks, key=lambda n: float(np.sum(n.p))),
            threads or available_cores(),
            alternative="connections=mean-field" if "connections" in self.settings else "",
        )
        rows = start + np.arange(len(theta))
        connection_keys = lane_keys(derive_seed(seed, "connections"), rows)
        neuron_keys = lane_keys(derive_seed(seed, "neurons"), rows)
        engine = run
        if self.settings["backend"] == "brian2":
            from neurosbi_simulators.spiking.brian import run_in_brian

            engine, workers = run_in_brian, 1

        def one(row: int) -> None:
            spikes = engine(
                networks[row],
                dt=self.dt,
                onset=onset,
                total=window.total,
                recorded=self.recorded,
                connection_keys=connection_keys[row],
                neuron_keys=neuron_keys[row],
            )
            keep(row, spikes)

        in_threads(one, range(len(theta)), workers)

    def silenced(self, network: SpikingNetwork) -> SpikingNetwork:
        """The network without noise. Raises `BadInputError` where noise makes the spikes."""
        raise BadInputError(
            f"{self.name} has no version without noise: its neurons spike at random; use noise=True"
        )

    def _measure(
        self, time: np.ndarray, unit: np.ndarray, units: Sequence[int], duration: float
    ) -> np.ndarray:
        """Features of spikes at ``time`` ms in [0, duration) of ``units`` neurons by population."""
        counts = _counts(time, unit, units, BIN, int(duration / BIN + 1e-9))
        seen = np.where(np.array(units) > 0, units, np.nan)
        x = measure_counts(counts, dt=BIN, sizes=seen)  # type: ignore[arg-type]
        if self.features_name == "counts":
            return x
        return np.concatenate([x, measure_trains(time, unit, units=units, duration=duration)])


def feature_sets(names: Sequence[str]) -> dict[str, Any]:
    """The sets of features of networks of these populations."""
    counts = count_features(names)
    return {"default": counts + train_features(names), "counts": counts}


def _counts(
    time: np.ndarray, unit: np.ndarray, units: Sequence[int], width: float, n: int
) -> np.ndarray:
    """Spikes of each population in ``n`` bins of ``width`` ms, float64 [time, population]."""
    population = np.searchsorted(np.cumsum(units), unit, side="right")
    index = np.floor(time / width + 1e-9).astype(np.int64) * len(units) + population
    inside = index < n * len(units)
    return np.bincount(index[inside], minlength=n * len(units)).reshape(n, len(units)).astype(float)
