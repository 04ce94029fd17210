"""Calibration against exact posteriors, other programs, and posteriors spoiled on purpose."""

import json
import re
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from exact_networks import exact_network
from memory_simulations import MemorySimulations
from ohmic_cell import SETS, OhmicCell
from sbi.diagnostics.sbc import check_uniformity_frequentist
from sbi.diagnostics.tarp import _run_tarp
from scipy.stats import kstest
from slow_toys import HalfDefined, SlowMembrane
from toys import LinearGaussian

from neurosbi.checks import Calibration, calibrate, calibrate_held_out
from neurosbi.checks.calibration import ALPHA
from neurosbi.errors import BadInputError, FitError
from neurosbi.inference import method_config, train_method
from neurosbi.inference.pairs import family_pairs, held_out_pairs, recorded_pairs
from neurosbi.inference.ranks import rank_pairs, unconstrained
from neurosbi.seeds import derive_seed

SIMULATOR = LinearGaussian()


def checked(n=400, seed=0, draws=99, **spoiling):
    return calibrate(
        exact_network(**spoiling),
        SIMULATOR,
        simulations=n,
        draws=draws,
        seed=seed,
        progress=False,
    )


def worst(calibration):
    levels = [r.level for r in calibration.reasons]
    return max(levels, key=("trust", "caution", "do not use").index)


def from_normal(n, *, shift=0.0, width=1.0, draws=99, seed=0, dim=2):
    """The ranks of a Gaussian truth within a Gaussian posterior, without any network."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(n, dim))
    posterior = shift + width * rng.normal(size=(draws, n, dim))
    far = np.sum((posterior - shift) ** 2, axis=-1) < np.sum((truth - shift) ** 2, axis=-1)
    ranks = (posterior < truth).sum(0)
    return Calibration(("a", "b")[:dim], draws, ranks, far.sum(0), far.sum(0), n, seed)


def test_exact_posteriors_have_uniform_ranks():
    calibration = checked(1000)
    for ranks in (*calibration.theta.T, calibration.density, calibration.ball):
        assert kstest((ranks + 0.5) / 100, "uniform").pvalue > 1e-3
    assert worst(calibration) == "trust"
    assert "calibrated" in calibration.reasons[0].sentence


@pytest.mark.parametrize(
    ("spoiling", "level"),
    [
        ({"width": 0.6}, "do not use"),
        ({"width": 1.6}, "caution"),
        ({"shift": 0.12}, "caution"),
        ({"shift": 0.8}, "do not use"),
    ],
)
def test_spoiled_posteriors_are_caught(spoiling, level):
    assert worst(checked(1000, **spoiling)) == level


def test_a_shift_is_told_where_it_is_largest():
    (reason,) = (
        r.sentence for r in from_normal(1000, shift=0.4, dim=1).reasons if "skew" in r.sentence
    )
    # Phi(q + 0.4) - Phi(q) is largest at q = -0.2: 42 % and 58 %
    quantile, share = re.search(r"too high, .* its (\d+) % quantile in (\d+) %", reason).groups()
    assert abs(int(quantile) - 42) < 12
    assert abs(int(share) - int(quantile) - 16) < 5


def test_coverage_is_that_of_a_gaussian_of_wrong_width():
    from scipy.stats import chi2, norm

    calibration = from_normal(20_000, width=0.7, draws=199)
    inside = 1 - 2 * norm.sf(0.7 * norm.ppf(0.95))
    assert calibration.coverage() == pytest.approx(np.full(2, inside), abs=0.012)
    joint = chi2.cdf(0.49 * chi2.ppf(0.9, 2), 2)
    assert calibration.joint_coverage() == pytest.approx(joint, abs=0.012)


def test_a_little_too_wide_is_told_but_can_be_trusted():
    a_little = from_normal(4000, width=1.2)  # 90 % intervals hold the truth in 95 %
    assert worst(a_little) == "trust"
    assert "a little too wide" in a_little.reasons[0].sentence
    assert worst(from_normal(4000, width=1.6)) == "caution"


def test_the_level_of_the_tests_is_what_it_says():
    """Exact posteriors are remarked on in at most ALPHA of the cases, few and many tests alike."""
    remarks = [
        any(r.level != "trust" for r in from_normal(300, seed=seed).reasons) for seed in range(400)
    ]
    assert np.mean(remarks) <= ALPHA + 3 * np.sqrt(ALPHA / 400)


def test_a_shift_is_told_of_a_posterior_that_is_a_little_too_wide_as_well():
    """The width bends the curve too, but not at the median: there is 62 % instead of 50 %."""
    moved = from_normal(4000, width=1.25, shift=0.3)
    assert any("a little too wide" in reason.sentence for reason in moved.reasons)
    assert worst(moved) == "caution"
    (shift,) = (r.sentence for r in moved.reasons if "shifted" in r.sentence)
    share = re.search(r"too high, .* its 50 % quantile in (\d+) %", shift).group(1)
    assert int(share) == pytest.approx(62, abs=2)


@pytest.mark.parametrize(("stopped", "more"), [(True, "--time-limit"), (False, "--simulations")])
def test_few_cases_are_told_with_what_gives_more(stopped, more):
    few = replace(from_normal(50), stopped=stopped)
    assert worst(few) == "caution"
    assert more in few.reasons[0].sentence


@pytest.mark.parametrize("draws", [19, 24, 30, 99, 100])
def test_exact_posteriors_are_covered_with_any_number_of_draws(draws):
    each = np.arange(draws + 1)
    exact = Calibration(("a",), draws, each[:, None], each, each, len(each), seed=0)
    for level in (0.5, 0.9):
        for coverage in (exact.coverage, exact.joint_coverage, exact.ball_coverage):
            assert coverage(level) == pytest.approx(level)


def test_many_cases_do_not_condemn_what_is_practically_exact():
    calibration = from_normal(50_000, width=0.96, draws=19)
    assert min(calibration.curve_error(r)[1] for r in calibration.theta.T) < ALPHA / 6  # wrong
    assert worst(calibration) == "trust"


def test_few_cases_say_nothing():
    (reason,) = from_normal(50, width=0.3).reasons
    assert reason.level == "caution"
    assert "50 simulations only" in reason.sentence


def test_p_values_are_those_of_sbi():
    calibration = from_normal(500, shift=0.12, draws=999)
    theirs = check_uniformity_frequentist(torch.as_tensor(calibration.theta), 999)
    ours = [calibration.curve_error(r)[1] for r in calibration.theta.T]
    assert np.log(ours) == pytest.approx(np.log(theirs.numpy()), abs=0.2)


def test_balls_are_those_of_tarp():
    network = exact_network(width=0.7)
    pairs = family_pairs(network, SIMULATOR, 100, seed=3)
    ranks = rank_pairs(network, pairs, draws=50, seed=4)
    generator = torch.Generator().manual_seed(derive_seed(4, "ranks of block 0"))
    theta = network.estimator.draw(50, pairs.condition, generator=generator)
    point = torch.rand((100, 3), generator=generator, dtype=torch.float64)
    box = (theta + 3) / 6  # the quantiles of a uniform prior
    ecp, level = _run_tarp(box, torch.as_tensor((pairs.theta + 3) / 6), point, num_bins=7)
    counts = np.histogram(ranks.ball / 50, level.numpy())[0]
    assert ecp.numpy()[1:] == pytest.approx(np.cumsum(counts) / 100, abs=1e-6)


def test_the_first_cases_do_not_depend_on_how_many_follow():
    few, many = checked(200, seed=5), checked(300, seed=5)
    for name in ("theta", "density", "ball"):
        np.testing.assert_array_equal(getattr(many, name)[:200], getattr(few, name))


def test_undefined_features_and_failed_simulations():
    simulator = HalfDefined()
    config = method_config("npe", epochs=2, transforms=1, hidden=(8,))
    network = train_method(
        "npe", MemorySimulations(simulator, 1000), config, seed=0, device="cpu", progress=False
    )
    calibration = calibrate(network, simulator, simulations=200, draws=19, progress=False)
    assert 120 < calibration.n < 195  # a sixth of the simulations fails
    assert np.all((calibration.theta >= 0) & (calibration.theta <= 19))


def test_networks_of_sets_take_sets():
    simulator = OhmicCell()
    simulations = MemorySimulations(simulator, 3000, seed=2, family=SETS)
    config = method_config("npe", epochs=2, transforms=1, hidden=(8,), withheld=0.0)
    network = train_method("npe", simulations, config, seed=0, device="cpu", progress=False)
    pairs = family_pairs(network, simulator, 9, seed=1, start=2)
    first = family_pairs(network, simulator, 11, seed=1)
    np.testing.assert_array_equal(pairs.theta, first.theta[2:])
    torch.testing.assert_close(pairs.condition, first.condition[2:])
    sizes = pairs.condition.unflatten(1, (8, -1))[..., -1].sum(1)
    assert sizes.tolist() == [4, 8, 1, 2, 4, 8, 1, 2, 4]
    # the same by the way that a recording takes
    stimuli = SETS.sample(30, seed=1).values[3:7]
    theta = np.repeat(pairs.theta[:1], 4, axis=0)
    from neurosbi.contract import StimulusBatch

    x = simulator.simulate(
        theta, stimulus=StimulusBatch(SETS, stimuli), seed=derive_seed(1, "noise"), start=3
    ).x
    torch.testing.assert_close(pairs.condition[:1], network.encode(x, stimuli))


def small_network(simulations, **options):
    config = method_config("npe", transforms=1, hidden=(8,), **({"epochs": 2} | options))
    return train_method("npe", simulations, config, seed=3, device="cpu", progress=False)


@pytest.mark.parametrize("withheld", [0.0, 0.5])
def test_held_out_pairs_are_those_that_training_never_learned_from(monkeypatch, withheld):
    seen = []
    from neurosbi.training import data

    def recorded(batches, number, *, skip=0):
        for batch in original(batches, number, skip=skip):
            seen.append(batch[0].clone())
            yield batch

    original = data.Batches.epoch
    monkeypatch.setattr(data.Batches, "epoch", recorded)
    simulations = MemorySimulations(SIMULATOR, 1000, failed=range(0, 100, 7))
    network = small_network(simulations, withheld=withheld)
    pairs = held_out_pairs(network, simulations, most=1000)
    assert len(pairs) == pytest.approx(0.1 * simulations.valid.sum(), abs=1)
    estimator = network.estimator
    z = (estimator.bijection(torch.as_tensor(pairs.theta)) - estimator.center) / estimator.scale
    assert torch.cdist(torch.cat(seen), z.float()).min() > 1e-4
    # and they are simulations of the set, with what was withheld then
    places = np.abs(simulations.theta[:, None] - pairs.theta).max(-1).argmin(0)
    assert simulations.theta[places] == pytest.approx(pairs.theta, abs=1e-5)
    assert simulations.valid[places].all()
    if withheld == 0.0:
        torch.testing.assert_close(pairs.condition, network.encode(simulations.x[places]))
    few = held_out_pairs(network, simulations, most=20)
    np.testing.assert_array_equal(few.theta, pairs.theta[:20])
    torch.testing.assert_close(few.condition, pairs.condition[:20])


def test_held_out_sets_are_whole_sets():
    simulator = OhmicCell()
    simulations = MemorySimulations(simulator, 3000, seed=2, family=SETS)
    network = small_network(simulations, withheld=0.0)
    pairs = held_out_pairs(network, simulations, most=50)
    assert len(pairs) == 50
    for theta, condition in zip(pairs.theta, pairs.condition, strict=True):
        rows = np.flatnonzero(np.abs(simulations.theta - theta).max(1) < 1e-4)
        assert len(np.unique(SETS.set_of(rows))) == 1
        own = network.encode(simulations.x[rows], simulations.stimulus[rows])
        torch.testing.assert_close(condition, own[0])


def test_a_network_is_calibrated_on_what_its_training_held_out():
    simulations = MemorySimulations(SIMULATOR, 8000)
    network = small_network(simulations, epochs=10, withheld=0.0)
    calibration = calibrate_held_out(network, simulations, most=600)
    assert calibration.n == 600
    assert worst(calibration) == "trust"
    assert "600 simulations held out of the training" in calibration.reasons[0].sentence
    network.estimator.scale.mul_(0.5)
    narrow = calibrate_held_out(network, simulations, most=600)
    assert worst(narrow) == "do not use"
    again = Calibration.from_dataset(narrow.to_dataset())
    assert again.held_out
    assert again.sentence == narrow.sentence


def test_other_simulations_are_not_held_out_ones():
    network = small_network(MemorySimulations(SIMULATOR, 300))
    for other in (MemorySimulations(SIMULATOR, 299), MemorySimulations(SIMULATOR, 300, seed=1)):
        with pytest.raises(BadInputError, match="not the ones this network was trained on"):
            held_out_pairs(network, other, most=10)


def test_refined_networks_see_features_left_out_of_a_protocol_as_undefined():
    network = exact_network()
    network.card["round"] = {"number": 2}
    given = np.array([True, True, True, False])
    theta = SIMULATOR.sample_prior(5, seed=1)
    batch = SIMULATOR.simulate(theta, seed=1)
    pairs = recorded_pairs(network, theta, [batch], stimuli=np.empty((1, 0)), given=given[None])
    for x, condition in zip(batch.x, pairs.condition, strict=True):
        torch.testing.assert_close(condition, network.posterior(x, None, given).condition[0])


def test_pairs_of_a_recorded_protocol_are_what_encode_gives():
    network = exact_network()
    theta = SIMULATOR.sample_prior(5, seed=1)
    batch = SIMULATOR.simulate(theta, seed=1)
    pairs = recorded_pairs(
        network, theta, [batch], stimuli=np.empty((1, 0)), given=np.ones((1, 4), dtype=bool)
    )
    torch.testing.assert_close(pairs.condition, network.encode(batch.x))
    z = unconstrained(network, np.zeros((1, 3)))
    assert z == pytest.approx(np.zeros((1, 3)), abs=1e-12)


def slow_network():
    config = method_config("npe", epochs=1, transforms=1, hidden=(8,))
    simulations = MemorySimulations(SlowMembrane(), 200, family=SlowMembrane().stimulus_family)
    return train_method("npe", simulations, config, seed=0, device="cpu", progress=False)


def test_a_time_limit_keeps_what_is_done(monkeypatch):
    clock = iter(np.arange(0.0, 100.0, 1.0))  # every look at the clock is a second later
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    calibration = calibrate(
        slow_network(), SlowMembrane(), simulations=500, draws=19, time_limit=2.5, progress=False
    )
    assert calibration.stopped
    assert calibration.n in (20, 40, 80)  # whole batches, more than the first
    assert f"allowed {calibration.n} of 500" in calibration.sentence


def test_bad_input_is_a_sentence():
    network = exact_network()
    with pytest.raises(BadInputError, match="too short for one batch"):
        calibrate(network, SIMULATOR, simulations=200, time_limit=1e-9, progress=False)
    with pytest.raises(BadInputError, match="above 0"):
        calibrate(network, SIMULATOR, time_limit=0.0, progress=False)
    with pytest.raises(BadInputError, match="19 draws"):
        calibrate(network, SIMULATOR, draws=5, progress=False)
    with pytest.raises(BadInputError, match="trained on linear-gaussian"):
        calibrate(network, SlowMembrane(), progress=False)


def test_nothing_but_failures():
    class Fails(LinearGaussian):
        def simulate(self, theta, **keywords):
            batch = super().simulate(theta, **keywords)
            batch.status[:] = 3
            return batch

    with pytest.raises(FitError, match="none of 100"):
        calibrate(exact_network(), Fails(), simulations=100, progress=False)


def test_it_survives_json():
    import xarray as xr

    calibration = checked(100)
    text = json.dumps(calibration.to_dataset().to_dict(data="list"), allow_nan=False)
    back = Calibration.from_dataset(xr.Dataset.from_dict(json.loads(text)))
    np.testing.assert_array_equal(back.theta, calibration.theta)
    assert back.parameters == calibration.parameters
    assert [r.sentence for r in back.reasons] == [r.sentence for r in calibration.reasons]
