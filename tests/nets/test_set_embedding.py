"""The encoding and embedding of sets of sweeps."""

import numpy as np
import torch

from neurosbi.contract import Parameter
from neurosbi.nets import FeatureEncoder, SetEmbedding, SetEncoder
from neurosbi.nets.sweep_sets import _thinned

FAMILY = (Parameter("amplitude", "pA", 1.0, 100.0, scale="log"),)


def made(most=6, features=3, seed=0):
    rng = np.random.default_rng(seed)
    x, stimulus = rng.normal(size=(200, features)), rng.uniform(1, 100, size=(200, 1))
    encoder = SetEncoder(FeatureEncoder.of(x, stimulus, family=FAMILY), most)
    torch.manual_seed(seed)
    return encoder, SetEmbedding(encoder.width, most, 5, hidden=8).eval(), x, stimulus


def encode(encoder, x, stimulus, place):
    return encoder(
        torch.as_tensor(x),
        torch.as_tensor(stimulus),
        torch.zeros(len(x), dtype=torch.long),
        torch.as_tensor(place),
        n=1,
        given=torch.ones(x.shape, dtype=torch.bool),
    )


def test_order_and_place_of_the_sweeps_do_not_matter():
    encoder, embedding, x, stimulus = made()
    first = embedding(encode(encoder, x[:4], stimulus[:4], [0, 1, 2, 3]))
    for order, place in (([2, 0, 3, 1], [0, 1, 2, 3]), ([0, 1, 2, 3], [5, 0, 4, 2])):
        again = embedding(encode(encoder, x[order], stimulus[order], place))
        torch.testing.assert_close(again, first)


def test_each_set_of_a_batch_is_embedded_with_its_own_number_of_sweeps():
    # sets of 5, 2 and 1 sweeps in one batch against each by itself
    encoder, embedding, x, stimulus = made()
    alone = [
        embedding(encode(encoder, x[a:b], stimulus[a:b], np.arange(b - a)))
        for a, b in ((0, 5), (5, 7), (7, 8))
    ]
    together = encoder(
        torch.as_tensor(x[:8]),
        torch.as_tensor(stimulus[:8]),
        torch.tensor([0] * 5 + [1] * 2 + [2]),
        torch.tensor([0, 1, 2, 3, 4, 0, 1, 0]),
        n=3,
        given=torch.ones((8, 3), dtype=torch.bool),
    )
    torch.testing.assert_close(embedding(together), torch.cat(alone))


def test_the_number_of_sweeps_counts():
    encoder, embedding, x, stimulus = made()
    once = embedding(encode(encoder, x[:1], stimulus[:1], [0]))
    twice = embedding(encode(encoder, x[[0, 0]], stimulus[[0, 0]], [0, 1]))
    assert not torch.allclose(once, twice)


def test_thinning_keeps_at_least_one_sweep_and_half_of_the_sets_whole():
    torch.manual_seed(1)
    there = torch.zeros((20_000, 8), dtype=torch.bool)
    there[:, :5] = True
    there[:100, 1:] = False  # sets of one
    kept = _thinned(there)
    assert bool((kept <= there).all())
    assert int(kept.sum(1).min()) == 1
    whole = (kept.sum(1) == there.sum(1))[100:].float().mean()
    # half are left alone; of the others a share of 1 / 6 keeps all five by chance
    assert abs(float(whole) - (0.5 + 0.5 / 6)) < 0.02


def test_only_training_thins():
    encoder, embedding, x, stimulus = made()
    encoded = encode(encoder, x[:6], stimulus[:6], np.arange(6))
    torch.testing.assert_close(embedding(encoded), embedding(encoded))
