import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from neurosbi.errors import BadInputError, FitError, InterruptedRunError, MissingResourceError
from neurosbi.training import TensorRows, TrainingConfig, fit

SMALL = TrainingConfig(epochs=4, batch_size=32, learning_rate=0.05, threads=1)


class Line(nn.Module):
    """y = a x + b with dropout, so that the loss uses random numbers."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 1))

    def loss(self, x, y):
        return (self.net(x) - y).square().sum(-1)


def line_data(n=600):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(n, 1, generator=generator) * 2 - 1
    return x, 2 * x - 0.5 + 0.1 * torch.randn(n, 1, generator=generator)


def new_line(dropout=0.0):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Line(dropout)


def weights(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


class Streamed(TensorRows):
    """Counts the rows that are read at once."""

    longest = 0

    def read(self, start, stop):
        self.longest = max(self.longest, stop - start)
        return tuple(c.clone() for c in super().read(start, stop))


def test_reaches_the_noise_level_and_keeps_the_best_weights():
    module = new_line()
    config = TrainingConfig(epochs=25, batch_size=32, learning_rate=0.03, patience=60, threads=1)
    result = fit(module, line_data(2000), config, seed=1, device="cpu", progress=False)
    assert result.stopped == "epochs"
    assert 0.008 < result.best_loss < 0.0125
    assert result.best_loss == min(r.validation_loss for r in result.history)
    assert result.history[result.best_epoch].validation_loss == result.best_loss
    assert not module.training


def test_validation_is_every_held_out_row_under_the_best_weights():
    from neurosbi.training.data import make_batches

    module, data = new_line(), line_data(5003)
    result = fit(module, data, SMALL, seed=5, device="cpu", progress=False)
    batches = make_batches(data, SMALL, seed=5, device=torch.device("cpu"))
    assert result.n_validation == 500
    with torch.no_grad():
        again = module.loss(*batches.validation()).double().mean().item()
    assert again == pytest.approx(result.best_loss, rel=1e-6)


@pytest.mark.parametrize("shuffle_rows", [None, 200])
def test_every_training_row_is_used_at_most_once_an_epoch_and_no_validation_row(shuffle_rows):
    from neurosbi.training.data import make_batches

    config = TrainingConfig(batch_size=32, shuffle_rows=shuffle_rows, block_rows=64)
    batches = make_batches([torch.arange(1000)], config, seed=2, device=torch.device("cpu"))
    held = set(batches.validation()[0].tolist())
    epochs = [torch.cat([c for (c,) in batches.epoch(e)]).tolist() for e in range(2)]
    for rows in epochs:
        assert len(rows) == len(set(rows)) == 900 // 32 * 32
        assert not held & set(rows)
    assert epochs[0] != epochs[1]


def test_streamed_equals_resident_bit_for_bit():
    data, results = line_data(1000), []
    common = {"epochs": 3, "batch_size": 48, "shuffle_rows": 256, "block_rows": 64, "threads": 1}
    for memory_gb in (1.0, 1e-6):
        module, source = new_line(), Streamed(*data)
        config = TrainingConfig(**common, memory_gb=memory_gb)
        fit(module, source, config, seed=4, device="cpu", progress=False)
        results.append((weights(module), source.longest))
    assert torch.equal(results[0][0], results[1][0])
    assert results[0][1] == 1000
    assert results[1][1] <= 64


def test_the_seed_decides_and_the_global_generator_is_left_alone():
    state = torch.get_rng_state()
    finals = []
    for seed in (1, 1, 2):
        module = new_line(dropout=0.2)
        fit(module, line_data(), SMALL, seed=seed, device="cpu", progress=False)
        finals.append(weights(module))
    assert torch.equal(finals[0], finals[1])
    assert not torch.equal(finals[0], finals[2])
    after = torch.get_rng_state()
    with torch.random.fork_rng():
        assert torch.equal(state, after)


def test_patience_stops_a_training_that_overfits():
    module = new_line()
    config = TrainingConfig(epochs=500, batch_size=8, learning_rate=0.1, patience=5, threads=1)
    data = (torch.rand(60, 1), torch.randn(60, 1))
    result = fit(module, data, config, seed=0, device="cpu", progress=False)
    assert result.stopped == "patience"
    assert len(result.history) == result.best_epoch + 1 + 5


def test_averaged_weights_are_what_is_validated_and_kept():
    from neurosbi.training.data import make_batches

    module = new_line()
    config = TrainingConfig(epochs=5, batch_size=32, learning_rate=0.05, ema_decay=0.9, threads=1)
    result = fit(module, line_data(), config, seed=0, device="cpu", progress=False)
    batches = make_batches(line_data(), config, seed=0, device=torch.device("cpu"))
    with torch.no_grad():
        loss = module.loss(*batches.validation()).double().mean().item()
    assert loss == pytest.approx(result.best_loss, rel=1e-6)
    plain = new_line()
    fit(
        plain,
        line_data(),
        replace(config, ema_decay=0),
        seed=0,
        device="cpu",
        progress=False,
    )
    assert not torch.equal(weights(plain), weights(module))


class Odd(Line):
    """Its loss is undefined on rows with x above a limit."""

    limit = 0.999

    def loss(self, x, y):
        value = super().loss(x, y)
        return value * torch.where(x[:, 0] > self.limit, torch.nan, 1.0)


def test_a_step_without_finite_gradient_is_skipped_and_counted():
    x, y = line_data(3000)
    x = x.clamp(-1, 0.99)
    from neurosbi.training.data import make_batches

    config = replace(SMALL, batch_size=27)  # 100 whole batches
    held = make_batches((x, y), config, seed=0, device=torch.device("cpu")).held_out
    x[torch.as_tensor(~held).nonzero()[0]] = 1.0
    module = Odd()
    result = fit(module, (x, y), config, seed=0, device="cpu", progress=False)
    assert [r.skipped_steps for r in result.history] == [1, 1, 1, 1]
    assert torch.isfinite(weights(module)).all()
    assert result.best_loss < 0.5


def test_a_loss_that_is_never_defined_ends_in_a_sentence():
    module = Odd()
    module.limit = -2.0
    with pytest.raises(FitError, match=r"no finite gradient in 16 of 16 steps of epoch 1; lower"):
        fit(module, line_data(), SMALL, seed=0, device="cpu", progress=False)


SCRIPT = textwrap.dedent(
    """
    import sys, os, time
    from pathlib import Path
    import torch
    from test_loop import Line, new_line, line_data, weights
    from neurosbi.training import TrainingConfig, fit

    slow = float(sys.argv[2])
    class Slow(Line):
        def loss(self, x, y):
            time.sleep(slow)
            return super().loss(x, y)
    module = new_line(0.2)
    module.__class__ = Slow
    config = TrainingConfig(epochs=6, batch_size=32, learning_rate=0.05, threads=1,
                            ema_decay=0.9, checkpoint_seconds=0.0001)
    fit(module, line_data(), config, seed=9, device="cpu", checkpoint=Path(sys.argv[1]),
        progress=False)
    torch.save(weights(module), sys.argv[1] + ".weights")
    """
)


def start_script(checkpoint, slow):
    paths = [os.path.dirname(__file__), *sys.path]
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(checkpoint), str(slow)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )


def wait_for(path, process):
    for _ in range(2000):
        if path.exists() or process.poll() is not None:
            break
        time.sleep(0.02)
    assert path.exists()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_killed_and_run_again_gives_the_same_weights_bit_for_bit(tmp_path, how):
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    assert start_script(whole, 0).wait() == 0
    process = start_script(torn, 0.02)
    wait_for(torn, process)
    time.sleep(0.5)
    process.send_signal(how)
    assert process.wait() != 0
    assert not (tmp_path / "torn.weights").exists()
    step = torch.load(torn, weights_only=True)["run"]
    assert step["epoch"] * 16 + step["step"] > 0
    assert start_script(torn, 0).wait() == 0
    first, second = (torch.load(f"{p}.weights", weights_only=True) for p in (whole, torn))
    assert torch.equal(first, second)


def test_ctrl_c_writes_the_checkpoint_and_says_so(tmp_path):
    class Interrupting(Line):
        calls = 0

        def loss(self, x, y):
            self.calls += 1
            if self.calls == 20:
                os.kill(os.getpid(), signal.SIGINT)
            return super().loss(x, y)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(InterruptedRunError, match="epoch 2; run the same command again"):
        fit(
            Interrupting(),
            line_data(),
            SMALL,
            seed=0,
            device="cpu",
            checkpoint=tmp_path / "c",
            progress=False,
        )
    assert (tmp_path / "c").exists()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_checkpoint_of_another_training_or_a_damaged_one_is_refused(tmp_path):
    path = tmp_path / "c"
    config = replace(SMALL, checkpoint_seconds=1e-9)
    fit(new_line(), line_data(), config, seed=0, device="cpu", checkpoint=path, progress=False)
    with pytest.raises(BadInputError, match="other data, options or seed"):
        fit(new_line(), line_data(), config, seed=1, device="cpu", checkpoint=path, progress=False)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BadInputError, match="not a readable training checkpoint"):
        fit(new_line(), line_data(), config, seed=0, device="cpu", checkpoint=path, progress=False)


def test_time_limit_ends_after_an_epoch():
    config = TrainingConfig(epochs=1000, batch_size=32, max_minutes=1e-6, threads=1)
    result = fit(new_line(), line_data(), config, seed=0, device="cpu", progress=False)
    assert (result.stopped, len(result.history)) == ("time", 1)


def test_too_few_rows_unknown_devices_and_bad_options():
    with pytest.raises(BadInputError, match="at least 3 usable simulations"):
        fit(new_line(), line_data(2), SMALL, seed=0, device="cpu", progress=False)
    with pytest.raises(BadInputError, match="give auto, cpu, cuda or cuda:1"):
        fit(new_line(), line_data(), SMALL, seed=0, device="tpu", progress=False)
    with pytest.raises(BadInputError, match="epochs must be positive"):
        TrainingConfig(epochs=0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_said():
    with pytest.raises(MissingResourceError, match="sees no GPU"):
        fit(new_line(), line_data(), SMALL, seed=0, device="cuda", progress=False)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_training_reaches_the_same_loss():
    config = TrainingConfig(epochs=60, batch_size=32, learning_rate=0.02, patience=60)
    result = fit(new_line(), line_data(2000), config, seed=1, device="cuda", progress=False)
    assert 0.008 < result.best_loss < 0.0125


def test_small_sets_get_smaller_batches_and_a_smaller_rate():
    config = TrainingConfig(epochs=1, batch_size=512, learning_rate=0.01, schedule="constant")
    result = fit(new_line(), line_data(1000), config, seed=0, device="cpu", progress=False)
    # 900 rows in batches of 32 instead of 512
    assert result.history[0].learning_rate == pytest.approx(0.01 * (32 / 512) ** 0.5)
