"""Counter-based Gaussian noise: number ``step`` of simulation ``index`` is a pure function of both.

Two 32-bit keys per simulation (from the seed and its index) and the step counter go through an
avalanche hash (see `counter`); pairs of the resulting uniforms become pairs of normals by Box and
Muller (1958). The uniforms have 23 bits, so normals end at 5.6 standard deviations. Single and
double precision simulations see the same noise.
"""

__all__ = ["lane_keys", "normal_pair", "normals"]

import numpy as np

from neurosbi_simulators.numerics.counter import avalanche, mix, unit
from neurosbi_simulators.numerics.exponential import fused
from neurosbi_simulators.numerics.jit import entry, kernel
from neurosbi_simulators.numerics.logarithm import log

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def lane_keys(seed: int, indices: np.ndarray) -> np.ndarray:
    """The two uint32 keys of each simulation [sim, 2], by SplitMix64 of (seed, index).

    Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195.
    """
    with np.errstate(over="ignore"):
        base = _split_mix(np.uint64((int(seed) * _GOLDEN) & _MASK))
        mixed = _split_mix(base + indices.astype(np.uint64) * np.uint64(_GOLDEN))
    return np.stack([mixed & np.uint64(0xFFFFFFFF), mixed >> np.uint64(32)], axis=-1).astype(
        np.uint32
    )


def _split_mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@kernel
def _sin_cos_turn(t):
    """sin and cos of 2 pi t for t in [-1/2, 1/2): Taylor series about the quarter turns."""
    f = np.float32
    # sin(2 pi t) = sign * cos(2 pi (|t| - 1/4)); both series then stay within a quarter turn
    away = abs(t) - f(0.25)
    a = away * f(6.283185307179586)
    s = a * a
    even = fused(f(2.08767570e-9), s, f(-2.75573192e-7))
    even = fused(even, s, f(2.48015873e-5))
    even = fused(even, s, f(-1.38888889e-3))
    even = fused(even, s, f(4.16666667e-2))
    even = fused(even, s, f(-0.5))
    even = fused(even, s, f(1.0))
    odd = fused(f(-2.50521084e-8), s, f(2.75573192e-6))
    odd = fused(odd, s, f(-1.98412698e-4))
    odd = fused(odd, s, f(8.33333333e-3))
    odd = fused(odd, s, f(-0.166666667))
    odd = fused(odd * s, a, a)
    sine = -even if t < f(0.0) else even
    return sine, -odd


@kernel
def normal_pair(counter, key_a, key_b):
    """Two independent standard normals (float32) for one uint32 counter under two keys."""
    f = np.float32
    first = mix(counter, key_a, key_b)
    second = avalanche(np.uint32(first + np.uint32(0x9E3779B9)))
    radius = np.sqrt(f(-2.0) * log(f(1.0) - unit(first)))
    sine, cosine = _sin_cos_turn(unit(second) - f(0.5))
    return radius * cosine, radius * sine


@entry
def normals(keys, n):
    """The standard normals of steps ``0 .. n`` of one simulation, float64 [n]; ``keys`` uint32 [2]."""
    values = np.empty(n + 1)
    for pair in range((n + 1) // 2):
        a, b = normal_pair(np.uint32(pair), keys[0], keys[1])
        values[2 * pair] = a
        values[2 * pair + 1] = b
    return values[:n]
