"""Rate fractions around their singular points, and gates against direct formulas."""

import mpmath
import numba
import numpy as np
import pytest
from neurosbi_simulators.hodgkin_huxley.channels import linoid, two_state
from neurosbi_simulators.numerics.exponential import exp
from neurosbi_simulators.numerics.jit import FASTMATH

compiled = numba.njit(error_model="numpy", fastmath=FASTMATH)
TOLERANCE = {np.float32: 2e-6, np.float64: 1e-10}


@compiled
def fractions(z, scale, real, out):
    for i in range(len(z)):
        a, over = linoid(z[i], exp(z[i]), scale, real)
        out[i] = a / over


@compiled
def gates(a, a_over, b, b_over, real, out):
    for i in range(len(a)):
        out[0, i], out[1, i] = two_state(a[i], a_over[i], b[i], b_over[i], real)


def around_zero(real):
    """0, a few ulps about it, the switch of the series at 0.3 +- 1 ulp, and a wide grid."""
    tiny = [0.0]
    for _ in range(3):
        tiny.append(float(np.nextafter(real(tiny[-1]), real(1))))
    switch = [np.nextafter(real(0.3), real(s)) for s in (0, 1)] + [real(0.3)]
    wide = np.concatenate([np.geomspace(1e-30, 30, 500), np.linspace(0.2, 0.4, 201)])
    z = np.concatenate([np.array(tiny), np.array(switch, dtype=np.float64), wide])
    return np.concatenate([-z, z]).astype(real)


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_linoid_near_and_far_from_its_singular_point(real):
    z = around_zero(real)
    out = np.empty_like(z)
    fractions(z, real(1.28), real, out)
    with mpmath.workdps(40):
        exact = [
            float(1.28 * (mpmath.mpf(float(x)) / mpmath.expm1(mpmath.mpf(float(x))) if x else 1))
            for x in z
        ]
    assert np.all(np.isfinite(out))
    np.testing.assert_allclose(out, exact, rtol=TOLERANCE[real])


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize(
    "singular",
    [13.0, 40.0, 15.0],  # u = V - V_T where a_m, b_m and a_n of the Pospischil channels are 0/0
)
def test_linoid_on_voltages_through_the_singular_point(real, singular):
    steps = np.arange(-5, 6) * np.spacing(real(singular))
    u = np.concatenate([real(singular) + steps, singular + np.linspace(-20, 20, 401)]).astype(real)
    z = ((u - real(singular)) / real(5.0)).astype(real)
    out = np.empty_like(z)
    fractions(z, real(1.4), real, out)
    z64 = z.astype(np.float64)
    with np.errstate(invalid="ignore"):
        exact = np.where(z64 == 0, 1.4, 1.4 * z64 / np.expm1(z64))
    np.testing.assert_allclose(out, exact, rtol=TOLERANCE[real])


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_two_state_from_fractions(real):
    rng = np.random.default_rng(1)
    a, a_over, b, b_over = np.exp(rng.uniform(-8, 8, (4, 1000))).astype(real)
    out = np.empty((2, 1000), dtype=real)
    gates(a, a_over, b, b_over, real, out)
    opening = a.astype(np.float64) / a_over
    closing = b.astype(np.float64) / b_over
    np.testing.assert_allclose(out[0], opening / (opening + closing), rtol=1e-6)
    np.testing.assert_allclose(out[1], opening + closing, rtol=1e-6)
    assert np.all((out[0] >= 0) & (out[0] <= 1 + 1e-6))
