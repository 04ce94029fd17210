"""Populations of GIF neurons at the level of their spike counts, with a likelihood.

See `population.network` for the neurons and `mesogif.integrate` for the dynamics of their counts.
The model is simulated where features are wanted, and passed over given counts where a likelihood
or its gradient is.

References: Schwalger, Deger & Gerstner 2017, doi:10.1371/journal.pcbi.1005507; Rene, Longtin &
Macke 2020, doi:10.1162/neco_a_01292 (inference).
"""

__all__ = ["MesoGif"]

from dataclasses import replace
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
    percent,
)
from neurosbi.errors import BadInputError
from neurosbi.seeds import derive_seed
from neurosbi_simulators.mesogif import integrate as kernels
from neurosbi_simulators.mesogif.blocks import Populations, over_blocks
from neurosbi_simulators.mesogif.coefficients import Grid
from neurosbi_simulators.mesogif.layout import LANES
from neurosbi_simulators.mesogif.likelihood import CountLikelihood, Likelihoods
from neurosbi_simulators.mesogif.observe import counts_of
from neurosbi_simulators.numerics.gaussian import lane_keys
from neurosbi_simulators.population.features import BIN, count_features, measure_counts
from neurosbi_simulators.population.network import PRESETS, PopulationNetwork
from neurosbi_simulators.population.parameters import NetworkParameters
from neurosbi_simulators.population.settings import per_population
from neurosbi_simulators.population.simulator import DURATIONS, PopulationSimulator

if TYPE_CHECKING:
    import xarray as xr

_DEFAULT = NetworkParameters(PRESETS["two-populations"])


class MesoGif(PopulationSimulator):
    """Spike counts of 1 to 4 GIF populations; see the modules for the equations."""

    name = "mesogif"
    version = "1"
    summary = "spike counts of coupled populations of GIF neurons, with an exact likelihood"
    papers = (
        "Schwalger, Deger & Gerstner 2017, doi:10.1371/journal.pcbi.1005507",
        "Rene, Longtin & Macke 2020, doi:10.1162/neco_a_01292",
    )
    parameters = _DEFAULT.table
    fit_simulations = 50_000
    most_steps = 16_000_000  # counts of one block stay within a few GB
    most_steps_because = "whose counts fit into memory"
    feature_sets = {"default": count_features(_DEFAULT.network.names)}  # noqa: RUF012
    setting_table: ClassVar[tuple[Setting, ...]] = (
        Setting(
            "populations",
            "",
            "two-populations",
            f"the network: {', '.join(PRESETS)}, or a JSON file with a table of your own",
        ),
        Setting("sizes", "neurons", None, "neurons of each population, like 500,100; by default those of the network"),
        Setting("infer", "", "weights", "weights, full, or parameters by name, like w_EE,u_th_E"),
        *DURATIONS,
        Setting("dt", "ms", 1.0, "time step and width of the bins of counts", sign="positive"),
        Setting("history", "ms", None, "how long spikes are remembered singly; by default as needed", sign="positive"),
        Setting("precision", "", "single", "floating-point arithmetic", choices=("single", "double")),
    )  # fmt: skip

    def __init__(self, *, features: str | None = None, **settings: Any) -> None:
        network = PopulationNetwork.of(settings.get("populations", "two-populations"))
        sizes = settings.get("sizes")
        if sizes is not None:
            sizes = per_population(self.name, "sizes", sizes, network.names, one_for_all=False)
        sets = {"default": count_features(network.names)}
        self.feature_sets = sets  # type: ignore[misc]  # one set of features per population
        super().__init__(features=features, **settings)
        if str(self.settings["populations"]) not in PRESETS:
            self.settings["populations"] = network.to_dict()
        if sizes is not None:
            self.settings["sizes"] = list(sizes)
            network = replace(network, size=sizes)
        infer = self.settings["infer"]
        self.network = network
        parameters = NetworkParameters(network, infer if isinstance(infer, str) else tuple(infer))
        self.parameters = parameters.table
        if abs(BIN / self.dt - round(BIN / self.dt)) > 1e-6:
            raise BadInputError(
                f"{self.name}: the time step of {self.dt:g} ms does not divide the bins of "
                f"{BIN:g} ms that features are computed of; use 1, 0.5 or 0.2"
            )
        grid = Grid.of(network, self.parameters, dt=self.dt, history=self.settings["history"])
        real = np.float32 if self.settings["precision"] == "single" else np.float64
        self.populations = Populations(parameters, grid, real)

    # -- simulation

    def simulate(
        self,
        theta: np.ndarray,
        *,
        stimulus: Stimulus | StimulusBatch | None = None,
        seed: int,
        start: int = 0,
        threads: int | None = None,
    ) -> SimulationBatch:
        """Features and status; see `Simulator.simulate`. A run without a spike has no features."""
        theta = self.check_theta(theta)
        steps, first = self._steps(stimulus)
        x = np.full((len(theta), len(self.feature_set)), np.nan)
        status = np.zeros(len(theta), dtype=np.int8)

        def one(block: slice) -> None:
            counts = self._counts(theta[block], steps, seed=seed, start=start + block.start)
            status[block] = _status(counts[:, first:])
            good = status[block] != Status.BLOW_UP
            counts[~good] = 0.0
            features = self._measure(counts[:, first:])
            x[block] = np.where(good[:, None], features, np.nan)

        over_blocks(one, len(theta), threads)
        return SimulationBatch(x, status)

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
        """Counts and rates with dims (sim, time, population); see `Simulator.traces`.

        With a ``stride`` the counts of that many steps are added up. Without noise the counts are
        their expectations, which are not whole numbers.
        """
        import xarray as xr

        theta = self.check_theta(theta)
        steps, first = self._steps(stimulus)
        sizes = np.array(self.network.size)
        n = steps // stride
        summed = np.empty((len(theta), n, self.network.n))

        def one(block: slice) -> None:
            counts = self._counts(
                theta[block], steps, seed=seed, start=start + block.start, noise=noise
            )
            cut = counts[:, : n * stride].reshape(-1, n, stride, self.network.n)
            summed[block] = cut.sum(axis=2, dtype=np.float64)

        over_blocks(one, len(theta), None)
        step = self.dt * stride
        dims = ("sim", "time", "population")
        rate = 1e3 * summed / (sizes * step)
        return xr.Dataset(
            {
                "counts": (dims, summed, {"units": "1", "long_name": "spikes per bin"}),
                "rate": (dims, rate, {"units": "Hz", "long_name": "rate per neuron"}),
            },
            coords={
                "time": ("time", np.arange(n) * step, {"units": "ms"}),
                "population": list(self.network.names),
            },
            attrs={
                "simulator": self.name,
                "dt": step,
                "onset": first * self.dt,
                "offset": steps * self.dt,
            },
        )

    def features_of(self, data: "xr.Dataset | Sweep") -> np.ndarray:
        """The same features of the counts of `traces` [sim, feature]."""
        if isinstance(data, Sweep):
            return self.observe(data).x
        first = round(data.attrs["onset"] / data.attrs["dt"])
        counts = data["counts"].transpose("sim", "time", "population").values
        return self._measure(counts[:, first:], dt=float(data.attrs["dt"]))

    # -- observations and their likelihood

    def observe_spikes(self, trains: SpikeTrains) -> Observation:
        """Counts per population and bin, their features, and notes on what was assumed."""
        counts, notes = counts_of(trains, self.network, self.dt)
        burn_in = float(self.settings["burn_in"])
        if len(counts) * self.dt <= burn_in:
            raise BadInputError(
                f"{trains.path.name}: {trains.duration:g} ms of spikes are not longer than the "
                f"burn-in of {burn_in:g} ms, in which the model finds the state of the recording; "
                "use a shorter one (--set burn_in=...) or record longer"
            )
        return self.observe_counts(counts, dt=self.dt, onset=burn_in, notes=notes)

    def observe_counts(
        self, counts: np.ndarray, *, dt: float, onset: float = 0.0, notes: tuple[str, ...] = ()
    ) -> Observation:
        """Population counts [time, population] in bins of ``dt`` ms as an observation.

        The first ``onset`` ms only serve to find the state the model is in. Raises
        `BadInputError` for counts that cannot be those of the network.
        """
        counts = np.asarray(counts, dtype=np.float64)
        stimulus = Stimulus.spontaneous(total=len(counts) * dt, onset=onset)
        observation = Observation(
            stimulus=stimulus, x=np.empty(0), record=counts, dt=dt, notes=notes
        )
        checked = CountLikelihood.of(self.populations, observation).counts
        x = self._measure(checked[None, round(onset / self.dt) :])[0]
        return replace(observation, x=x)

    def log_likelihood(
        self, theta: np.ndarray, data: Observation, *, threads: int | None = None
    ) -> np.ndarray:
        """log p(counts | theta) [sim], after the burn-in; see `CountLikelihood`."""
        return self.likelihoods(theta, data, threads=threads).log_likelihood

    def likelihoods(
        self, theta: np.ndarray, data: Observation, *, threads: int | None = None
    ) -> Likelihoods:
        """Log-likelihoods with the share of counts that the model cannot produce."""
        theta = self.check_theta(theta)
        return CountLikelihood.of(self.populations, data).evaluate(theta, threads=threads)

    def likelihood_problems(
        self, theta: np.ndarray, data: Observation, *, threads: int | None = None
    ) -> tuple[str, ...]:
        """Populations with bins that the model cannot produce; see `Simulator`."""
        shares = self.likelihoods(theta, data, threads=threads).clipped.mean(axis=0)
        return tuple(
            f"{percent(share)} of the counts of {name} are impossible for the model or nearly so "
            "(more spikes than neurons that are not refractory, or spikes where each has a "
            "probability below 1e-6), and the likelihood is approximate there"
            for name, share in zip(self.network.names, shares, strict=True)
            if share > 0
        )

    def log_likelihood_gradient(
        self, theta: np.ndarray, data: Observation, *, threads: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """log p(counts | theta) [sim] and its derivatives [sim, theta]."""
        theta = self.check_theta(theta)
        return CountLikelihood.of(self.populations, data).gradient(theta, threads=threads)

    # -- how a call becomes blocks

    def _steps(self, stimulus: Stimulus | StimulusBatch | None) -> tuple[int, int]:
        """Steps of a simulation, and the first one that counts."""
        window = self.window(stimulus)
        return round(window.total / self.dt), round(window.onset / self.dt)

    def _counts(
        self, theta: np.ndarray, steps: int, *, seed: int, start: int, noise: bool = True
    ) -> np.ndarray:
        """Counts [sim, time, population] of at most LANES parameter sets, from row ``start`` on."""
        parameters, tables = self.populations.lanes(theta)
        halves = lane_keys(derive_seed(seed, "spike counts"), start + np.arange(LANES))
        keys = halves[:, 0].astype(np.uint64) | (halves[:, 1].astype(np.uint64) << np.uint64(32))
        counts = np.empty((steps, self.network.n, LANES), dtype=self.populations.real)
        kernels.simulate_block(parameters, tables, *self.populations.constants, keys, noise, counts)
        return np.ascontiguousarray(counts.transpose(2, 0, 1)[: len(theta)])

    def _measure(self, counts: np.ndarray, *, dt: float | None = None) -> np.ndarray:
        return measure_counts(counts, dt=dt or self.dt, sizes=self.network.size)


def _status(counts: np.ndarray) -> np.ndarray:
    """int8 [sim] of counts [sim, time, population]."""
    total = counts.sum(axis=(1, 2), dtype=np.float64)
    status = np.where(total > 0, Status.OK, Status.NO_SPIKES)
    return np.where(np.isfinite(total), status, Status.BLOW_UP).astype(np.int8)
