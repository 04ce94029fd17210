"""What every simulator offers, whoever wrote it.

A simulator turns parameter sets into features without keeping traces, gives traces on request,
and computes the very same features from a recorded sweep.
"""

__all__ = [
    "Observation",
    "SimulationBatch",
    "Simulator",
    "Status",
    "SweepObservation",
    "is_valid",
]

import copy
import difflib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from neurosbi.contract.families import (
    FixedStimulus,
    StepFamily,
    StimulusBatch,
    StimulusFamily,
    SweepSets,
)
from neurosbi.contract.feature_table import FeatureTable
from neurosbi.contract.hard_limits import check_hard_limits
from neurosbi.contract.prior_region import PriorRegion
from neurosbi.contract.recording import Sweep
from neurosbi.contract.setting_check import check_setting
from neurosbi.contract.spike_trains import SpikeTrains
from neurosbi.contract.stimulus import Stimulus
from neurosbi.contract.tables import Feature, Parameter, Setting, sample_box
from neurosbi.contract.trace_bins import TraceBins
from neurosbi.errors import BadInputError, FitError

if TYPE_CHECKING:
    import xarray as xr


class Status(IntEnum):
    """How one simulation ended. Only BLOW_UP and FAILED are invalid."""

    OK = 0
    NO_SPIKES = 1
    BLOW_UP = 2
    FAILED = 3


def is_valid(status: np.ndarray) -> np.ndarray:
    """bool [...] of ``status[...]``: the simulation ended properly."""
    return np.asarray(status) < Status.BLOW_UP


@dataclass(frozen=True, eq=False)
class SimulationBatch:
    """``x[sim, feature]`` float64 (NaN: undefined) and ``status[sim]`` int8 (see `Status`).

    ``error`` is the message of the first simulation that failed, "" where there is none.
    ``trace[sim, channel, bin]`` float32 is the voltage in bins where that was asked for.
    """

    x: np.ndarray
    status: np.ndarray
    error: str = ""
    trace: np.ndarray | None = None

    @property
    def valid(self) -> np.ndarray:
        """bool [sim]: the simulation ended properly (its features may still be undefined)."""
        return is_valid(self.status)


@dataclass(frozen=True, eq=False, kw_only=True)
class Observation:
    """Data as the simulator sees them: what was done, and the features ``x[feature]``.

    ``record`` is what was recorded in the simulator's own form, for its likelihood and for figures
    (spike counts [time, population] every ``dt`` ms up to the end of the stimulus; NaN where a
    population was not recorded). ``sweep`` is the number of a current-clamp sweep.
    ``not_measured`` are the names of features that nobody looked for: they are NaN in ``x``, as are
    those that the data lack, but tell nothing. ``notes`` say what was assumed.
    """

    stimulus: Stimulus
    x: np.ndarray
    sweep: int | None = None
    record: np.ndarray | None = None
    dt: float | None = None
    not_measured: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def measured(self, features: Sequence[Feature]) -> np.ndarray:
        """bool [feature]: which of ``features``, those of ``x``, were measured."""
        return np.array([f.name not in self.not_measured for f in features], dtype=bool)


@dataclass(frozen=True, eq=False, kw_only=True)
class SweepObservation(Observation):
    """A current-clamp sweep cut to its stimulus window: ``voltage[time]`` in mV every ``dt`` ms."""

    sweep: int  # type: ignore[assignment]  # a sweep always has its number and time step
    voltage: np.ndarray
    dt: float  # type: ignore[assignment]


class Simulator(ABC):
    """Base of all simulators: subclasses give the tables and `simulate`; the rest follows.

    Arguments of the constructor are settings by name (see ``setting_table``) and ``features``,
    the name of one of ``feature_sets``.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    summary: ClassVar[str]
    papers: ClassVar[tuple[str, ...]] = ()
    parameters: tuple[Parameter, ...]
    setting_table: ClassVar[tuple[Setting, ...]] = ()
    feature_sets: ClassVar[Mapping[str, tuple[Feature, ...]]]
    default_features: ClassVar[str] = "default"
    may_be_negative: ClassVar[Collection[str] | None] = None
    """Parameters that make sense below zero; values of others are refused there. None: all do."""
    must_be_positive: ClassVar[Collection[str]] = ()
    """Parameters that make no sense at zero either, such as time constants."""
    deterministic: ClassVar[bool] = False
    """Whether the seed changes nothing: a model without any noise."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Packages it cannot simulate without that do not come with it, by the names they are imported
    by; `neurosbi doctor` looks for them."""
    prior_region: PriorRegion | None = None
    """The part of the box that the prior is restricted to (see `restricted`); None: all of it."""
    smallest_batch: ClassVar[int] = 1024
    """Fewest simulations worth computing at a time: compiled models need many to fill all cores."""
    fit_simulations: ClassVar[int] = 100_000
    """How many a fit trains its network on unless told otherwise; fewer for slow models, so that a
    first fit takes minutes on a laptop."""

    def __init__(self, *, features: str | None = None, **settings: Any) -> None:
        known = {s.name: s.default for s in self.setting_table}
        for name in settings:
            if name not in known:
                raise BadInputError(
                    f"simulator {self.name} has no setting {name!r}; it has "
                    f"{', '.join(known) or 'none'}"
                )
        self.settings: dict[str, Any] = known | settings
        for s in self.setting_table:
            check_setting(self.name, s, self.settings[s.name])
        self.features_name = features or self.default_features
        if not isinstance(self.features_name, str) or self.features_name not in self.feature_sets:
            raise BadInputError(
                f"simulator {self.name} has no feature set {self.features_name!r}; "
                f"it has {', '.join(self.feature_sets)}"
            )
        names = [f.name for f in self.feature_set]
        if not names or len(set(names)) < len(names):
            raise BadInputError(
                f"the feature set {self.features_name!r} of simulator {self.name} needs features, each "
                f"with a name of its own; it has {', '.join(names) or 'none'}"
            )

    @property
    def feature_set(self) -> tuple[Feature, ...]:
        """The features, in the order of the columns of ``x``."""
        return self.feature_sets[self.features_name]

    @property
    @abstractmethod
    def stimulus(self) -> Stimulus:
        """The default stimulus, used where none is given."""

    @property
    def stimulus_family(self) -> StimulusFamily:
        """The stimuli one network can serve; by default only ``self.stimulus``."""
        return FixedStimulus(self.stimulus)

    @property
    def sweep_sets(self) -> SweepSets | None:
        """Sets of sweeps that one network can see together; None if sweeps are fitted singly."""
        family = self.stimulus_family
        return SweepSets(family) if isinstance(family, StepFamily) else None

    def sample_sets(self, family: SweepSets, n: int, *, seed: int, start: int = 0) -> np.ndarray:
        """Parameters of the sweeps ``start .. start+n``, the same within a set, [sim, theta]."""
        sets = family.set_of(np.arange(start, start + n))
        if not n:
            return np.empty((0, len(self.parameters)))
        theta = self.sample_prior(int(sets[-1] - sets[0]) + 1, seed=seed, start=int(sets[0]))
        return theta[sets - sets[0]]

    def config(self) -> dict[str, Any]:
        """What determines the simulations, as plain data (the settings of a preparation do not)."""
        roles = {s.name: s.role for s in self.setting_table}
        config: dict[str, Any] = {
            "simulator": self.name,
            "version": self.version,
            "features": self.features_name,
            "settings": {k: v for k, v in self.settings.items() if roles[k] == "model"},
        }
        if self.prior_region is not None:
            config["prior_region"] = self.prior_region.to_dict()
        return config

    def restricted(self, region: PriorRegion) -> Self:
        """The same simulator, whose prior is restricted to ``region``."""
        other = copy.copy(self)
        other.prior_region = region
        return other

    def sample_prior(self, n: int, *, seed: int, start: int = 0) -> np.ndarray:
        """Draws ``start .. start+n`` from the prior, float64 [sim, theta].

        Raises `FitError` where the region that it is restricted to can hardly be found.
        """
        if self.prior_region is not None:
            return self.prior_region.sample(self.parameters, n, seed=seed, start=start)
        return sample_box(self.parameters, n, seed=seed, start=start)

    @abstractmethod
    def simulate(
        self,
        theta: np.ndarray,
        *,
        stimulus: Stimulus | StimulusBatch | None = None,
        seed: int,
        start: int = 0,
        threads: int | None = None,
    ) -> SimulationBatch:
        """Features and status of ``theta[sim, theta]``.

        Row ``i`` is simulation ``start + i`` of the noise stream ``seed``: its result does not
        depend on the batch it is computed in, nor on ``threads`` (None: all cores).
        """

    def features(
        self,
        theta: np.ndarray,
        *,
        stimulus: Stimulus | StimulusBatch | None = None,
        seed: int,
        start: int = 0,
    ) -> np.ndarray:
        """The features alone, float64 [sim, feature]; NaN means undefined.

        Raises `FitError` with the first error if every simulation failed with one.
        """
        batch = self.simulate(theta, stimulus=stimulus, seed=seed, start=start)
        if batch.error and np.all(batch.status == Status.FAILED):
            raise FitError(f"every simulation of {self.name} failed, the first with {batch.error}")
        return batch.x

    def trace_bins(self, family: StimulusFamily) -> TraceBins | None:
        """The bins in which `simulate_binned` gives voltage under stimuli of ``family``.

        None, the default, for simulators that give features only.
        """
        return None

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
        """The simulations of `simulate`, with their voltage in ``bins`` as ``trace``."""
        raise BadInputError(
            f"simulator {self.name} gives features only, no traces; use inputs=features"
        )

    def observe_binned(self, observation: SweepObservation, bins: TraceBins) -> np.ndarray:
        """The voltage of a recorded sweep in the same bins, float32 [channel, bin]."""
        stimulus = observation.stimulus
        return bins.of(
            observation.voltage,
            dt=observation.dt,
            onset=stimulus.onset,
            offset=stimulus.offset,
        )[0]

    @abstractmethod
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
        """Traces with dims (sim, time[, cell]), variable ``v`` in mV; every ``stride``-th step."""

    @abstractmethod
    def features_of(self, data: "xr.Dataset | Sweep") -> np.ndarray:
        """The same features of given traces [sim, feature], or of a recorded sweep [feature]."""

    def observe(self, sweep: Sweep) -> SweepObservation:
        """The sweep cut to its stimulus window, in this model's units, with its features.

        Raises `BadInputError` where the sweep cannot be compared with this simulator.
        """
        raise BadInputError(
            f"simulator {self.name} cannot be fitted to a current-clamp sweep; name another one "
            "(--simulator)"
        )

    def observe_spikes(self, trains: SpikeTrains) -> Observation:
        """Spike trains in this model's form (populations, bins), with their features.

        Raises `BadInputError` where spike trains cannot be compared with this simulator.
        """
        raise BadInputError(
            f"{trains.path.name} holds spike trains, to which simulator {self.name} cannot be "
            "fitted; name another one (--simulator)"
        )

    def observe_table(self, table: FeatureTable) -> Observation:
        """Features measured elsewhere, in the order of ``feature_set``; missing ones are NaN.

        One without a value is undefined in these data; one that the table does not name was not
        measured, and the notes say so. All are taken to have been measured under the simulator's
        own ``stimulus``. Raises `BadInputError` for features that this simulator does not have, or
        in another unit.
        """
        known = {f.name: f for f in self.feature_set}
        for name in table.values:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(known)}"
                raise BadInputError(
                    f"{table.path.name}: simulator {self.name} has no feature {name!r} in the set "
                    f"{self.features_name}; {hint}"
                )
            unit = table.units.get(name, "")
            if unit and unit != known[name].unit:
                raise BadInputError(
                    f"{table.path.name}: {name} is given in {unit}, but {self.name} has it in "
                    f"{known[name].unit or 'no unit'}; convert it"
                )
        missing = tuple(name for name in known if name not in table.values)
        x = np.array([table.values.get(name, np.nan) for name in known], dtype=np.float64)
        if not np.isfinite(x).any():
            raise BadInputError(
                f"{table.path.name}: no feature of {self.name} has a finite value; "
                f"`neurosbi simulators {self.name}` lists their names"
            )
        notes = (f"not measured: {', '.join(missing)}",) if missing else ()
        return Observation(stimulus=self.stimulus, x=x, not_measured=missing, notes=notes)

    @property
    def has_likelihood(self) -> bool:
        """Whether `log_likelihood` can be computed."""
        return type(self).log_likelihood is not Simulator.log_likelihood

    def log_likelihood(
        self, theta: np.ndarray, data: Observation, *, threads: int | None = None
    ) -> np.ndarray:
        """log p(data | theta) [sim] of ``theta[sim, theta]``, for models that have one.

        A fit then weighs its posterior draws by importance (see `neurosbi.inference.importance`).
        ``threads`` (None: all cores) never changes the result. Raises `BadInputError` for a
        simulator without a likelihood.
        """
        raise BadInputError(
            f"simulator {self.name} has no likelihood that can be computed; infer its parameters "
            "from simulations (neurosbi fit)"
        )

    @property
    def has_gradient(self) -> bool:
        """Whether `log_likelihood_gradient` can be computed."""
        return type(self).log_likelihood_gradient is not Simulator.log_likelihood_gradient

    def log_likelihood_gradient(
        self, theta: np.ndarray, data: Observation, *, threads: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """log p(data | theta) [sim] and its derivatives by the parameters [sim, theta].

        For optimisers, and samplers that use it; ``threads`` as for the likelihood. Raises
        `BadInputError` where there is none.
        """
        raise BadInputError(
            f"the likelihood of simulator {self.name} has no gradient that can be computed; infer "
            "its parameters from simulations (neurosbi fit)"
        )

    def likelihood_problems(
        self, theta: np.ndarray, data: Observation, *, threads: int | None = None
    ) -> tuple[str, ...]:
        """What speaks against the likelihood at ``theta[sim, theta]``, in words; () by default.

        For models whose likelihood has to be approximated where they could not make the data.
        """
        return ()

    def check_theta(self, theta: np.ndarray) -> np.ndarray:
        """``theta`` as contiguous float64 [sim, theta].

        Raises `BadInputError` if the width is wrong, a value is not a finite number, or one is
        negative or zero that cannot be (``may_be_negative``, ``must_be_positive``).
        """
        try:
            theta = np.ascontiguousarray(np.atleast_2d(np.asarray(theta, dtype=np.float64)))
        except (TypeError, ValueError) as error:
            raise BadInputError(
                f"{self.name} takes an array of numbers [sim, theta] ({error})"
            ) from error
        width = len(self.parameters)
        if theta.ndim != 2 or theta.shape[1] != width:
            names = ", ".join(p.name for p in self.parameters)
            raise BadInputError(
                f"{self.name} takes {width} parameters ({names}), got an array of shape "
                f"{theta.shape}"
            )
        bad = np.argwhere(~np.isfinite(theta))
        if len(bad):
            row, column = bad[0]
            raise BadInputError(
                f"theta row {row} has {self.parameters[column].name} = {theta[row, column]:g}, but it "
                "must be a finite number"
            )
        check_hard_limits(
            self.parameters, theta, signed=self.may_be_negative, positive=self.must_be_positive
        )
        return theta
