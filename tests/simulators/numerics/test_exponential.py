"""The vectorisable exponentials against 50-digit arithmetic and NumPy's float64."""

import mpmath
import numba
import numpy as np
import pytest
from neurosbi_simulators.numerics.exponential import (
    decay,
    event_probability,
    exp,
    fused,
    round_to_even,
)
from neurosbi_simulators.numerics.jit import FASTMATH

compiled = numba.njit(error_model="numpy", fastmath=FASTMATH)


@compiled
def exp_of(x, out):
    for i in range(len(x)):
        out[i] = exp(x[i])


@compiled
def decay_of(x, out):
    for i in range(len(x)):
        out[i] = decay(x[i])


@compiled
def event_probability_of(x, out):
    for i in range(len(x)):
        out[i] = event_probability(x[i])


@compiled
def fused_of(a, b, c, out):
    for i in range(len(a)):
        out[i] = fused(a[i], b[i], c[i])


@compiled
def rounded(x, out):
    for i in range(len(x)):
        out[i] = round_to_even(x[i])


def apply(function, *arguments):
    out = np.empty_like(arguments[0])
    function(*arguments, out)
    return out


def exactly(x):
    """e^x to double precision, from 50 digits."""
    with mpmath.workdps(50):
        return np.array([float(mpmath.exp(mpmath.mpf(float(v)))) for v in x])


@pytest.mark.parametrize(
    ("real", "low", "high", "tolerance"),
    [(np.float32, -87.0, 88.0, 3e-7), (np.float64, -708.0, 709.0, 1e-14)],
)
def test_exp_is_accurate_over_its_whole_range(real, low, high, tolerance):
    x = np.linspace(low, high, 20_001).astype(real)
    relative = np.abs(apply(exp_of, x).astype(np.float64) / np.exp(x.astype(np.float64)) - 1)
    assert relative.max() < tolerance


@pytest.mark.parametrize(("real", "tolerance"), [(np.float32, 3e-7), (np.float64, 1e-14)])
def test_exp_against_fifty_digits_where_the_reduction_switches(real, tolerance):
    halves = (np.arange(-20, 21) + 0.5) * np.log(2)  # here the nearest multiple of ln 2 changes
    x = np.concatenate([np.nextafter(halves.astype(real), real(s)) for s in (-99, 99)])
    relative = np.abs(apply(exp_of, x).astype(np.float64) / exactly(x) - 1)
    assert relative.max() < tolerance


@pytest.mark.parametrize(("real", "tolerance"), [(np.float32, 3e-7), (np.float64, 1e-15)])
def test_decay_loses_nothing_for_short_steps(real, tolerance):
    x = np.concatenate([np.zeros(1), np.geomspace(1e-12, 0.5, 4001)]).astype(real)
    assert np.abs(apply(decay_of, x) - np.exp(-x.astype(np.float64))).max() < tolerance
    # the small difference from 1, which moves slow gates, is as exact as the precision allows
    lost = 1.0 - apply(decay_of, x).astype(np.float64) + np.expm1(-x.astype(np.float64))
    assert np.abs(lost).max() < tolerance


@pytest.mark.parametrize(
    ("real", "to_one", "beyond"), [(np.float32, 1e-7, 2e-6), (np.float64, 1e-12, 2e-7)]
)
def test_decay_over_long_steps(real, to_one, beyond):
    x = np.linspace(0.0, 40.0, 20_001).astype(real)
    got = apply(decay_of, x).astype(np.float64)
    error = np.abs(got - np.exp(-x.astype(np.float64)))
    assert error[x <= 1].max() < to_one
    assert error.max() < beyond
    assert np.all(np.diff(got) <= 0)
    assert np.all((got >= 0) & (got <= 1))
    assert got[x >= 16].max() < 5e-7


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_saturation_and_not_a_number(real):
    x = np.array([-np.inf, -1e4, 1e4, np.inf, np.nan], dtype=real)
    e = apply(exp_of, x)
    assert np.all(np.isfinite(e[:4]))
    assert e[0] == e[1] < 1e-37
    assert e[2] == e[3] > 1e38
    assert np.isnan(e[4])
    d = apply(decay_of, np.array([np.inf, 1e30, np.nan], dtype=real))
    assert 0 <= d[0] == d[1] < 5e-7
    assert np.isnan(d[2])


def test_compiled_values_agree_with_the_functions_python_sees():
    x = np.linspace(-5, 5, 101)
    np.testing.assert_allclose(apply(exp_of, x), exp(x), rtol=1e-14)
    near = np.linspace(0, 0.5, 101)
    np.testing.assert_allclose(apply(decay_of, near), decay(near), rtol=1e-14)


def test_fused_rounds_once():
    tiny = 2.0**-30
    a = np.array([1.0 + tiny])
    got = apply(fused_of, a, a, np.array([-(1.0 + 2 * tiny)]))
    assert got[0] == tiny**2  # two roundings would give 0


def test_round_to_even():
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 0.49999, 7.0], dtype=np.float32)
    np.testing.assert_array_equal(apply(rounded, x), np.rint(x))


@pytest.mark.parametrize(("real", "near", "far"), [(np.float32, 5e-7, 3e-6), (np.float64, 1e-9, 1e-14)])  # fmt: skip
def test_event_probabilities_do_not_cancel(real, near, far):
    x = np.concatenate([np.geomspace(1e-6, 0.5, 2001), np.linspace(0.5, 30.0, 2001)]).astype(real)
    expected = -np.expm1(-x.astype(np.float64))
    found = apply(event_probability_of, x).astype(np.float64)
    small = x < 0.5
    assert np.abs(found[small] / expected[small] - 1).max() < near
    assert np.abs(found - expected).max() < far
    special = apply(event_probability_of, np.array([0.0, np.inf, np.nan], dtype=real))
    assert special[0] == 0.0
    assert special[1] == pytest.approx(1.0, abs=far)
    assert np.isnan(special[2])
