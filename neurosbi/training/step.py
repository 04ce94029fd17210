"""One step of training: the gradient, clipped, AdamW, and the running average of the weights.

On a GPU the step of a small network is hundreds of kernels of a few microseconds each, which take
longer to launch than to run. So a step may be recorded as a CUDA graph and replayed, as one launch,
with other batches and learning rates in the same places of memory.

Reference: Loshchilov, Hutter (2019), Decoupled weight decay regularization, arXiv:1711.05101.
"""

__all__ = ["TrainingStep"]

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from neurosbi.training.config import TrainingConfig

_OF_THE_DEVICE = ("fused", "capturable")  # a state may come from a training on another one
_BEFORE_RECORDING = 3  # steps in which libraries choose their kernels and take their workspaces


class TrainingStep:
    """Call with the columns of a batch; weights, moments, average and totals change in place.

    ``totals`` [3] sums the mean losses, the steps taken and the steps that were skipped because
    their gradient was not finite; nothing is read back from the device. ``record`` replays steps
    on a GPU; the loss then must have fixed shapes and must not look at values.
    """

    def __init__(
        self,
        loss: Callable[..., Tensor],
        parameters: Sequence[nn.Parameter],
        config: TrainingConfig,
        *,
        device: torch.device,
        record: bool = False,
    ) -> None:
        on_gpu = device.type == "cuda"
        self.loss = torch.compile(loss) if config.compile and on_gpu else loss
        self.parameters, self.clip = list(parameters), config.gradient_clip
        self.autocast: Callable[[], AbstractContextManager[Any]] = (
            (lambda: torch.autocast("cuda", torch.bfloat16))
            if config.autocast and on_gpu
            else nullcontext
        )
        self.record = record and on_gpu
        # numbers that change from step to step must lie on the device to be replayed
        self.rate = torch.zeros((), device=device) if self.record else 0.0
        self.renewal = torch.zeros((), device=device) if self.record else 0.0
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=self.rate,
            weight_decay=config.weight_decay,
            fused=device.type in ("cpu", "cuda"),
            capturable=self.record,
        )
        self.average = [p.detach().clone() for p in self.parameters] if config.ema_decay else []
        self.totals = torch.zeros(3, dtype=torch.float64, device=device)
        self.warm = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.inputs: tuple[Tensor, ...] = ()

    def __call__(self, columns: tuple[Tensor, ...], *, rate: float, renewal: float) -> None:
        """Learn from ``columns`` at ``rate``; the average moves by ``renewal`` towards the weights."""
        self._set(rate, renewal)
        if not self.record:
            self._compute(columns)
        elif self.warm < _BEFORE_RECORDING:
            self._compute_aside(columns)
            self.warm += 1
        else:
            self._replay(columns)

    def state(self) -> dict[str, Any]:
        """What later steps depend on, besides the weights."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            "totals": self.totals,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Inverse of `state`, before the first step."""
        of_this_device = [{k: g[k] for k in _OF_THE_DEVICE} for g in self.optimizer.param_groups]
        self.optimizer.load_state_dict(state["optimizer"])
        for group, kept in zip(self.optimizer.param_groups, of_this_device, strict=True):
            group.update(kept)
        self.average, self.totals = state["average"], state["totals"]

    def _set(self, rate: float, renewal: float) -> None:
        if isinstance(self.rate, Tensor) and isinstance(self.renewal, Tensor):
            self.rate.fill_(rate)
            self.renewal.fill_(renewal)
        else:
            self.rate, self.renewal = rate, renewal
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate

    def _compute(self, columns: tuple[Tensor, ...]) -> None:
        self.optimizer.zero_grad()
        with self.autocast():
            value = self.loss(*columns).mean()
        value.backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, self.clip, foreach=True)
        broken = (~torch.isfinite(norm)).float()
        # the fused step leaves weights and moments as they are where found_inf is 1: no sync
        self.optimizer.found_inf = broken.reshape(())  # type: ignore[attr-defined]
        self.optimizer.step()
        self.totals += torch.stack((torch.nan_to_num(value.detach(), 0, 0, 0), 1 - broken, broken))
        if self.average:
            _move(self.average, [p.data for p in self.parameters], self.renewal)

    def _compute_aside(self, columns: tuple[Tensor, ...]) -> None:
        """A step on a stream of its own, as recording will use one."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._compute(columns)
        torch.cuda.current_stream().wait_stream(stream)

    def _replay(self, columns: tuple[Tensor, ...]) -> None:
        if self.graph is None:
            self.inputs = tuple(c.clone() for c in columns)
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self._compute(self.inputs)
        for place, column in zip(self.inputs, columns, strict=True):
            place.copy_(column)
        self.graph.replay()


def _move(average: list[Tensor], towards: list[Tensor], part: Tensor | float) -> None:
    if isinstance(part, Tensor):
        difference = torch._foreach_sub(towards, average)  # type: ignore[reportPrivateImportUsage]
        torch._foreach_mul_(difference, part)  # type: ignore[reportPrivateImportUsage]
        torch._foreach_add_(average, difference)  # type: ignore[reportPrivateImportUsage]
    else:
        torch._foreach_lerp_(average, towards, part)  # type: ignore[reportPrivateImportUsage]
