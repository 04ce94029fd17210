"""Which device to train on, and with how many threads."""

__all__ = ["resolve_device", "thread_limit"]

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from neurosbi.errors import BadInputError, MissingResourceError


def resolve_device(device: str) -> torch.device:
    """``auto`` (a GPU where there is one), ``cpu`` or ``cuda[:n]``.

    Raises `MissingResourceError` when a GPU is asked for that is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cpu":
        return torch.device("cpu")
    if device == "cuda" or device.removeprefix("cuda:").isdigit():
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        wanted = int(device.partition(":")[2] or 0)
        if wanted >= found:
            raise MissingResourceError(
                f"device {device} was asked for but PyTorch sees {found or 'no'} GPU"
                f"{'s' if found > 1 else ''} on this machine; use --device cpu, or install a "
                "PyTorch build for CUDA"
            )
        return torch.device(device)
    raise BadInputError(f"device {device!r} is unknown; give auto, cpu, cuda or cuda:1 (--device)")


@contextmanager
def thread_limit(threads: int | None) -> Iterator[int]:
    """Run a block with ``threads`` CPU threads of torch (None: 1, see `TrainingConfig`)."""
    before = torch.get_num_threads()
    chosen = threads or 1
    torch.set_num_threads(chosen)
    try:
        yield chosen
    finally:
        torch.set_num_threads(before)
