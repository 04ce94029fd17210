"""Square steps of current, found in the current trace itself.

An edge is a place where the mean current of the next millisecond differs from that of the last
one by much more than the noise allows (a two-sample t statistic) and where most of that change
happens at once. Between edges the current must be flat: ramps, sines and noise are not steps.

Which of several steps is *the* test step is a question about the whole recording: protocols put
the same conditioning or test pulse into every sweep and vary the step of interest.
"""

__all__ = ["choose_test_steps", "find_steps"]

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from neurosbi.contract import CurrentStep

EDGE_WINDOW = 1.0  # ms on either side of an edge
GLITCH = 0.1  # ms: shorter excursions are glitches, removed by a median filter
SMALLEST_STEP = 2.0  # pA: what no experimenter means by a step
BRIEF = 40.0  # ms: shorter steps are test pulses or short squares, never the test step
MOST_EDGES = 60  # more edges than this are a noise stimulus or a pulse train
SHARPNESS = 0.7  # share of the change that happens within GLITCH of the edge
NEIGHBOURHOOD = 20.0  # ms on either side of a step in which the current must be flat, too
FLATNESS = 0.15  # allowed wander within a step, relative to its amplitude
_SIGMAS = 8.0
_SAME_TIME = 1.5  # ms: steps of two sweeps this close in time are the same step of the protocol


def find_steps(current: np.ndarray, *, dt: float) -> tuple[CurrentStep, ...]:
    """All square steps in ``current`` (pA, [time], every ``dt`` ms), in order of time.

    The amplitude is relative to the holding current: the level at the start of the sweep (at its
    end if the sweep starts within a step). Steps that begin with the first sample have no
    baseline and are not listed. Returns () for ramps, noise and anything that is not flat.
    """
    current = np.asarray(current, dtype=np.float64)
    window = max(2, round(EDGE_WINDOW / dt))
    if len(current) < 4 * window or not np.all(np.isfinite(current)):
        return ()
    smooth = _without_glitches(current, dt)
    noise = _noise(current)
    edges = _edges(smooth, window, noise, dt)
    if len(edges) > MOST_EDGES:
        return ()
    bounds = _merge(smooth, np.array([0, *edges, len(smooth)]), noise)
    segments = list(pairwise(bounds))
    levels = [_level(smooth[a:b]) for a, b in segments]
    near = round(NEIGHBOURHOOD / dt)
    holding = _holding(smooth, bounds, near)
    steps = []
    for index, (a, b) in enumerate(segments):
        amplitude = levels[index] - holding
        if a == 0 or abs(amplitude) < _smallest(noise, b - a):
            continue
        before = smooth[max(bounds[index - 1], a - near) : a]
        after = smooth[b : min(bounds[min(index + 2, len(bounds) - 1)], b + near)]
        if all(_is_flat(s, amplitude, noise, window) for s in (before, smooth[a:b], after)):
            steps.append(
                CurrentStep(round(float(a * dt), 9), round(float(b * dt), 9), amplitude, holding)
            )
    return tuple(steps)


def choose_test_steps(
    steps: Sequence[tuple[CurrentStep, ...]],
) -> tuple[CurrentStep | None, ...]:
    """The test step of each sweep, given the steps of all sweeps of a recording.

    Steps of different sweeps with the same onset and offset are one step of the protocol. Steps
    shorter than 40 ms never count. Of the others a sweep's test step is the first one whose
    amplitude varies across sweeps. If none varies (a single sweep, or repeats of one amplitude)
    it is the longest depolarising one, the later of two equally long ones, and a hyperpolarising
    one only if there is no other. A sweep whose only steps are the same in all sweeps, while
    others have a varying step (the 0 pA sweep of a series), has no test step.
    """
    windows = _windows(steps)
    varying = [w for w in windows if _varies(w, steps)]
    conditioning = _conditioning(windows, varying, steps)
    return tuple(_choose(sweep, varying, conditioning) for sweep in steps)


def _without_glitches(current: np.ndarray, dt: float) -> np.ndarray:
    from scipy.ndimage import median_filter

    return median_filter(current, size=2 * max(1, round(GLITCH / dt)) + 1, mode="nearest")


def _noise(current: np.ndarray) -> float:
    """Standard deviation of the sample noise (pA), from first differences: blind to steps."""
    return float(np.median(np.abs(np.diff(current))) / (0.6745 * np.sqrt(2)))


def _smallest(noise: float, n: int) -> float:
    return max(SMALLEST_STEP, _SIGMAS * noise / np.sqrt(max(n, 1)))


def _edges(smooth: np.ndarray, window: int, noise: float, dt: float) -> list[int]:
    total = np.concatenate([[0.0], np.cumsum(smooth)])
    middle = np.arange(window, len(smooth) - window + 1)
    change = (total[middle + window] - 2 * total[middle] + total[middle - window]) / window
    threshold = max(0.75 * SMALLEST_STEP, _SIGMAS * noise * np.sqrt(2.0 / window))
    near = max(1, round(2 * GLITCH / dt))
    size = np.abs(change)
    edges = []
    candidates = np.flatnonzero(size > threshold)
    while len(candidates) and len(edges) <= MOST_EDGES:
        peak = candidates[np.argmax(size[candidates])]
        at = int(peak + window)
        jump = np.mean(smooth[at + near : at + 2 * near + 1]) - np.mean(
            smooth[max(0, at - 2 * near) : max(1, at - near)]
        )
        if abs(jump) >= SHARPNESS * size[peak]:
            edges.append(at)
        candidates = candidates[np.abs(candidates - peak) >= window]
    return sorted(edges)


def _merge(smooth: np.ndarray, bounds: np.ndarray, noise: float) -> np.ndarray:
    """Drop edges between levels that are the same."""
    keep = list(bounds)
    index = 1
    while index < len(keep) - 1:
        before, after = smooth[keep[index - 1] : keep[index]], smooth[keep[index] : keep[index + 1]]
        shorter = min(len(before), len(after))
        if abs(_level(after) - _level(before)) < 0.75 * _smallest(noise, shorter):
            del keep[index]
        else:
            index += 1
    return np.array(keep)


def _level(segment: np.ndarray) -> float:
    trim = min(len(segment) // 10, 20)  # the edge itself may be filtered
    inner = segment[trim : len(segment) - trim]
    return float(np.median(inner))


def _holding(smooth: np.ndarray, bounds: np.ndarray, near: int) -> float:
    """The level of the first milliseconds: the first segment may go over into a ramp."""
    first = _level(smooth[: min(bounds[1], near)])
    last = _level(smooth[max(bounds[-2], len(smooth) - near) :])
    starts_in_step = bounds[1] < bounds[-1] - bounds[-2] and abs(last) < abs(first)
    return last if starts_in_step else first


def _is_flat(segment: np.ndarray, amplitude: float, noise: float, window: int) -> bool:
    trim = min(len(segment) // 10, window)
    segment = segment[trim : len(segment) - trim]
    n_blocks = len(segment) // window
    if n_blocks < 2:
        return True
    blocks = segment[: n_blocks * window].reshape(n_blocks, window).mean(axis=1)
    wander = float(np.percentile(blocks, 97.5) - np.percentile(blocks, 2.5))
    allowed = FLATNESS * abs(amplitude) + 6 * noise / np.sqrt(window)
    return wander <= max(allowed, 0.5 * SMALLEST_STEP)


def _windows(steps: Sequence[tuple[CurrentStep, ...]]) -> list[tuple[float, float]]:
    windows: list[tuple[float, float]] = []
    for step in (s for sweep in steps for s in sweep if s.duration >= BRIEF):
        if not any(_matches(step, window) for window in windows):
            windows.append((step.onset, step.offset))
    return sorted(windows)


def _matches(step: CurrentStep, window: tuple[float, float]) -> bool:
    return abs(step.onset - window[0]) < _SAME_TIME and abs(step.offset - window[1]) < _SAME_TIME


def _varies(window: tuple[float, float], steps: Sequence[tuple[CurrentStep, ...]]) -> bool:
    amplitudes = [s.amplitude for sweep in steps for s in sweep if _matches(s, window)]
    spread = max(amplitudes) - min(amplitudes)
    return spread > max(SMALLEST_STEP, 0.05 * max(map(abs, amplitudes)))


def _choose(
    sweep: tuple[CurrentStep, ...],
    varying: list[tuple[float, float]],
    conditioning: list[tuple[float, float]],
) -> CurrentStep | None:
    candidates = [s for s in sweep if s.duration >= BRIEF]
    for step in candidates:
        if any(_matches(step, window) for window in varying):
            return step
    candidates = [s for s in candidates if not any(_matches(s, w) for w in conditioning)]
    if not candidates:
        return None
    return max(candidates, key=lambda s: (s.amplitude > 0, round(s.duration, 1), s.onset))


def _conditioning(
    windows: list[tuple[float, float]],
    varying: list[tuple[float, float]],
    steps: Sequence[tuple[CurrentStep, ...]],
) -> list[tuple[float, float]]:
    """Windows of constant amplitude that share a sweep with a varying step."""
    with_varying = [sw for sw in steps if any(_matches(s, w) for s in sw for w in varying)]
    return [
        w
        for w in windows
        if w not in varying and any(_matches(s, w) for sweep in with_varying for s in sweep)
    ]
