"""One step of all gates of one cell: a vector of SLOTS gates towards its steady state.

    x_inf = lerp(table),  part = 1 - exp(-dt / tau),  x <- x + (x_inf - x) part

`advance_cell` reads ``part`` from the table, which is one for all networks. `advance_warm_cell` is
for networks that each have their own temperature or Q10s: its table holds dt / tau at 10 degC, and
``speed`` multiplies it by the gate's temperature factor. The steady state of KCa is also multiplied
by Ca / (Ca + 3 uM), and transmitter release advances by forward Euler, part = min(dt / tau, 1).
"""

__all__ = ["advance_cell", "advance_warm_cell"]

from typing import Any

from numba.core import types
from numba.extending import intrinsic

from neurosbi_simulators.numerics.vectors import Vector, Vectors
from neurosbi_simulators.pyloric.layout import M_KCA, S_GLUT, SLOTS

_KCA = range(M_KCA, M_KCA + 1)
_RELEASE = range(S_GLUT, SLOTS)
_SERIES = {32: (720, 120, 24, 6, 2), 64: (40320, 5040, 720, 120, 24, 6, 2)}


def _advance_cell(typing_context, gates, gates_at, table, row_at, fraction, kca):
    """Gates ``gates_at ..`` of a flat array; ``row_at`` is where the table row below V begins."""

    def build(context, builder, signature, arguments):
        gates_, gates_at_, table_, row_at_, fraction_, kca_ = arguments
        v = Vectors(context, builder, gates.dtype)
        state, part = _look_up(v, table_, table, row_at_, fraction_, kca_)
        _relax(v, state, part, gates_, gates, gates_at_)
        return context.get_dummy_value()

    return types.void(gates, gates_at, table, row_at, fraction, kca), build


def _advance_warm_cell(
    typing_context, gates, gates_at, table, row_at, speed, speed_at, fraction, kca
):
    """As `_advance_cell`, with temperature factors ``speed_at ..`` of another flat array."""
    real = gates.dtype

    def build(context, builder, signature, arguments):
        gates_, gates_at_, table_, row_at_, speed_, speed_at_, fraction_, kca_ = arguments
        v = Vectors(context, builder, real)
        state, steps = _look_up(v, table_, table, row_at_, fraction_, kca_)
        steps = steps * v.load(speed_, speed, speed_at_)
        part = v.choose(_RELEASE, steps.at_most(1.0), _approach(v, steps, real.bitwidth))
        _relax(v, state, part, gates_, gates, gates_at_)
        return context.get_dummy_value()

    arguments = (gates, gates_at, table, row_at, speed, speed_at, fraction, kca)
    return types.void(*arguments), build


def _look_up(v: Vectors, table: Any, table_type: Any, at: Any, fraction: Any, kca: Any) -> Any:
    """Steady states and the other half of a row, ``fraction`` of the way to the next row."""
    below, below_step, above, above_step = (
        v.load(table, table_type, at, k * SLOTS) for k in range(4)
    )
    part_of_row = v.spread(fraction)
    state = v.fused(part_of_row, above - below, below)
    state = state * v.choose(_KCA, v.spread(kca), v.constant(1.0))
    return state, v.fused(part_of_row, above_step - below_step, below_step)


def _relax(v: Vectors, state: Vector, part: Vector, gates: Any, kind: Any, at: Any) -> None:
    old = v.load(gates, kind, at)
    v.store(v.fused(state - old, part, old), gates, kind, at)


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
advance_warm_cell: Any = intrinsic(_advance_warm_cell)
