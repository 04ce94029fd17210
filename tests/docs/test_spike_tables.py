"""A recording made of a simulation, as the pages of the networks tell, is that simulation."""

import runpy
import shlex

import numpy as np
import pytest
from docs_pages import commands, write_files

import neurosbi as nb
from neurosbi.cli import main
from neurosbi.store.spikes import open_spikes


def neurosbi(line, *extra):
    words = shlex.split(line)
    assert words[0] == "neurosbi"
    with pytest.raises(SystemExit) as stop:
        main([*words[1:], *extra])
    assert stop.value.code == 0


def written_as_told(page):
    """Run the commands of ``page`` up to the fit, which is returned with the table to fit."""
    told = commands(page)
    at = told.index("python write_spikes.py")
    neurosbi(told[at - 1], "--quiet")
    runpy.run_path("write_spikes.py")
    return told[at + 1], nb.read_data("spikes.csv")


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    (script,) = write_files("simulators/spiking.md", tmp_path)
    assert script.name == "write_spikes.py"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(tmp_path / "cache"))


def test_the_table_has_the_features_of_the_simulation():
    fit, table = written_as_told("simulators/spiking.md")
    assert "fit spikes.csv --simulator spiking --set duration=5000" in fit
    observed = nb.simulator("spiking", duration=5000.0).observe_spikes(table)
    assert observed.notes == ()
    simulated = nb.open_simulations("one.zarr")
    np.testing.assert_allclose(observed.x, simulated.x[0], rtol=1e-6, equal_nan=True)
    np.testing.assert_allclose(open_spikes("one-spikes.zarr").theta[0], simulated.theta[0])


def test_units_are_numbered_as_the_page_says():
    _, table = written_as_told("simulators/spiking.md")
    stored = open_spikes("one-spikes.zarr")
    assert stored.units == tuple(f"{p}{i}" for p in "EI" for i in range(100))
    assert stored.populations == ("E",) * 100 + ("I",) * 100
    first = dict(zip(table.units, table.times, strict=True))["I0"]
    np.testing.assert_allclose(first, stored.trains(0).times[100] - stored.trains(0).start)


def test_all_spikes_of_the_network_are_counts_of_populations():
    fit, table = written_as_told("simulators/mesogif.md")
    assert "fit spikes.csv --simulator mesogif" in fit
    counts = nb.simulator("mesogif").observe_spikes(table).record
    assert counts.shape == (10_000, 2)
    for column, name in zip(counts.T, "EI", strict=True):
        spikes = [len(t) for t, p in zip(table.times, table.populations, strict=True) if p == name]
        assert column.sum() == sum(spikes)


@pytest.mark.slow
def test_the_table_can_be_fitted(tmp_path):
    fit, _ = written_as_told("simulators/spiking.md")
    neurosbi(fit, "--simulations", "300", "--ensemble", "1", "--epochs", "3", "--quiet")
    assert list((tmp_path / "neurosbi-results").rglob("report.html"))
