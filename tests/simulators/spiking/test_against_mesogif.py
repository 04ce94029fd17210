"""The same network neuron by neuron and by its population counts."""

import numpy as np
import pytest
from neurosbi_simulators.spiking import SpikingGif

MesoGif = pytest.importorskip("neurosbi_simulators.mesogif").MesoGif
N = 12


def simulated(model, seed):
    theta = np.repeat([[p.default for p in model.parameters]], N, axis=0).astype(float)
    names = [f.name for f in model.feature_set]
    x = dict(zip(names, model.simulate(theta, seed=seed).x.T, strict=True))
    return {k: (v.mean(), v.std(ddof=1) / np.sqrt(N)) for k, v in x.items()}


@pytest.fixture(scope="module", params=["two-populations", "excitation-inhibition"])
def both(request):
    settings = {"populations": request.param, "duration": 10_000.0}
    micro = SpikingGif(connections="mean-field", recorded="all", features="counts", **settings)
    return simulated(micro, 1), simulated(MesoGif(dt=0.2, **settings), 2)


def test_rates_agree(both):
    """The mesoscopic equations are an approximation for large N: a few per cent."""
    micro, meso = both
    for p in "EI":
        assert micro[f"rate_{p}"][0] == pytest.approx(meso[f"rate_{p}"][0], rel=0.04)


def test_spectra_agree(both):
    micro, meso = both
    for name in micro:
        if name.startswith("power"):
            (a, da), (b, db) = micro[name], meso[name]
            assert abs(a - b) < 0.1 + 4 * np.hypot(da, db), (name, a, b)  # 0.1: one decibel


def test_synchrony_and_correlations_agree(both):
    micro, meso = both
    for name in ("synchrony_E", "synchrony_I", "fano_E", "fano_I", "correlation_E_I"):
        (a, da), (b, db) = micro[name], meso[name]
        assert abs(a - b) < 0.1 * max(abs(a), 0.5) + 4 * np.hypot(da, db), (name, a, b)
