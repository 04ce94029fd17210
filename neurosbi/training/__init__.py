"""One training loop for every network of the project."""

from neurosbi.training.config import TrainingConfig
from neurosbi.training.data import RowSource, TensorRows, held_out_rows, read_chosen
from neurosbi.training.device import resolve_device, thread_limit
from neurosbi.training.loop import STEPS, EpochRecord, TrainingResult, fit

__all__ = [
    "STEPS",
    "EpochRecord",
    "RowSource",
    "TensorRows",
    "TrainingConfig",
    "TrainingResult",
    "fit",
    "held_out_rows",
    "read_chosen",
    "resolve_device",
    "thread_limit",
]
