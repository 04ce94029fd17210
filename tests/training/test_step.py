from contextlib import nullcontext

import pytest
import torch
from torch import nn

from neurosbi.errors import InterruptedRunError
from neurosbi.training import TrainingConfig, fit, loop
from neurosbi.training.step import TrainingStep

ON_GPU = pytest.param(
    "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
)
CONFIG = TrainingConfig(weight_decay=0.1, gradient_clip=0.5, ema_decay=0.9)


def columns(n, *, device="cpu"):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, 3, generator=generator)
    return x.to(device), (x @ torch.tensor([1.0, -2.0, 0.5])).to(device)


def linear(device):
    module = nn.Linear(3, 1, bias=False)
    nn.init.constant_(module.weight, 0.2)
    return module.to(device)


def squares(module):
    return lambda x, y: (module(x)[:, 0] - y).square()


def by_hand(steps, rates, renewals):
    """Weights and average after AdamW with clipped gradients, in float64."""
    x, y = (c.double() for c in columns(steps * 16))
    w = torch.full((3,), 0.2, dtype=torch.float64)
    average, first, second = w.clone(), torch.zeros(3).double(), torch.zeros(3).double()
    for i, (rate, renewal) in enumerate(zip(rates, renewals, strict=True)):
        rows = slice(16 * i, 16 * (i + 1))
        gradient = 2 * ((x[rows] @ w - y[rows])[:, None] * x[rows]).mean(0)
        gradient *= min(1.0, CONFIG.gradient_clip / float(gradient.norm()))
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        w = w * (1 - rate * CONFIG.weight_decay)
        unbiased = (second / (1 - 0.999 ** (i + 1))).sqrt() + 1e-8
        w = w - rate * first / (1 - 0.9 ** (i + 1)) / unbiased
        average = average + renewal * (w - average)
    return w, average


@pytest.mark.parametrize("record", [False, True])
@pytest.mark.parametrize("device", ["cpu", ON_GPU])
def test_steps_are_adamw_with_clipped_gradients_and_a_running_average(device, record):
    where, steps = torch.device(device), 12
    module = linear(where)
    step = TrainingStep(
        squares(module), [*module.parameters()], CONFIG, device=where, record=record
    )
    rates = [0.1 / (1 + i) for i in range(steps)]
    renewals = [1 / (2 + i) for i in range(steps)]
    x, y = columns(steps * 16, device=device)
    for i, (rate, renewal) in enumerate(zip(rates, renewals, strict=True)):
        rows = slice(16 * i, 16 * (i + 1))
        step((x[rows], y[rows]), rate=rate, renewal=renewal)
    weight, average = by_hand(steps, rates, renewals)
    torch.testing.assert_close(module.weight[0].cpu().double(), weight, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(step.average[0][0].cpu().double(), average, rtol=1e-4, atol=1e-5)
    assert step.totals[1:].tolist() == [steps, 0]
    assert (step.graph is not None) == (record and device == "cuda")


@pytest.mark.parametrize("device", ["cpu", ON_GPU])
def test_a_batch_without_finite_gradient_changes_nothing_but_the_count(device):
    where = torch.device(device)
    module = linear(where)
    step = TrainingStep(squares(module), [*module.parameters()], CONFIG, device=where, record=True)
    x, y = columns(96, device=device)
    for i in range(5):
        step((x[16 * i : 16 * (i + 1)], y[16 * i : 16 * (i + 1)]), rate=0.01, renewal=0.5)
    weight, loss = module.weight.detach().clone(), float(step.totals[0])
    step((x[80:] * torch.inf, y[80:]), rate=0.01, renewal=0.5)
    assert torch.equal(module.weight, weight)
    assert step.totals.tolist() == [loss, 5, 1]


def test_a_state_of_another_device_leaves_how_steps_are_taken():
    def step():
        module = linear("cpu")
        return TrainingStep(
            squares(module), [*module.parameters()], CONFIG, device=torch.device("cpu")
        )

    from_gpu, here = step(), step()
    from_gpu(columns(16), rate=0.1, renewal=0.1)
    state = from_gpu.state()
    state["optimizer"]["param_groups"][0] |= {"capturable": True, "fused": None}
    here.load_state(state)
    group = here.optimizer.param_groups[0]
    assert (group["capturable"], group["fused"]) == (False, True)
    here(columns(16), rate=0.1, renewal=0.1)


class AfterTwenty:
    """A stop flag that is raised after 20 steps."""

    asked = 0

    def __bool__(self):
        self.asked += 1
        return self.asked > 20


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_recorded_trainings_end_where_others_do_and_continue_from_checkpoints(
    tmp_path, monkeypatch
):
    config = TrainingConfig(epochs=6, batch_size=32, learning_rate=0.05)

    def losses(**how):
        module = linear("cpu")
        how = {"loss": squares(module), "seed": 0, "device": "cuda", "progress": False} | how
        return [r.validation_loss for r in fit(module, columns(640), config, **how).history]

    plain = losses(record=False)
    assert losses(record=True) == pytest.approx(plain, rel=1e-3)

    path = tmp_path / "checkpoint.pt"
    with monkeypatch.context() as patched:
        patched.setattr(loop, "stop_flag", lambda: nullcontext(AfterTwenty()))
        with pytest.raises(InterruptedRunError):
            losses(record=True, checkpoint=path)
    assert losses(record=True, checkpoint=path) == pytest.approx(plain, rel=1e-3)
