"""One step of all gates of one cell: a vector of SLOTS gates towards its steady state.

    x_inf = lerp(table),  part = 1 - exp(-dt / tau),  x <- x + (x_inf - x) part

The table holds dt / tau at 10 degC; ``speed`` multiplies it by the gate's temperature factor. The
steady state of KCa is also multiplied by Ca / (Ca + 3 uM), and transmitter release advances by
forward Euler, part = min(dt / tau, 1).
"""

__all__ = ["advance_cell"]

from typing import Any

from numba.core import types
from numba.extending import intrinsic

from neurosbi_simulators.numerics.vectors import Vector, Vectors
from neurosbi_simulators.pyloric.layout import M_KCA, S_GLUT, SLOTS

_KCA = range(M_KCA, M_KCA + 1)
_RELEASE = range(S_GLUT, SLOTS)
_SERIES = {32: (720, 120, 24, 6, 2), 64: (40320, 5040, 720, 120, 24, 6, 2)}


def _advance_cell(typing_context, gates, gates_at, table, row_at, speed, speed_at, fraction, kca):
    """Gates ``gates_at ..`` of a flat array; ``row_at`` is where the table row below V begins."""
    real = gates.dtype

    def build(context, builder, signature, arguments):
        gates_, gates_at_, table_, row_at_, speed_, speed_at_, fraction_, kca_ = arguments
        v = Vectors(context, builder, real)
        part_of_row, open_fraction = v.spread(fraction_), v.spread(kca_)
        below, below_step, above, above_step = (
            v.load(table_, table, row_at_, k * SLOTS) for k in range(4)
        )
        state = v.fused(part_of_row, above - below, below)
        state = state * v.choose(_KCA, open_fraction, v.constant(1.0))
        steps = v.fused(part_of_row, above_step - below_step, below_step)
        steps = steps * v.load(speed_, speed, speed_at_)
        part = v.choose(_RELEASE, steps.at_most(1.0), _approach(v, steps, real.bitwidth))
        old = v.load(gates_, gates, gates_at_)
        v.store(v.fused(state - old, part, old), gates_, gates, gates_at_)
        return context.get_dummy_value()

    arguments = (gates, gates_at, table, row_at, speed, speed_at, fraction, kca)
    return types.void(*arguments), build


def _approach(v: Vectors, x: Vector, bits: int) -> Vector:
    """1 - exp(-x), as `numerics.exponential.event_probability`."""
    y = x.at_most(16.0) * -0.125
    first, *rest = _SERIES[bits]
    p = v.constant(1.0 / first)
    for divisor in rest:
        p = v.fused(p, y, v.constant(1.0 / divisor))
    p = v.fused(p, y * y, y)
    for _ in range(3):
        p = v.fused(p, p, p + p)
    return p * -1.0


advance_cell: Any = intrinsic(_advance_cell)
