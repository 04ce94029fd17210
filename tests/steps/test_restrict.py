"""A restricted prior through simulate, train, fit and check."""

import json
from dataclasses import replace

import numpy as np
import pytest
from toys import HalfHidden, LinearGaussian

import neurosbi as nb
from neurosbi.cli import main
from neurosbi.contract import FeatureTable
from neurosbi.errors import BadInputError
from neurosbi.steps.restrict import as_trained, complete_fraction


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(tmp_path / "cache"))


def restricted(**how):
    return nb.restrict(HalfHidden(), **({"pilot": 1500, "progress": False} | how))


def exact_moments(x_o):
    """Mean and sd of a flat prior and a Gaussian likelihood, far from the edges of the box."""
    precision = LinearGaussian.matrix.T @ LinearGaussian.matrix / LinearGaussian.noise_sd**2
    covariance = np.linalg.inv(precision)
    mean = covariance @ LinearGaussian.matrix.T @ x_o / LinearGaussian.noise_sd**2
    return mean, np.sqrt(np.diag(covariance))


def measured(x_o, folder):
    names = [f.name for f in HalfHidden().feature_set]
    return FeatureTable(folder / "prep.csv", dict(zip(names, x_o.tolist(), strict=True)))


def test_simulations_of_the_restricted_prior(tmp_path):
    simulator = restricted()
    region = simulator.prior_region
    assert region.facts["valid"] == pytest.approx(0.5, abs=0.05)
    store = nb.simulate(simulator, 400, store=tmp_path / "s.zarr", seed=1, progress=False)
    assert complete_fraction(store) > 0.9
    assert np.all(region.contains(simulator.parameters, store.theta))
    part = nb.simulate(
        simulator, 400, store=tmp_path / "some.zarr", shards=[0], shard_size=100, progress=False
    )
    assert complete_fraction(part) > 0.9  # of what is there
    plain = nb.simulate(HalfHidden(), 400, store=tmp_path / "p.zarr", seed=1, progress=False)
    assert complete_fraction(plain) == pytest.approx(0.5, abs=0.1)
    # the store records the region, and is another store than one of the whole prior
    recorded = nb.open_simulations(tmp_path / "s.zarr").config.simulator["prior_region"]
    assert recorded["digest"] == region.digest
    with pytest.raises(BadInputError, match="prior_region"):
        nb.simulate(HalfHidden(), 500, store=tmp_path / "s.zarr", seed=1, progress=False)


def test_the_same_call_gives_the_same_prior():
    one, two = restricted(), restricted()
    assert one.config() == two.config()
    np.testing.assert_array_equal(
        one.sample_prior(20, seed=3, start=5), two.sample_prior(25, seed=3)[5:]
    )
    other = restricted(seed=1)
    assert other.prior_region.digest != one.prior_region.digest


def test_a_damaged_region_in_the_cache_is_found_again(tmp_path):
    first = restricted()
    (kept,) = (tmp_path / "cache" / "prior_regions").iterdir()
    kept.write_text("{")
    assert restricted().prior_region.digest == first.prior_region.digest


def test_where_all_is_defined_nothing_is_restricted(capsys):
    simulator = LinearGaussian()
    assert nb.restrict(simulator, pilot=200) is simulator
    assert "the prior is not restricted" in capsys.readouterr().err


def test_a_prior_is_restricted_once():
    with pytest.raises(BadInputError, match="restricted already"):
        nb.restrict(restricted(), progress=False)


def test_the_posterior_of_complete_data_is_that_of_the_whole_prior(tmp_path):
    """Network of the restricted prior against the exact posterior of the whole one."""
    simulator = restricted()
    store = nb.simulate(simulator, 4000, store=tmp_path / "s.zarr", seed=1, progress=False)
    net = nb.train(store, seed=0, epochs=15, progress=False, device="cpu", ensemble=1)
    theta = np.array([[1.0, -0.5, 0.5]])
    x_o = HalfHidden().simulate(theta, seed=5).x[0]
    draws = net.posterior(x_o).sample(4000, seed=0)
    mean, sd = exact_moments(x_o)
    assert np.all(np.abs(draws.mean(axis=0) - mean) < 0.4 * sd)
    assert np.all(np.abs(draws.std(axis=0) / sd - 1) < 0.3)
    assert simulator.prior_region.contains(simulator.parameters, draws).mean() > 0.95
    # who opens the network without the region gets it from the network
    again = as_trained(HalfHidden(), net.card["simulator"])
    net.check_simulator(again)
    with pytest.raises(BadInputError):
        net.check_simulator(HalfHidden())


@pytest.fixture
def run(monkeypatch, capsys):
    for where in (
        "neurosbi.registry.simulator",
        "neurosbi.steps.plan.make_simulator",
        "neurosbi.steps.plan_data.make_simulator",
    ):
        monkeypatch.setattr(where, lambda name, **_: HalfHidden())

    def _run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main([str(a) for a in arguments])
        return stop.value.code, *capsys.readouterr()

    return _run


def test_the_verb_fit_restricts(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x_o = HalfHidden().simulate(np.array([[1.0, -0.5, 0.5]]), seed=5).x[0]
    rows = [f"y{i},{value}" for i, value in enumerate(x_o)]
    (tmp_path / "prep.csv").write_text("\n".join(["feature,value", *rows]))
    command = ("fit", "prep.csv", "--simulator", "half-hidden", "--restrict", "-q")
    code, _, err = run(*command, "--network", "somewhere")
    assert code == 2
    assert "leave --restrict out" in err
    few = ("--simulations", 500, "--samples", 200, "--epochs", 1, "--device", "cpu", "-o", "result")
    code, _, err = run(*command, *few)
    assert code == 0, err
    config = nb.open_result(tmp_path / "result").config
    assert config["simulator"]["prior_region"]["facts"]["pilot"] == 10_000
    # a result in the way is told before another pilot is simulated
    monkeypatch.setattr(
        "neurosbi.steps.fit.restricted_prior", lambda *_, **__: pytest.fail("simulated")
    )
    code, _, err = run(*command, *few)
    assert code == 2
    assert "there is a result in result already" in err
    code, _, err = run(*command[:-1], *few, "--existing", "skip")
    assert code == 0
    assert "result holds a result of this recording already" in err
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    code, _, err = run(*command, *few[:-1], "other", "--existing", "overwrite")
    assert code == 2
    assert "holds no result of neurosbi" in err


def test_the_verb_says_before_and_after(run, tmp_path):
    command = ("simulate", "half-hidden", "-n", 300, "-o", tmp_path / "s.zarr", "-q")
    code, out, _ = run(*command, "--restrict", "--pilot", 1500, "--format", "json")
    assert code == 0
    facts = json.loads(out)["restriction"]
    assert facts["valid"] == pytest.approx(0.5, abs=0.05)
    assert facts["valid_restricted"] > 0.9
    code, out, _ = run(*command, "--restrict", "--pilot", 1500)
    assert code == 0
    assert "all features defined: " in out
    assert "of the restricted prior" in out
    code, _, err = run(*command, "--pilot", 1500)
    assert code == 2
    assert "give both" in err


def test_a_fit_of_a_restricted_simulator(tmp_path):
    simulator = restricted()
    x_o = HalfHidden().simulate(np.array([[1.0, -0.5, 0.5]]), seed=5).x[0]
    result = nb.fit(
        measured(x_o, tmp_path),
        simulator=simulator,
        simulations=1000,
        samples=200,
        epochs=2,
        output=tmp_path / "result",
        device="cpu",
        progress=False,
    )
    recorded = result.config["simulator"]["prior_region"]
    assert recorded["digest"] == simulator.prior_region.digest
    draws = result.posterior.to_array("variable").values.reshape(3, -1).T
    assert simulator.prior_region.contains(simulator.parameters, draws).mean() > 0.9


def test_data_that_lack_a_feature_need_the_whole_prior(tmp_path):
    x_o = HalfHidden().simulate(np.array([[1.0, -0.5, 0.5]]), seed=5).x[0]
    x_o[1] = np.nan
    how = {"progress": False, "device": "cpu"}
    with pytest.raises(BadInputError, match=r"y1 undefined, but .* leave --restrict out$"):
        nb.fit(measured(x_o, tmp_path), simulator=HalfHidden(), restrict=True, **how)
    how |= {"simulator": restricted(), "simulations": 1000, "samples": 200, "epochs": 2}
    result = nb.fit(measured(x_o, tmp_path), output=tmp_path / "result", **how)
    assert result.verdict.level == "do not use"
    assert any("which y1 of this recording is not" in r for r in result.verdict.reasons)
    table = measured(x_o, tmp_path)
    names = {k: v for k, v in table.values.items() if k != "y1"}  # not measured
    result = nb.fit(replace(table, values=names), output=tmp_path / "other", **how)
    assert not any("which y1" in r for r in result.verdict.reasons)


def test_rounds_after_a_restriction(tmp_path):
    """Data with all features: the region is where they can come from, in every round."""
    simulator = restricted()
    x_o = HalfHidden().simulate(np.array([[1.0, -0.5, 0.5]]), seed=5).x[0]
    result = nb.fit(
        measured(x_o, tmp_path),
        simulator=simulator,
        simulations=1000,
        rounds=2,
        samples=500,
        epochs=15,
        ensemble=1,
        trend=False,
        output=tmp_path / "result",
        device="cpu",
        progress=False,
    )
    shares = result.stored.rounds["prior_share"]
    assert len(shares) == 2
    assert shares[1] < 0.5
    mean, sd = exact_moments(x_o)
    draws = result.posterior.to_array("variable").values.reshape(3, -1).T
    assert np.all(np.abs(draws.mean(axis=0) - mean) < 0.5 * sd)
    assert np.all(np.abs(draws.std(axis=0) / sd - 1) < 0.4)
