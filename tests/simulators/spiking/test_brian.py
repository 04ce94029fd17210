"""The same model in Brian2: step for step where nothing is random, else in distribution.

The tests of distributions have fixed seeds; a pair of equal models would fail one of them with a
probability below 1e-3 over the choice of the seeds.
"""

import sys

import numpy as np
import pytest
from neurosbi_simulators.spiking import BalancedNetwork, SpikingGif
from neurosbi_simulators.spiking.advance import U
from neurosbi_simulators.spiking.brian import build_network, run_in_brian
from scipy import stats
from spiking_cases import keys, sharp, spikes, started, stochastic

from neurosbi.errors import MissingResourceError

brian2 = pytest.importorskip("brian2", exc_type=ImportError)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def interpreted():
    """Small networks are done before a compiler would be."""
    before = brian2.prefs.codegen.target
    brian2.prefs.codegen.target = "numpy"
    yield
    brian2.prefs.codegen.target = before


def in_brian(net, *, total, onset=0.0, dt=0.1, index=0):
    return run_in_brian(net, dt=dt, onset=onset, total=total, recorded=net.size, **keys(index))


@pytest.mark.usefixtures("interpreted")
def test_noise_free_chain_step_for_step():
    """Potentials of a driven neuron and of one it excites: refractory periods, delay, synapse."""
    net = sharp([1, 1], p=[[0, 0], [1, 0]], w=[[0, 0], [60, 0]], u_rest=[25.0, 0.0], tau_s=4.0)
    start = np.array([19.9, 3.0])
    ours = started(net)
    ours.state[U] = start
    theirs = build_network(net, dt=0.1, recorded=net.size)
    for group, u in zip(theirs.groups, start, strict=True):
        group.u = u
    watched = [brian2.StateMonitor(g, "u", record=True, when="end") for g in theirs.groups]
    theirs.network.add(*watched)
    theirs.network.run(60 * brian2.ms)
    path = np.empty((2, 600))
    steps, neurons = [], []
    for k in range(600):
        at, neuron = ours.advance(k + 1)
        path[:, k] = ours.state[U]
        steps += at.tolist()
        neurons += neuron.tolist()
    for i, (monitor, spiked) in enumerate(zip(watched, theirs.recorded, strict=True)):
        np.testing.assert_allclose(path[i], monitor.u[0], rtol=1e-4, atol=1e-4)
        expected = np.round(np.asarray(spiked.t / brian2.ms) / 0.1).astype(int)
        np.testing.assert_array_equal(np.array(steps)[np.array(neurons) == i], expected)
    assert neurons.count(0) >= 2
    assert neurons.count(1) >= 3


@pytest.mark.usefixtures("interpreted")
def test_intervals_of_adapting_stochastic_neurons():
    net = stochastic([300], u_rest=22.0, Delta_u=3.0, J_th=0.5, tau_th=60.0)
    pooled = []
    for found in (spikes(net, total=400.0, dt=0.2), in_brian(net, total=400.0, dt=0.2)):
        order = np.lexsort((found.time, found.unit))
        time, unit = found.time[order], found.unit[order]
        gaps = np.diff(time)[np.diff(unit) == 0]
        pooled.append(gaps[::2])  # neighbours are correlated by adaptation
    assert len(pooled[0]) > 500
    assert stats.ks_2samp(*pooled).pvalue > 1e-3


def test_missing_brian_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "brian2", None)
    model = SpikingGif(backend="brian2", duration=50.0, burn_in=10.0)
    with pytest.raises(MissingResourceError, match=r"pip install 'brian2>=2\.9'"):
        model.simulate(model.sample_prior(1, seed=0), seed=0)


def agree(ours, theirs, names, chosen):
    for name in chosen:
        a, b = (x[:, names.index(name)] for x in (ours, theirs))
        z = (a.mean() - b.mean()) / np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
        # Welch's test; eight features in two networks
        df = min(len(a), len(b)) - 1
        assert 2 * stats.t.sf(abs(z), df) > 1e-4, (name, a.mean(), b.mean())
        logarithm = name.startswith("power")
        near = {"abs": 0.1} if logarithm else {"rel": 0.1, "abs": 0.02}
        assert a.mean() == pytest.approx(b.mean(), **near), (name, a.mean(), b.mean())


CHOSEN = (
    "rate_E",
    "rate_I",
    "cv_isi_E",
    "cv2_I",
    "synchrony_E",
    "unit_fano_E",
    "rate_cv_E",
    "power_30_80_I",
)


@pytest.mark.slow
def test_the_two_population_network_in_distribution():
    settings = {"duration": 1500.0, "burn_in": 500.0}
    ours, theirs = SpikingGif(**settings), SpikingGif(backend="brian2", **settings)
    theta = np.array([[p.default for p in ours.parameters]] * 24, dtype=float)
    names = [f.name for f in ours.feature_set]
    agree(ours.simulate(theta, seed=1).x, theirs.simulate(theta[:6], seed=2).x, names, CHOSEN)


@pytest.mark.slow
def test_a_balanced_network_in_distribution():
    settings = {"duration": 1500.0, "burn_in": 300.0, "sizes": [800, 200], "recorded": "all"}
    ours, theirs = BalancedNetwork(**settings), BalancedNetwork(backend="brian2", **settings)
    theta = np.array([[0.3, 6.0, 1.5, 20.0]] * 24)
    names = [f.name for f in ours.feature_set]
    agree(ours.simulate(theta, seed=1).x, theirs.simulate(theta[:5], seed=2).x, names, CHOSEN)
