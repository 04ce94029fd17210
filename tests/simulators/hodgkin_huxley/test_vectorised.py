"""The time loop is compiled to vector instructions; a lost vectorisation costs a factor of six."""

import platform
import re

import numba
import numpy as np
import pytest
from neurosbi_simulators.hodgkin_huxley import layout as rows
from neurosbi_simulators.hodgkin_huxley.integrate import fill_noise, integrate_tile
from neurosbi_simulators.numerics.jit import FASTMATH

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"),
    reason="the mnemonics counted are those of x86-64",
)
compiled = numba.njit(error_model="numpy", fastmath=FASTMATH)
ARITHMETIC = r"v?(?:mul|add|sub|div|fn?m(?:add|sub)\d*)"
SUFFIXES = {np.float32: ("ps", "ss"), np.float64: ("pd", "sd")}


@compiled
def one_tile(block, constants, has, wave, real):
    integrate_tile(block, constants, has, wave, 0, real)


@compiled
def one_tile_of_noise(block, keys):
    fill_noise(block, keys, np.int64(0))


def counts(function, signature, real):
    """Packed and scalar floating-point instructions in the machine code."""
    assembly = function.inspect_asm(signature)
    return tuple(
        len(re.findall(rf"\s{ARITHMETIC}{suffix}\s", assembly)) for suffix in SUFFIXES[real]
    )


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_integration_is_vectorised(real):
    block = np.ones(rows.N_ROWS * rows.LANES, dtype=real)
    arguments = (
        block,
        np.ones(rows.N_CONSTANTS, dtype=real),
        np.ones(rows.N_CHANNEL_FLAGS, dtype=np.bool_),
        np.zeros(1, dtype=real),
        real,
    )
    one_tile(*arguments)
    packed, scalar = counts(one_tile, one_tile.signatures[-1], real)
    assert packed > 400
    assert packed > 10 * scalar


def test_noise_is_vectorised():
    block = np.ones(rows.N_ROWS * rows.LANES, dtype=np.float32)
    one_tile_of_noise(block, np.ones((2, rows.LANES), dtype=np.uint32))
    packed, scalar = counts(one_tile_of_noise, one_tile_of_noise.signatures[-1], np.float32)
    assert packed > 25
    assert packed >= scalar  # a scalar copy remains for arrays that might overlap
