"""Networks against published rates, the mean-field limit, and their own invariances."""

import json

import numpy as np
import pytest
from neurosbi_simulators.population.network import PRESETS
from neurosbi_simulators.spiking import BalancedNetwork, SpikingGif
from neurosbi_simulators.spiking.memory import simulations_at_once
from scipy import integrate, special
from spiking_cases import sharp, spikes

import neurosbi as nb
from neurosbi.contract import SpikeTrains, Status, Stimulus
from neurosbi.errors import BadInputError
from neurosbi.recordings import read_data


def defaults(model, n=1):
    return np.repeat([[p.default for p in model.parameters]], n, axis=0).astype(float)


def named(model, x):
    return dict(zip([f.name for f in model.feature_set], np.moveaxis(x, -1, 0), strict=True))


@pytest.fixture(scope="module")
def gif():
    return SpikingGif(duration=2000.0, burn_in=300.0)


def test_a_network_of_ones_own_is_rebuilt_from_its_configuration():
    mine = PRESETS["two-populations"].to_dict() | {"names": ["pyr", "pv"]}
    settings = json.loads(
        json.dumps(SpikingGif(populations=mine, sizes="50,10").config()["settings"])
    )
    assert SpikingGif(**settings).config()["settings"] == settings


def test_rates_of_the_two_population_network():
    """5.5 and 12.5 Hz, as the mesoscopic description of it gives, with connections to everyone."""
    model = SpikingGif(duration=10_000.0, recorded="all", connections="mean-field")
    x = named(model, model.simulate(defaults(model, 4), seed=2).x)
    assert x["rate_E"].mean() == pytest.approx(5.5, abs=0.3)
    assert x["rate_I"].mean() == pytest.approx(12.5, abs=0.3)


def test_results_do_not_depend_on_the_batch_or_the_threads(gif):
    theta = gif.sample_prior(5, seed=3)
    together = gif.simulate(theta, seed=4, threads=2)
    for row in range(5):
        one = gif.simulate(theta[row : row + 1], seed=4, start=row, threads=1)
        np.testing.assert_array_equal(one.x[0], together.x[row])
        assert one.status[0] == together.status[row]
    again = gif.simulate(theta, seed=5)
    assert np.all(again.x[:, 0] != together.x[:, 0])


def test_features_of_traces_are_those_of_simulations(gif):
    theta = gif.sample_prior(3, seed=6)
    traces = gif.traces(theta, seed=7)
    np.testing.assert_allclose(
        gif.features_of(traces), gif.simulate(theta, seed=7).x, rtol=1e-9, equal_nan=True
    )
    assert traces["counts"].dims == ("sim", "time", "population")
    assert traces["spike_time"].attrs["units"] == traces["time"].attrs["units"] == "ms"
    assert traces["counts"].sum() == traces["spike_offset"][-1] == len(traces["spike_time"])
    rate = traces["rate"].sel(time=slice(300.0, None)).mean("time")
    np.testing.assert_allclose(rate, gif.features_of(traces)[:, [0, 16]], rtol=1e-9)


def test_an_advance_in_pieces_is_the_whole(gif):
    """Spikes are handed over in pieces where there are too many for one."""
    from neurosbi_simulators.spiking import run as module

    theta = defaults(gif)
    whole = gif.spikes(theta, seed=1)[0]
    room, module._ROOM = module._ROOM, 1300
    try:
        pieces = gif.spikes(theta, seed=1)[0]
    finally:
        module._ROOM = room
    np.testing.assert_array_equal(pieces.time, whole.time)
    np.testing.assert_array_equal(pieces.unit, whole.unit)


def test_recorded_trains_give_the_features_of_the_simulation_they_are(gif, tmp_path):
    theta = gif.sample_prior(1, seed=8)
    found = gif.spikes(theta, seed=9)[0]
    inside = found.time >= 300.0
    time, unit = found.time[inside], found.unit[inside]
    trains = SpikeTrains(
        path=tmp_path / "units.nwb",
        times=tuple(time[unit == u] for u in range(sum(gif.recorded))),
        units=gif.unit_names,
        populations=gif.unit_populations,
        start=300.0,
        stop=2300.0,
    )
    observation = gif.observe_spikes(trains)
    np.testing.assert_allclose(
        observation.x, gif.simulate(theta, seed=9).x[0], rtol=1e-9, equal_nan=True
    )
    traces = gif.traces(theta, seed=9)
    np.testing.assert_array_equal(
        observation.record, traces["counts"][0].sel(time=slice(300, None))
    )
    assert observation.dt == traces.attrs["dt"]
    assert observation.notes == ()
    assert observation.stimulus.to_dict() == gif.stimulus.to_dict()


def units(counts, tmp_path, *, stop=2500.0, stop_known=True):
    names = [p for p, n in counts.items() for _ in range(n)]
    rng = np.random.default_rng(0)
    times = tuple(np.sort(rng.uniform(0, stop, 40)) for _ in names)
    labels = tuple(f"u{i}" for i in range(len(names)))
    path = tmp_path / "units.nwb"
    return SpikeTrains(
        path, times, labels, tuple(names), start=0.0, stop=stop, stop_known=stop_known
    )


def test_other_recordings_are_cut_or_refused(gif, tmp_path):
    observed = gif.observe_spikes(units({"E": 120, "I": 100}, tmp_path))
    assert len(observed.notes) == 2
    observed = gif.observe_spikes(units({"E": 100}, tmp_path, stop=2000.0))
    x = named(gif, observed.x)
    assert np.isfinite(x["rate_E"])
    assert np.isnan([v for k, v in x.items() if k.endswith("_I")]).all()
    assert "no units of I" in observed.notes[0]
    assert set(observed.not_measured) == {k for k in x if "I" in k.split("_")}
    assert {"rate_I", "correlation_E_I"} <= set(observed.not_measured)
    only_e = SpikingGif(duration=2000.0, burn_in=300.0, recorded="30,0")
    assert only_e.observe_spikes(units({"E": 30}, tmp_path, stop=2000.0)).not_measured == ()
    layers = PRESETS["two-populations"].to_dict() | {"names": ["E", "L4_E"]}
    layered = SpikingGif(populations=layers, duration=2000.0, burn_in=300.0)
    of_layer = layered.observe_spikes(units({"L4_E": 100}, tmp_path, stop=2000.0))
    x = named(layered, of_layer.x)
    assert {"rate_E", "correlation_E_L4_E"} <= set(of_layer.not_measured)
    assert set(of_layer.not_measured) == {k for k in x if not k.endswith("L4_E") or "_E_L4" in k}
    assert observed.record[:, 0].sum() == 100 * 40
    assert np.isnan(observed.record[:, 1]).all()
    with pytest.raises(BadInputError, match="set recorded=30,100"):
        gif.observe_spikes(units({"E": 30, "I": 100}, tmp_path))
    with pytest.raises(BadInputError, match="set duration=900"):
        gif.observe_spikes(units({"E": 100, "I": 100}, tmp_path, stop=900.0))
    with pytest.raises(BadInputError, match="belong to PV, but the network has"):
        gif.observe_spikes(units({"PV": 3}, tmp_path))
    with pytest.raises(BadInputError, match="add a column population with E or I in every row"):
        gif.observe_spikes(units({"all": 3}, tmp_path))


def test_a_table_without_its_length_ends_with_a_silence(gif, tmp_path):
    def table(text):
        path = tmp_path / "spikes.csv"
        path.write_text(text)
        return read_data(path)

    header = "unit,time_ms,population\n"
    rows = [f"{i % 100},{0.5 * i},E\n" for i in range(3999)]  # up to 1999 ms of 2000
    rows += [f"a,{t},E\n" for t in (1999.5, 1999.9)]
    short = [r for r in rows if float(r.split(",")[1]) < 1500.0]
    noted = gif.observe_spikes(table(header + "".join(rows))).notes
    assert any("the last 0.1 of 2000 ms are taken to be silent" in note for note in noted)
    stated = gif.observe_spikes(table("# stop_ms: 2000\n" + header + "".join(rows))).notes
    assert not any("silent" in note for note in stated)
    with pytest.raises(
        BadInputError, match=r"--set duration=1499\), or say it .* # stop_ms = 2000"
    ):
        gif.observe_spikes(table(header + "".join(short)))
    gif.observe_spikes(table("# stop_ms = 2000\n" + header + "".join(short)))


def test_silence_is_told_and_undefined():
    model = BalancedNetwork(sizes=[80, 20], duration=300.0, burn_in=50.0)
    batch = model.simulate(np.array([[0.1, 5.0, 0.3, 20.0]]), seed=0)
    assert batch.status[0] == Status.NO_SPIKES
    x = named(model, batch.x[0])
    assert x["rate_E"] == x["rate_I"] == 0.0
    assert np.isnan(x["cv_isi_E"])


def test_a_blow_up_is_flagged(gif):
    theta = defaults(gif)
    theta[0, :2] = 1e38, -1e38
    batch = gif.simulate(theta, seed=0)
    assert batch.status[0] == Status.BLOW_UP
    assert np.isnan(batch.x).all()


@pytest.mark.slow
def test_more_neurons_than_16_bits_number():
    net = sharp([70_000], p=2e-4, w=30.0, u_rest=19.0, sigma=0.5)
    found = spikes(net, total=20.0)
    assert found.unit.max() > 1 << 16
    assert found.n_events == pytest.approx(found.n_spikes * 70_000 * 2e-4, rel=0.1)


def test_bad_input_is_refused_before_any_work(gif):
    theta = defaults(gif)
    step = Stimulus.step(amplitude=1, onset=10, duration=10)
    refusals = [
        (lambda: gif.simulate(theta[:, :3], seed=0), "takes 4 parameters"),
        (lambda: gif.simulate(theta * np.nan, seed=0), "finite number"),
        (lambda: gif.simulate(theta, seed=0, stimulus=step), "spontaneous activity"),
        (lambda: SpikingGif(dt=0.3).simulate(theta, seed=0), "not a whole number of steps"),
        (lambda: SpikingGif(dt=2.0).simulate(theta, seed=0), "too long for membranes"),
        (lambda: SpikingGif(dt=-1.0), "dt is -1"),
        (lambda: SpikingGif(recorded="601,3"), "cannot be recorded of 500 in E"),
        (lambda: SpikingGif(recorded=0), "record at least 1"),
        (lambda: SpikingGif(recorded="many"), "number of neurons, or one for each"),
        (lambda: SpikingGif(backend="nest"), "backend must be 'numba' or 'brian2'"),
        (lambda: SpikingGif(connections="all"), "connections must be 'random' or 'mean-field'"),
        (lambda: SpikingGif(infer="w_EE,x"), "cannot infer"),
        (lambda: BalancedNetwork(infer="J,J"), "each once"),
        (lambda: BalancedNetwork(p=1.5), "p is a probability"),
        (lambda: BalancedNetwork(sizes="0,3"), "needs neurons"),
        (
            lambda: BalancedNetwork(infer="J,u_r", u_th=14.0),
            "reaches 15 mV; set u_th higher, or inf",
        ),
        (lambda: BalancedNetwork(u_r=25.0), "reaches 25 mV; set u_th higher, or u_r lower"),
        (lambda: gif.traces(theta, seed=0, noise=False), "no version without noise"),
    ]
    for attempt, words in refusals:
        with pytest.raises(BadInputError, match=words):
            attempt()
    model = BalancedNetwork(sizes=[80, 20])
    for bad, words in (([-0.1, 5, 2, 20], "J = -0.1 mV"), ([0.1, 5, 2, 0], "tau_m = 0 ms")):
        with pytest.raises(BadInputError, match=words):
            model.simulate(np.array([bad], dtype=float), seed=0)


def test_connections_that_do_not_fit_are_refused():
    net = sharp([200_000], p=0.2, w=0.1)
    with pytest.raises(BadInputError, match=r"200,000 neurons need 3\d\.\d GB"):
        simulations_at_once(net, 2, available=8 << 30)
    for model, remedy in (
        (BalancedNetwork(sizes=[4_000_000, 1_000_000]), r"probability of connection$"),
        (nb.simulator("spiking", sizes=[4_000_000, 1_000_000]), "or connections=mean-field$"),
    ):
        with pytest.raises(BadInputError, match=remedy):
            model.simulate(model.sample_prior(1, seed=0), seed=0)
    small = sharp([2000], p=0.1, w=0.1)
    need = 2 * 400_000
    assert simulations_at_once(small, 8, available=int(2.9 * need / 0.8) + (1 << 20)) in (2, 3)


def stationary_rate(
    J, g, drive, tau, *, dt=0.1, size=(10_000, 2500), p=0.1, theta=20.0, reset=10.0
):
    """Mean-field theory: Siegert's rate at the mean and variance that the rate itself makes.

    Numbers of inputs differ between neurons, and so do the rates of these (Amit & Brunel 1997);
    z runs over that. White noise watched every dt acts as a threshold that is a little higher.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(31)
    weights = weights / weights.sum()
    inputs = p * np.array(size)

    def single(mean, sigma):
        shift = 0.5826 * sigma * np.sqrt(2 * dt / tau)
        low, high = ((v + shift - mean) / (np.sqrt(2) * sigma) for v in (reset, theta))
        area, _ = integrate.quad(lambda x: special.erfcx(-x), low, min(high, 25.0))
        return 1.0 / (2.0 + tau * np.sqrt(np.pi) * area)

    rate, square = 0.02, 0.0004
    for _ in range(150):
        mean = drive * theta + tau * J * rate * (inputs[0] - g * inputs[1])
        strength = J**2 * (inputs[0] + g**2 * inputs[1])
        sigma = np.sqrt(0.5 * J * drive * theta + 0.5 * tau * strength * rate)
        spread = tau * np.sqrt(strength * (square - p * rate**2))
        rates = np.array([single(mean + spread * z, sigma) for z in nodes])
        rate = 0.8 * rate + 0.2 * weights @ rates
        square = 0.8 * square + 0.2 * weights @ rates**2
    return 1e3 * rate


def balanced(theta, duration):
    model = BalancedNetwork(duration=duration, burn_in=200.0, recorded="all", infer="J,g,drive")
    return named(model, model.simulate(np.array([theta], dtype=float), seed=1).x[0])


@pytest.mark.parametrize(
    ("theta", "duration"), [((0.1, 5.0, 2.0), 400.0), ((0.2, 6.0, 1.5), 600.0)]
)
def test_rate_of_the_balanced_network_is_that_of_its_theory(theta, duration):
    x = balanced(theta, duration)
    expected = stationary_rate(*theta, 20.0)
    # the theory is one of many small and independent inputs
    assert x["rate_E"] == pytest.approx(expected, rel=0.07)
    assert x["rate_I"] == pytest.approx(expected, rel=0.07)


def test_strong_inhibition_makes_spikes_irregular_and_asynchronous():
    x = balanced((0.3, 8.0, 1.5), 1000.0)
    assert x["cv2_E"] == pytest.approx(1.0, abs=0.1)
    assert abs(x["pair_correlation_E"]) < 0.01


def test_regimes_of_brunel():
    """Slow and fast oscillations of the population where single neurons fire at lower rates."""
    slow = balanced((0.1, 4.5, 0.9), 1100.0)
    assert 15.0 < slow["peak_E"] < 30.0
    assert slow["rate_E"] < 0.5 * slow["peak_E"]
    fast = balanced((0.1, 6.0, 4.0), 1100.0)
    assert 150.0 < fast["peak_E"] < 200.0
    assert fast["rate_E"] < 0.5 * fast["peak_E"]
    assert fast["cv_isi_E"] > 0.5
    regular = balanced((0.1, 3.0, 2.0), 150.0)
    assert regular["cv_isi_E"] < 0.2
    assert regular["rate_E"] > 200.0
