"""Aligned columns of text for stdout: readable in a terminal, greppable in a pipe."""

__all__ = ["text_table"]

import textwrap
from collections.abc import Sequence

_GAP = "  "
_NARROWEST_LAST = 24  # a last column thinner than this is not wrapped


def text_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None = None
) -> str:
    """Rows under a header, columns aligned; the last column wraps to ``width`` (None: never)."""
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    indent = sum(widths[:-1]) + len(_GAP) * (len(widths) - 1)
    room = None if width is None else max(_NARROWEST_LAST, width - indent)
    rule = ["-" * w for w in widths]
    if room is not None:
        rule[-1] = rule[-1][:room]
    lines: list[str] = []
    for row in [cells[0], rule, *cells[1:]]:
        last = [row[-1]] if room is None else textwrap.wrap(row[-1], room) or [""]
        start = [cell.ljust(w) for cell, w in zip(row[:-1], widths, strict=False)]
        lines.append(_GAP.join([*start, last[0]]).rstrip())
        lines += [" " * indent + more for more in last[1:]]
    return "\n".join(lines)
