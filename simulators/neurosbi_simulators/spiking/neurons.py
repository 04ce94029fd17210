"""One step of a population: synaptic currents, noise, potential and spikes of all its neurons.

Everything is single precision, and neurons lie side by side, so the loops become vector
instructions. ``fired[neuron]`` is 1 where a neuron spikes in this step.
"""

__all__ = ["add_noise", "advance_escape", "advance_sharp", "collect_current", "scale"]

import numpy as np

from neurosbi_simulators.numerics import kernel
from neurosbi_simulators.numerics.exponential import exp, fused
from neurosbi_simulators.numerics.gaussian import normal_pair


@kernel
def collect_current(drive, current, kappa):
    """Add what the synaptic current does to the potential within the step."""
    for i in range(len(drive)):
        drive[i] = fused(current[i], kappa, drive[i])


@kernel
def scale(values, factor):
    """Multiply in place."""
    for i in range(len(values)):
        values[i] *= factor


@kernel
def add_noise(drive, key_a, key_b, counter, deviation):
    """White noise of standard deviation ``deviation``; neurons share their draws in pairs."""
    half = len(drive) // 2
    first, second = drive[:half], drive[half:]
    for i in range(half):
        x, y = normal_pair(counter, key_a[i], key_b[i])
        first[i] = fused(deviation, x, first[i])
        second[i] = fused(deviation, y, second[i])
    if len(drive) % 2:
        x, _ = normal_pair(counter, key_a[half], key_b[half])
        second[half] = fused(deviation, x, second[half])


@kernel
def advance_escape(
    u,
    threshold,
    hazard,
    budget,
    drive,
    hold,
    fired,
    decay,
    constant,
    reset,
    base,
    inverse_width,
    half_hazard,
    threshold_decay,
    threshold_jump,
):
    """Neurons with a hazard: ``budget`` is what is left of it until the next spike."""
    zero = np.float32(0.0)
    for i in range(len(u)):
        held = hold[i] > 0
        moved = fused(u[i], decay, constant + drive[i])
        v = reset if held else moved
        # the threshold rises when the refractory period ends
        t = fused(threshold[i], threshold_decay, threshold_jump if hold[i] == 1 else zero)
        rate = exp((v - base - t) * inverse_width)
        # a spike is half a step old when it counts: the neuron is free half a step earlier
        rate = zero if hold[i] > 1 else rate
        left = budget[i] - (hazard[i] + rate) * half_hazard
        u[i] = v
        threshold[i] = t
        hazard[i] = rate
        budget[i] = left
        hold[i] = hold[i] - 1 if held else 0
        # a budget that is not a number must not keep a neuron silent unseen
        fired[i] = np.uint8(0) if (left > zero) | held else np.uint8(1)


@kernel
def advance_sharp(u, drive, hold, fired, decay, constant, reset, base):
    """Neurons that spike where the potential reaches the threshold."""
    for i in range(len(u)):
        held = hold[i] > 0
        moved = fused(u[i], decay, constant + drive[i])
        v = reset if held else moved
        u[i] = v
        fired[i] = np.uint8(1) if (v >= base) & (not held) else np.uint8(0)
        hold[i] = hold[i] - 1 if held else 0
