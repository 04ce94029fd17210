"""The encoding of traces and the convolution over it: padding has no influence."""

import numpy as np
import pytest
import torch

from neurosbi.contract import BinSection, TraceBins
from neurosbi.nets import FeatureEncoder, TraceEmbedding, TraceEncoder

BINS = TraceBins((BinSection(-2.0, 0.5, 21), BinSection(-10.0, 5.0, 45)))


@pytest.fixture
def traces():
    rng = np.random.default_rng(0)
    mean = rng.normal(-65, 5, size=(40, 1, BINS.n))
    trace = np.concatenate(
        (mean, mean + rng.exponential(3, mean.shape), mean - rng.exponential(1, mean.shape)), axis=1
    )
    trace[::2, :, -20:] = np.nan  # shorter steps
    return torch.as_tensor(trace, dtype=torch.float32)


@pytest.fixture
def encoder(traces):
    x = np.random.default_rng(1).normal(size=(40, 3))
    return TraceEncoder.of(FeatureEncoder.of(x, np.empty((40, 0))), BINS, traces.numpy())


def encoded(encoder, traces, **how):
    n = len(traces)
    return encoder(torch.zeros((n, 3)), torch.empty((n, 0)), None, traces, **how)


def embedding(encoder):
    torch.manual_seed(0)
    return TraceEmbedding(encoder.width, [21, 45], 7, filters=6, hidden=16).eval()


def test_the_encoding_is_finite_standard_and_says_what_is_there(encoder, traces):
    rows = encoded(encoder, traces)
    assert rows.shape == (40, encoder.width)
    assert encoder.width == 6 + 4 * BINS.n
    assert torch.isfinite(rows).all()
    channels = rows[:, 6:].unflatten(1, (4, BINS.n))
    assert (channels[:, 3] == torch.isfinite(traces[:, 0])).all()
    there = channels[:, :3].movedim(1, 2)[channels[:, 3] > 0]
    assert there.mean(0) == pytest.approx(0, abs=0.01)
    assert there.std(0) == pytest.approx(1, abs=0.05)


def test_absent_bins_are_zero_whatever_they_hold(encoder, traces):
    net = embedding(encoder)
    rows = encoded(encoder, traces)
    garbage = rows.clone()
    channels = garbage[:, 6:].unflatten(1, (4, BINS.n))
    absent = (channels[:, 3:] == 0).expand(-1, 3, -1)
    channels[:, :3][absent] = 1e3
    assert not torch.equal(garbage, rows)
    assert torch.equal(net(garbage), net(rows))


def test_padding_leaves_what_it_follows_alone(encoder, traces):
    """Bins far behind the end of a step change nothing, whether they are there or not."""
    net = embedding(encoder)
    short = traces[:1]
    section = net.sections[1]
    part = encoded(encoder, short)[:, 6:].unflatten(1, (4, BINS.n))[:, :, 21:]
    moved = part.clone()
    moved[:, :3, 30:] = torch.randn(1, 3, 15)
    assert torch.equal(section(part), section(moved))


def test_a_withheld_trace_leaves_nothing_behind(encoder, traces):
    given = torch.zeros(40, dtype=torch.bool)
    withheld = encoded(encoder, traces, trace_given=given)
    assert (withheld[:, 6:] == 0).all()
    absent = encoder(torch.zeros((40, 3)), torch.empty((40, 0)))
    assert torch.equal(withheld, absent)


def test_rows_do_not_see_each_other_and_all_bins_are_seen(encoder, traces):
    net = embedding(encoder)
    rows = encoded(encoder, traces)
    torch.testing.assert_close(net(rows[3:4]), net(rows)[3:4])
    rows = rows[1:2].requires_grad_()  # a long step: every bin is there
    net(rows).sum().backward()
    gradient = rows.grad[:, 6:].unflatten(1, (4, BINS.n))
    assert (gradient[0, :3] != 0).all()


def test_rows_without_a_trace_have_an_embedding_of_their_own(encoder, traces):
    torch.manual_seed(0)
    net = TraceEmbedding(
        encoder.width, [21, 45], 7, features=6, either=True, filters=6, hidden=16
    ).eval()
    given = torch.arange(40) % 3 > 0
    mixed = net(encoded(encoder, traces, trace_given=given))
    torch.testing.assert_close(mixed[given], net(encoded(encoder, traces)[given]))
    features = encoded(encoder, traces)[:, :6]
    torch.testing.assert_close(mixed[~given], net.without_trace(features)[~given])


def test_in_training_some_rows_see_the_trace_alone(encoder, traces):
    torch.manual_seed(0)
    net = TraceEmbedding(encoder.width, [21, 45], 7, features=6, either=True, filters=6, hidden=16)
    rows = encoded(encoder, traces)
    other = torch.cat((rows[:, :6] + 1.0, rows[:, 6:]), dim=1)
    contexts = []
    for batch in (rows, other):
        torch.manual_seed(7)  # the same rows lose their features
        contexts.append(net(batch))
    blind = (contexts[0] == contexts[1]).all(1)
    assert 0.1 < blind.float().mean() < 0.6
    torch.testing.assert_close(net.eval()(rows)[~blind], contexts[0][~blind])
