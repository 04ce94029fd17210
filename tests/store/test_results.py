import json
import shutil
import warnings
from dataclasses import fields, replace

import numpy as np
import pytest
import xarray as xr
from passive_cell import fitted

from neurosbi.contract import Parameter, Stimulus
from neurosbi.errors import BadInputError
from neurosbi.store.result_tree import result_tree
from neurosbi.store.results import read_results, write_results


@pytest.fixture(scope="module")
def stored():
    return fitted().stored


@pytest.fixture(scope="module")
def path(stored, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "results.zarr"
    write_results(result_tree(stored), path)
    return path


def test_round_trip_is_exact(stored, path):
    again, _ = read_results(path)
    for f in fields(stored):
        a, b = getattr(stored, f.name), getattr(again, f.name)
        if f.name == "observation":
            assert a.stimulus == b.stimulus or a.stimulus.to_dict() == b.stimulus.to_dict()
            assert (a.sweep, a.dt, a.notes) == (b.sweep, b.dt, b.notes)
            np.testing.assert_array_equal(a.voltage, b.voltage)
            np.testing.assert_array_equal(a.x, b.x)
        elif f.name == "traces":
            np.testing.assert_array_equal(a.v.values, b.v.values)
        elif f.name == "history":
            assert {k: v.tolist() for k, v in a.items()} == {k: v.tolist() for k, v in b.items()}
        elif isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b)
        else:
            assert a == b, f.name


def test_xarray_and_arviz_open_it_without_a_warning(stored, path):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)  # arviz announces its successor
        import arviz
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with xr.open_datatree(path) as tree:
            data = arviz.InferenceData.from_datatree(tree.load())
        table = arviz.summary(data, kind="stats", round_to="none")
    assert {"posterior", "prior", "observed_data", "posterior_predictive"} <= set(data.groups())
    np.testing.assert_allclose(table["mean"].to_numpy(), stored.theta.mean(axis=0))
    assert data["posterior"].sizes == {"chain": 1, "draw": len(stored.theta)}
    assert data["posterior"]["R"].attrs["units"] == "MOhm"
    assert data["observed_data"]["feature"].values.tolist() == [f.name for f in stored.features]


def test_it_is_zarr_version_3(path):
    assert json.loads((path / "zarr.json").read_text())["zarr_format"] == 3


def test_order_of_parameters_survives(stored, tmp_path):
    names = ["z", "b", "a"]
    parameters = tuple(Parameter(n, "1", 0, 1) for n in names)
    write_results(result_tree(replace(stored, parameters=parameters)), tmp_path / "r.zarr")
    again, _ = read_results(tmp_path / "r.zarr")
    assert [p.name for p in again.parameters] == names
    np.testing.assert_array_equal(again.theta, stored.theta)


def test_undefined_features_waveforms_and_odd_values(stored, tmp_path):
    o = stored.observation
    waveform = Stimulus.waveform(np.r_[np.zeros(600), np.ones(1400), np.zeros(100)], dt=0.1)
    x = o.x.copy()
    x[1] = np.nan
    changed = replace(
        stored,
        observation=replace(o, stimulus=waveform, x=x),
        history=None,
        traces=None,
        config={"note": "Größe <b>", "nan": float("nan"), "path": tmp_path, "array": np.arange(2)},
    )
    write_results(result_tree(changed), tmp_path / "r.zarr")
    again, _ = read_results(tmp_path / "r.zarr")
    np.testing.assert_array_equal(again.observation.stimulus.current, waveform.current)
    assert again.observation.stimulus.onset == waveform.onset
    assert np.isnan(again.observation.x[1])
    assert again.history is None
    assert again.traces is None
    assert again.config == {
        "note": "Größe <b>",
        "nan": None,
        "path": str(tmp_path),
        "array": [0, 1],
    }


def test_a_parameter_that_cannot_be_stored(stored):
    bad = (Parameter("g/Na", "1", 0, 1), *stored.parameters[1:])
    with pytest.raises(BadInputError, match="g/Na"):
        result_tree(replace(stored, parameters=bad))


@pytest.mark.parametrize("victim", ["zarr.json", "posterior", "posterior/R/c", "observed_data/x/c"])
def test_damage_is_one_sentence(path, tmp_path, victim):
    copy = tmp_path / "results.zarr"
    shutil.copytree(path, copy)
    target = copy / victim
    if target.is_dir():
        for chunk in [p for p in target.rglob("*") if p.is_file()]:
            chunk.write_bytes(b"\x00garbage")
    else:
        target.write_text("{")
    with pytest.raises(BadInputError, match="damaged or incomplete") as caught:
        read_results(copy)
    assert "\n" not in str(caught.value)


def test_a_lost_chunk_is_noticed(path, tmp_path):
    copy = tmp_path / "results.zarr"
    shutil.copytree(path, copy)
    shutil.rmtree(copy / "posterior" / "R" / "c")
    with pytest.raises(BadInputError, match="damaged or incomplete"):
        read_results(copy)


def test_what_is_no_result(tmp_path):
    with pytest.raises(BadInputError, match="there is no result"):
        read_results(tmp_path / "nothing")
    xr.Dataset({"a": ("x", np.arange(3))}).to_zarr(tmp_path / "other.zarr", consolidated=False)
    with pytest.raises(BadInputError, match="not a result"):
        read_results(tmp_path / "other.zarr")
