"""The pyloric network of the crustacean stomatogastric ganglion as a `Simulator`.

Three cells (AB/PD, LP, PY) with eight membrane currents each, coupled by seven inhibitory synapses,
without any input but noise. See `integrate` for the equations, `rates` for the channels, `circuit`
for the parameters and `features` for what is measured.

References
----------
Prinz et al. 2004, doi:10.1038/nn1352; Goncalves et al. 2020, doi:10.7554/eLife.56261; Deistler et
al. 2022, doi:10.1073/pnas.2207632119. We differ: the noise current of a step is scaled by
1/sqrt(dt), so that its effect does not depend on dt; at the published step of 0.025 ms it is the
published noise.
"""

__all__ = ["PyloricNetwork"]

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from neurosbi.contract import (
    FixedStimulus,
    Parameter,
    Setting,
    SimulationBatch,
    Simulator,
    SpontaneousFamily,
    Status,
    Stimulus,
    StimulusBatch,
    StimulusFamily,
    Sweep,
)
from neurosbi.errors import BadInputError
from neurosbi_simulators.pyloric import bursts as bu
from neurosbi_simulators.pyloric.circuit import CELLS, CIRCUIT, Q10, Q10_DEFAULTS
from neurosbi_simulators.pyloric.features import DEFAULT_SET, FEATURE_SETS, compute_features
from neurosbi_simulators.pyloric.integrate import AREA, CAPACITANCE
from neurosbi_simulators.pyloric.rates import FASTEST_TAU
from neurosbi_simulators.pyloric.run import Circuit, Run, measure, simulate

if TYPE_CHECKING:
    import xarray as xr

BURN_IN, TOTAL = 1000.0, 11_000.0  # ms
COARSEST_DT = 0.1  # ms; beyond, the smoothing of spikes has too few samples
SHORTEST_WINDOW = 200.0  # ms; more than the pause that separates two bursts
MOST_STEPS = 100_000_000  # of one simulation; the noise is counted in 32 bits
TEMPERATURES = (7.0, 27.0)  # degC; what the animal meets, and what it stands
_COLDEST, _HOTTEST = -10.0, 60.0  # degC


class PyloricNetwork(Simulator):
    """Thirty-one parameters, spontaneous activity; see the module."""

    name = "pyloric"
    version = "4"
    summary = "pyloric network: three bursting cells with inhibitory synapses"
    papers = (
        "Prinz et al. 2004, doi:10.1038/nn1352",
        "Goncalves et al. 2020, doi:10.7554/eLife.56261",
        "Deistler et al. 2022, doi:10.1073/pnas.2207632119",
    )
    setting_table: ClassVar[tuple[Setting, ...]] = (
        Setting("dt", "ms", 0.025, "time step of the integration", sign="positive"),
        Setting(
            "precision", "", "single", "floating-point arithmetic", choices=("single", "double")
        ),
        Setting(
            "noise",
            "uA",
            0.001,
            "standard deviation of the noise current in a step of 0.025 ms; scaled by 1/sqrt(dt)",
            sign="not negative",
        ),
        Setting("temperature", "degC", 10.0, "temperature where the stimulus does not give one"),
        Setting(
            "temperature_parameters",
            "",
            False,
            "true: fifteen Q10s are parameters too, and one network is asked at all temperatures",
        ),
    )
    may_be_negative = ()
    must_be_positive = tuple(p.name for p in Q10)
    feature_sets = FEATURE_SETS
    default_features = DEFAULT_SET
    smallest_batch = 64
    fit_simulations = 20_000

    def __init__(self, *, features: str | None = None, **settings: Any) -> None:
        super().__init__(features=features, **settings)
        if self.settings["dt"] > COARSEST_DT:
            raise BadInputError(
                f"{self.name}: dt is {self.settings['dt']} ms, but sodium channels open within "
                f"{FASTEST_TAU} ms; use at most {COARSEST_DT} ms, for example 0.025"
            )
        warm = self.settings["temperature_parameters"]
        self.parameters: tuple[Parameter, ...] = (*CIRCUIT, *Q10) if warm else CIRCUIT

    @property
    def dt(self) -> float:
        """Time step in ms."""
        return float(self.settings["dt"])

    @property
    def stimulus(self) -> Stimulus:
        """11 s of spontaneous activity, the first second of which is burn-in."""
        return Stimulus.spontaneous(total=TOTAL, onset=BURN_IN)

    @property
    def stimulus_family(self) -> StimulusFamily:
        """Spontaneous activity: at all temperatures where Q10s are parameters, else at one."""
        if self.settings["temperature_parameters"]:
            return SpontaneousFamily(TOTAL, BURN_IN, temperature=TEMPERATURES)
        return FixedStimulus(self.stimulus)

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
        window, temperature, alike = self._protocol(stimulus, len(theta))
        run = simulate(
            self._circuit(theta, temperature, alike),
            window=window,
            dt=self.dt,
            noise=self.settings["noise"],
            real=self._real,
            seed=seed,
            start=start,
            threads=threads,
        )
        return SimulationBatch(self._features(run), _status(run))

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
        """Voltage and power of the cells; sample ``k`` is that at ``k * stride * dt``.

        Dims (sim, time, cell); ``v`` in mV, ``power`` in nW/cm2. See `Simulator.traces`.
        """
        import xarray as xr

        theta = self.check_theta(theta)
        window, temperature, alike = self._protocol(stimulus, len(theta))
        run = simulate(
            self._circuit(theta, temperature, alike),
            window=window,
            dt=self.dt,
            noise=self.settings["noise"] if noise else 0.0,
            real=self._real,
            seed=seed,
            start=start,
            stride=stride,
        )
        dims = ("sim", "time", "cell")
        v, power = run.traces
        power *= CAPACITANCE / AREA
        used = stimulus or self.stimulus
        return xr.Dataset(
            {
                "v": (dims, v, {"units": "mV", "long_name": "voltage"}),
                "power": (dims, power, {"units": "nW/cm2", "long_name": "power of all currents"}),
            },
            coords={
                "time": ("time", np.arange(v.shape[1]) * self.dt * stride, {"units": "ms"}),
                "cell": ("cell", list(CELLS)),
            },
            attrs={
                "simulator": self.name,
                "dt": self.dt * stride,
                "onset": used.onset,
                "offset": used.offset,
            },
        )

    def features_of(self, data: "xr.Dataset | Sweep") -> np.ndarray:
        """The same features of traces as `traces` makes them [sim, feature].

        Energies are undefined where the traces come without ``power``.
        """
        if isinstance(data, Sweep):
            return self.observe(data).x
        dims = ("sim", "time", "cell")
        v = data["v"].transpose(*dims).values
        if v.shape[2] != len(CELLS):
            raise BadInputError(
                f"{self.name} measures traces of {', '.join(CELLS)}, got {v.shape[2]} cells"
            )
        power = None
        if "power" in data:
            power = data["power"].transpose(*dims).values / (CAPACITANCE / AREA)
        dt = float(data.attrs["dt"])
        run = measure(
            v[:, : round(data.attrs["offset"] / dt)],
            power,
            dt=dt,
            onset=round(data.attrs["onset"] / dt),
        )
        return self._features(run)

    @property
    def _real(self) -> type[np.float32] | type[np.float64]:
        return np.float32 if self.settings["precision"] == "single" else np.float64

    def _circuit(self, theta: np.ndarray, temperature: np.ndarray, alike: bool) -> Circuit:
        n = len(CIRCUIT)
        q10 = theta[:, n:] if theta.shape[1] > n else np.tile(Q10_DEFAULTS, (len(theta), 1))
        return Circuit(theta[:, :n], q10, temperature, equally_warm=alike)

    def _protocol(
        self, stimulus: Stimulus | StimulusBatch | None, n: int
    ) -> tuple[tuple[int, int], np.ndarray, bool]:
        """First step that counts and number of steps; the temperature of each simulation; and
        whether all simulations of this model under such stimuli have the same Q10s and temperature.
        """
        if isinstance(stimulus, StimulusBatch):
            if len(stimulus) != n:
                raise BadInputError(
                    f"there are {n} parameter sets but {len(stimulus)} stimuli; give one each"
                )
            stimuli = [stimulus.family.stimulus(row) for row in stimulus.values]
        else:
            stimuli = [stimulus or self.stimulus]
        first = stimuli[0]
        for one in stimuli:
            if not one.is_spontaneous:
                raise BadInputError(
                    f"{self.name} is spontaneously active and takes no current; use "
                    "Stimulus.spontaneous(total=11000, onset=1000)"
                )
            if (one.onset, one.total) != (first.onset, first.total):
                raise BadInputError(
                    f"{self.name} simulates one duration and burn-in at a time, got "
                    f"{first.total:g} and {one.total:g} ms"
                )
        if first.total - first.onset < SHORTEST_WINDOW:
            raise BadInputError(
                f"{self.name}: only {first.total - first.onset:g} ms are left after the burn-in of "
                f"{first.onset:g} ms; bursts need at least {SHORTEST_WINDOW:g} ms"
            )
        steps = round(first.total / self.dt)
        if steps > MOST_STEPS:
            raise BadInputError(
                f"{self.name}: {first.total:g} ms are more than {MOST_STEPS:,} time steps of "
                f"{self.dt} ms; make it shorter"
            )
        own = self.settings["temperature"]
        degrees = np.array([own if s.temperature is None else s.temperature for s in stimuli])
        temperature = np.broadcast_to(degrees.astype(np.float64), (n,))
        if n and not (temperature.min() > _COLDEST and temperature.max() < _HOTTEST):
            raise BadInputError(
                f"{self.name}: temperatures are in degC, between {_COLDEST:g} and {_HOTTEST:g}; got "
                f"{temperature.min():g} to {temperature.max():g}"
            )
        # by the kind of stimulus, not by its numbers: simulations that are computed together must
        # not change one another
        alike = first.temperature is None and not self.settings["temperature_parameters"]
        return (round(first.onset / self.dt), steps), temperature, alike

    def _features(self, run: Run) -> np.ndarray:
        x = compute_features(
            tuple(f.name for f in self.feature_set),
            states=run.states,
            moments=run.moments,
            rhythm=run.rhythm,
            samples=run.samples,
            dt=run.dt,
        )
        x[~run.alive] = np.nan
        return x


def _status(run: Run) -> np.ndarray:
    spikes = run.states[:, :, bu.SPIKES].sum(axis=1)
    status = np.where(spikes > 0, Status.OK, Status.NO_SPIKES)
    return np.where(run.alive, status, Status.BLOW_UP).astype(np.int8)
