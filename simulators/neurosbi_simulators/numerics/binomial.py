"""Exact binomial random numbers by counter, so that no draw depends on how many came before.

A draw with mean below 10 is found by inversion: the probabilities are summed from 0 until they
exceed one uniform number. Larger means use the transformed rejection of Hoermann, which needs
about 1.2 pairs of uniforms. Uniforms come from SplitMix64 of (key, counter, attempt) and have
53 bits.

References: Kachitvichyanukul & Schmeiser 1988, doi:10.1145/42372.42381 (inversion); Hoermann
1993, doi:10.1080/00949659308811496 (algorithm BTRS); Steele, Lea & Flood 2014,
doi:10.1145/2660193.2660195.
"""

__all__ = ["binomial"]

import math

import numpy as np

from neurosbi_simulators.numerics.jit import kernel

_INVERSION_BELOW = 10.0  # the mean; Hoermann's hat is valid above
_ATTEMPTS = np.uint64(256)  # counters set aside for one draw; 1e-40 of the draws need more


@kernel
def _mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@kernel
def _uniform(key, counter):
    """In (0, 1), of a uint64 key and counter."""
    bits = _mix(_mix(counter * np.uint64(0x9E3779B97F4A7C15)) ^ key)
    return (float(bits >> np.uint64(11)) + 0.5) * (1.0 / 9007199254740992.0)


@kernel
def binomial(n, p, key, counter):
    """A draw of Binomial(n, p) as a float, for the uint64 ``counter`` under the uint64 ``key``.

    ``n`` is a float with a whole value; p is cut to [0, 1]; NaN gives NaN.
    """
    if math.isnan(p):
        return math.nan
    if p <= 0.0:
        return 0.0
    if p >= 1.0:
        return n
    small = min(p, 1.0 - p)
    first = counter * _ATTEMPTS
    if n * small < _INVERSION_BELOW:
        k = _invert(n, small, _uniform(key, first))
    else:
        k = _reject(n, small, key, first)
    return k if p <= 0.5 else n - k


@kernel
def _invert(n, p, u):
    odds = p / (1.0 - p)
    probability = math.exp(n * math.log1p(-p))
    k = 0.0
    while u > probability and k < n:
        u -= probability
        probability *= odds * (n - k) / (k + 1.0)
        k += 1.0
    return k


@kernel
def _reject(n, p, key, counter):
    spread = math.sqrt(n * p * (1.0 - p))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    centre = n * p + 0.5
    quick = 0.92 - 4.2 / b
    alpha = (2.83 + 5.1 / b) * spread
    log_odds = math.log(p / (1.0 - p))
    mode = math.floor((n + 1.0) * p)
    top = math.lgamma(mode + 1.0) + math.lgamma(n - mode + 1.0)
    k = mode
    for _ in range(int(_ATTEMPTS) // 2):
        u = _uniform(key, counter) - 0.5
        v = _uniform(key, counter + np.uint64(1))
        counter += np.uint64(2)
        inside = 0.5 - abs(u)
        k = math.floor((2.0 * a / inside + b) * u + centre)
        if inside >= 0.07 and v <= quick:
            return k
        if k < 0.0 or k > n:
            continue
        v = math.log(v * alpha / (a / (inside * inside) + b))
        if v <= top - math.lgamma(k + 1.0) - math.lgamma(n - k + 1.0) + (k - mode) * log_odds:
            return k
    return k
