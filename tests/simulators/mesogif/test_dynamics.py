"""Simulated counts against renewal theory, known rates and binomial statistics."""

from dataclasses import replace

import numpy as np
import pytest
from mesogif_cases import TWO, alone, counts_from, defaults
from neurosbi_simulators.mesogif import MesoGif
from neurosbi_simulators.mesogif.coefficients import Grid, coefficients
from scipy.integrate import quad
from scipy.optimize import brentq


def steady_rate(network, *, dt=1.0, total=3000.0, **settings):
    """Rate per neuron in Hz, [population], of the noise-free dynamics after a long time."""
    model = MesoGif(populations=network.to_dict(), infer=_any(network), dt=dt, precision="double",
                    **settings)  # fmt: skip
    steps = round(total / dt)
    counts = model._counts(defaults(model), steps, seed=0, start=0, noise=False)[0]
    return 1e3 * counts[-200:].mean(axis=0) / np.array(network.size) / dt


def _any(network):
    return f"u_rest_{network.names[0]}"


def renewal_rate(rest, network, a=0, *, rate=0.0):
    """1 / mean interval in Hz of a neuron of population ``a`` resting at ``rest`` mV.

    With adaptation, spikes before the last one come at ``rate`` Hz and count by the
    quasi-renewal approximation (Naud & Gerstner 2012).
    """
    jump, tau = 1e3 * network.J_th[a] / network.tau_th[a], network.tau_th[a]
    width, t_ref = network.Delta_u[a], network.t_ref[a]

    def theta(s):
        return jump * np.exp(-(s - t_ref) / tau)

    grid = np.arange(t_ref, t_ref + 3000.0, 0.02)
    u = rest + (network.u_r[a] - rest) * np.exp(-(grid - t_ref) / network.tau_m[a])
    past = 0.0
    if jump > 0:
        past = np.array(
            [quad(lambda x: width * -np.expm1(-theta(x) / width), s, s + 12 * tau)[0]
             for s in grid[::500]]
        )  # fmt: skip
        past = 1e-3 * rate * np.interp(grid, grid[::500], past)
    hazard = 1e-3 * network.c[a] * np.exp((u - network.u_th[a] - theta(grid) - past) / width)
    integral = np.concatenate([[0], np.cumsum(0.5 * (hazard[1:] + hazard[:-1]) * 0.02)])
    return 1e3 / (t_ref + np.trapezoid(np.exp(-integral), grid))


def test_refractory_poisson_neurons():
    # a hazard that does not depend on the potential: rate 1/(t_ref + 1/lambda)
    rates = {dt: steady_rate(alone(c=(40.0,), Delta_u=(1e6,)), dt=dt)[0] for dt in (1.0, 0.5)}
    expected = 1e3 / (4.0 + 1e3 / 40.0)
    assert rates[1.0] == pytest.approx(expected, rel=2e-3)
    assert rates[0.5] == pytest.approx(expected, rel=5e-4)


@pytest.mark.parametrize("rest", [14.0, 20.0, 30.0])
def test_uncoupled_neurons_fire_as_renewal_theory_says(rest):
    network = alone(u_rest=(rest,))
    expected = renewal_rate(rest, network)
    # without the cut of the history, after which a neuron's reset is forgotten
    coarse, fine = (steady_rate(network, dt=dt, history=300.0)[0] for dt in (1.0, 0.5))
    assert coarse == pytest.approx(expected, rel=2e-3)
    # second order: half the step, a quarter of the error
    assert abs(fine - expected) < 0.4 * abs(coarse - expected) + 1e-4 * expected


def test_coupled_populations_are_self_consistent():
    network = replace(TWO, J_th=(0.0, 0.0), tau_th=(1.0, 1.0))
    rates = steady_rate(network)
    gain = np.array(network.p) * np.array(network.w) * np.array(network.size)
    rest = np.array(network.u_rest) + np.array(network.tau_m) * (gain @ (1e-3 * rates))
    for a in range(2):
        assert rates[a] == pytest.approx(renewal_rate(rest[a], network, a), rel=1e-2)


def test_adaptation_is_self_consistent():
    network = alone(J_th=(1.0,))
    expected = brentq(lambda r: renewal_rate(20.123, network, rate=r) - r, 0.1, 60.0, xtol=1e-3)
    assert steady_rate(network, total=4000.0)[0] == pytest.approx(expected, rel=2e-2)


def test_published_rates():
    # Rene et al. 2020 simulate this network; 5.5 and 12.5 Hz in another implementation
    model = MesoGif()
    counts = counts_from(model, steps=11_000, seed=314)[1000:]
    rate = 1e3 * counts.mean(axis=0) / TWO.size
    np.testing.assert_allclose(rate, [5.5, 12.5], rtol=0.05)


def test_counts_are_binomial_around_their_expectation():
    # independent neurons without memory: bins are binomial, and not correlated
    network = alone(c=(20.0,), Delta_u=(1e6,), t_ref=(1.0,), size=(200,))
    model = MesoGif(populations=network.to_dict(), infer="c_E")
    n = counts_from(model, steps=20_000, seed=1)[1000:, 0]
    p = n.mean() / 200
    assert n.var() == pytest.approx(200 * p * (1 - p), rel=0.05)
    assert abs(np.corrcoef(n[1:], n[:-1])[0, 1]) < 0.03
    # a count of N neurons that fire at most once per interval adds up over 100 ms like renewal
    # spikes: nearly Poisson here, since the dead time is short
    slow = n.reshape(-1, 100).sum(axis=1)
    dead = 1.0 - 2 * 1e-3 * 20 * 1.0
    assert slow.var() / slow.mean() == pytest.approx(dead, rel=0.25)


def test_equal_time_constants_are_the_limit_of_unequal_ones():
    def gains(tau_s):
        network = replace(TWO, tau_s=(tau_s, 6.0))
        parameters = MesoGif(populations=network.to_dict()).populations.parameters
        values = parameters.values(np.array([[0.176, -0.702, 0.176, -0.702]]))
        grid = Grid.of(network, parameters.table, dt=1.0)
        return np.concatenate([r[:, 0] for r in coefficients(values, network.size, grid)[0]])

    at, below, above = gains(20.0), gains(20.0 - 1e-3), gains(20.0 + 1e-3)
    assert np.all(np.isfinite(at))
    np.testing.assert_allclose(at, 0.5 * (below + above), rtol=1e-7)


def test_synapses_deliver_their_weight():
    # one volley into silent neurons: the potential gains w p N/N per spike, then decays
    network = replace(TWO, c=(1e-9, 1e-9))
    for tau_s in (3.0, 20.0):
        values = {
            "tau_s": np.array([[tau_s, 6.0]]), "tau_m": np.full((1, 2), 20.0),
            "w": np.array([network.w]), "p": np.array([network.p]),
            **{k: np.array([getattr(network, k)]) for k in
               ("u_rest", "u_th", "u_r", "c", "Delta_u", "J_th", "tau_th", "t_ref")},
        }  # fmt: skip
        grid = Grid(1.0, (100, 100), (4, 4), 1)
        rows = coefficients(values, network.size, grid)[0][0][:, 0]
        from neurosbi_simulators.mesogif import layout

        y, h, area = 0.0, 0.0, 0.0
        for t in range(2000):
            n = 10.0 if t == 0 else 0.0
            h = h * rows[layout.P_E] + rows[layout.P_CA] * n + rows[layout.P_CY] * y
            y = n + (y - n) * rows[layout.P_ES]
            area += h
        # the integral of the response is tau_m w p per spike, whatever tau_s
        assert area == pytest.approx(10 * 20.0 * 0.176 * 0.1009, rel=0.03)


def test_four_populations_run():
    network = replace(
        TWO,
        **{
            name: values * 2
            for name, values in vars(TWO).items()
            if isinstance(values, tuple) and name not in ("names", "p", "w")
        },
        names=("E1", "I1", "E2", "I2"),
        p=tuple(row * 2 for row in TWO.p) * 2,
        w=tuple(tuple(0.5 * v for v in row) * 2 for row in TWO.w) * 2,
    )
    model = MesoGif(populations=network.to_dict())
    assert len(model.parameters) == 16
    assert model.parameters[0].name == "w_E1_E1"
    counts = counts_from(model, steps=3000, seed=0)
    rate = 1e3 * counts[1000:].mean(axis=0) / network.size
    # two halves that each deliver half of the input fire like the network of two
    np.testing.assert_allclose(rate, [5.5, 12.5, 5.5, 12.5], rtol=0.1)
