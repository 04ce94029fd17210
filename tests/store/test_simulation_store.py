import json
import shutil
import warnings

import numpy as np
import pytest
import xarray as xr
import zarr
from slow_toys import HalfDefined
from toys import FAMILY, LinearGaussian, PassiveMembrane

import neurosbi as nb
from neurosbi.contract import FixedStimulus, StepFamily, Stimulus
from neurosbi.errors import BadInputError, FitError
from neurosbi.store import SimulationConfig, SimulationStore
from neurosbi.store.simulation_layout import create_layout
from neurosbi.store.simulations import default_shard_size

COLUMNS = ("theta", "x", "status", "valid", "stimulus")


def make(path, simulator=None, *, n=100, shard_size=30, seed=4, family=None):
    simulator = simulator or PassiveMembrane()
    family = family or simulator.stimulus_family
    return SimulationStore.create_or_resume(
        path, simulator, n=n, family=family, seed=seed, shard_size=shard_size
    )


def fill(store, simulator, shards=None):
    for k in store.missing_shards() if shards is None else shards:
        start, stop = store.shard_rows(k)
        theta = simulator.sample_prior(stop - start, seed=store.seed, start=start)
        stimuli = store.family.sample(stop - start, seed=store.seed, start=start)
        batch = simulator.simulate(theta, stimulus=stimuli, seed=store.seed, start=start)
        store.write_shard(k, theta=theta, x=batch.x, status=batch.status, stimulus=stimuli.values)
    store.finish()
    return store


@pytest.fixture
def full(tmp_path):
    return fill(make(tmp_path / "s.zarr"), PassiveMembrane())


def test_rows_come_back_as_they_were_simulated(full):
    simulator = PassiveMembrane()
    theta = simulator.sample_prior(100, seed=4)
    stimuli = FAMILY.sample(100, seed=4)
    x = simulator.simulate(theta, stimulus=stimuli, seed=4).x
    np.testing.assert_array_equal(full.theta, theta)
    np.testing.assert_array_equal(full.x, x.astype(np.float32))
    np.testing.assert_array_equal(full.stimulus, stimuli.values)
    assert full.valid.all()
    assert [getattr(full, c).dtype.str for c in COLUMNS] == ["<f8", "<f4", "|i1", "|b1", "<f8"]


@pytest.mark.parametrize(("start", "stop"), [(0, 100), (0, 1), (29, 31), (30, 60), (5, 99), (7, 7)])
def test_any_range_of_rows(full, start, stop):
    rows = full.read(start, stop)
    assert len(rows) == stop - start
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(rows, name), getattr(full, name)[start:stop])


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (0, 101), (5, 4)])
def test_rows_that_do_not_exist(full, start, stop):
    with pytest.raises(BadInputError, match="has rows 0 to 100"):
        full.read(start, stop)


def test_xarray_opens_it_without_a_warning_and_with_names(full):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = xr.open_zarr(full.path)
        np.testing.assert_array_equal(data.x.values, full.x)
    assert data.theta.dims == ("sim", "parameter")
    assert list(data.parameter.values) == ["R", "tau", "V_rest"]
    assert list(data.feature.values) == ["rest", "deflection", "charging_time"]
    assert list(data.protocol.values) == ["amplitude", "onset", "duration"]
    np.testing.assert_array_equal(data.theta.sel(parameter="tau"), full.theta[:, 1])
    assert data.theta.attrs["units"] == {"R": "MOhm", "tau": "ms", "V_rest": "mV"}
    assert data.x.attrs["units"]["charging_time"] == "ms"
    assert data.attrs["seed"] == 4
    assert data.attrs["config_hash"] == full.config_hash
    assert data.attrs["simulator"] == "passive-membrane"
    assert data.attrs["neurosbi_version"] == nb.__version__


def test_reopened_it_knows_what_it_holds(full):
    store = nb.open_simulations(full.path)
    assert store.parameters == PassiveMembrane.parameters
    assert store.features == PassiveMembrane.feature_sets["default"]
    assert store.family == FAMILY
    assert (store.seed, store.n, len(store), store.complete) == (4, 100, 100, True)
    assert store.config.simulator == PassiveMembrane().config()
    assert store.config.hash == full.config_hash
    assert store.config.differences(full.config) == ""


def test_a_fixed_stimulus_has_no_columns(tmp_path):
    simulator = LinearGaussian()
    store = fill(make(tmp_path / "s.zarr", simulator), simulator)
    assert store.stimulus.shape == (100, 0)
    assert store.read(3, 9).stimulus.shape == (6, 0)
    assert not (store.path / "stimulus").exists()
    assert isinstance(nb.open_simulations(store.path).family, FixedStimulus)


def test_a_waveform_comes_back(tmp_path):
    wave = Stimulus.waveform(np.sin(np.arange(50.0)), dt=0.1)
    store = make(tmp_path / "s.zarr", family=FixedStimulus(wave))
    again = nb.open_simulations(store.path).family.only
    np.testing.assert_array_equal(again.current, wave.current)
    make(store.path, family=FixedStimulus(wave))  # the same: resumes
    with pytest.raises(BadInputError, match="stimulus stimulus current"):
        make(store.path, family=FixedStimulus(wave.scaled(2.0, "pA")))


def test_shards_go_missing_one_by_one(tmp_path):
    simulator = PassiveMembrane()
    store = make(tmp_path / "s.zarr", simulator)
    assert store.missing_shards() == (0, 1, 2, 3)
    assert [store.shard_rows(k) for k in range(4)] == [(0, 30), (30, 60), (60, 90), (90, 100)]
    fill(store, simulator, [2, 0])
    assert store.missing_shards() == (1, 3)
    assert not store.complete
    assert not (store.path / "manifest.json").exists()
    assert len(store.read(60, 90)) == 30
    with pytest.raises(BadInputError, match="shard 1 is the first that is missing"):
        store.read()
    lazy = xr.open_zarr(store.path)
    assert (lazy.status[30:60] == -1).all()
    assert np.isnan(lazy.x[30:60]).all()
    fill(store, simulator)
    assert store.complete
    assert json.loads((store.path / "manifest.json").read_text())["n"] == 100


def test_no_such_shard(full):
    with pytest.raises(BadInputError, match="no shard 4; its shards are 0 to 3"):
        full.shard_rows(4)


def test_summary_counts_undefined_features_of_valid_simulations(tmp_path):
    simulator = HalfDefined()
    store = fill(make(tmp_path / "s.zarr", simulator), simulator)
    theta = simulator.sample_prior(100, seed=4)
    for n in (100, 45):
        valid = theta[:n, 1] <= 2
        summary = SimulationStore.open(store.path, n=n).summary()
        assert (summary.n, summary.done, summary.valid) == (n, n, valid.sum())
        assert summary.undefined == {
            "y0": 0,
            "y1": 0,
            "y2": 0,
            "y3": (theta[:n, 0] < 0)[valid].sum(),
        }
    assert summary.undefined_fraction["y3"] == summary.undefined["y3"] / summary.valid


def test_what_does_not_fit_into_float32_is_undefined(tmp_path):
    simulator = LinearGaussian()
    store = make(tmp_path / "s.zarr", simulator, n=2, shard_size=2)
    x = np.array([[1e300, np.inf, -np.nan, 1.0], [np.nan] * 4])
    store.write_shard(0, theta=np.zeros((2, 3)), x=x, status=np.zeros(2), stimulus=np.empty((2, 0)))
    np.testing.assert_array_equal(store.x, [[np.nan, np.nan, np.nan, 1.0], [np.nan] * 4])


@pytest.mark.parametrize("name", ["theta", "x", "status", "stimulus"])
def test_wrong_shapes_are_refused(tmp_path, name):
    store = make(tmp_path / "s.zarr")
    arrays = {
        "theta": np.zeros((30, 3)), "x": np.zeros((30, 3)),
        "status": np.zeros(30), "stimulus": np.zeros((30, 3)),
    }  # fmt: skip
    arrays[name] = arrays[name][:-1]
    with pytest.raises(FitError, match=f"returned {name} of shape"):
        store.write_shard(0, **arrays)
    assert 0 in store.missing_shards()


# ---- damage -----------------------------------------------------------------------------------


def chunk(store, name, k):
    return store.path / name / "c" / str(k) / ("" if name in ("status", "valid") else "0")


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGE = {
    "bit": flip_a_bit,
    "cut": lambda p: p.write_bytes(p.read_bytes()[:-5]),
    "empty": lambda p: p.write_bytes(b""),
    "gone": lambda p: p.unlink(),
    "other": lambda p: shutil.copy(p.parent.parent / "0" / "0", p),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["theta", "x", "stimulus"])
def test_damage_is_found_named_and_mended(full, name, damage):
    whole = full.read()
    DAMAGE[damage](chunk(full, name, 2))
    store = nb.open_simulations(full.path)
    with pytest.raises(BadInputError, match=f"shard 2 of .*damaged.*{name}.*--existing resume"):
        store.read()
    assert store.read(0, 60).x.shape == (60, 3)  # the others are fine
    assert store.damaged_shards() == (2,)
    assert store.damaged_shards([0, 1]) == ()
    fill(store, PassiveMembrane(), [2])
    assert store.damaged_shards() == ()
    for column in COLUMNS:
        np.testing.assert_array_equal(getattr(store.read(), column), getattr(whole, column))


def test_a_damaged_one_dimensional_array(full):
    flip_a_bit(chunk(full, "status", 1))
    assert nb.open_simulations(full.path).damaged_shards() == (1,)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"start": 0}', '{"start": 0, "stop": 5}'])
def test_an_unreadable_marker_means_missing(full, text):
    (full.path / "shards" / "000001.json").write_text(text)
    assert full.missing_shards() == (1,)


# ---- configurations ---------------------------------------------------------------------------


def test_another_configuration_is_refused_and_named(full):
    before = {p: p.read_bytes() for p in full.path.rglob("*") if p.is_file()}
    narrow = StepFamily("pA", (10.0, 90.0), (50.0, 100.0), (100.0, 200.0))
    for keywords, words in [
        ({"seed": 5}, "seed is 4 there, 5 here"),
        ({"simulator": LinearGaussian()}, "passive-membrane there, linear-gaussian here"),
        ({"family": narrow}, r"stimulus amplitude is \[10.0, 100.0\] there, \[10.0, 90.0\] here"),
        ({"shard_size": 20}, "shards of 30 simulations, not 20"),
    ]:
        with pytest.raises(BadInputError, match=words):
            make(full.path, **keywords)
    assert {p: p.read_bytes() for p in full.path.rglob("*") if p.is_file()} == before


def test_a_changed_prior_or_version_is_another_configuration():
    reference = SimulationConfig.of(PassiveMembrane(), family=FAMILY, seed=0)
    simulator = PassiveMembrane()
    simulator.version = "2"
    assert "version is 1 there, 2 here" in reference.differences(
        SimulationConfig.of(simulator, family=FAMILY, seed=0)
    )
    simulator = PassiveMembrane()
    simulator.parameters = simulator.parameters[::-1]
    other = SimulationConfig.of(simulator, family=FAMILY, seed=0)
    assert "parameter_order" in reference.differences(other)
    assert other.hash != reference.hash


@pytest.mark.parametrize("kind", ["file", "folder", "zarr"])
def test_a_path_that_holds_something_else_is_left_alone(tmp_path, kind):
    path = tmp_path / "precious"
    if kind == "file":
        path.write_text("data of five years")
    elif kind == "folder":
        (path / "deep").mkdir(parents=True)
        (path / "deep" / "a").write_text("data of five years")
    else:
        xr.Dataset({"a": ("t", [1.0])}).to_zarr(path, zarr_format=3, consolidated=False)
    before = {p: p.is_file() and p.read_bytes() for p in [path, *path.rglob("*")]}
    with pytest.raises(BadInputError, match="is not a store of simulations; it is left as it is"):
        make(path)
    assert {p: p.is_file() and p.read_bytes() for p in [path, *path.rglob("*")]} == before


def test_an_empty_folder_is_as_good_as_none(tmp_path):
    (tmp_path / "s.zarr").mkdir()
    assert make(tmp_path / "s.zarr").n == 100


def test_opening_nothing(tmp_path):
    with pytest.raises(BadInputError, match="does not exist; make it with: neurosbi simulate"):
        nb.open_simulations(tmp_path / "s.zarr")


def test_the_template_is_made_once(full):
    config = full.config
    before = full.read()
    assert not create_layout(full.path, config, n=5, shard_size=5)
    assert [p.name for p in full.path.parent.iterdir()] == ["s.zarr"]
    np.testing.assert_array_equal(full.read().x, before.x)


# ---- other lengths ----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [101, 120, 121, 260])
def test_a_store_grows_and_keeps_its_rows(full, n):
    old = full.read()
    modified = (full.path / "x" / "c" / "0" / "0").stat().st_mtime_ns
    store = make(full.path, n=n, shard_size=None)
    assert not (full.path / "manifest.json").exists()
    assert 0 not in store.missing_shards()
    fill(store, PassiveMembrane())
    fresh = fill(make(full.path.parent / "fresh.zarr", n=n, shard_size=17), PassiveMembrane())
    for column in COLUMNS:
        np.testing.assert_array_equal(getattr(store, column), getattr(fresh, column))
        np.testing.assert_array_equal(getattr(store, column)[:100], getattr(old, column))
    assert (full.path / "x" / "c" / "0" / "0").stat().st_mtime_ns == modified
    assert xr.open_zarr(full.path).sizes["sim"] == n


def test_an_open_store_can_be_read_while_another_process_lengthens_it(full):
    before = {column: getattr(full, column) for column in COLUMNS}
    opened = nb.open_simulations(full.path)
    fill(make(full.path, n=260, shard_size=None), PassiveMembrane())
    assert opened.complete
    for column in COLUMNS:
        np.testing.assert_array_equal(getattr(opened, column), before[column])


def test_a_shorter_view_of_a_long_store(full):
    store = make(full.path, n=40, shard_size=None)
    assert (store.n, store.n_shards, store.complete) == (40, 2, True)
    np.testing.assert_array_equal(store.x, full.x[:40])
    assert store.to_xarray().sizes["sim"] == 40
    assert (full.path / "manifest.json").exists()
    with pytest.raises(BadInputError, match="holds 100 simulations, 200 were asked for"):
        nb.open_simulations(full.path, n=200)


def test_leftovers_of_killed_processes_are_swept(full):
    import os

    old, new = (full.path / "x" / "c" / "1" / f".{i}.partial" for i in "ab")
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    full.finish()
    assert not old.exists()
    assert new.exists()  # another process may be writing it


def test_default_shard_sizes():
    sizes = [default_shard_size(n, smallest=16) for n in (1, 1000, 1024, 1025, 100_000, 10**7)]
    assert sizes == [16, 16, 16, 32, 2048, 65_536]
    assert default_shard_size(1000, smallest=1024) == 1024


def test_a_growth_that_is_cut_short_changes_nothing(full, monkeypatch):
    from neurosbi.store import simulation_layout

    before = full.read()

    def killed(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(simulation_layout, "_consolidate", killed)
        make(full.path, n=200, shard_size=None)
    store = nb.open_simulations(full.path)
    assert (store.n, store.complete) == (100, True)
    for column in COLUMNS:
        np.testing.assert_array_equal(getattr(store, column), getattr(before, column))
    assert fill(make(full.path, n=200, shard_size=None), PassiveMembrane()).complete


def test_a_growth_killed_between_two_arrays_is_mended_by_a_smaller_one(full, monkeypatch):
    plain, calls = zarr.Array.resize, []

    def killed(self, shape):
        calls.append(shape)
        if len(calls) == 2:
            raise KeyboardInterrupt
        plain(self, shape)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(zarr.Array, "resize", killed)
        make(full.path, n=300, shard_size=None)
    store = fill(make(full.path, n=200, shard_size=None), PassiveMembrane())
    assert store.complete
    assert xr.open_zarr(full.path).sizes["sim"] == 200
