"""Traces agree with an independent implementation of the published update order."""

import importlib
from pathlib import Path

import numba
import numpy as np
import pyloric_oracle as oracle
import pytest
from neurosbi_simulators.numerics.gaussian import lane_keys
from neurosbi_simulators.numerics.jit import FASTMATH
from neurosbi_simulators.pyloric import PyloricNetwork
from neurosbi_simulators.pyloric.integrate import CAPACITANCE, fill_noise
from neurosbi_simulators.pyloric.layout import LANES, N_CELLS, TILE

from neurosbi.contract import Stimulus
from neurosbi.seeds import derive_seed

SHORT = Stimulus.spontaneous(total=250.0, onset=10.0)
DT = 0.025


@numba.njit(error_model="numpy", fastmath=FASTMATH)
def noise_of_block(keys, sd, tiles):
    noise = np.empty((tiles, N_CELLS, TILE * LANES), np.float32)
    for k in range(tiles):
        fill_noise(noise[k], keys, sd, np.int64(k * TILE))
    return noise


def noise_currents(model, seed, n):
    """The noise currents of simulation 0 in uA, as the oracle counts them [time, cell]."""
    keys = lane_keys(derive_seed(seed, "membrane noise"), np.arange(LANES)).T.copy()
    tiles = -(-n // TILE)
    sd = np.float32(model.settings["noise"] * np.sqrt(0.025 / model.dt) / CAPACITANCE)
    noise = noise_of_block(keys, sd, tiles).reshape(tiles, N_CELLS, TILE, LANES)[..., 0]
    current = noise.transpose(0, 2, 1).reshape(-1, N_CELLS)[:n].astype(float) * CAPACITANCE
    return np.vstack([np.zeros(N_CELLS), current])[:n]  # that of step k acts on the way to k + 1


def prior_draws(model, n=3):
    return model.sample_prior(n, seed=2)


@pytest.mark.parametrize(("precision", "worst"), [("double", 2e-4), ("single", 1e-3)])
def test_voltage_and_power_over_100_ms(precision, worst):
    model = PyloricNetwork(precision=precision)
    theta = prior_draws(model)
    n = round(100.0 / DT)
    traces = model.traces(theta, stimulus=SHORT, seed=0, noise=False)
    for i, row in enumerate(theta):
        v, power = oracle.integrate(row, dt=DT, total=100.0)
        np.testing.assert_allclose(traces["v"].values[i, :n], v, rtol=0, atol=worst)
        np.testing.assert_allclose(
            traces["power"].values[i, :n], power, rtol=0, atol=5e-4 * power.max()
        )


def test_the_noise_current_acts_within_its_step():
    model = PyloricNetwork(precision="double", noise=0.003)
    theta = prior_draws(model, n=1)
    n = round(50.0 / DT)
    v = model.traces(theta, stimulus=SHORT, seed=3)["v"].values[0, :n]
    current = noise_currents(model, 3, n)
    assert current[1:].std() == pytest.approx(0.003, rel=0.05)
    expected, _ = oracle.integrate(theta[0], dt=DT, total=50.0, current=current)
    np.testing.assert_allclose(v, expected, rtol=0, atol=1e-3)
    quiet, _ = oracle.integrate(theta[0], dt=DT, total=50.0)
    assert np.abs(v - quiet).max() > 0.1


def test_the_scalar_loop_of_the_benchmark_is_the_same_model(monkeypatch):
    # imported by its name, or the compiled code that Numba keeps could not be loaded again
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "benchmarks")
    reference = importlib.import_module("reference_pyloric")
    theta = prior_draws(PyloricNetwork(), n=1)[0]
    current = np.random.default_rng(0).normal(scale=1e-3, size=(800, 3))
    expected, _ = oracle.integrate(theta, dt=DT, total=20.0, current=current)
    np.testing.assert_allclose(
        reference.integrate(theta, current, DT, 283.0), expected, rtol=0, atol=1e-8
    )


def test_temperature_and_q10s():
    model = PyloricNetwork(precision="double", temperature_parameters=True)
    theta = prior_draws(model, n=2)
    warm = Stimulus.spontaneous(total=250.0, onset=10.0, temperature=24.0)
    v = model.traces(theta, stimulus=warm, seed=0, noise=False)["v"].values
    for i, row in enumerate(theta):
        q = row[31:]
        q10 = {
            "g": q[:8],
            "syn_g": q[8:10],
            "tau_m": q[10],
            "tau_h": q[11],
            "ca": q[12],
            "tau_syn": q[13:15],
        }
        expected, _ = oracle.integrate(row[:31], dt=DT, total=60.0, kelvin=297.0, q10=q10)
        np.testing.assert_allclose(v[i, : len(expected)], expected, rtol=0, atol=1e-3)


def test_at_ten_degrees_q10s_do_nothing():
    model = PyloricNetwork(precision="double", temperature_parameters=True)
    plain = PyloricNetwork(precision="double")
    theta = prior_draws(model)
    ten = Stimulus.spontaneous(total=250.0, onset=10.0, temperature=10.0)
    v = model.traces(theta, stimulus=ten, seed=0, stride=100)["v"].values
    others = np.hstack([theta[:, :31], prior_draws(model)[::-1, 31:]])
    assert not np.array_equal(others, theta)
    same = model.traces(others, stimulus=ten, seed=0, stride=100)["v"].values
    np.testing.assert_array_equal(v, same)
    # the plain model looks up 1 - exp(-dt / tau), where this one looks up dt / tau
    expected = plain.traces(theta[:, :31], stimulus=SHORT, seed=0, stride=100)["v"].values
    np.testing.assert_allclose(v, expected, rtol=0, atol=1e-4)


def test_first_order_in_dt():
    # halving dt halves the distance between successive solutions: all updates use old values
    theta = prior_draws(PyloricNetwork(), n=1)
    at_10_ms = []
    for dt in (0.1, 0.05, 0.025, 0.0125, 0.00625):
        model = PyloricNetwork(precision="double", dt=dt)
        v = model.traces(theta, stimulus=SHORT, seed=0, noise=False)["v"].values[0]
        at_10_ms.append(v[round(10.0 / dt)])
    steps = np.diff(np.array(at_10_ms), axis=0)
    np.testing.assert_allclose(steps[:-1] / steps[1:], 2.0, rtol=0.1)


def test_noise_does_not_depend_on_dt():
    # V fluctuates about its mean as much at twice the time step
    theta = np.zeros((1, 31))
    theta[:, [7, 15, 23]] = 1.0  # mS/cm2, leak alone: an Ornstein-Uhlenbeck process
    theta[:, 24:] = 0.0
    sds = []
    for dt in (0.025, 0.05):
        model = PyloricNetwork(dt=dt, features="full")
        x = model.simulate(np.repeat(theta, 16, axis=0), stimulus=SHORT, seed=1).x
        names = [f.name for f in model.feature_set]
        sds.append(np.sqrt(np.mean(x[:, names.index("v_sd_LP")] ** 2)))
    tau, g = 0.6283e-3 / 0.628e-3, 0.628e-3
    exact = 0.001 * np.sqrt(0.025) / g / np.sqrt(2 * tau)
    np.testing.assert_allclose(sds, exact, rtol=0.08)
