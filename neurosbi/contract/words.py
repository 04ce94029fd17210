"""Names and shares as they are read by people."""

__all__ = ["file_name", "in_words", "percent"]

import re

# Two whole numbers in a row are a range: power_1_4_E is the power of E from 1 to 4 Hz.
_RANGE = re.compile(r"(?<![^_\s])(\d+)_(\d+)(?![^_,\s])")
_NO_FILE_NAME = re.compile(r"[/\\\x00-\x1f]")
_LEAST = 0.0001  # percent


def in_words(name: str) -> str:
    """A name without underscores: ``spike_count`` becomes spike count, ``power_1_4_E`` power 1-4 E."""
    return _RANGE.sub(r"\1-\2", name).replace("_", " ")


def percent(share: float) -> str:
    """A share in percent with two digits, never as a power of ten: 0.5 %, 12 %, 100 %."""
    value = 100 * share
    if value >= 9.5 or value == 0:
        return f"{value:.0f} %"
    if value < _LEAST:
        return f"less than {_LEAST} %"
    return f"{value:.2g} %"


def file_name(name: str, *, otherwise: str) -> str:
    """A name from within a file as one of a file or folder: a single one, and never a hidden one."""
    return _NO_FILE_NAME.sub("_", name).strip(". ") or otherwise
