"""Vector instructions written down, for the few loops that LLVM does not vectorise by itself.

A loop over the 16 gates of one cell is too short for LLVM's vectoriser: what it needs to know
about overlapping arrays costs more than the loop. An intrinsic built from `Vectors` states the
vectors instead; LLVM splits them into the registers that the machine has.
"""

__all__ = [
    "WIDTH",
    "Vector",
    "Vectors",
    "add_power_sums",
    "add_rows",
    "transpose",
    "weighted_rows",
]

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

_FAST = ("contract", "nsz")
WIDTH = 16


class Vector:
    """WIDTH numbers of one precision, with the arithmetic of arrays."""

    def __init__(self, vectors: "Vectors", value: ir.Value) -> None:
        self.vectors, self.value = vectors, value

    def _number(self, other: "Vector | float") -> Any:
        return other.value if isinstance(other, Vector) else self.vectors.constant(other).value

    def __add__(self, other: "Vector | float") -> "Vector":
        return Vector(
            self.vectors,
            self.vectors.builder.fadd(self.value, self._number(other), flags=_FAST),
        )

    def __sub__(self, other: "Vector | float") -> "Vector":
        return Vector(
            self.vectors,
            self.vectors.builder.fsub(self.value, self._number(other), flags=_FAST),
        )

    def __mul__(self, other: "Vector | float") -> "Vector":
        return Vector(
            self.vectors,
            self.vectors.builder.fmul(self.value, self._number(other), flags=_FAST),
        )

    def widened(self, wide: "Vectors") -> "Vector":
        """The same numbers in the precision of ``wide``, which has at least as many digits."""
        if self.vectors.real == wide.real:
            return self
        return Vector(wide, self.vectors.builder.fpext(self.value, wide.type))

    def at_most(self, limit: float) -> "Vector":
        """The smaller of each number and ``limit``."""
        bound = self.vectors.constant(limit).value
        less = self.vectors.builder.fcmp_ordered("<", self.value, bound)
        return Vector(self.vectors, self.vectors.builder.select(less, self.value, bound))


class Vectors:
    """Loads, stores and constants of vectors in arrays that compiled code passes to an intrinsic."""

    def __init__(self, context: Any, builder: Any, real: types.Type) -> None:
        self.context, self.builder = context, builder
        self.real = context.get_data_type(real)
        self.type = ir.VectorType(self.real, WIDTH)

    def constant(self, number: float) -> Vector:
        """The same number in all places."""
        return Vector(self, ir.Constant(self.type, [ir.Constant(self.real, number)] * WIDTH))

    def spread(self, number: ir.Value) -> Vector:
        """The same run-time number in all places."""
        empty = ir.Constant(self.type, ir.Undefined)
        one = self.builder.insert_element(empty, number, ir.IntType(32)(0))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
        return Vector(self, self.builder.shuffle_vector(one, empty, everywhere))

    def choose(self, places: range, inside: Vector, outside: Vector) -> Vector:
        """``inside`` in the given places, ``outside`` in the others."""
        mask = ir.Constant(
            ir.VectorType(ir.IntType(1), WIDTH), [int(k in places) for k in range(WIDTH)]
        )
        return Vector(self, self.builder.select(mask, inside.value, outside.value))

    def fused(self, a: Vector, b: Vector, c: Vector) -> Vector:
        """a * b + c with one rounding."""
        kind = ir.FunctionType(self.type, [self.type] * 3)
        name = f"llvm.fma.v{WIDTH}{self.real.intrinsic_name}"
        fma = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return Vector(self, self.builder.call(fma, (a.value, b.value, c.value)))

    def load(self, array: ir.Value, array_type: types.Array, at: Any, shift: int = 0) -> Vector:
        """WIDTH neighbours of a flat array from element ``at + shift``."""
        return Vector(self, self.builder.load(self._address(array, array_type, at, shift), align=4))

    def store(
        self, vector: Vector, array: ir.Value, array_type: types.Array, at: Any, shift: int = 0
    ) -> None:
        """Inverse of `load`."""
        address = self._address(array, array_type, at, shift)
        self.builder.store(vector.value, address, align=4)

    def number(self, array: ir.Value, array_type: types.Array, at: Any) -> Any:
        """One element of a flat array."""
        data = cgutils.create_struct_proxy(array_type)(self.context, self.builder, value=array).data
        return self.builder.load(self.builder.gep(data, [at]))

    def _address(self, array: ir.Value, array_type: types.Array, at: Any, shift: int) -> Any:
        data = cgutils.create_struct_proxy(array_type)(self.context, self.builder, value=array).data
        place = self.builder.add(at, at.type(shift))
        return self.builder.bitcast(self.builder.gep(data, [place]), self.type.as_pointer())


def _transpose(typing_context, source, source_at, target, target_at):
    """WIDTH x WIDTH numbers, row by row in ``source``, column by column into ``target``."""

    def build(context, builder, signature, arguments):
        v = Vectors(context, builder, source.dtype)
        rows = [v.load(arguments[0], source, arguments[1], WIDTH * k).value for k in range(WIDTH)]
        half = WIDTH // 2
        for _ in range(4):  # perfect shuffles: each moves one bit of the row number to the column
            mixed = []
            for k in range(half):
                pair = (rows[k], rows[k + half])
                for first in (0, half):
                    order = [first + j // 2 + (j % 2) * WIDTH for j in range(WIDTH)]
                    mask = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), order)
                    mixed.append(builder.shuffle_vector(*pair, mask))
            rows = mixed
        for k, row in enumerate(rows):
            v.store(Vector(v, row), arguments[2], target, arguments[3], WIDTH * k)
        return context.get_dummy_value()

    return types.void(source, source_at, target, target_at), build


def _weighted_rows(typing_context, source, source_at, weights, n, target, target_at):
    """Sum of ``n`` rows of WIDTH numbers that follow one another, times their ``weights``."""

    def build(context, builder, signature, arguments):
        source_, source_at_, weights_, n_, target_, target_at_ = arguments
        v = Vectors(context, builder, source.dtype)
        total = cgutils.alloca_once_value(builder, v.constant(0.0).value)
        with cgutils.for_range(builder, n_) as loop:
            k = loop.index
            row = builder.add(source_at_, builder.mul(k, k.type(WIDTH)))
            weight = v.spread(v.number(weights_, weights, k))
            before = Vector(v, builder.load(total))
            builder.store(v.fused(weight, v.load(source_, source, row), before).value, total)
        v.store(Vector(v, builder.load(total)), target_, target, target_at_)
        return context.get_dummy_value()

    return types.void(source, source_at, weights, n, target, target_at), build


def _add_rows(typing_context, source, source_at, n, sums, sums_at):
    """Add the sum of ``n`` rows of WIDTH numbers that follow one another to a row of doubles."""

    def build(context, builder, signature, arguments):
        source_, source_at_, n_, sums_, sums_at_ = arguments
        rows = Vectors(context, builder, source.dtype), source_, source, source_at_
        wide = Vectors(context, builder, sums.dtype)
        _add_terms(wide, rows, n_, (sums_, sums, sums_at_), 1, lambda x: (x,))
        return context.get_dummy_value()

    return types.void(source, source_at, n, sums, sums_at), build


def _add_power_sums(typing_context, source, source_at, n, origin, origin_at, sums, sums_at):
    """Add the sums over ``n`` rows of WIDTH numbers of (number - origin)^k, k = 1 to 4, to four rows
    of doubles; ``origin`` is a row of doubles.
    """

    def build(context, builder, signature, arguments):
        source_, source_at_, n_, origin_, origin_at_, sums_, sums_at_ = arguments
        rows = Vectors(context, builder, source.dtype), source_, source, source_at_
        wide = Vectors(context, builder, sums.dtype)
        about = wide.load(origin_, origin, origin_at_)

        def powers(row: Vector) -> Sequence[Vector]:
            x = row - about
            square = x * x
            return x, square, square * x, square * square

        _add_terms(wide, rows, n_, (sums_, sums, sums_at_), 4, powers)
        return context.get_dummy_value()

    return types.void(source, source_at, n, origin, origin_at, sums, sums_at), build


def _add_terms(
    wide: Vectors,
    rows: tuple[Vectors, Any, Any, Any],
    n: Any,
    sums: tuple[Any, Any, Any],
    n_sums: int,
    terms: Callable[[Vector], Sequence[Vector]],
) -> None:
    """Each row's ``terms`` are added to as many rows of ``sums``, which stay in registers."""
    v, source, kind, at = rows
    builder = wide.builder
    totals = [
        cgutils.alloca_once_value(builder, wide.load(*sums, WIDTH * k).value) for k in range(n_sums)
    ]
    with cgutils.for_range(builder, n) as loop:
        row = builder.add(at, builder.mul(loop.index, loop.index.type(WIDTH)))
        values = terms(v.load(source, kind, row).widened(wide))
        for total, value in zip(totals, values, strict=True):
            builder.store((Vector(wide, builder.load(total)) + value).value, total)
    for k, total in enumerate(totals):
        wide.store(Vector(wide, builder.load(total)), *sums, WIDTH * k)


add_power_sums: Any = intrinsic(_add_power_sums)
add_rows: Any = intrinsic(_add_rows)
transpose: Any = intrinsic(_transpose)
weighted_rows: Any = intrinsic(_weighted_rows)
