"""The vectorisable logarithm against NumPy's."""

import numba
import numpy as np
import pytest
from neurosbi_simulators.numerics.logarithm import log


@numba.njit(error_model="numpy")
def logs(x, out):
    for i in range(len(x)):
        out[i] = log(x[i])


@pytest.mark.parametrize(("real", "error"), [(np.float32, 3e-7), (np.float64, 1e-15)])
def test_against_numpy(real, error):
    x = np.concatenate([np.logspace(-30, 30, 20_001), np.linspace(0.5, 2.0, 10_001)]).astype(real)
    out = np.empty_like(x)
    logs(x, out)
    exact = np.log(x.astype(np.float64))
    assert np.all(np.abs(out - exact) <= error * np.maximum(1.0, np.abs(exact)))


def test_single_precision_is_relative_next_to_one():
    x = np.float32(1.0) - np.concatenate(
        [2.0**-23 * np.arange(1, 2000), np.logspace(-6, -0.2, 999)]
    )
    x = x.astype(np.float32)
    out = np.empty_like(x)
    logs(x, out)
    np.testing.assert_allclose(out, np.log(x.astype(np.float64)), rtol=1e-6)
