"""Stores that keep binned voltage beside the features."""

import numpy as np
import pytest
import xarray as xr
from toys import PassiveMembrane
from trace_toys import TwoLevels

import neurosbi as nb
from neurosbi.errors import BadInputError
from neurosbi.store import SimulationConfig, SimulationStore


def made(path, n=100, **options):
    return nb.simulate(
        TwoLevels(), n, store=path, seed=4, shard_size=30, progress=False, traces=True, **options
    )


@pytest.fixture
def full(tmp_path):
    return made(tmp_path / "s.zarr")


def test_traces_come_back_as_they_were_simulated(full):
    simulator = TwoLevels()
    theta = simulator.sample_prior(100, seed=4)
    bins = simulator.trace_bins(full.family)
    assert full.trace_bins == bins
    assert full.complete
    batch = simulator.simulate_binned(theta, bins=bins, seed=4)
    np.testing.assert_array_equal(full.read_traces(), batch.trace)
    np.testing.assert_array_equal(full.read_traces(29, 61), batch.trace[29:61])
    np.testing.assert_array_equal(full.x, batch.x.astype(np.float32))
    reopened = SimulationStore.open(full.path)
    assert reopened.trace_bins == bins
    assert reopened.config_hash == full.config_hash


def test_xarray_reads_the_axis(full):
    data = xr.open_zarr(full.path)
    assert data["trace"].dims == ("sim", "channel", "bin")
    assert list(data["channel"].values) == ["mean", "highest", "lowest"]
    assert data["trace"].attrs["units"] == "mV"
    assert data["bin"].attrs["units"] == "ms"
    np.testing.assert_array_equal(data["bin"].values, full.trace_bins.time)


def test_a_longer_store_and_a_damaged_shard(full):
    longer = made(full.path, n=150)
    np.testing.assert_array_equal(longer.read_traces(0, 90), full.read_traces(0, 90))
    before = longer.read_traces()
    chunk = full.path / "trace" / "c" / "1" / "0" / "0"
    chunk.write_bytes(b"damaged")
    damaged = SimulationStore.open(full.path)
    assert damaged.damaged_shards() == (1,)
    with pytest.raises(BadInputError, match="trace does not match its checksum"):
        damaged.read_traces()
    np.testing.assert_array_equal(made(full.path, n=150).read_traces(), before)


def test_features_only_is_another_configuration_and_the_same_simulations(full, tmp_path):
    plain = nb.simulate(TwoLevels(), 100, store=tmp_path / "p.zarr", seed=4, progress=False)
    np.testing.assert_array_equal(plain.x, full.x)
    assert plain.trace_bins is None
    assert plain.config_hash != full.config_hash
    assert not (plain.path / "trace").exists()
    with pytest.raises(BadInputError, match="holds features only; simulate with --traces"):
        plain.read_traces()
    with pytest.raises(BadInputError, match="another configuration"):
        made(plain.path)


def test_a_simulator_without_traces_is_one_sentence(tmp_path):
    with pytest.raises(BadInputError, match="passive-membrane gives features only, no traces"):
        nb.simulate(PassiveMembrane(), 10, store=tmp_path / "x.zarr", traces=True, progress=False)
    assert not (tmp_path / "x.zarr").exists()
    with pytest.raises(BadInputError, match="gives features only"):
        SimulationConfig.of(
            PassiveMembrane(), family=PassiveMembrane().stimulus_family, seed=0, traces=True
        )
