"""What a fit will do, found out before any simulation: sweep, features, stimuli, configuration.

Everything a recording or a command line can be wrong about is said here.
"""

__all__ = ["RESULTS", "Plan", "plan_fit", "result_folder"]

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosbi.contract import (
    FixedStimulus,
    Observation,
    Recorded,
    Recording,
    Simulator,
    StimulusFamily,
    Sweep,
    SweepObservation,
    SweepSets,
    file_name,
)
from neurosbi.errors import BadInputError
from neurosbi.recordings import default_sweep, estimate_passive, read_data, select_sweeps
from neurosbi.registry import simulator as make_simulator
from neurosbi.steps.plan_data import plan_data
from neurosbi.steps.restrict import as_trained
from neurosbi.steps.sweep_choice import TooFewSweepsError, sweeps_together

if TYPE_CHECKING:
    from neurosbi.inference.network import Network

RESULTS = Path("neurosbi-results")
_SPECIFIC_CAPACITANCE = 1.0  # uF/cm2, of simulators that have no setting C_m


@dataclass(frozen=True, eq=False)
class Plan:
    """What will be fitted: the data as the simulator sees them, and the stimuli.

    ``recording`` is what was read: sweeps, spike trains or a table of features. ``observations``
    are fitted together; the first is the one that figures show. There is more than one only if
    ``family`` is one of sets of sweeps. ``trace[channel, bin]`` is the voltage of a fit to it, None
    for a fit to features. ``config`` is plain data; "recording" in it is the SHA-256 of the file
    (without a file: of the sweeps), "sweep_data" that of the voltage and current of the sweeps.
    """

    recording: Recorded
    simulator: Simulator
    observations: tuple[Observation, ...]
    family: StimulusFamily
    method: str
    config: Mapping[str, Any]
    trace: np.ndarray | None = None

    @property
    def observation(self) -> Observation:
        """The data that figures show."""
        return self.observations[0]

    @property
    def sweeps(self) -> tuple[SweepObservation, ...]:
        """The observations that are sweeps: all of a recording, none of other data."""
        return tuple(o for o in self.observations if isinstance(o, SweepObservation))

    @property
    def measured(self) -> np.ndarray:
        """bool [feature]: see `Observation.measured`; of all sweeps the same are."""
        return self.observation.measured(self.simulator.feature_set)

    @property
    def undefined_features(self) -> tuple[str, ...]:
        """The names of features that any of the observations lacks, of those measured."""
        complete = np.isfinite(np.stack([o.x for o in self.observations]))  # [observation, feature]
        lacking = np.flatnonzero(self.measured & ~complete.all(axis=0))
        return tuple(self.simulator.feature_set[i].name for i in lacking)

    @property
    def together(self) -> bool:
        """Whether the network sees sets of sweeps."""
        return isinstance(self.family, SweepSets)

    @property
    def folder(self) -> Path:
        """Where the result goes unless told otherwise."""
        return result_folder(self.recording, self.simulator.name, self.method)


def plan_fit(
    recording: str | Path | Recorded,
    *,
    simulator: str | Simulator = "hodgkin-huxley",
    method: str = "npe",
    sweeps: str | Iterable[int] | None = None,
    features: str | None = None,
    settings: Mapping[str, Any] | None = None,
    area: float | None = None,
    junction_potential: float = 0.0,
    network: "Network | None" = None,
    inputs: str = "features",
) -> Plan:
    """Read the recording, choose the sweeps, and find the stimuli a network must know.

    All usable step sweeps are fitted together where the recording has several and the simulator
    can; else one is, chosen by `neurosbi.recordings.default_sweep`. With a ``network`` given,
    method, stimuli and inputs are those it was trained for. ``inputs`` "trace" and "both" take one
    sweep. Spike trains and tables of features are one observation (see `plan_data`). Raises
    `BadInputError` with the reason when this recording cannot be fitted.
    """
    if isinstance(recording, (str, Path)):
        recording = read_data(recording, junction_potential=junction_potential)
    elif junction_potential and isinstance(recording, Recording):
        raise BadInputError(
            f"the recording {recording.name} is read already (with a junction correction of "
            f"{recording.junction_potential:g} mV); give junction_potential to read_recording"
        )
    if not isinstance(recording, Recording):
        only_for_sweeps = {
            "--sweeps": sweeps is not None,
            "--area": area is not None,
            "--junction-potential": bool(junction_potential),
            "--inputs": inputs != "features",
        }
        simulator, seen, family, method, config = plan_data(
            recording,
            simulator=simulator,
            method=method,
            features=features,
            settings=settings,
            network=network,
            only_for_sweeps=only_for_sweeps,
        )
        return Plan(recording, simulator, (seen,), family, method, config)
    chosen_from = replace(recording, sweeps=select_sweeps(recording, sweeps))
    sweep = default_sweep(chosen_from)
    notes: list[str] = []
    if isinstance(simulator, str):
        simulator, notes = _named(
            simulator, recording, features=features, settings=settings, area=area
        )
    else:
        _refuse_arguments_of_names(simulator, features=features, settings=settings, area=area)
        given = simulator.settings.get("area")
        if isinstance(given, float):
            notes = [f"membrane area {given:.3g} cm2 of the simulator that was given"]
    if network is not None:
        simulator = as_trained(simulator, network.card["simulator"])
    inputs = inputs if network is None else network.inputs
    together, alone = None, "a fit to the trace takes one"
    if inputs == "features":
        try:
            together = _together(
                chosen_from,
                recording,
                simulator,
                sweep,
                network=network,
                by_name=sweeps is not None,
            )
        except TooFewSweepsError as error:
            if network is not None and network.takes_sets:
                raise
            alone = error.reason
    elif sweeps is not None and len(chosen_from.sweeps) > 1:
        raise BadInputError(
            f"a fit to the trace takes one sweep, but {len(chosen_from.sweeps)} are named; name "
            f"one (--sweeps {sweep.number}), or fit them together with --inputs features"
        )
    steps = sum(s.test_step is not None and not s.problem for s in chosen_from.sweeps)
    if together is None and steps > 1:
        if sweeps is not None:
            raise BadInputError(
                f"{recording.path.name}: the {len(chosen_from.sweeps)} sweeps named cannot be fitted "
                f"together, because {alone}; name one (--sweeps {sweep.number})"
            )
        notes.append(f"one sweep by itself, because {alone}")
    if together is not None:
        family, observations, more = together
        notes += more
        method = network.method if network is not None else method
    else:
        family, method, observation, more = _single(
            recording, simulator, sweep, network=network, method=method
        )
        observations, notes = [observation], notes + more
    trace = None
    if inputs != "features":
        trace = _trace(simulator, observations[0], family, network)
    if recording.junction_potential:
        notes.append(f"{recording.junction_potential:g} mV liquid-junction correction added")
    observations[0] = replace(observations[0], notes=(*observations[0].notes, *notes))
    fitted = [recording.sweep(o.sweep) for o in observations]
    config = {
        "recording": _recording_hash(recording, fitted),
        "sweep_data": _sweep_hash(fitted),
        "method": method,
        "simulator": simulator.config(),
        "preparation": {
            s.name: simulator.settings[s.name]
            for s in simulator.setting_table
            if s.role == "preparation"
        },
        "sweep": sweep.number,
        "junction_potential": recording.junction_potential,
        "stimulus_family": family.to_dict()["kind"],
    }
    if isinstance(family, SweepSets):
        config["sweeps"] = sorted(s.number for s in fitted)
    if trace is not None:
        config["inputs"] = inputs
    return Plan(recording, simulator, tuple(observations), family, method, config, trace)


def _together(
    chosen_from: Recording,
    recording: Recording,
    simulator: Simulator,
    sweep: Sweep,
    *,
    network: "Network | None",
    by_name: bool,
) -> tuple[StimulusFamily, list[SweepObservation], list[str]]:
    """The family of sets, the observations and notes.

    Raises `TooFewSweepsError` with the reason why one sweep is fitted by itself.
    """
    if network is not None:
        network.check_simulator(simulator)
        family = network.family if isinstance(network.family, SweepSets) else None
    else:
        family = simulator.sweep_sets
    if family is None:
        one = (
            f"simulator {simulator.name} takes one"
            if network is None
            else "the network given takes one"
        )
        raise TooFewSweepsError(recording, one)
    observations, notes = sweeps_together(
        recording,
        chosen_from.sweeps,
        simulator,
        family,
        reference=sweep,
        least=2 if network is None else 1,
        by_name=by_name,
    )
    return family, observations, notes


def _single(
    recording: Recording,
    simulator: Simulator,
    sweep: Sweep,
    *,
    network: "Network | None",
    method: str,
) -> tuple[StimulusFamily, str, SweepObservation, list[str]]:
    """Family, method, observation and notes for one sweep by itself."""
    observation = simulator.observe(sweep)
    if not np.isfinite(observation.x).any() and len(observation.x):
        raise BadInputError(
            f"{recording.path.name}: all features of sweep {sweep.number} are undefined, so there "
            "is nothing to infer from; choose another sweep with --sweeps"
        )
    if network is not None:
        return _family_of(network, simulator, observation), network.method, observation, []
    family = simulator.stimulus_family
    reason = family.why_not(observation.stimulus)
    if reason is None:
        return family, method, observation, []
    notes = [f"a network for this stimulus alone, because {reason}"]
    return FixedStimulus(observation.stimulus), method, observation, notes


def _trace(
    simulator: Simulator,
    observation: SweepObservation,
    family: StimulusFamily,
    network: "Network | None",
) -> np.ndarray:
    """The observed voltage in the bins of the network, or of one for ``family``."""
    bins = simulator.trace_bins(family) if network is None else network.trace_bins
    if bins is None:
        raise BadInputError(
            f"simulator {simulator.name} gives features only, no traces; use --inputs features"
        )
    return simulator.observe_binned(observation, bins)


def result_folder(recording: Recorded, simulator: str, method: str) -> Path:
    """The default place of a result: neurosbi-results/<recording>/<simulator>-<method>."""
    return recording_folder(recording) / f"{simulator}-{method}"


def recording_folder(recording: Recorded) -> Path:
    """Where results and figures of a recording lie; its name may come from within a file."""
    return RESULTS / file_name(recording.name, otherwise=recording.path.stem)


def _named(
    name: str,
    recording: Recording,
    *,
    features: str | None,
    settings: Mapping[str, Any] | None,
    area: float | None,
) -> tuple[Simulator, list[str]]:
    """The simulator of that name for this cell, and what to note about it."""
    chosen = dict(settings or {})
    if area is not None:
        if all(s.name != "area" for s in make_simulator(name, features=features).setting_table):
            raise BadInputError(f"simulator {name} needs no membrane area; leave --area out")
        chosen["area"] = area
    simulator = make_simulator(name, features=features, **chosen)  # checks all that was given
    if all(s.name != "area" for s in simulator.setting_table):
        return simulator, []
    if chosen.get("area") is not None:
        return simulator, [f"membrane area {chosen['area']:.3g} cm2 as given"]
    specific = float(simulator.settings.get("C_m", _SPECIFIC_CAPACITANCE))
    chosen["area"], note = _estimated_area(recording, specific)
    return make_simulator(name, features=features, **chosen), [note]


def _refuse_arguments_of_names(
    simulator: Simulator,
    *,
    features: str | None,
    settings: Mapping[str, Any] | None,
    area: float | None,
) -> None:
    given = {"features": features is not None, "settings": settings, "area": area is not None}
    for argument, value in given.items():
        if value:
            raise BadInputError(
                f"{argument} goes with the name of a simulator, but {simulator.name} was given "
                f"ready made; give {argument} where it is made"
            )


def _estimated_area(recording: Recording, specific_capacitance: float) -> tuple[float, str]:
    """The membrane area (cm2) that gives the cell its capacitance, and where it comes from."""
    passive = estimate_passive(recording)
    if passive is None:
        raise BadInputError(
            f"{recording.path.name}: the membrane area cannot be estimated, because no "
            "subthreshold sweep shows a clean charging curve; give it in cm2 (--area, for example "
            f"1.9e-4), or use --simulator hodgkin-huxley-cortical, which needs none"
        )
    area = passive.capacitance * 1e-6 / specific_capacitance  # pF over uF/cm2
    return area, (
        f"membrane area {area:.3g} cm2 from tau {passive.tau:.3g} ms and input resistance "
        f"{passive.input_resistance:.3g} MOhm ({passive.source}) at {specific_capacitance:g} "
        "uF/cm2"
    )


def _family_of(
    network: "Network", simulator: Simulator, observation: Observation
) -> StimulusFamily:
    """The stimuli of a given network, if it serves this simulator and recording."""
    network.check_simulator(simulator)
    reason = network.family.why_not(observation.stimulus)
    if reason is not None:
        raise BadInputError(
            f"the network given was not trained for this stimulus: {reason}; leave --network out "
            "to train one"
        )
    return network.family


def _recording_hash(recording: Recording, sweeps: Sequence[Sweep]) -> str:
    if not recording.path.is_file():
        return _sweep_hash(sweeps)
    try:
        with recording.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInputError(
            f"{recording.path} cannot be read ({error.strerror}); check the path"
        ) from error


def _sweep_hash(sweeps: Sequence[Sweep]) -> str:
    digest = hashlib.sha256()
    for sweep in sweeps:
        for values in (sweep.voltage, sweep.current, [sweep.dt]):
            digest.update(np.ascontiguousarray(values, dtype="<f8").tobytes())
    return digest.hexdigest()
