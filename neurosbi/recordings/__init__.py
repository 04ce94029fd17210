"""Recordings from NWB and ABF files: what was injected, what the cell did, what can be fitted.

The libraries that read the formats are imported when a file of theirs is opened.
"""

from neurosbi.recordings.passive import PassiveProperties, estimate_passive, rheobase
from neurosbi.recordings.read import demo_recording, read_data, read_recording
from neurosbi.recordings.select import (
    default_sweep,
    format_sweeps,
    parse_sweeps,
    sampled_alike,
    select_sweeps,
    usable_sweeps,
    why_no_fit,
)
from neurosbi.recordings.steps import choose_test_steps, find_steps

__all__ = [
    "PassiveProperties",
    "choose_test_steps",
    "default_sweep",
    "demo_recording",
    "estimate_passive",
    "find_steps",
    "format_sweeps",
    "parse_sweeps",
    "read_data",
    "read_recording",
    "rheobase",
    "sampled_alike",
    "select_sweeps",
    "usable_sweeps",
    "why_no_fit",
]
