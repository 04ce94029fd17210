"""The step ``fit``: from a recording to a posterior, with checks and a report.

Observed features come from the recording by the simulator's own feature code. A network for the
configuration is taken from the cache; where there is none, simulations are drawn and a network is
trained on them first. Every part is kept, so an interrupted fit continues where it was.
"""

__all__ = ["Plan", "fit", "plan_fit", "result_folder"]

import time
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from neurosbi.contract import (
    FixedStimulus,
    Observation,
    Recording,
    Simulator,
    StimulusFamily,
)
from neurosbi.errors import BadInputError
from neurosbi.progress import say
from neurosbi.recordings import default_sweep, estimate_passive, read_recording, select_sweeps
from neurosbi.registry import simulator as make_simulator
from neurosbi.seeds import derive_seed
from neurosbi.steps.results import Result, assemble_result, open_result, write_result
from neurosbi.steps.simulate import simulate
from neurosbi.store import config_hash

if TYPE_CHECKING:
    from neurosbi.inference.network import Network

Existing = Literal["error", "resume", "skip", "overwrite"]

RESULTS = Path("neurosbi-results")
SIMULATIONS = 100_000
SAMPLES = 2_000
_PREDICTIVE = 500  # posterior draws that are simulated for the predictive check
_PRIOR = 4_000  # prior draws simulated at the recorded stimulus
_TRACES = 12


@dataclass(frozen=True, eq=False)
class Plan:
    """What will be fitted: the recording's sweep as the simulator sees it, and the stimuli."""

    recording: Recording
    simulator: Simulator
    observation: Observation
    family: StimulusFamily
    method: str
    config: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """Where the result goes unless told otherwise."""
        return result_folder(self.recording, self.simulator.name, self.method)


def fit(
    recording: str | Path | Recording,
    *,
    simulator: str | Simulator = "hodgkin-huxley",
    method: str = "npe",
    sweeps: str | Iterable[int] | None = None,
    simulations: int = SIMULATIONS,
    samples: int = SAMPLES,
    features: str | None = None,
    settings: Mapping[str, Any] | None = None,
    area: float | None = None,
    junction_potential: float = 0.0,
    network: "str | Path | Network | None" = None,
    output: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    seed: int = 0,
    existing: Existing = "error",
    progress: bool = True,
    **options: Any,
) -> Result:
    """Fit a simulator to one sweep of a recording and write the result folder.

    ``recording`` is a file (NWB, ABF) or a `Recording`. ``sweeps`` restricts the choice of the
    sweep (default: all; see `neurosbi.recordings.default_sweep`). ``features`` and ``settings``
    go to the simulator if it is given by name; ``area`` is the membrane area in cm2 for
    simulators that compute per area (None: estimated from subthreshold sweeps).
    ``junction_potential`` (mV) is added to the recorded voltage. ``network`` is a trained network
    to use instead of the cached one. ``options`` change the method's configuration.

    The result goes to ``output`` (default neurosbi-results/<recording>/<simulator>-<method>);
    ``existing`` says what happens to one that is there: "error" refuses, "skip" leaves and opens
    it, "resume" does the same if it is a result of this very configuration, "overwrite" replaces
    it when the new one is complete.

    Raises `BadInputError`, `FitError`, `MissingResourceError` or `InterruptedRunError`.
    """
    if simulations < 1 or samples < 100:
        raise BadInputError("a fit needs at least 1 simulation and 100 samples")
    from neurosbi.inference import method_config
    from neurosbi.training import resolve_device

    method_config(method, **options)  # what cannot work is said before any work is done
    resolve_device(device)
    timer = _Timer()
    with timer("reading"):
        plan = plan_fit(
            recording,
            simulator=simulator,
            method=method,
            sweeps=sweeps,
            features=features,
            settings=settings,
            area=area,
            junction_potential=junction_potential,
        )
    plan = replace(
        plan,
        config={
            **plan.config,
            "simulations": simulations,
            "samples": samples,
            "seed": seed,
            "options": options,
        },
    )
    folder = Path(output) if output is not None else plan.folder
    done = _existing_result(folder, plan, existing)
    if done is not None:
        say(f"{folder} holds this result already", show=progress)
        return done
    _announce(plan, show=progress)
    net = _network(
        plan,
        network,
        simulations=simulations,
        seed=seed,
        device=device,
        threads=threads,
        progress=progress,
        options=options,
        timer=timer,
    )
    result = _infer(
        plan, net, samples=samples, seed=seed, threads=threads, timer=timer, show=progress
    )
    with timer("report"):
        write_result(result, folder, existing="overwrite" if existing == "overwrite" else "error")
    return replace(result, folder=folder, network=net)


def plan_fit(
    recording: str | Path | Recording,
    *,
    simulator: str | Simulator = "hodgkin-huxley",
    method: str = "npe",
    sweeps: str | Iterable[int] | None = None,
    features: str | None = None,
    settings: Mapping[str, Any] | None = None,
    area: float | None = None,
    junction_potential: float = 0.0,
) -> Plan:
    """Read the recording, choose the sweep, and find the stimuli a network must know.

    Raises `BadInputError` with the reason when this recording cannot be fitted.
    """
    if not isinstance(recording, Recording):
        recording = read_recording(recording, junction_potential=junction_potential)
    chosen_from = replace(recording, sweeps=select_sweeps(recording, sweeps))
    sweep = default_sweep(chosen_from)
    notes: list[str] = []
    if isinstance(simulator, str):
        chosen = dict(settings or {})
        named = make_simulator(simulator, features=features)
        if any(s.name == "area" for s in named.setting_table):
            given = area if area is not None else chosen.get("area")
            chosen["area"], note = _area(recording, given, simulator)
            notes.append(note)
        elif area is not None:
            raise BadInputError(f"simulator {simulator} needs no membrane area; leave --area out")
        simulator = make_simulator(simulator, features=features, **chosen)
    observation = simulator.observe(sweep)
    if recording.junction_potential:
        notes.append(f"{recording.junction_potential:g} mV liquid-junction correction added")
    family = simulator.stimulus_family
    reason = family.why_not(observation.stimulus)
    if reason is not None:
        notes.append(f"a network for this stimulus alone, because {reason}")
        family = FixedStimulus(observation.stimulus)
    observation = replace(observation, notes=(*observation.notes, *notes))
    config = {
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
    return Plan(recording, simulator, observation, family, method, config)


def result_folder(recording: Recording, simulator: str, method: str) -> Path:
    """The default place of a result: neurosbi-results/<recording>/<simulator>-<method>."""
    return RESULTS / recording.name / f"{simulator}-{method}"


def _area(recording: Recording, area: float | None, simulator: str) -> tuple[float, str]:
    """The membrane area (cm2) of the cell and where it comes from."""
    if area is not None:
        return area, f"membrane area {area:.3g} cm2 as given"
    passive = estimate_passive(recording)
    if passive is None:
        raise BadInputError(
            f"{recording.path.name}: the membrane area cannot be estimated, because no "
            "subthreshold sweep shows a clean charging curve; give it in cm2 (--area, for example "
            f"1.9e-4), or use --simulator hodgkin-huxley-cortical, which needs none"
        )
    return passive.area, (
        f"membrane area {passive.area:.3g} cm2 from tau {passive.tau:.3g} ms and input resistance "
        f"{passive.input_resistance:.3g} MOhm ({passive.source})"
    )


def _existing_result(folder: Path, plan: Plan, existing: Existing) -> Result | None:
    """The finished result to return instead of fitting, if any; refuses where one is in the way."""
    if existing not in ("error", "resume", "skip", "overwrite"):
        raise BadInputError(f"existing is error, resume, skip or overwrite, not {existing!r}")
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    if not (folder / "manifest.json").is_file():
        raise BadInputError(
            f"{folder} exists and holds no result of neurosbi; choose another folder with -o"
        )
    if existing == "overwrite":
        return None
    if existing == "error":
        raise BadInputError(
            f"there is a result in {folder} already; choose another folder with -o, or say "
            "--existing overwrite, skip or resume"
        )
    result = open_result(folder)
    config = {k: v for k, v in result.config.items() if k != "network"}
    if existing == "resume" and config_hash(config) != config_hash(plan.config):
        raise BadInputError(
            f"{folder} holds the result of another configuration; choose another folder with -o, "
            "or replace it with --existing overwrite"
        )
    return result


def _announce(plan: Plan, *, show: bool) -> None:
    stimulus = plan.observation.stimulus
    step = plan.recording.sweep(plan.observation.sweep).test_step
    kind = f"step of {step.amplitude:.4g} pA" if step else "recorded current"
    say(
        f"{plan.recording.path.name}: fitting {plan.simulator.name} to sweep "
        f"{plan.observation.sweep} ({kind}, {stimulus.duration:.0f} ms)",
        show=show,
    )
    for note in plan.observation.notes:
        say(f"  {note}", show=show)


def _network(
    plan: Plan,
    network: "str | Path | Network | None",
    *,
    simulations: int,
    seed: int,
    device: str,
    threads: int | None,
    progress: bool,
    options: Mapping[str, Any],
    timer: "_Timer",
) -> "Network":
    """The network given, the cached one, or a new one."""
    from neurosbi.steps.train import cached_network, open_network, train

    if network is not None:
        net = open_network(network) if isinstance(network, (str, Path)) else network
        net.check_simulator(plan.simulator)
        return net
    net = cached_network(
        plan.simulator,
        plan.family,
        n=simulations,
        method=plan.method,
        seed=seed,
        options=options,
    )
    if net is not None:
        say("a network of this configuration is in the cache", show=progress)
        return net
    say(
        "no trained network of this configuration yet: simulating and training, once", show=progress
    )
    with timer("simulating"):
        store = simulate(
            plan.simulator,
            simulations,
            stimulus=plan.family,
            seed=seed,
            threads=threads,
            progress=progress,
        )
    with timer("training"):
        return train(
            store, method=plan.method, seed=seed, device=device, progress=progress, **options
        )


def _infer(
    plan: Plan,
    net: "Network",
    *,
    samples: int,
    seed: int,
    threads: int | None,
    timer: "_Timer",
    show: bool,
) -> Result:
    """Posterior samples, predictive checks and the verdict."""
    from neurosbi.checks import predictive_check, producible_features

    simulator, observation = plan.simulator, plan.observation
    say("sampling the posterior and simulating from it", show=show)
    with timer("prior simulations"):
        prior_theta = simulator.sample_prior(_PRIOR, seed=derive_seed(seed, "prior check"))
        prior = simulator.simulate(
            prior_theta,
            stimulus=observation.stimulus,
            seed=derive_seed(seed, "prior check"),
            threads=threads,
        )
    with timer("sampling"):
        given = None
        if net.card.get("withheld"):
            given = producible_features(
                simulator.feature_set, observation.x, prior_x=prior.x, prior_status=prior.status
            )
        posterior = net.posterior(observation.x, observation.stimulus, given)
        theta = posterior.sample(samples, seed=derive_seed(seed, "posterior"))
        log_prob = posterior.log_prob(theta)
    with timer("predictive checks"):
        check = predictive_check(
            simulator,
            observation,
            theta[:_PREDICTIVE],
            seed=derive_seed(seed, "predictive check"),
            prior_x=prior.x,
            prior_status=prior.status,
            n_traces=_TRACES,
            threads=threads,
        )
    return assemble_result(
        simulator,
        observation,
        theta=theta,
        log_prob=log_prob,
        predictive=check,
        prior_theta=prior_theta,
        prior_x=prior.x,
        prior_status=prior.status,
        given=given,
        seed=seed,
        recording={
            "name": plan.recording.name,
            "path": plan.recording.path.name,
            "format": plan.recording.format,
            "junction_potential": plan.recording.junction_potential,
            "metadata": {
                k: v
                for k, v in plan.recording.metadata.items()
                if isinstance(v, (str, int, float, dict))
            },
        },
        config={**plan.config, "network": net.card.get("config_hash")},
        history=_columns(net.card["result"]["history"]),
        seconds=timer.seconds,
    )


def _columns(history: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """One record per epoch as one list per quantity."""
    return {name: [record[name] for record in history] for name in (history[0] if history else ())}


class _Timer:
    """Wall time of the parts of a fit in seconds, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, part: str):
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] = round(time.perf_counter() - began, 3)
