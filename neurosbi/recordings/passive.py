"""Passive properties of the cell from its subthreshold responses to current steps.

A cell that does not spike charges like one capacitor: after a step dI the voltage is
``V(t) = V_0 + R dI (1 - exp(-t / tau))``, so the asymptote gives the input resistance R, the time
course gives tau, and C = tau / R. With 1 uF/cm2 of membrane, the area is C in uF. The fit stops
soon after the largest deflection, before sag (Ih) pulls the voltage back.

Small hyperpolarising steps are preferred, for they open the fewest channels. Responses to the
same step in several sweeps are averaged before the fit.
"""

__all__ = ["PassiveProperties", "estimate_passive", "resting_potential", "rheobase"]

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neurosbi.contract import CurrentStep, Recording, Sweep

SPECIFIC_CAPACITANCE = 1.0  # uF/cm2, of all biological membranes
SHORTEST_STEP = 60.0  # ms: a shorter step does not reach its asymptote
BASELINE = 20.0  # ms of quiet needed before a step
SETTLE = 100.0  # ms after an earlier step before the baseline counts as quiet
SMALLEST_DEFLECTION = 1.0  # mV
SMALL_DEFLECTION = 12.0  # mV: small enough to be called passive
LARGEST_DEFLECTION = {-1: 25.0, 1: 10.0}  # mV, by the sign of the step
ARTEFACT = 0.5  # ms after the edge: uncompensated series resistance
SMOOTHING = 5.0  # ms
LEAST_FIT = 20.0  # ms
FIT_POINTS = 200
LEAST_R2 = 0.9
TAU_RANGE = (0.5, 200.0)  # ms
RESISTANCE_RANGE = (5.0, 5000.0)  # MOhm


@dataclass(frozen=True)
class PassiveProperties:
    """What the cell is without its spikes.

    ``sweeps`` are those the estimate comes from (none if it comes from a database), ``source``
    says so in words, ``fit_quality`` is the smallest R2 of the exponential fits. Rheobase is the
    smallest test step that made the cell spike (pA), None if none did.
    """

    input_resistance: float  # MOhm
    tau: float  # ms
    v_rest: float  # mV, at the holding current
    capacitance: float  # pF
    area: float  # cm2
    rheobase: float | None  # pA
    sweeps: tuple[int, ...]
    source: str
    fit_quality: float | None = None


@dataclass(frozen=True)
class _Response:
    """Mean response to one step: time from its onset (ms), deflection (mV), step (pA)."""

    t: np.ndarray
    deflection: np.ndarray
    amplitude: float
    sweeps: tuple[int, ...]


@dataclass(frozen=True)
class _Charging:
    asymptote: float  # mV
    tau: float  # ms
    r2: float
    response: _Response


def estimate_passive(recording: Recording) -> PassiveProperties | None:
    """Passive properties from the subthreshold sweeps, else from the database in the metadata.

    Returns None when no response passes the checks (deflection of at least 1 mV, R2 of the
    exponential fit at least 0.9, tau and resistance in the range of neurons) and there is no
    database entry: no number is better than a wrong one.
    """
    fits = [f for r in _responses(recording) if (f := _fit_charging(r)) is not None]
    fits = _preferred(fits)
    if fits:
        current = np.array([f.response.amplitude for f in fits])
        weight = np.array([len(f.response.sweeps) for f in fits], dtype=float)
        asymptote = np.array([f.asymptote for f in fits])
        resistance = 1e3 * float(np.sum(weight * current * asymptote) / np.sum(weight * current**2))
        tau = float(np.median([f.tau for f in fits]))
        sweeps = tuple(sorted({n for f in fits for n in f.response.sweeps}))
        rest = _median_rest(recording)
        if RESISTANCE_RANGE[0] <= resistance <= RESISTANCE_RANGE[1] and rest is not None:
            return _properties(
                recording,
                resistance,
                tau,
                rest,
                sweeps=sweeps,
                source=f"{_sign(fits)} steps of {_listed(sweeps)}",
                quality=min(f.r2 for f in fits),
            )
    return _from_database(recording)


def rheobase(recording: Recording) -> float | None:
    """The smallest test step with a spike (pA), None if no test step made the cell spike.

    A database entry in the metadata is taken where it is smaller: a file with one sweep cannot
    know.
    """
    spiking = [
        s.test_step.amplitude
        for s in recording.sweeps
        if s.test_step is not None and s.spikes > 0 and s.test_step.amplitude > 0 and not s.problem
    ]
    stored = recording.metadata.get("database", {}).get("rheobase_pA")
    return min([*spiking, *([stored] if stored else [])], default=None)


def resting_potential(sweep: Sweep) -> float | None:
    """Median voltage before the first step (mV), None if less than 2 ms of it were recorded."""
    end = round(sweep.steps[0].onset / sweep.dt) if sweep.steps else 0
    before = sweep.voltage[sweep.usable_from : end]
    return float(np.median(before)) if len(before) * sweep.dt >= 2.0 else None


def _properties(
    recording: Recording,
    resistance: float,
    tau: float,
    rest: float,
    *,
    sweeps: tuple[int, ...],
    source: str,
    quality: float | None,
) -> PassiveProperties:
    capacitance = 1e3 * tau / resistance
    return PassiveProperties(
        input_resistance=resistance,
        tau=tau,
        v_rest=rest,
        capacitance=capacitance,
        area=capacitance * 1e-6 / SPECIFIC_CAPACITANCE,
        rheobase=rheobase(recording),
        sweeps=sweeps,
        source=source,
        fit_quality=quality,
    )


def _from_database(recording: Recording) -> PassiveProperties | None:
    values: Mapping[str, float] = recording.metadata.get("database", {})
    resistance, tau = values.get("input_resistance_MOhm"), values.get("tau_ms")
    rest = _median_rest(recording)
    if rest is None and "v_rest_mV" in values:
        rest = values["v_rest_mV"] + recording.junction_potential
    if not resistance or not tau or rest is None or resistance <= 0 or tau <= 0:
        return None
    return _properties(
        recording, resistance, tau, rest, sweeps=(), source="the Allen database", quality=None
    )


def _responses(recording: Recording) -> list[_Response]:
    """Mean responses to all steps that left the cell silent, one per step of the protocol."""
    groups: dict[tuple[int, int, int, float], list[tuple[Sweep, CurrentStep]]] = {}
    for sweep in recording.sweeps:
        if sweep.problem is not None:
            continue
        for step in sweep.steps:
            if step.duration >= SHORTEST_STEP and _is_quiet(sweep, step):
                key = (
                    round(step.duration),
                    round(step.onset),
                    round(step.amplitude / 2.0),
                    sweep.dt,
                )
                groups.setdefault(key, []).append((sweep, step))
    return [_mean_response(members) for members in groups.values()]


def _is_quiet(sweep: Sweep, step: CurrentStep) -> bool:
    """Quiet before the step, and no spike until its end."""
    start = sweep.usable_from * sweep.dt
    before = [s.offset + SETTLE for s in sweep.steps if s.offset <= step.onset + sweep.dt / 2]
    if step.onset - max([start, *before]) < BASELINE:
        return False
    window = slice(round((step.onset - BASELINE) / sweep.dt), round(step.offset / sweep.dt))
    voltage = sweep.voltage[window]
    return bool(np.all(np.isfinite(voltage)) and np.max(voltage) < -20.0)


def _mean_response(members: list[tuple[Sweep, CurrentStep]]) -> _Response:
    traces = []
    n = min(round(step.duration / sweep.dt) for sweep, step in members)
    for sweep, step in members:
        on, before = round(step.onset / sweep.dt), round(BASELINE / sweep.dt)
        traces.append(sweep.voltage[on : on + n] - np.mean(sweep.voltage[on - before : on]))
    n = min(len(trace) for trace in traces)
    return _Response(
        t=np.arange(n) * members[0][0].dt,
        deflection=np.mean([trace[:n] for trace in traces], axis=0),
        amplitude=float(np.mean([step.amplitude for _, step in members])),
        sweeps=tuple(sweep.number for sweep, _ in members),
    )


def _fit_charging(response: _Response) -> _Charging | None:
    """Exponential fit from just after the edge to the largest deflection; None if it is poor."""
    from scipy.ndimage import uniform_filter1d
    from scipy.optimize import curve_fit

    sign = 1 if response.amplitude > 0 else -1
    dt = response.t[1] - response.t[0]
    smooth = uniform_filter1d(sign * response.deflection, max(1, round(SMOOTHING / dt)))
    peak = float(np.percentile(smooth, 95))  # not the maximum: that may be a synaptic potential
    if not SMALLEST_DEFLECTION <= peak <= LARGEST_DEFLECTION[sign]:
        return None
    # fit until the deflection first nears its peak, and as long again
    reached = int(np.argmax(smooth >= 0.95 * peak))
    end = min(len(smooth), max(2 * reached, round(LEAST_FIT / dt)))
    first = round(ARTEFACT / dt)
    width = max(1, (end - first) // FIT_POINTS)  # block means: R2 then judges shape, not hiss
    n = max(0, end - first) // width
    inside = slice(first, first + n * width)
    t = response.t[inside].reshape(n, width).mean(axis=1)
    y = sign * response.deflection[inside].reshape(n, width).mean(axis=1)
    if n < 20 or np.ptp(y) == 0:
        return None

    def charging(time: np.ndarray, asymptote: float, tau: float, jump: float) -> np.ndarray:
        return asymptote - (asymptote - jump) * np.exp(-time / tau)

    try:
        best, _ = curve_fit(
            charging,
            t,
            y,
            p0=(peak, max(1.0, t[-1] / 5), 0.0),
            bounds=([0.0, TAU_RANGE[0], -5.0], [60.0, TAU_RANGE[1], peak]),
        )
    except (RuntimeError, ValueError):
        return None
    asymptote, tau, fitted = float(best[0]), float(best[1]), charging(t, *best)
    r2 = 1 - float(np.sum((y - fitted) ** 2) / np.sum((y - y.mean()) ** 2))
    trusted = r2 >= LEAST_R2 and 1.02 * TAU_RANGE[0] < tau < min(0.98 * TAU_RANGE[1], t[-1])
    return _Charging(sign * asymptote, tau, r2, response) if trusted else None


def _preferred(fits: list[_Charging]) -> list[_Charging]:
    """Hyperpolarising if there are any; of these the small ones if there are any."""
    down = [f for f in fits if f.response.amplitude < 0]
    fits = down or fits
    return [f for f in fits if abs(f.asymptote) <= SMALL_DEFLECTION] or fits


def _median_rest(recording: Recording) -> float | None:
    """Median over sweeps of the voltage before the first step (mV)."""
    rests = [
        r for s in recording.sweeps if s.problem is None and (r := resting_potential(s)) is not None
    ]
    return float(np.median(rests)) if rests else None


def _sign(fits: list[_Charging]) -> str:
    return "hyperpolarising" if fits[0].response.amplitude < 0 else "subthreshold"


def _listed(sweeps: tuple[int, ...]) -> str:
    from neurosbi.recordings.select import format_sweeps

    return f"sweep{'s' if len(sweeps) > 1 else ''} {format_sweeps(sweeps)}"
