import numpy as np
import pytest
import xarray as xr

from neurosbi.contract import Feature, Observation, Stimulus
from neurosbi.plots import plot_activity

ONSET, TOTAL = 500.0, 5500.0
RNG = np.random.default_rng(0)
LABELS = {"counts": {"units": "1", "long_name": "spikes per bin"}, "rate": {"units": "Hz"}}


def traces(values, name="counts", dt=1.0, names=("E", "I")):
    time = np.arange(values.shape[1]) * dt
    coords = {"time": time, "population": list(names)}
    dims = ("sim", "time", "population")
    return xr.Dataset({name: (dims, values, LABELS[name])}, coords=coords)


def drawn(record, simulated, dt=1.0):
    observation = Observation(
        stimulus=Stimulus.spontaneous(total=TOTAL, onset=ONSET),
        x=np.zeros(1),
        record=record,
        dt=None if record is None else dt,
    )
    x = RNG.normal(size=(50, 1))
    figure = plot_activity(
        observation, simulated, features=(Feature("rate", "Hz"),), x=x, prior_x=x,
        spread=np.ones(1),
    )  # fmt: skip
    figure.draw_without_rendering()
    return figure.axes


def counts(rows, dt=1.0):
    return RNG.poisson(2.0, (rows, round(TOTAL / dt), 2)).astype(np.float32)


def lines(axes):
    """The steps of each population, as values and edges."""
    return [patch.get_data() for patch in axes.patches]


def test_counts_are_added_up_in_few_bins_of_a_width_that_is_told():
    simulated = counts(2)
    axes = drawn(None, traces(simulated))
    assert [a.get_title(loc="left")[:10] for a in axes[:2]] == ["Simulation"] * 2
    for a, values in zip(axes[:2], simulated, strict=True):
        (label,) = [t.get_text() for t in a.texts]
        assert "spikes per bin of 20 ms from base to base" in label
        for line, channel in zip(lines(a), values.T, strict=True):
            shown = channel[500:4500].reshape(-1, 20).sum(axis=1)  # after the burn-in, 4 s of it
            assert len(line.values) == 200
            np.testing.assert_allclose(np.diff(line.values), np.diff(shown), atol=1e-4)
            np.testing.assert_allclose(line.edges, np.arange(500, 4501, 20))


def test_the_number_in_the_label_is_the_distance_of_the_bases():
    flat = np.zeros((1, 5500, 2), dtype=np.float32)
    flat[0, 1000] = 10.0  # in both populations, so that both have the same base
    axes = drawn(None, traces(flat))
    first, second = lines(axes[0])
    distance = first.values.min() - second.values.min()
    assert axes[0].texts[0].get_text().startswith(f"{distance:.3g} spikes")


@pytest.mark.parametrize("burn_in", [True, False])
def test_recorded_counts_stand_above_the_simulations_at_their_time_and_in_the_same_bins(burn_in):
    record = counts(1, dt=0.5)[0].astype(np.float64)
    record = record if burn_in else record[1000:]
    axes = drawn(record, traces(counts(3)), dt=0.5)
    assert [a.get_title(loc="left") for a in axes[:2]] == [
        "Recording",
        "Simulation of the posterior, draw 1",
    ]
    assert "spikes per bin of 20 ms" in axes[0].texts[0].get_text()
    assert [t.get_text() for t in axes[0].get_yticklabels()] == ["E", "I"]
    window = record[1000:9000] if burn_in else record[:8000]
    for line, channel in zip(lines(axes[0]), window.T, strict=True):
        shown = channel.reshape(-1, 40).sum(axis=1)
        np.testing.assert_allclose(np.diff(line.values), np.diff(shown), atol=1e-9)
    np.testing.assert_allclose(lines(axes[0])[0].edges, lines(axes[1])[0].edges)


def test_a_record_shorter_than_one_bin_is_one_bin():
    few = traces(np.full((1, 510, 2), 3.0, dtype=np.float32))  # 10 ms after the burn-in
    (line, _) = lines(drawn(None, few)[0])
    np.testing.assert_allclose(line.edges, [500, 510])


def test_a_population_that_was_not_recorded_is_not_drawn_as_silent():
    record = counts(1)[0].astype(np.float64)
    record[:, 1] = np.nan
    recorded, missing = lines(drawn(record, traces(counts(1)))[0])
    assert np.isfinite(recorded.values).all()
    assert np.isnan(missing.values).all()


def test_rates_are_averaged_and_voltages_left_as_they_are():
    rate = counts(1)
    axes = drawn(None, traces(rate, "rate"))
    assert "Hz (means of 20 ms)" in axes[0].texts[0].get_text()
    shown = rate[0, 500:4500, 0].reshape(-1, 20).mean(axis=1)
    np.testing.assert_allclose(np.diff(lines(axes[0])[0].values), np.diff(shown), atol=1e-5)
    voltage = traces(rate).rename(counts="v")
    voltage["v"].attrs = {"units": "mV"}
    axes = drawn(None, voltage)
    assert len(axes[0].lines[0].get_xdata()) == 4000
    assert axes[0].texts[0].get_text().endswith("mV from base to base")
