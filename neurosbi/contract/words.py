"""Names and shares as they are read by people."""

__all__ = ["in_words", "percent"]

import re

# Two whole numbers in a row are a range: power_1_4_E is the power of E from 1 to 4 Hz.
_RANGE = re.compile(r"(?<![^_\s])(\d+)_(\d+)(?![^_,\s])")


def in_words(name: str) -> str:
    """A name without underscores: ``spike_count`` becomes spike count, ``power_1_4_E`` power 1-4 E."""
    return _RANGE.sub(r"\1-\2", name).replace("_", " ")


def percent(share: float) -> str:
    """A share in percent with two digits, never as a power of ten: 0.5 %, 12 %, 100 %."""
    value = 100 * share
    return f"{value:.0f} %" if value >= 9.5 else f"{value:.2g} %"
