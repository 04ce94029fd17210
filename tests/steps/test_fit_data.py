"""Fits of features and of spike trains: data without sweeps."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from exact_networks import exact_network
from scipy.stats import multivariate_normal
from toys import HalfHidden, LinearGaussian

import neurosbi as nb
from neurosbi.contract import Feature, Observation, Parameter, SimulationBatch, Simulator, Stimulus
from neurosbi.errors import BadInputError
from neurosbi.inference.pairs import held_out_pairs
from neurosbi.seeds import derive_seed
from neurosbi.steps.fit import plan_fit
from neurosbi.steps.infer import _measured_reasons
from neurosbi.steps.recording_checks import protocol_of

X_O = {"y0": 0.9, "y1": -1.2, "y2": 0.6, "y3": 0.4}
QUICK = {
    "samples": 400,
    "epochs": 12,
    "transforms": 2,
    "hidden": (32, 32),
    "ensemble": 1,
    "seed": 1,
}


class PoissonUnits(Simulator):
    """Independent Poisson units with one rate; its count of spikes is gamma-conjugate."""

    name = "poisson-units"
    version = "1"
    summary = "independent Poisson units"
    parameters = (Parameter("rate", "Hz", 0.5, 40.0),)
    feature_sets = {"default": (Feature("mean_rate", "Hz", "spikes per unit and second"),)}

    def __init__(self, *, units=3, total=4000.0):
        super().__init__()
        self.units, self.total = units, total

    @property
    def stimulus(self):
        return Stimulus.spontaneous(total=self.total)

    def _spikes(self, theta, stimulus, seed, start):
        rngs = [
            np.random.default_rng([derive_seed(seed, "p"), start + i]) for i in range(len(theta))
        ]
        mean = theta[:, 0] * stimulus.duration / 1e3 * self.units
        return np.array([rng.poisson(m) for rng, m in zip(rngs, mean, strict=True)])

    def simulate(self, theta, *, stimulus=None, seed, start=0, threads=None):
        theta, stimulus = self.check_theta(theta), stimulus or self.stimulus
        if not isinstance(stimulus, Stimulus):
            stimulus = stimulus.family.stimulus(stimulus.values[0])
        counts = self._spikes(theta, stimulus, seed, start)
        x = counts[:, None] / self.units / stimulus.duration * 1e3
        return SimulationBatch(x, np.zeros(len(theta), dtype=np.int8))

    def traces(self, theta, *, stimulus=None, seed, start=0, noise=True, stride=1):
        stimulus = stimulus or self.stimulus
        total = self._spikes(theta, stimulus, seed, start)
        counts = np.tile(total[:, None, None] / 40, (1, 40, 2))
        return xr.Dataset(
            {"counts": (("sim", "time", "population"), counts)},
            coords={"time": np.arange(40) * stimulus.duration / 40, "population": ["E", "I"]},
        )

    def features_of(self, data):
        raise NotImplementedError

    def observe_spikes(self, trains):
        rate = sum(map(len, trains.times)) / len(trains.units) / trains.duration * 1e3
        stimulus = Stimulus.spontaneous(total=trains.duration)
        return Observation(
            stimulus=stimulus, x=np.array([rate]), record=trains.counts(100.0), dt=100.0
        )


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "fit-data"))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "prep.csv"
    path.write_text("feature,value\n" + "".join(f"{k},{v}\n" for k, v in X_O.items()))
    return path


def test_features_give_the_posterior_of_the_linear_gaussian(table, tmp_path):
    """Against the exact Gaussian posterior, which the wide box hardly cuts."""
    result = nb.fit(
        table, simulator=LinearGaussian(), simulations=6000, output=tmp_path / "r", progress=False,
        **QUICK,
    )  # fmt: skip
    model = LinearGaussian()
    cov = np.linalg.inv(model.matrix.T @ model.matrix / model.noise_sd**2)
    mean = cov @ model.matrix.T @ np.array(list(X_O.values())) / model.noise_sd**2
    exact = multivariate_normal(mean, cov)
    draws = result.stored.theta
    np.testing.assert_allclose(draws.mean(0), exact.mean, atol=0.35 * np.sqrt(np.diag(cov)).max())
    np.testing.assert_allclose(draws.std(0), np.sqrt(np.diag(cov)), rtol=0.3)
    opened = nb.open_result(tmp_path / "r")
    np.testing.assert_array_equal(opened.observation.x, list(X_O.values()))
    assert opened.observation.sweep is None
    assert "sweep" not in opened.title
    assert (tmp_path / "r" / "report.html").read_text().count("sweep of the figures") == 0


def spikes(rate, *, seconds=4.0, seed=0):
    rng = np.random.default_rng(seed)
    times = [np.sort(rng.uniform(0, seconds * 1e3, rng.poisson(rate * seconds))) for _ in range(3)]
    return nb.SpikeTrains(
        path=Path("units.csv"), times=tuple(times), units=("a", "b", "c"),
        populations=("E", "E", "I"), start=0.0, stop=seconds * 1e3,
    )  # fmt: skip


def test_spike_trains_give_the_gamma_posterior_of_a_rate(tmp_path):
    data = spikes(12.0)
    result = nb.fit(
        data, simulator=PoissonUnits(), simulations=4000, output=tmp_path / "r", progress=False,
        **QUICK,
    )  # fmt: skip
    n = sum(map(len, data.times))
    draws = result.stored.theta[:, 0]
    # flat prior: rate ~ Gamma(n + 1) / 12 unit-seconds
    assert draws.mean() == pytest.approx((n + 1) / 12, abs=0.3)
    assert draws.std() == pytest.approx(np.sqrt(n + 1) / 12, rel=0.2)
    opened = nb.open_result(tmp_path / "r")
    np.testing.assert_array_equal(opened.observation.record, data.counts(100.0))
    traces = opened.stored.traces
    assert traces is not None
    assert traces["counts"].dims == ("sim", "time", "population")
    assert list(traces["population"].values) == ["E", "I"]
    xr.testing.assert_allclose(traces, result.stored.traces)


def test_another_duration_takes_a_network_of_its_own(tmp_path):
    model = PoissonUnits()
    result = nb.fit(
        spikes(5.0, seconds=2.0), simulator=model, simulations=500, output=tmp_path / "r",
        progress=False, **{**QUICK, "epochs": 2},
    )  # fmt: skip
    assert any("for these data alone" in note for note in result.observation.notes)
    assert result.observation.stimulus.total == 2000.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sweeps": "1"}, "leave --sweeps out"),
        ({"area": 1e-4}, "leave --area out"),
        ({"inputs": "trace"}, "leave --inputs out"),
        ({"junction_potential": -14.0}, "no membrane voltage"),
        ({"simulator": "hodgkin-huxley"}, "give the recording itself, or name another simulator"),
    ],
)
def test_what_makes_no_sense_without_sweeps(table, tmp_path, options, words):
    options = {"simulator": LinearGaussian(), **options}
    with pytest.raises(BadInputError, match=words):
        nb.fit(table, output=tmp_path / "r", progress=False, **options)
    assert not (tmp_path / "r").exists()


def test_features_that_were_not_measured_are_left_open(tmp_path):
    """What nobody looked for is not what the cell lacks: here that would mean theta_0 < 0."""
    simulator, truth = HalfHidden(), np.array([1.0, -0.5, 0.5])
    path, x = tmp_path / "some.csv", simulator.matrix @ truth
    path.write_text("feature,value\n" + "".join(f"y{i},{x[i]:.3f}\n" for i in range(3)))
    how = {"simulator": simulator, "simulations": 3000, "progress": False, **QUICK}
    result = nb.fit(path, output=tmp_path / "r", **how)
    assert any("not measured: y3" in note for note in result.observation.notes)
    assert result.used.tolist() == [True, True, True, False]
    assert (result.posterior["t0"] > 0).mean() > 0.8  # the mean is 1, the sd 0.5
    for seen in (result, nb.open_result(tmp_path / "r")):
        assert seen.feature_table["remark"].iloc[3] == "not measured"
        assert seen.observation.not_measured == ("y3",)
        assert seen.prior_predictive.n_alike == len(seen.stored.prior_x)
        assert not any("y3" in reason for reason in seen.verdict.reasons)
    text = (tmp_path / "r" / "report.html").read_text()
    assert "not measured" in text
    assert "undefined in the recording" not in text
    with pytest.raises(BadInputError, match="y3 not measured, but a network trained with withheld"):
        nb.fit(path, output=tmp_path / "all", withheld=0.0, **how)
    assert not (tmp_path / "all").exists()


def test_almost_nothing_measured_is_told(tmp_path):
    path = tmp_path / "little.csv"
    for names, told in ((("y0",), True), (("y0", "y1"), False)):
        path.write_text("feature,value\n" + "".join(f"{name},0.5\n" for name in names))
        plan = plan_fit(path, simulator=LinearGaussian())
        reasons = [r.sentence for r in _measured_reasons(plan, exact_network())]
        assert any("only 1 of 4 features were measured" in r for r in reasons) == told


def test_a_network_in_memory_is_found_again_from_its_result(table, tmp_path):
    how = {key: value for key, value in QUICK.items() if key != "samples"} | {"epochs": 2}
    store = nb.simulate(LinearGaussian(), 1000, seed=1, progress=False)
    network = nb.train(store, out=tmp_path / "net", progress=False, **how)
    nb.fit(
        table, simulator=LinearGaussian(), network=network, output=tmp_path / "r", samples=200,
        progress=False,
    )  # fmt: skip
    opened = nb.open_result(tmp_path / "r")
    assert opened.network_folder == tmp_path / "net"
    assert opened.to_sbi().sample((10,), show_progress_bars=False).shape == (10, 3)


def test_the_local_test_uses_what_the_network_did_not_learn_from(table, tmp_path):
    """The prior simulations of such a fit are those of the training."""
    how = {**QUICK, "epochs": 2}
    result = nb.fit(
        table, simulator=LinearGaussian(), simulations=3000, output=tmp_path / "r", progress=False,
        **how,
    )  # fmt: skip
    network = result.trained_network()
    protocol = protocol_of(network, nb.open_result(tmp_path / "r").stored)
    store = nb.simulate(LinearGaussian(), 3000, seed=how["seed"], progress=False)
    held_out = held_out_pairs(network, store, most=3000)
    np.testing.assert_allclose(
        protocol.unseen_pairs(network).theta, held_out.theta, rtol=1e-5, atol=1e-6
    )
    assert len(held_out) == 300
    # with a given network they are fresh, and all of them serve
    given = nb.fit(
        table, simulator=LinearGaussian(), network=network, samples=200, progress=False,
        output=tmp_path / "given",
    )  # fmt: skip
    fresh = protocol_of(network, given.stored)
    assert len(fresh.unseen_pairs(network)) == len(fresh.pairs(network)) > 300
