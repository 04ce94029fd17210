"""Options of the training loop, as data."""

__all__ = ["TrainingConfig"]

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from neurosbi.errors import BadInputError

# Options that change nothing in the weights. memory_gb is not one of them (streamed data are
# shuffled in another order), nor is max_minutes (training may stop earlier).
WITHOUT_EFFECT = ("checkpoint_seconds", "threads")


@dataclass(frozen=True)
class TrainingConfig:
    """What the loop does; the defaults suit flows on 10^3 to 10^6 simulations.

    Batches hold ``batch_size`` rows, fewer (at least 32) where an epoch would have fewer than
    ``min_steps`` steps; the learning rate then shrinks with the square root of the batch.
    ``epochs`` is the length of the learning-rate schedule (None: 20, and more where that would be
    fewer steps than the method wants, at most 100); training may end earlier by ``patience``
    (epochs without a better validation loss) or ``max_minutes``. Validation uses
    ``validation_fraction`` of the rows, at most ``max_validation``, all of them each epoch.
    ``ema_decay`` averages the weights over steps; the average is validated and kept. Data above
    ``memory_gb`` are streamed, shuffled within ``shuffle_rows`` rows at a time (None: as many as
    fit). A checkpoint is written at most every ``checkpoint_seconds``. ``threads`` None means 1:
    the networks are small, so more threads gain little on an idle machine, and on a busy one they
    wait for each other (measured: 40 times slower with 2). ``autocast`` (bfloat16) and ``compile``
    act on GPUs only.
    """

    epochs: int | None = None
    batch_size: int = 512
    min_steps: int = 80
    learning_rate: float = 1e-2
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_fraction: float = 0.05
    weight_decay: float = 0.01
    gradient_clip: float = 5.0
    ema_decay: float = 0.99
    validation_fraction: float = 0.1
    max_validation: int = 20_000
    patience: int = 10
    max_minutes: float | None = None
    memory_gb: float = 2.0
    shuffle_rows: int | None = None
    block_rows: int = 4096
    checkpoint_seconds: float = 30.0
    threads: int | None = None
    autocast: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        positive = (
            "batch_size",
            "min_steps",
            "learning_rate",
            "gradient_clip",
            "max_validation",
            "patience",
            "memory_gb",
            "block_rows",
            *(
                name
                for name in ("epochs", "max_minutes", "shuffle_rows", "threads")
                if getattr(self, name) is not None
            ),
        )
        for name in positive:
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise BadInputError(f"training option {name} must be positive, got {value}")
        for name in ("warmup_fraction", "validation_fraction", "ema_decay"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise BadInputError(f"training option {name} must be in [0, 1), got {value}")
        if self.validation_fraction == 0:
            raise BadInputError(
                "training option validation_fraction must be above 0: without validation data "
                "nothing tells when a network is good"
            )
        if self.schedule not in ("cosine", "constant"):
            raise BadInputError(
                f"training option schedule is 'cosine' or 'constant', got {self.schedule!r}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a card."""
        return asdict(self)

    def numbers(self) -> dict[str, Any]:
        """The options that the trained weights depend on."""
        return {k: v for k, v in asdict(self).items() if k not in WITHOUT_EFFECT}
