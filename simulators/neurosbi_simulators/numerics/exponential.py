"""Exponentials that LLVM can vectorise, in the precision of their argument.

``math.exp`` is a call into the C library and stops vectorisation (PyPI's llvmlite has no vector
math library). These are range reductions with a polynomial:

* `exp`: relative error below 3e-7 (float32) and 1e-14 (float64); saturates instead of overflowing,
  and passes NaN on, so that a blow-up stays visible;
* `decay`: exp(-x) for x >= 0, cheaper, for relaxation over one time step. Exact to the precision
  for x below 0.5; beyond, the absolute error stays below 2e-6 (float32) and 2e-7 (float64);
* `event_probability`: 1 - exp(-x) for x >= 0, the probability of an event under an integrated
  hazard x, without the cancellation of the difference where x is small.

References: W. J. Cody & W. Waite, Software Manual for the Elementary Functions (1980).
"""

__all__ = ["decay", "event_probability", "exp", "fused", "round_to_even"]

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, overload

_MAGIC = 6755399441055744.0  # 1.5 * 2^52: adding it rounds a double to an integer
_LOG2E = 1.4426950408889634


def _fused(typing_context, a, b, c):
    """a * b + c with one rounding."""

    def build(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return a(a, a, a), build


def _round_to_even(typing_context, x):
    """The nearest integer, as a float."""

    def build(context, builder, signature, arguments):
        kind = arguments[0].type
        function = builder.module.declare_intrinsic("llvm.nearbyint", [kind])
        return builder.call(function, arguments)

    return x(x), build


def _bitcast(source, target, llvm_target) -> Any:
    def typed(typing_context, x):
        def build(context, builder, signature, arguments):
            return builder.bitcast(arguments[0], llvm_target)

        return target(source), build

    return intrinsic(typed)


# what compiled code calls; their types are those of the arguments, which type checkers cannot see
fused: Any = intrinsic(_fused)
round_to_even: Any = intrinsic(_round_to_even)
int32_as_float = _bitcast(types.int32, types.float32, ir.FloatType())
float_as_int32 = _bitcast(types.float32, types.int32, ir.IntType(32))
int64_as_double = _bitcast(types.int64, types.float64, ir.DoubleType())
double_as_int64 = _bitcast(types.float64, types.int64, ir.IntType(64))


def exp(x):
    """e^x for a float32 or float64."""
    return np.exp(x)


def decay(x):
    """e^-x for x >= 0."""
    return np.exp(-x)


def event_probability(x):
    """1 - e^-x for x >= 0."""
    return -np.expm1(-x)


@overload(exp, jit_options={"error_model": "numpy", "fastmath": {"contract", "nsz"}})
def _compiled_exp(x):
    return _exp_single if x == types.float32 else _exp_double


@overload(decay, jit_options={"error_model": "numpy", "fastmath": {"contract", "nsz"}})
def _compiled_decay(x):
    return _decay_single if x == types.float32 else _decay_double


@overload(event_probability, jit_options={"error_model": "numpy", "fastmath": {"contract", "nsz"}})
def _compiled_event_probability(x):
    return _event_probability_single if x == types.float32 else _event_probability_double


def _exp_single(x):
    f = np.float32
    x = f(-87.0) if x < f(-87.0) else x
    x = f(88.0) if x > f(88.0) else x
    k = round_to_even(x * f(_LOG2E))
    r = fused(k, f(-0.693359375), x)  # ln 2 in two parts
    r = fused(k, f(2.12194440e-4), r)
    p = fused(f(1.9875691500e-4), r, f(1.3981999507e-3))
    p = fused(p, r, f(8.3334519073e-3))
    p = fused(p, r, f(4.1665795894e-2))
    p = fused(p, r, f(1.6666665459e-1))
    p = fused(p, r, f(5.0000001201e-1))
    p = fused(p, r * r, r) + f(1.0)
    exponent = np.int32(np.int32(np.int32(k) + np.int32(127)) << np.int32(23))
    return p * int32_as_float(exponent)


def _exp_double(x):
    x = -708.0 if x < -708.0 else x
    x = 709.0 if x > 709.0 else x
    shifted = fused(x, _LOG2E, _MAGIC)
    k = shifted - _MAGIC
    r = fused(k, -0.693145751953125, x)
    r = fused(k, -1.42860682030941723212e-6, r)
    p = fused(2.08767569878681e-9, r, 2.50521083854417e-8)
    p = fused(p, r, 2.75573192239859e-7)
    p = fused(p, r, 2.75573192239859e-6)
    p = fused(p, r, 2.48015873015873e-5)
    p = fused(p, r, 1.98412698412698e-4)
    p = fused(p, r, 1.38888888888889e-3)
    p = fused(p, r, 8.33333333333333e-3)
    p = fused(p, r, 4.16666666666667e-2)
    p = fused(p, r, 1.66666666666667e-1)
    p = fused(p, r, 0.5)
    p = fused(p, r * r, r) + 1.0
    return p * int64_as_double((double_as_int64(shifted) + np.int64(1023)) << np.int64(52))


def _decay_single(x):
    f = np.float32
    x = f(16.0) if x > f(16.0) else x
    y = x * f(-0.125)
    p = fused(f(1 / 720), y, f(1 / 120))
    p = fused(p, y, f(1 / 24))
    p = fused(p, y, f(1 / 6))
    p = fused(p, y, f(0.5))
    p = fused(p, y * y, y)  # e^y - 1; squaring (1 + p) keeps the small part exact
    p = fused(p, p, p + p)
    p = fused(p, p, p + p)
    p = fused(p, p, p + p)
    return p + f(1.0)


def _decay_double(x):
    x = 16.0 if x > 16.0 else x
    y = x * -0.125
    p = fused(1 / 40320, y, 1 / 5040)
    p = fused(p, y, 1 / 720)
    p = fused(p, y, 1 / 120)
    p = fused(p, y, 1 / 24)
    p = fused(p, y, 1 / 6)
    p = fused(p, y, 0.5)
    p = fused(p, y * y, y)
    p = fused(p, p, p + p)
    p = fused(p, p, p + p)
    p = fused(p, p, p + p)
    return p + 1.0


def _event_probability_single(x):
    f = np.float32
    x = f(16.0) if x > f(16.0) else x
    y = x * f(-0.125)
    p = fused(f(1 / 720), y, f(1 / 120))
    p = fused(p, y, f(1 / 24))
    p = fused(p, y, f(1 / 6))
    p = fused(p, y, f(0.5))
    p = fused(p, y * y, y)
    p = fused(p, p, p + p)
    p = fused(p, p, p + p)
    return -fused(p, p, p + p)


def _event_probability_double(x):
    return 1.0 - exp(-x)  # x is 1e-6 and more where it matters: 10 digits remain
