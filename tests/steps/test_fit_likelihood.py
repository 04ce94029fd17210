"""Fits by likelihood: against the exact posterior of a linear-Gaussian model."""

import time

import numpy as np
import pytest
from toys import LinearGaussian

import neurosbi as nb
from neurosbi.errors import BadInputError
from neurosbi.inference.restriction import find_region

X_O = np.array([0.9, -1.2, 0.6, 0.4])


class Measured(LinearGaussian):
    """The linear-Gaussian toy with its likelihood and gradient."""

    name = "measured"

    def log_likelihood(self, theta, data, *, threads=None):
        return self.log_likelihood_gradient(theta, data)[0]

    def log_likelihood_gradient(self, theta, data, *, threads=None):
        misfit = data.x - self.check_theta(theta) @ self.matrix.T
        variance = self.noise_sd**2
        return -0.5 * (misfit**2).sum(1) / variance, misfit @ self.matrix / variance


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "prep.csv"
    path.write_text("feature,value\n" + "".join(f"y{i},{v}\n" for i, v in enumerate(X_O)))
    return path


def fitted(table, folder, **options):
    return nb.fit(
        table, simulator=Measured(), method="mcmc", samples=2000, output=folder, progress=False,
        **options,
    )  # fmt: skip


def test_the_exact_posterior(table, tmp_path):
    result = fitted(table, tmp_path / "r", seed=3)
    model = Measured()
    cov = np.linalg.inv(model.matrix.T @ model.matrix / model.noise_sd**2)
    mean = cov @ model.matrix.T @ X_O / model.noise_sd**2
    draws, sd = result.stored.theta, np.sqrt(np.diag(cov))
    np.testing.assert_allclose(draws.mean(0), mean, atol=0.15 * sd.max())
    np.testing.assert_allclose(np.cov(draws.T), cov, atol=0.15 * sd.max() ** 2)
    # the density that is kept is that of the exact posterior, up to a constant
    exact = -0.5 * np.einsum("ij,jk,ik->i", draws - mean, np.linalg.inv(cov), draws - mean)
    assert np.ptp(result.stored.log_prob - exact) < 1e-3
    assert any("chains on the exact likelihood agree" in r for r in result.verdict.reasons)


def test_the_result_keeps_how_the_chains_went(table, tmp_path):
    fitted(table, tmp_path / "r", chains=3, tune=20)
    sampling = nb.open_result(tmp_path / "r").stored.diagnostics["sampling"]
    assert (sampling["r_hat"] < 1.05).all()
    assert (sampling["effective"] > 100).all()
    with pytest.raises(BadInputError, match="there is a result"):
        fitted(table, tmp_path / "r")
    with pytest.raises(BadInputError, match="without a network"):
        nb.open_result(tmp_path / "r").to_sbi()
    again = fitted(table, tmp_path / "r", existing="skip")
    assert len(again.stored.theta) == 2000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rounds": 2}, "leave --rounds out"),
        ({"simulations": 100}, "leave --simulations out"),
        ({"inputs": "trace"}, "leave --inputs out"),
        ({"epochs": 3}, "has no option 'epochs'; it has chains, tune, time_limit"),
        ({"chains": 1}, "option chains of method mcmc is a number of at least 2, got 1"),
        ({"chains": "four"}, "got 'four'"),
        ({"tune": -1}, "option tune of method mcmc"),
        ({"time_limit": float("nan")}, "positive number of seconds, got nan"),
        ({"simulator": LinearGaussian()}, "no likelihood with a gradient"),
    ],
)
def test_what_it_cannot_do(table, tmp_path, options, words):
    options = {"simulator": Measured(), **options}
    with pytest.raises(BadInputError, match=words):
        nb.fit(table, method="mcmc", output=tmp_path / "r", progress=False, **options)
    assert not (tmp_path / "r").exists()


def test_a_restricted_prior_is_refused(table, tmp_path):
    model = Measured()
    theta = model.sample_prior(600, seed=0)
    region = find_region(model.parameters, theta, theta[:, :1] > 0, seed=0)
    with pytest.raises(BadInputError, match="whole prior"):
        nb.fit(
            table, simulator=model.restricted(region), method="mcmc", output=tmp_path / "r",
            progress=False,
        )  # fmt: skip


def test_draws_are_not_repeated_when_the_time_was_short(table, tmp_path):
    result = nb.fit(
        table, simulator=Measured(), method="mcmc", samples=1_000_000, output=tmp_path / "r",
        progress=False, chains=4, tune=10, time_limit=5.0,
    )  # fmt: skip
    drawn = result.stored.theta
    assert 40 <= len(drawn) < 1_000_000
    assert len(np.unique(drawn, axis=0)) == len(drawn)
    assert any("time limit cut the chains short" in r for r in result.verdict.reasons)


class Paced(Measured):
    """The same, slow until told otherwise."""

    pause = 0.005

    def log_likelihood_gradient(self, theta, data, *, threads=None):
        time.sleep(self.pause)
        return super().log_likelihood_gradient(theta, data)


def interrupted(*arguments, **options):
    raise KeyboardInterrupt


def test_chains_that_ran_out_of_time_go_on(table, tmp_path, capsys, monkeypatch):
    def fit(time_limit, existing):
        return nb.fit(
            table, simulator=Paced(), method="mcmc", samples=2000, chains=4, tune=10,
            time_limit=time_limit, output=tmp_path / "r", existing=existing,
        )  # fmt: skip

    assert any("time limit" in r for r in fit(8.0, "error").verdict.reasons)
    assert "--existing overwrite goes on from them" in capsys.readouterr().err
    (kept,) = (tmp_path / "cache" / "chains").iterdir()
    saved = kept.read_bytes()
    monkeypatch.setattr(Paced, "pause", 0.0)
    longer = fit(600.0, "overwrite")
    said = capsys.readouterr().err
    assert "going on from" in said
    assert "going on from 0 draws" not in said
    assert len(longer.stored.theta) == 2000
    assert not kept.exists()
    # chains are kept until their result is there
    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr("neurosbi.steps.infer.predictive_check", interrupted)
        fit(600.0, "overwrite")
    assert kept.exists()
    np.testing.assert_array_equal(fit(600.0, "overwrite").stored.theta, longer.stored.theta)
    # a damaged file is thrown away
    kept.write_bytes(saved[:100])
    np.testing.assert_array_equal(fit(600.0, "overwrite").stored.theta, longer.stored.theta)
    assert not kept.exists()
