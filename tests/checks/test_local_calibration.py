"""L-C2ST at a recording: exact posteriors pass, those that are wrong there are caught."""

import numpy as np
import pytest
import torch
from exact_networks import exact_network, recorded_pairs_at
from toys import LinearGaussian

from neurosbi.checks import LocalCalibration, local_calibration
from neurosbi.errors import BadInputError
from neurosbi.steps.recording_checks import RecordedProtocol, check_locally

SIMULATOR = LinearGaussian()


def cases(n=800, *, seed=0, shift=0.0, width=1.0, where=None, turn=0.0, dim=3, draws=20):
    """Truth and draws of Gaussian posteriors whose place and width depend on a context.

    ``turn`` correlates the first two parameters of the truth. The recording is the first case.
    """
    rng = np.random.default_rng(seed)
    context = rng.normal(size=(n, 6)) @ rng.normal(size=(6, 12)) * 0.4
    mean, sd = context[:, :dim], 0.3 * np.exp(0.3 * context[:, :1])
    spoiled = np.ones(n) if where is None else (context[:, 0] > where).astype(float)
    spoiled = spoiled[:, None]
    noise = rng.normal(size=(n, dim))
    noise[:, 1] = turn * noise[:, 0] + np.sqrt(1 - turn**2) * noise[:, 1]
    truth = mean + sd * noise

    def posterior(count, rows):
        factor = 1 + (width - 1) * spoiled[rows]
        noise = rng.normal(size=(count, *mean[rows].shape))
        return mean[rows] + sd[rows] * (shift * spoiled[rows] + factor * noise)

    at = int(np.argmax(context[:, 0])) if where is not None else 0
    return local_calibration(
        [f"t{i}" for i in range(dim)],
        np.concatenate([truth[None], posterior(draws, slice(None))]),
        context,
        z_observed=posterior(1000, slice(at, at + 1))[:, 0],
        context_observed=context[at],
        seed=seed,
    )


def test_the_p_value_of_exact_posteriors_is_uniform():
    p = np.array([cases(250, seed=seed, dim=2).p for seed in range(80)])
    assert np.mean(p < 0.05) <= 0.05 + 3 * np.sqrt(0.05 / 80)
    assert np.abs(p.mean() - 0.5) < 0.1


@pytest.mark.parametrize(
    ("spoiling", "level"),
    [
        ({}, "trust"),
        ({"shift": 0.5}, "caution"),
        ({"shift": 1.2}, "do not use"),
        ({"width": 0.7}, "caution"),
        ({"width": 0.45}, "do not use"),
    ],
)
def test_the_reason_tells_what_is_wrong(spoiling, level):
    found = cases(2000, seed=1, **spoiling)
    (reason,) = found.reasons
    assert reason.level == level
    if "shift" in spoiling:
        assert "too high by" in reason.sentence
        # the mean of the truth lies below by this many standard deviations
        assert found.shift == pytest.approx(-spoiling["shift"], abs=0.3)
    if "width" in spoiling:
        assert "too narrow" in reason.sentence


def test_a_network_can_be_wrong_somewhere_else():
    assert cases(2000, seed=2, shift=0.8, where=0.3).p < 0.01  # the recording is among those
    unaffected = cases(2000, seed=2, shift=0.8, where=5.0)
    assert unaffected.p > 0.01


def test_wrong_correlations_are_found():
    assert cases(2000, seed=3, turn=0.5).p < 0.01


@pytest.mark.slow
def test_it_agrees_with_sbi():
    """On a shift that both must see, and on exact draws that neither may."""
    from sbi.diagnostics.lc2st import LC2ST

    rng = np.random.default_rng(0)
    theta = rng.normal(size=(500, 2))
    x = theta + 0.5 * rng.normal(size=theta.shape)

    def posterior(x, shift):
        return 0.8 * x + np.sqrt(0.2) * (rng.normal(size=x.shape) + shift)

    for shift, wrong in ((0.0, False), (1.0, True)):
        once = posterior(x, shift)
        test = LC2ST(
            torch.tensor(theta), torch.tensor(x), torch.tensor(once), num_trials_null=20,
            classifier_kwargs={"hidden_layer_sizes": (16,), "max_iter": 200},
        )  # fmt: skip
        test.train_on_observed_data(verbosity=0).train_under_null_hypothesis(verbosity=0)
        at_zero = posterior(np.zeros((500, 2)), shift)
        theirs = test.p_value(torch.tensor(at_zero), torch.zeros(1, 2, dtype=torch.float64))
        z = np.stack([theta, *(posterior(x, shift) for _ in range(20))])
        ours = local_calibration(
            ("a", "b"), z, x, z_observed=at_zero, context_observed=np.zeros(2), seed=0
        )
        assert (ours.p < 0.01) == wrong
        assert (theirs < 0.06) == wrong


def protocol(network, x, n=1500, seed=3):
    theta, batch = recorded_pairs_at(network, SIMULATOR, n=n, seed=seed)
    given = np.ones((1, 4), dtype=bool)
    return RecordedProtocol(network.features, x[None], given, np.empty((1, 0)), theta, (batch,))


def test_the_step_from_network_to_reason():
    x = SIMULATOR.simulate(np.array([[1.5, 0.5, 0.0]]), seed=1).x[0]
    good, bad = (exact_network(shift=shift) for shift in (0.0, 1.0))
    assert check_locally(good, protocol(good, x), seed=0, progress=False).p > 0.01
    found = check_locally(bad, protocol(bad, x), seed=0, progress=False)
    assert found.p < 0.01
    with pytest.raises(BadInputError, match="too short for one batch"):
        check_locally(good, protocol(good, x), seed=0, time_limit=1e-9, progress=False)


def test_too_few_pairs_say_nothing():
    found = cases(100)
    assert found.reasons == ()
    assert "too few" in found.sentence
    back = LocalCalibration.from_dataset(cases(300).to_dataset())
    assert back.sentence == cases(300).sentence
