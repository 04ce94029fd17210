"""Ask the processor to fetch memory before it is needed; changes nothing but the time it takes."""

__all__ = ["prefetch"]

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic


def _prefetch(typing_context, array, index):
    """The cache line that holds ``array[index]``; an index behind the end does no harm."""

    def build(context, builder, signature, arguments):
        view = context.make_array(array)(context, builder, arguments[0])
        item = cgutils.get_item_pointer(
            context, builder, array, view, [arguments[1]], wraparound=False
        )
        number, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        # to read, for the second-level cache, data
        hints = [number(0), number(2), number(1)]
        builder.call(function, [builder.bitcast(item, pointer), *hints])
        return context.get_dummy_value()

    return types.void(array, types.intp), build


prefetch: Any = intrinsic(_prefetch)
