"""Fits refined in rounds, and fits of a model with a likelihood."""

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from passive_cell import SIMULATOR, fitted
from scipy.stats import multivariate_normal
from toys import LinearGaussian

import neurosbi as nb
from neurosbi.contract import CurrentStep, Stimulus, SweepObservation
from neurosbi.errors import BadInputError, FitError
from neurosbi.steps.result_folder import open_result

X_O = np.array([0.9, -1.2, 0.6, 0.4])
QUICK = {
    "simulations": 1500, "samples": 300, "epochs": 8, "transforms": 2, "hidden": (32, 32), "seed": 1,
}  # fmt: skip


class Measured(LinearGaussian):
    """The linear-Gaussian toy as a model of a sweep, with its likelihood."""

    name = "measured"
    noise_sd = 0.3

    def observe(self, sweep):
        return SweepObservation(
            sweep=sweep.number, stimulus=self.stimulus, voltage=sweep.voltage, dt=sweep.dt, x=X_O
        )

    def log_likelihood(self, theta, data, *, threads=None):
        misfit = (data.x - self.check_theta(theta) @ self.matrix.T) / self.noise_sd
        return -0.5 * (misfit**2).sum(1) - 4 * np.log(self.noise_sd * np.sqrt(2 * np.pi))


class NoLikelihood(Measured):
    name = "no-likelihood"
    log_likelihood = LinearGaussian.log_likelihood


def exact():
    """The posterior under a flat prior: the box of +-3 cuts off nothing that matters."""
    precision = Measured.matrix.T @ Measured.matrix / Measured.noise_sd**2
    cov = np.linalg.inv(precision)
    return multivariate_normal(cov @ Measured.matrix.T @ X_O / Measured.noise_sd**2, cov)


@pytest.fixture(scope="module")
def recording():
    stimulus = Stimulus.step(amplitude=50.0, onset=60.0, duration=150.0)
    step = CurrentStep(onset=60.0, offset=210.0, amplitude=50.0)
    current = stimulus.sampled(0.5)
    sweep = nb.Sweep(
        number=4, voltage=np.linspace(-70.0, -60.0, len(current)), current=current, dt=0.5,
        steps=(step,), test_step=step, spikes=8,
    )  # fmt: skip
    return nb.Recording(path=Path("toy.abf"), format="simulated", sweeps=(sweep,))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _cache(cache, monkeypatch):
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(cache))


@pytest.fixture(scope="module")
def refined(recording, cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "toy"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEUROSBI_CACHE_DIR", str(cache))
        return nb.fit(
            recording, simulator=Measured(), rounds=3, output=folder, progress=False, **QUICK
        )


def test_the_result_tells_its_rounds(refined):
    table = open_result(refined.folder).rounds_table
    assert table["round"].tolist() == list(range(1, len(table) + 1))
    assert table["answer"].sum() == 1
    assert table.loc[table["answer"], "distance"].item() == table["distance"].min()
    # the table and the report's predictive check are about the same simulations
    assert table["distance"].min() == pytest.approx(refined.predictive_used.mean_distance)
    assert table["prior_share"][1] < 1
    assert (table["simulations"][1:] == QUICK["simulations"]).all()
    tree = xr.open_datatree(refined.folder / "results.zarr", engine="zarr")
    assert tree["rounds"].sizes["round"] == len(table)
    report = (refined.folder / "report.html").read_text()
    assert "Rounds of refinement" in report
    assert refined.rounds_sentence in report
    assert "round 2 is the result" in refined.rounds_sentence or len(table) != 2


def test_the_refined_posterior_is_the_exact_one_and_what_to_sbi_gives(refined):
    assert refined.rounds_table["answer"].argmax() > 0
    draws = refined.stored.theta
    sd = np.sqrt(np.diag(exact().cov))
    assert np.all(np.abs(draws.mean(0) - exact().mean) < 0.35 * sd)
    np.testing.assert_allclose(draws.std(0), sd, rtol=0.3)
    posterior = open_result(refined.folder).to_sbi()
    torch.manual_seed(0)
    theirs = posterior.sample((2000,), show_progress_bars=False)
    assert np.all(np.abs(theirs.numpy().mean(0) - draws.mean(0)) < 0.25 * sd)
    log_prob = posterior.log_prob(torch.as_tensor(draws[:50], dtype=torch.float32))
    np.testing.assert_allclose(log_prob.numpy(), refined.stored.log_prob[:50], atol=0.05)


def test_a_refined_network_is_calibrated_on_what_its_training_held_out(refined):
    calibration = refined.calibration
    assert calibration.held_out
    assert 100 <= calibration.n < 450  # a tenth of three times 1,500, without those cut off
    assert abs(calibration.coverage().mean() - 0.9) < 0.06
    checked = nb.check(refined, simulator=Measured(), simulations=100, progress=False)
    assert checked.calibration.held_out
    assert checked.calibration.n == calibration.n


def test_finished_rounds_are_taken_from_the_cache(refined, recording, tmp_path, capsys):
    again = nb.fit(recording, simulator=Measured(), rounds=3, output=tmp_path / "a", **QUICK)
    said = capsys.readouterr().err
    assert "Training" not in said
    assert "simulating" not in said.replace("simulating from it", "")
    assert "round 2 of 3: 1,500 simulations from" in said
    xr.testing.assert_identical(again.posterior, refined.posterior)


def test_a_damaged_round_in_the_cache_is_made_again(refined, recording, cache, tmp_path, capsys):
    *_, last = sorted((cache / "rounds").iterdir(), key=lambda path: path.stat().st_mtime)
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    again = nb.fit(recording, simulator=Measured(), rounds=3, output=tmp_path / "a", **QUICK)
    assert "in the cache cannot be used" in capsys.readouterr().err
    xr.testing.assert_identical(again.posterior, refined.posterior)


def test_a_given_network_is_the_first_round_and_a_refined_one_is_refused(
    refined, recording, cache, tmp_path
):
    network = nb.train(
        nb.simulate(Measured(), 1500, seed=1, progress=False),
        seed=1, progress=False, epochs=8, transforms=2, hidden=(32, 32),
    )  # fmt: skip
    result = nb.fit(
        recording, simulator=Measured(), rounds=2, network=network, output=tmp_path / "a",
        progress=False, **QUICK,
    )  # fmt: skip
    assert result.rounds_table["distance"][0] == refined.rounds_table["distance"][0]
    with pytest.raises(BadInputError, match="refined for one recording"):
        nb.fit(recording, simulator=Measured(), network=refined.network, progress=False)


def test_fewer_than_one_round_is_refused(recording):
    with pytest.raises(BadInputError, match="at least 1 round, got rounds = 0"):
        nb.fit(recording, simulator=Measured(), rounds=0, progress=False)


def test_draws_of_a_model_with_a_likelihood_are_weighed(refined, recording, tmp_path):
    opened = open_result(refined.folder)
    for result in (refined, opened):
        kept = result.stored.importance
        # flat prior of density 6^-3: evidence is the integral of the likelihood over it
        at_mode = Measured().log_likelihood(
            exact().mean[None],
            SweepObservation(
                sweep=0, stimulus=Measured().stimulus, voltage=np.zeros(2), dt=1.0, x=X_O
            ),
        )
        volume = 0.5 * np.linalg.slogdet(2 * np.pi * exact().cov)[1]
        assert kept["log_evidence"] == pytest.approx(
            at_mode.item() + volume - 3 * np.log(6), abs=5 * kept["log_evidence_error"]
        )
        assert 0.3 < kept["efficiency"] <= 1
        assert kept["weight"].sum() == pytest.approx(1)
    weights = opened.tree["sample_stats"]["weight"].values[0]
    mean = weights @ refined.stored.theta
    assert np.all(np.abs(mean - exact().mean) < 0.3 * np.sqrt(np.diag(exact().cov)))
    assert "log-evidence" in (refined.folder / "report.html").read_text()


def test_without_a_likelihood_there_are_no_weights(recording, tmp_path):
    sim = NoLikelihood()
    assert not sim.has_likelihood
    assert Measured().has_likelihood
    with pytest.raises(BadInputError, match="no likelihood that can be computed"):
        sim.log_likelihood(np.zeros((1, 3)), sim.observe)
    small = QUICK | {"simulations": 200, "epochs": 1}
    result = nb.fit(recording, simulator=sim, output=tmp_path / "a", progress=False, **small)
    assert result.stored.importance is None
    assert result.rounds_sentence == ""
    assert "weight" not in result.tree["sample_stats"]


def test_draws_of_a_result_go_back_into_any_simulator(refined):
    sim = Measured()
    simulated = refined.simulate(20, seed=3, simulator=sim)
    assert simulated["x"].dims == ("sim", "feature")
    expected = sim.features(refined.stored.theta[:20], seed=3)
    np.testing.assert_array_equal(simulated["x"].values, expected)
    np.testing.assert_array_equal(simulated["t1"].values, refined.stored.theta[:20, 1])
    with pytest.raises(BadInputError, match="holds 300 posterior draws, 301 were asked for"):
        refined.simulate(301, simulator=sim)
    with pytest.raises(BadInputError, match="needs R, tau, V_rest, which this posterior"):
        refined.simulate(3, simulator=SIMULATOR)
    with pytest.raises(BadInputError, match="measured of this result cannot be made again"):
        refined.simulate(3)


def test_traces_of_draws_are_those_of_the_simulator():
    result = fitted()
    traces = result.simulate(4, seed=2, simulator=SIMULATOR, traces=True)
    own = SIMULATOR.traces(result.stored.theta[:4], seed=2)
    np.testing.assert_array_equal(traces["v"].values, own["v"].values)
    assert traces["R"].attrs["units"] == "MOhm"


@pytest.mark.filterwarnings("ignore::UserWarning:sbi")
@pytest.mark.filterwarnings("ignore:You are computing SBC checks with less")
def test_sbi_ranks_and_arviz_accept_the_result(refined):
    from sbi.diagnostics import check_sbc, run_sbc

    network, sim = refined.network, Measured()
    theta = refined.stored.theta[:12]
    xs = network.encode(sim.features(theta, seed=9))
    thetas = torch.as_tensor(theta, dtype=torch.float32)
    ranks, dap = run_sbc(
        thetas, xs, refined.to_sbi(), num_posterior_samples=20, show_progress_bar=False
    )
    assert ranks.shape == dap.shape == (12, 3)
    assert set(check_sbc(ranks, thetas, dap, num_posterior_samples=20)) >= {"ks_pvals"}
    assert refined.to_arviz()["sample_stats"].sizes["draw"] == 300


@pytest.mark.filterwarnings("ignore::UserWarning:sbi")
def test_sbi_plots_and_maximises_the_exported_posterior(refined):
    from matplotlib import pyplot
    from sbi.analysis import conditional_corrcoeff, pairplot
    from sbi.inference import DirectPosterior

    posterior = refined.to_sbi()
    assert isinstance(posterior, DirectPosterior)
    draws = posterior.sample((50,), show_progress_bars=False)
    figure, _ = pairplot(draws)
    pyplot.close(figure)
    best = posterior.map(num_iter=30, num_init_samples=50, show_progress_bars=False)
    assert posterior.log_prob(best).item() >= posterior.log_prob(draws).median().item()
    limits = torch.stack([draws.min(0).values, draws.max(0).values], dim=1)
    correlations = conditional_corrcoeff(posterior, limits, best.reshape(1, 3), resolution=10)
    assert correlations.shape == (3, 3)
    assert torch.isfinite(correlations).all()


def test_a_likelihood_that_is_zero_everywhere_is_said(recording, tmp_path):
    class Impossible(Measured):
        def log_likelihood(self, theta, data, *, threads=None):
            return np.full(len(theta), -np.inf)

    with pytest.raises(FitError, match="likelihood is zero or undefined"):
        nb.fit(
            recording, simulator=Impossible(), output=tmp_path / "a", progress=False,
            **(QUICK | {"simulations": 200, "epochs": 1}),
        )  # fmt: skip
