"""The time loop is compiled to vector instructions; a lost vectorisation costs a factor of ten."""

import platform
import re

import numba
import numpy as np
import pytest
from neurosbi_simulators.numerics.jit import FASTMATH
from neurosbi_simulators.pyloric import layout as at
from neurosbi_simulators.pyloric.integrate import advance_gates, advance_membrane

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"),
    reason="the mnemonics counted are those of x86-64",
)
compiled = numba.njit(error_model="numpy", fastmath=FASTMATH)
ARITHMETIC = r"v?(?:mul|add|sub|div|fn?m(?:add|sub)\d*)"
SUFFIXES = {np.float32: ("ps", "ss"), np.float64: ("pd", "sd")}


@compiled
def membrane(cell, opened, noise, row, dt):
    real = cell.dtype.type
    advance_membrane(cell, opened, opened, opened, opened, noise, row, dt, real)


@compiled
def gates(cells, gates_, opened, speed, table, rows):
    advance_gates(cells, gates_, opened, speed, table, rows)


def counts(function, real):
    """Packed and scalar floating-point instructions in the machine code."""
    assembly = function.inspect_asm(function.signatures[-1])
    return tuple(
        len(re.findall(rf"\s{ARITHMETIC}{suffix}\s", assembly)) for suffix in SUFFIXES[real]
    )


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_membranes(real):
    def rows(n):
        return np.ones(n * at.LANES, dtype=real)

    membrane(rows(at.N_ROWS), rows(at.SLOTS), rows(1), np.zeros(at.LANES, np.int32), real(0.025))
    packed, scalar = counts(membrane, real)
    assert packed > 80
    assert packed >= scalar  # a scalar copy remains for arrays that might overlap


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_gates(real):
    """Of networks that are equally warm, and of such with their own temperatures."""
    n = at.N_CELLS * at.LANES
    gates(
        np.ones((at.N_CELLS, at.N_ROWS * at.LANES), dtype=real),
        np.ones(n * at.SLOTS, dtype=real),
        np.ones((at.N_CELLS, at.SLOTS * at.LANES), dtype=real),
        np.ones(at.LANES * at.SLOTS, dtype=real),
        np.ones(6 * at.SLOTS, dtype=real),
        np.zeros((at.N_CELLS, at.LANES), np.int32),
    )
    packed, scalar = counts(gates, real)
    assert packed > 10
    assert scalar == 0
