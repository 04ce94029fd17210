"""Random numbers by counter: every draw is a pure function of its number and two keys.

The counter and two 32-bit keys go through an avalanche hash (the constants of C. Wellons'
``triple32`` search, two rounds of multiply and shift). Uniforms have 23 bits; exponentials, by
-log(1 - U), have a resolution of 1.2e-7 and end at 15.9.
"""

__all__ = ["avalanche", "exponential", "mix", "unit"]

import numpy as np

from neurosbi_simulators.numerics.exponential import int32_as_float
from neurosbi_simulators.numerics.jit import kernel
from neurosbi_simulators.numerics.logarithm import log


@kernel
def avalanche(x):
    """32 bits in, 32 well mixed bits out."""
    x = np.uint32(x ^ (x >> np.uint32(16)))
    x = np.uint32(x * np.uint32(0x21F0AAAD))
    x = np.uint32(x ^ (x >> np.uint32(15)))
    x = np.uint32(x * np.uint32(0xD35A2D97))
    return np.uint32(x ^ (x >> np.uint32(15)))


@kernel
def unit(bits):
    """A float32 in [0, 1) from the upper 23 bits."""
    mantissa = np.int32((bits >> np.uint32(9)) | np.uint32(0x3F800000))
    return int32_as_float(mantissa) - np.float32(1.0)


@kernel
def mix(counter, key_a, key_b):
    """32 random bits for one uint32 counter under two uint32 keys."""
    return avalanche(np.uint32(avalanche(np.uint32(counter ^ key_a)) + key_b))


@kernel
def exponential(counter, key_a, key_b):
    """A standard exponential (float32) for one uint32 counter under two uint32 keys."""
    return -log(np.float32(1.0) - unit(mix(counter, key_a, key_b)))
