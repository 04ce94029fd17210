"""Spikes on disk: written whole or not at all, and read back as they were."""

import numpy as np
import pytest
import xarray as xr
from neurosbi_simulators.spiking import SpikingGif
from toys import PassiveMembrane

import neurosbi as nb
from neurosbi.contract import Stimulus
from neurosbi.errors import BadInputError
from neurosbi.steps.spikes import simulate_spikes
from neurosbi.store.spikes import open_spikes, write_spikes

N = 18  # more than are in memory at a time


@pytest.fixture(scope="module")
def model():
    return SpikingGif(duration=300.0, burn_in=100.0, sizes=[40, 10], recorded="30,10")


@pytest.fixture(scope="module")
def stored(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("spikes") / "spikes.zarr"
    return simulate_spikes(model, N, path, seed=3, progress=False)


def test_they_are_the_spikes_of_the_simulations(model, stored):
    theta = model.sample_prior(N, seed=3)
    np.testing.assert_array_equal(stored.theta, theta)
    assert stored.parameters == tuple(p.name for p in model.parameters)
    expected = model.spikes(theta, seed=3)
    for sim in (0, 7, N - 1):
        trains = stored.trains(sim)
        assert trains.populations == ("E",) * 30 + ("I",) * 10
        assert (trains.start, trains.stop) == (100.0, 400.0)
        time, unit = expected[sim].time, expected[sim].unit
        for u, times in enumerate(trains.times):
            np.testing.assert_array_equal(times, time[(unit == u) & (time >= 100.0)])


def test_features_of_the_store_are_those_of_the_simulations(model, stored):
    x = model.simulate(stored.theta, seed=3).x
    with xr.open_zarr(stored.path) as data:
        np.testing.assert_allclose(model.features_of(data), x, rtol=1e-9, equal_nan=True)
        assert data["spike_time"].attrs["units"] == "ms"
        assert data.attrs["simulator"] == "spiking"
    observed = model.observe_spikes(stored.trains(4))
    np.testing.assert_allclose(observed.x, x[4], rtol=1e-9, equal_nan=True)


def test_what_is_there_is_not_lost(model, stored, tmp_path):
    with pytest.raises(BadInputError, match="exists"):
        simulate_spikes(model, 1, stored.path, progress=False)
    with pytest.raises(BadInputError, match="simulations 0 to 17, not 18"):
        stored.trains(N)
    other = tmp_path / "notes"
    other.mkdir()
    (other / "text").write_text("mine")
    with pytest.raises(BadInputError, match="not a store of spikes"):
        simulate_spikes(model, 1, other, existing="overwrite", progress=False)
    with pytest.raises(BadInputError, match="does not exist"):
        open_spikes(tmp_path / "nowhere")

    def broken():
        theta = model.sample_prior(1, seed=0)
        yield theta, model.traces(theta, seed=0)
        raise RuntimeError

    path = tmp_path / "spikes.zarr"
    with pytest.raises(RuntimeError):
        write_spikes(path, model, broken(), seed=0)
    assert [p.name for p in tmp_path.iterdir()] == ["notes"]
    one = simulate_spikes(model, 2, path, seed=1, progress=False)
    again = simulate_spikes(model, 1, path, seed=2, existing="overwrite", progress=False)
    assert (one.n, again.n) == (2, 1)


def test_simulators_without_spikes_are_refused(tmp_path):
    model = PassiveMembrane()
    with pytest.raises(BadInputError, match="gives no spikes"):
        simulate_spikes(model, 1, tmp_path / "spikes.zarr", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_the_command_keeps_them_beside_the_features(model, tmp_path, monkeypatch, capsys):
    from neurosbi import registry
    from neurosbi.cli.simulate import simulate

    monkeypatch.setattr(registry, "simulator", lambda *a, **k: model)
    command = {"n": 3, "seed": 5, "output": tmp_path / "sims.zarr", "quiet": True}
    simulate("spiking", spikes=tmp_path / "spikes.zarr", **command)
    kept = open_spikes(tmp_path / "spikes.zarr")
    sims = nb.open_simulations(tmp_path / "sims.zarr")
    with xr.open_zarr(sims.path) as data, xr.open_zarr(kept.path) as found:
        np.testing.assert_array_equal(data["theta"], kept.theta)
        np.testing.assert_allclose(data["x"], model.features_of(found), rtol=1e-6, equal_nan=True)
    assert "3 of 3 simulations of spiking" in capsys.readouterr().out
    # the same command again finds both, another one does not take them for its own
    simulate("spiking", spikes=tmp_path / "spikes.zarr", **(command | {"quiet": False}))
    assert "spikes.zarr holds these spikes already" in capsys.readouterr().err
    with pytest.raises(BadInputError, match="exists"):
        simulate("spiking", spikes=tmp_path / "spikes.zarr", **(command | {"seed": 6}))
    longer = Stimulus.spontaneous(total=model.stimulus.total + 50.0, onset=model.stimulus.onset)
    how = {"stimulus": longer, "seed": 5, "existing": "resume", "progress": False}
    with pytest.raises(BadInputError, match="exists"):
        simulate_spikes(model, 3, tmp_path / "spikes.zarr", **how)
