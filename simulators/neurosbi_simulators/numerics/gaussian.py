"""Counter-based Gaussian noise: number ``step`` of simulation ``index`` is a pure function of both.

Two 32-bit keys per simulation (from the seed and its index) and the step counter go through an
avalanche hash (the constants of C. Wellons' ``triple32`` search, two rounds of multiply and
shift); pairs of the resulting uniforms become pairs of normals by Box and Muller (1958). The
uniforms have 23 bits, so normals end at 5.6 standard deviations. Single and double precision
simulations see the same noise.
"""

__all__ = ["lane_keys", "normal_pair", "normals"]

import numpy as np

from neurosbi_simulators.numerics.exponential import float_as_int32, fused, int32_as_float
from neurosbi_simulators.numerics.jit import entry, kernel

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
def _avalanche(x):
    x = np.uint32(x ^ (x >> np.uint32(16)))
    x = np.uint32(x * np.uint32(0x21F0AAAD))
    x = np.uint32(x ^ (x >> np.uint32(15)))
    x = np.uint32(x * np.uint32(0xD35A2D97))
    return np.uint32(x ^ (x >> np.uint32(15)))


@kernel
def _unit(bits):
    """A float32 in [0, 1) from the upper 23 bits."""
    mantissa = np.int32((bits >> np.uint32(9)) | np.uint32(0x3F800000))
    return int32_as_float(mantissa) - np.float32(1.0)


@kernel
def _log(u):
    """Natural logarithm of a float32 in (0, 1]; relative error below 1e-6 of the result."""
    f = np.float32
    bits = float_as_int32(u)
    exponent = np.int32(np.int32(bits - np.int32(0x3F3504F3)) >> np.int32(23))
    m = int32_as_float(np.int32(bits - np.int32(exponent << np.int32(23)))) - f(1.0)
    p = fused(f(7.0376836292e-2), m, f(-1.1514610310e-1))
    p = fused(p, m, f(1.1676998740e-1))
    p = fused(p, m, f(-1.2420140846e-1))
    p = fused(p, m, f(1.4249322787e-1))
    p = fused(p, m, f(-1.6668057665e-1))
    p = fused(p, m, f(2.0000714765e-1))
    p = fused(p, m, f(-2.4999993993e-1))
    p = fused(p, m, f(3.3333331174e-1))
    square = m * m
    p = fused(p * m, square, f(-0.5) * square)
    return fused(f(exponent), f(0.69314718056), m + p)


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
    first = _avalanche(np.uint32(_avalanche(np.uint32(counter ^ key_a)) + key_b))
    second = _avalanche(np.uint32(first + np.uint32(0x9E3779B9)))
    radius = np.sqrt(f(-2.0) * _log(f(1.0) - _unit(first)))
    sine, cosine = _sin_cos_turn(_unit(second) - f(0.5))
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
