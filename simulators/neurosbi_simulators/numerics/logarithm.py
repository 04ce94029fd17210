"""A natural logarithm that LLVM can vectorise, in the precision of its argument.

x = 2^k m with m from sqrt(1/2) to sqrt(2). In float32 log m is a polynomial in m - 1, without any
division, with a relative error of log x below 1e-6; in float64 it is 2 artanh s with
s = (m - 1)/(m + 1) by its series, with an absolute error below 1e-15 of max(1, log x). For positive,
normal numbers only.

References: S. L. Moshier, Methods and Programs for Mathematical Functions (1989), for the polynomial
(the single-precision logarithm of the Cephes library); W. J. Cody & W. Waite, Software Manual for
the Elementary Functions (1980).
"""

__all__ = ["log"]

import numpy as np
from numba.core import types
from numba.extending import overload

from neurosbi_simulators.numerics.exponential import (
    double_as_int64,
    float_as_int32,
    fused,
    int32_as_float,
    int64_as_double,
)

_LN2 = 0.69314718055994530942
_ROOT_HALF_SINGLE = 0x3F3504F3  # the bits of sqrt(1/2)
_ROOT_HALF_DOUBLE = 0x3FE6A09E667F3BCD


def log(x):
    """Natural logarithm of a positive float32 or float64."""
    return np.log(x)


@overload(log, jit_options={"error_model": "numpy", "fastmath": {"contract", "nsz"}})
def _compiled_log(x):
    return _log_single if x == types.float32 else _log_double


def _log_single(x):
    f = np.float32
    bits = float_as_int32(x)
    exponent = np.int32(np.int32(bits - np.int32(_ROOT_HALF_SINGLE)) >> np.int32(23))
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
    return fused(f(exponent), f(_LN2), m + p)


def _log_double(x):
    bits = double_as_int64(x)
    exponent = (bits - np.int64(_ROOT_HALF_DOUBLE)) >> np.int64(52)
    m = int64_as_double(bits - (exponent << np.int64(52)))
    s = (m - 1.0) / (m + 1.0)
    square = s * s
    p = fused(1 / 21, square, 1 / 19)
    p = fused(p, square, 1 / 17)
    p = fused(p, square, 1 / 15)
    p = fused(p, square, 1 / 13)
    p = fused(p, square, 1 / 11)
    p = fused(p, square, 1 / 9)
    p = fused(p, square, 1 / 7)
    p = fused(p, square, 1 / 5)
    p = fused(p, square, 1 / 3)
    p = fused(p, square, 1.0)
    return fused(np.float64(exponent), _LN2, (s + s) * p)
