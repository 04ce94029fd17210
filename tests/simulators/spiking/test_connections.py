"""Random connections: their number, their independence, and what a spike does along them."""

import numpy as np
import pytest
from neurosbi_simulators.spiking.advance import N_OWN_ROWS, U
from neurosbi_simulators.spiking.connectivity import connect, target_type
from scipy import stats
from spiking_cases import keys, sharp, spikes, started


def matrix(net, index=0, seed=1):
    """bool [from, to]"""
    offsets, targets = connect(net, keys(index, seed)["connection_keys"])
    n, m = net.n_neurons, len(net.size)
    found = np.zeros((n, n), dtype=int)
    for j in range(n):
        for a in range(m):
            row = targets[offsets[j * m + a] : offsets[j * m + a + 1]].astype(int)
            assert np.all(np.diff(row) > 0)  # ascending, none twice
            assert np.all((row >= net.starts[a]) & (row < net.starts[a + 1]))
            found[j, row] += 1
    assert found.sum() == len(targets) == offsets[-1]
    return found.astype(bool)


def test_every_pair_has_its_probability():
    p = [[0.1, 0.3], [0.02, 0.5]]
    net = sharp([700, 300], p=p, w=1.0)
    c = matrix(net)
    for b, source in enumerate((slice(0, 700), slice(700, 1000))):
        for a, target in enumerate((slice(0, 700), slice(700, 1000))):
            block = c[source, target]
            z = (block.sum() - block.size * p[a][b]) / np.sqrt(block.size * p[a][b] * (1 - p[a][b]))
            assert abs(z) < 4.5
            for degrees, n in (
                (block.sum(axis=0), block.shape[0]),
                (block.sum(axis=1), block.shape[1]),
            ):
                # in- and out-degrees are binomial: neither targets nor sources are preferred
                variance = degrees.var(ddof=1) / (n * p[a][b] * (1 - p[a][b]))
                assert abs(variance - 1) < 4.5 * np.sqrt(2 / len(degrees))


def test_gaps_between_targets_are_geometric():
    net = sharp([4000], p=0.03, w=1.0)
    offsets, targets = connect(net, keys()["connection_keys"])
    gaps = np.concatenate(
        [np.diff(targets[a:b].astype(int)) for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
    )
    gaps = gaps[gaps <= 60]
    expected = stats.geom.pmf(np.arange(1, 61), 0.03)
    counts = np.bincount(gaps, minlength=61)[1:]
    # gaps are cut off at the end of a row, which favours short ones a little
    weights = expected * (4000 - np.arange(1, 61))
    assert stats.chisquare(counts, weights / weights.sum() * counts.sum()).pvalue > 1e-4


def test_rows_of_different_neurons_and_simulations_are_independent():
    net = sharp([400], p=0.2, w=1.0)
    one, other = matrix(net, index=0), matrix(net, index=1)
    for a, b in ((one, other), (one[:-1], one[1:]), (one, one.T)):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4.5 / np.sqrt(a.size / 2)
    np.testing.assert_array_equal(one, matrix(net, index=0))


def test_certain_and_absent_connections():
    c = matrix(sharp([30, 20], p=[[1.0, 0.0], [0.0, 1.0]], w=1.0))
    assert c[:30, :30].all()
    assert c[30:, 30:].all()
    assert not c[:30, 30:].any()
    assert target_type(sharp([70_000])) is np.uint32
    assert target_type(sharp([65_536])) is np.uint16


@pytest.mark.parametrize("delay", [0.1, 1.5, 7.3])
def test_spikes_arrive_after_the_delay(delay):
    """A neuron that one spike fires does so in the first step after the arrival."""
    net = sharp([1, 1], p=[[0, 0], [1, 0]], w=[[0, 0], [40, 0]], u_rest=[25.0, 0.0], delay=delay)
    found = spikes(net, total=300.0)
    sent, answered = (found.time[found.unit == i] for i in (0, 1))
    n = len(answered)
    assert n > 8
    np.testing.assert_allclose(answered - sent[:n], delay + 0.1, atol=1e-9)


def test_one_spike_gives_the_potential_of_its_kernel():
    """w tau_m/(tau_m - tau_s) (e^-t/tau_m - e^-t/tau_s), for each synaptic time constant."""
    for tau_s in (3.0, 20.0, 0.0):
        net = sharp(
            [1, 1],
            p=[[0, 0], [1, 0]],
            w=[[0, 0], [2.5, 0]],
            u_rest=[20.01, 0.0],
            u_r=[-1e4, 0.0],
            tau_s=tau_s,
            delay=2.0,
        )
        going = started(net)
        at = np.empty(0)
        while not len(at):
            at, _ = going.advance(going.step + 1)
        going.advance(going.step + 20)
        at_arrival = float(going.state[U, 1])
        for k in range(1, 400):
            going.advance(going.step + 1)
            t = 0.1 * k
            if tau_s == 0.0:
                kernel = np.exp(-t / 20.0)
            elif tau_s == 20.0:
                kernel = t / 20.0 * np.exp(-t / 20.0)
            else:
                kernel = 20.0 / (20.0 - tau_s) * (np.exp(-t / 20.0) - np.exp(-t / tau_s))
            expected = at_arrival * np.exp(-t / 20.0) + 2.5 * kernel
            assert going.state[U, 1] == pytest.approx(expected, rel=2e-4)
        assert len(going.state) == N_OWN_ROWS + len(np.unique(net.tau_s))


def test_everyone_is_the_mean_of_random_connections():
    """Every neuron then gets p w of every spike."""
    values = {"p": [[0, 0], [0.25, 0]], "w": [[0, 0], [0.4, 0]], "u_r": [-1e4, 0.0]}
    net = sharp([8, 3], everyone=True, u_rest=[1e5, 0.0], delay=0.5, **values)
    going = started(net, dt=0.1)
    going.state[U, 8:] = 0.0
    going.advance(6)
    sent = 8  # all of them spike within these steps, once
    for _ in range(30):
        going.advance(going.step + 1)
    assert going.totals.tolist() == [sent, sent * 3]
    assert np.ptp(going.state[U, 8:]) == 0.0
    assert 0.85 * sent * 0.1 < going.state[U, 8] < sent * 0.1
