"""Neurons without connections: every quantity here has a formula."""

import numpy as np
import pytest
from neurosbi_simulators.spiking.advance import THRESHOLD, U
from scipy import integrate, special, stats
from spiking_cases import sharp, spikes, started, stochastic

DT = 0.1  # ms


def intervals(found, n, total):
    return np.concatenate([np.diff(found.time[found.unit == i]) for i in range(n)])


@pytest.mark.parametrize("drive", [20.5, 25.0, 60.0])
def test_rate_of_a_noise_free_neuron(drive):
    """T = t_ref + tau ln((RI - u_r) / (RI - u_th)), up to the next step of the grid."""
    found = spikes(sharp([3], u_rest=drive), total=500.0)
    period = 20.0 * np.log((drive - 10.0) / (drive - 20.0))
    expected = 2.0 + np.ceil(period / DT) * DT
    steps = intervals(found, 3, 500.0)
    assert len(steps) > 10
    np.testing.assert_allclose(steps, expected, atol=1e-6)
    assert 0 <= expected - (2.0 + period) < DT


def test_below_threshold_it_is_silent_and_relaxes_exactly():
    net = sharp([2], u_rest=19.9)
    going = started(net)
    start = going.state[U].astype(np.float64)
    assert np.all((start >= 10.0) & (start < 20.0))
    at, _ = going.advance(300)
    assert len(at) == 0
    expected = 19.9 + (start - 19.9) * np.exp(-30.0 / 20.0)
    np.testing.assert_allclose(going.state[U], expected, rtol=1e-5)


def test_the_refractory_period_is_held_at_the_reset():
    going = started(sharp([1], u_rest=1e5))
    at, _ = going.advance(200)
    assert set(np.diff(at)) == {21}  # 20 steps of rest, one to the threshold
    going = started(sharp([1], u_rest=1e5))
    at, _ = going.advance(int(at[0]) + 1)
    for _ in range(20):
        going.advance(going.step + 1)
        assert going.state[U, 0] == 10.0
    going.advance(going.step + 1)
    assert len(at) == 1
    assert going.state[U, 0] == 10.0  # it has spiked again


def test_constant_hazard_gives_a_poisson_process_with_dead_time():
    net = stochastic([200], Delta_u=1e9, c=20.0)
    found = spikes(net, total=5000.0)
    gaps = intervals(found, 200, 5000.0)
    waits = gaps - 4.0 - 0.5 * DT * np.ones_like(gaps)
    rate = 1e3 / gaps.mean()
    expected = 1.0 / (1 / 20.0 + 0.004)
    # short intervals are over-represented in a window; whole-window rates are not
    assert len(found.time) / 200 / 5.0 == pytest.approx(expected, rel=0.02)
    assert rate == pytest.approx(expected, rel=0.04)
    assert waits.min() > -DT
    assert waits.std() == pytest.approx(50.0, rel=0.05)
    first = np.array([found.time[found.unit == i][0] for i in range(200)])
    assert stats.kstest(first, "expon", args=(0, 50.0)).pvalue > 1e-4


@pytest.mark.parametrize("t_ref", [0.0, 0.5, 4.0])
def test_a_constant_hazard_has_unbiased_intervals_at_coarse_steps(t_ref):
    net = stochastic([1000], Delta_u=1e9, c=200.0, t_ref=t_ref)
    found = spikes(net, total=1000.0, dt=0.5)
    order = np.lexsort((found.time, found.unit))
    time, unit = found.time[order], found.unit[order]
    # the first intervals of every neuron, so that none is cut by the end
    gaps = np.concatenate([np.diff(time[unit == i])[:50] for i in range(1000)])
    assert len(gaps) == 50_000
    assert gaps.min() == pytest.approx(t_ref + 0.5)
    # a spike cannot fall into the step of the one before: second order in dt
    second = 0.5 * 0.5 * 0.5 / 5.0
    assert gaps.mean() == pytest.approx(
        t_ref + 5.0 + 0.5 * second, abs=0.5 * second + 4 * 5.0 / np.sqrt(len(gaps))
    )


def test_intervals_of_an_escape_noise_neuron():
    """Against the survivor function exp(-int lambda) of the membrane's own path."""
    net = stochastic([400], Delta_u=2.0, c=20.0)
    found = spikes(net, total=3000.0, onset=0.0)
    # second intervals: the first spike of each neuron depends on the start
    gaps = np.array([np.diff(found.time[found.unit == i])[0] for i in range(400)])
    t = np.arange(0, 500, 0.01)
    u = 20.0 * (1 - np.exp(-t / 20.0))
    hazard = 0.02 * np.exp((u - 15.0) / 2.0)
    survivor = np.exp(-integrate.cumulative_trapezoid(hazard, t, initial=0))
    gaps = gaps - 4.0 - DT * (np.random.default_rng(0).random(400) - 0.5)

    def distribution(x):
        return 1 - np.interp(x, t, survivor, left=1.0)

    assert stats.kstest(gaps, distribution).pvalue > 1e-4
    mean = integrate.trapezoid(survivor, t)
    assert gaps.mean() == pytest.approx(mean, rel=0.05)


def test_the_threshold_rises_after_the_refractory_period_and_decays():
    net = stochastic([1], u_rest=40.0, Delta_u=0.2, J_th=2.0, tau_th=50.0)
    going = started(net)
    at = np.empty(0)
    while not len(at):
        at, _ = going.advance(going.step + 1)
    jump = 2000.0 / 50.0
    for k in range(1, 140):
        spiked, _ = going.advance(going.step + 1)
        assert len(spiked) == 0
        since = k * DT - 4.0
        expected = jump * np.exp(-since / 50.0) if k >= 40 else 0.0
        assert going.state[THRESHOLD, 0] == pytest.approx(expected, rel=1e-4)


def test_the_noise_has_the_variance_it_says():
    net = sharp([20_000], u_th=1e3, u_r=0.0, sigma=3.0, u_rest=5.0)
    going = started(net, dt=0.5)
    going.advance(400)
    u = going.state[U].astype(np.float64)
    assert u.mean() == pytest.approx(5.0, abs=4 * 3.0 / np.sqrt(20_000) + 1e3 * np.exp(-10))
    before = u.copy()
    going.advance(420)
    after = going.state[U].astype(np.float64)
    spread = np.std(after - 5.0 - (before - 5.0) * np.exp(-0.5))
    assert spread == pytest.approx(3.0 * np.sqrt(1 - np.exp(-1.0)), rel=0.02)
    assert abs(np.corrcoef(after[:10_000], after[10_000:])[0, 1]) < 0.04


def test_rate_of_a_neuron_in_white_noise():
    """Siegert's formula; a threshold watched at steps acts as one that is a little higher."""
    mean, sigma, dt = 18.0, 3.0, 0.05
    net = sharp([500], u_rest=mean, sigma=sigma)
    found = spikes(net, total=3000.0, onset=500.0, dt=dt)
    shift = 0.5826 * sigma * np.sqrt(2 * dt / 20.0)
    scale = np.sqrt(2) * sigma
    low, high = (10.0 - mean + shift) / scale, (20.0 + shift - mean) / scale
    area, _ = integrate.quad(lambda x: special.erfcx(-x), low, high)
    expected = 1e3 / (2.0 + 20.0 * np.sqrt(np.pi) * area)
    assert len(found.time) / 500 / 2.5 == pytest.approx(expected, rel=0.02)
