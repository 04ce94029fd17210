"""The training loop: knows a loss per row, batches and a schedule, and nothing of the method.

Nothing is read back from the device within an epoch. A step whose gradient is not finite is
skipped on the device. Validation is exact: every held-out row, once. All random numbers follow
from the seed, the epoch and the checkpoint, so an interrupted training continues to the same
weights as an uninterrupted one (bit for bit on a CPU with the same number of threads).
"""

__all__ = ["EpochRecord", "TrainingResult", "fit"]

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from neurosbi.errors import FitError, InterruptedRunError
from neurosbi.progress import ProgressBar, progress_bar
from neurosbi.seeds import derive_seed
from neurosbi.training.checkpoint import (
    UnusableCheckpointError,
    read_checkpoint,
    write_checkpoint,
)
from neurosbi.training.config import TrainingConfig
from neurosbi.training.data import Batches, RowSource, make_batches
from neurosbi.training.device import resolve_device, thread_limit
from neurosbi.training.interrupt import StopFlag, stop_flag
from neurosbi.training.step import TrainingStep

Loss = Callable[..., Tensor]

STEPS = 3_500  # of a training of default length, as far as these bounds allow
FEWEST_EPOCHS, MOST_EPOCHS = 20, 100
_VALIDATION_ROWS = 4096
_MOST_SKIPPED = 0.1  # part of an epoch's steps that may have no finite gradient


@dataclass(frozen=True)
class EpochRecord:
    """One epoch: mean losses per row, learning rate at its end, seconds and skipped steps."""

    epoch: int
    train_loss: float
    validation_loss: float
    learning_rate: float
    seconds: float
    skipped_steps: int


@dataclass(frozen=True)
class TrainingResult:
    """How a training went. ``stopped`` is "epochs", "patience" or "time"."""

    history: tuple[EpochRecord, ...]
    best_epoch: int
    best_loss: float
    stopped: str
    n_train: int
    n_validation: int
    seconds: float
    device: str
    threads: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a card."""
        return asdict(self)


def fit(
    module: nn.Module,
    data: RowSource | Sequence[Tensor],
    config: TrainingConfig | None = None,
    *,
    loss: Loss | None = None,
    seed: int,
    device: str = "auto",
    record: bool = False,
    steps: int = STEPS,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    progress: bool = True,
) -> TrainingResult:
    """Train ``module`` in place; it ends on ``device`` with its best weights, in eval mode.

    ``loss(*columns) -> [row]`` defaults to ``module.loss``. ``record`` says that in training it
    has fixed shapes and never looks at values (no ``if`` on a tensor, no rows chosen by a mask),
    so that a GPU can replay its steps, which is several times faster. ``steps`` are wanted of a
    training of default length (see `epochs_for`). With ``checkpoint`` an earlier,
    unfinished training of the same ``fingerprint`` is continued; the file is left for the caller
    to remove once the weights are stored.

    Raises `FitError` when the loss is undefined, `InterruptedRunError` after Ctrl-C or SIGTERM
    (the checkpoint is written first), `MissingResourceError` without the device asked for.
    """
    config = config or TrainingConfig()
    where = resolve_device(device)
    devices = [where] if where.type == "cuda" else []
    with thread_limit(config.threads) as threads, torch.random.fork_rng(devices):
        batches = make_batches(data, config, seed=seed, device=where)
        module.to(where)
        step = TrainingStep(
            loss or module.loss,  # type: ignore[arg-type]
            [p for p in module.parameters() if p.requires_grad],
            config,
            device=where,
            record=record,
        )
        epochs = config.epochs or epochs_for(batches.steps, wanted=steps)
        run = _Run(module, step, batches, config, seed, threads, epochs)
        mark = f"{fingerprint}/{seed}/{len(batches.held_out)}/{epochs}/{config.numbers()}"
        store = _Checkpoint(checkpoint, mark, config.checkpoint_seconds)
        store.load_into(run)
        with (
            stop_flag() as stop,
            progress_bar("Training", run.epochs, done=run.epoch, show=progress) as bar,
        ):
            try:
                run.train(bar, store, stop)
            except _DivergedError:
                store.discard()  # with another learning rate nothing could go on from it
                raise
        return run.finish()


def epochs_for(steps: int, *, wanted: int = STEPS) -> int:
    """The length of a training whose epochs have ``steps`` steps, where none is asked for."""
    return min(max(FEWEST_EPOCHS, round(wanted / steps)), MOST_EPOCHS)


class _DivergedError(FitError):
    """The loss became undefined."""


class _Run:
    """The state of one training, and the steps that change it."""

    def __init__(
        self,
        module: nn.Module,
        optimization: TrainingStep,
        batches: Batches,
        config: TrainingConfig,
        seed: int,
        threads: int,
        epochs: int,
    ) -> None:
        self.module, self.optimization = module, optimization
        self.batches, self.config = batches, config
        self.seed, self.threads = seed, threads
        # noise of the gradient per unit of learning: the same as with the batches asked for
        self.peak_rate = config.learning_rate * math.sqrt(batches.batch_size / config.batch_size)
        self.epochs = epochs
        self.epoch = self.step = 0  # finished epochs; finished steps of the present epoch
        self.rate = 0.0  # learning rate of the last step
        self.history: list[EpochRecord] = []
        self.best: dict[str, Tensor] = {}
        self.best_loss, self.best_epoch = math.inf, -1
        self.seconds = self.epoch_seconds = 0.0
        self.stopped = ""

    def train(self, bar: ProgressBar, store: "_Checkpoint", stop: StopFlag) -> None:
        """Run epochs until one of the stopping rules holds."""
        while not self.stopped:
            began = time.monotonic()
            before_epoch, before = self.epoch_seconds, self.seconds
            if self.step == 0:
                # random numbers inside the module (masks, dropout) follow from seed and epoch
                torch.manual_seed(derive_seed(self.seed, f"epoch {self.epoch}"))
            self.module.train()
            for columns in self.batches.epoch(self.epoch, skip=self.step):
                self._step(columns)
                elapsed = time.monotonic() - began
                self.seconds, self.epoch_seconds = before + elapsed, before_epoch + elapsed
                bar(1 / self.batches.steps)
                if stop:
                    store.write(self)
                    again = "; run the same command again to continue" if store.path else ""
                    raise InterruptedRunError(
                        f"training was stopped in epoch {self.epoch + 1}{again}"
                    )
                store.write_if_due(self)
            record = self._close_epoch()
            self.seconds = before + time.monotonic() - began
            bar(
                0,
                status=f"loss {record.train_loss:.3f}, validation {record.validation_loss:.3f}",
            )
            self._apply_stopping_rules()
            store.write_if_due(self)

    def finish(self) -> TrainingResult:
        """Put the best weights in place."""
        self.module.load_state_dict(self.best)
        self.module.eval()
        return TrainingResult(
            history=tuple(self.history),
            best_epoch=self.best_epoch,
            best_loss=self.best_loss,
            stopped=self.stopped,
            n_train=self.batches.n_train,
            n_validation=self.batches.n_validation,
            seconds=self.seconds,
            device=str(self.batches.device),
            threads=self.threads,
        )

    def _step(self, columns: tuple[Tensor, ...]) -> None:
        self.rate = self._learning_rate()
        done = self.epoch * self.batches.steps + self.step + 1
        decay = min(self.config.ema_decay, (1 + done) / (10 + done))
        self.optimization(columns, rate=self.rate, renewal=1 - decay)
        self.step += 1

    def _learning_rate(self) -> float:
        """Linear warm-up, then half a cosine to zero over all epochs."""
        config = self.config
        total = self.epochs * self.batches.steps
        done = self.epoch * self.batches.steps + self.step
        warm = max(1.0, config.warmup_fraction * total)
        if done < warm:
            return self.peak_rate * (done + 1) / (warm + 1)
        if config.schedule == "constant":
            return self.peak_rate
        angle = math.pi * min(1.0, (done - warm) / max(1.0, total - warm))
        return self.peak_rate * 0.5 * (1 + math.cos(angle))

    def _close_epoch(self) -> EpochRecord:
        sum_loss, used, skipped = self.optimization.totals.tolist()  # the epoch's one read-back
        if skipped > max(1.0, _MOST_SKIPPED * self.batches.steps):
            raise _DivergedError(
                f"the training loss had no finite gradient in {skipped:.0f} of "
                f"{self.batches.steps} steps of epoch {self.epoch + 1}; lower the learning rate "
                f"(now {self.config.learning_rate:g}) or look for extreme values in the features"
            )
        validation = self._validation_loss()
        if not math.isfinite(validation) and not self.best:
            raise _DivergedError(
                f"the loss on the validation simulations is not finite after epoch "
                f"{self.epoch + 1}; lower the learning rate (now {self.config.learning_rate:g}) "
                "or look for extreme values in the features"
            )
        record = EpochRecord(
            epoch=self.epoch,
            train_loss=sum_loss / max(used, 1.0),
            validation_loss=validation,
            learning_rate=self.rate,
            seconds=self.epoch_seconds,
            skipped_steps=int(skipped),
        )
        self.history.append(record)
        self.epoch, self.step, self.epoch_seconds = self.epoch + 1, 0, 0.0
        self.optimization.totals.zero_()
        return record

    @torch.no_grad()
    def _validation_loss(self) -> float:
        """Mean loss of all validation rows under the weights that would be kept."""
        self.module.eval()
        trained = self._swap_in_average()
        columns = self.batches.validation()
        total = torch.zeros((), dtype=torch.float64, device=self.batches.device)
        # losses with random parts (masks, diffusion times) see the same draws every epoch
        devices = [self.batches.device] if self.batches.device.type == "cuda" else []
        with torch.random.fork_rng(devices), self.optimization.autocast():
            torch.manual_seed(derive_seed(self.seed, "validation"))
            for start in range(0, self.batches.n_validation, _VALIDATION_ROWS):
                chunk = (c[start : start + _VALIDATION_ROWS] for c in columns)
                total += self.optimization.loss(*chunk).double().sum()
        mean = total.item() / self.batches.n_validation
        if mean < self.best_loss:
            self.best_loss, self.best_epoch = mean, self.epoch
            self.best = {k: v.detach().clone() for k, v in self.module.state_dict().items()}
        for parameter, value in zip(self.optimization.parameters, trained, strict=False):
            parameter.data.copy_(value)
        return mean

    def _swap_in_average(self) -> list[Tensor]:
        parameters, average = self.optimization.parameters, self.optimization.average
        if not average:
            return []
        trained = [p.detach().clone() for p in parameters]
        for parameter, value in zip(parameters, average, strict=True):
            parameter.data.copy_(value)
        return trained

    def _apply_stopping_rules(self) -> None:
        limit = self.config.max_minutes
        if self.epoch >= self.epochs:
            self.stopped = "epochs"
        elif self.epoch - 1 - self.best_epoch >= self.config.patience:
            self.stopped = "patience"
        elif limit is not None and self.seconds > 60 * limit:
            self.stopped = "time"

    def state(self) -> dict[str, Any]:
        """Everything that later steps depend on."""
        on_gpu = self.batches.device.type == "cuda"
        return {
            "module": self.module.state_dict(),
            "optimization": self.optimization.state(),
            "epoch": self.epoch,
            "step": self.step,
            "rate": self.rate,
            "history": [asdict(record) for record in self.history],
            "best": self.best,
            "best_loss": self.best_loss,
            "best_epoch": self.best_epoch,
            "seconds": self.seconds,
            "epoch_seconds": self.epoch_seconds,
            "stopped": self.stopped,
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self.batches.device) if on_gpu else None,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        self.module.load_state_dict(state["module"])
        self.optimization.load_state(state["optimization"])
        self.best = state["best"]
        self.history = [EpochRecord(**record) for record in state["history"]]
        for name in (
            "epoch",
            "step",
            "rate",
            "best_loss",
            "best_epoch",
            "seconds",
            "epoch_seconds",
        ):
            setattr(self, name, state[name])
        self.stopped = state["stopped"]
        torch.set_rng_state(state["random"].cpu())
        if state["random_cuda"] is not None and self.batches.device.type == "cuda":
            torch.cuda.set_rng_state(state["random_cuda"].cpu(), self.batches.device)


class _Checkpoint:
    """When and where the state of a run is written."""

    def __init__(self, path: Path | None, mark: str, seconds: float) -> None:
        self.path = Path(path) if path else None
        self.mark, self.seconds, self.last = mark, seconds, time.monotonic()

    def load_into(self, run: _Run) -> None:
        if self.path is None or not self.path.exists():
            return
        state = read_checkpoint(self.path, device=run.batches.device)
        if state.get("mark") != self.mark:
            raise UnusableCheckpointError(
                f"{self.path} belongs to a training with other data, options or seed; "
                "delete it, or use --existing overwrite, to train from the start"
            )
        run.load_state(state["run"])

    def write_if_due(self, run: _Run) -> None:
        if self.path is not None and time.monotonic() - self.last >= self.seconds:
            self.write(run)

    def write(self, run: _Run) -> None:
        if self.path is not None:
            write_checkpoint(self.path, {"mark": self.mark, "run": run.state()})
            self.last = time.monotonic()

    def discard(self) -> None:
        if self.path is not None:
            self.path.unlink(missing_ok=True)
