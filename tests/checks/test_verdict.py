import numpy as np
import pytest
from passive_cell import fitted, observe, rejection_posterior

from neurosbi.checks import Reason, compare_predictive, judge, prior_predictive_check, verdict_of
from neurosbi.contract import Feature

FEATURES = (Feature("first_threshold", "mV"), Feature("rest", "mV"))
RNG = np.random.default_rng(0)
PRIOR = RNG.normal([-50.0, -70.0], 5.0, size=(1000, 2))


def verdict(observed, x, status=None, prior=PRIOR, further=(), exact=False):
    observed = np.asarray(observed, dtype=float)
    zeros = np.zeros(len(prior), dtype=int)
    status = np.zeros(len(x), dtype=int) if status is None else status
    check = compare_predictive(
        FEATURES, observed, x=x, status=status, prior_x=prior, prior_status=zeros
    )
    reach = prior_predictive_check(FEATURES, observed, prior_x=prior, prior_status=zeros)
    return judge(check, reach, further=further, exact=exact)


def near(observed, n=200):
    return np.random.default_rng(1).normal(observed, 0.5, size=(n, 2))


def test_a_good_fit_is_trusted():
    v = verdict([-50, -70], near([-50, -70]))
    assert v.level == "trust"
    assert v.sentence.startswith("This posterior can be trusted as far as it was checked: the rec")


def test_predictions_that_lack_what_the_recording_has_are_told():
    x = near([-50, -70])
    assert "have all that the recording has" not in verdict([-50, -70], x).sentence
    x[:90, 0] = np.nan
    v = verdict([-50, -70], x)
    assert v.level == "trust"
    told = "prior standard deviations; 55 % of the simulations have all that the recording has)"
    assert told in v.sentence


def test_far_outside_is_not_used_and_the_edge_is_caution():
    low, high = PRIOR[:, 0].min(), PRIOR[:, 0].max()
    far = verdict([high + 0.5 * (high - low), -70], near([-35, -70]))
    assert far.level == "do not use"
    assert "first threshold" in far.reasons[0]
    edge = high + 0.02 * (high - low)
    assert verdict([edge, -70], near([edge, -70])).level == "caution"


@pytest.mark.parametrize(
    ("failed", "level"), [(0, "trust"), (20, "caution"), (120, "do not use"), (200, "do not use")]
)
def test_share_of_valid_draws(failed, level):
    status = np.zeros(200, dtype=int)
    status[:failed] = 2
    v = verdict([-50, -70], near([-50, -70]), status)
    assert v.level == level
    assert any("ends properly" in reason for reason in v.reasons) == (failed > 0)


def test_predictions_worse_than_the_prior_are_not_used():
    v = verdict([-45, -65], near([-57, -77]))
    assert v.level == "do not use"
    assert any("farther from the recording" in reason for reason in v.reasons)


def test_one_missed_feature_of_two_is_caution():
    v = verdict([-45, -68], near([-48, -68]))
    assert v.level == "caution"
    assert any("do not reproduce first threshold" in reason for reason in v.reasons)


def test_a_posterior_that_is_the_prior_is_caution():
    v = verdict([-50, -70], RNG.normal([-50.0, -70.0], 4.5, size=(300, 2)))
    assert v.level == "caution"
    assert "hardly nearer" in v.reasons[0]


@pytest.mark.parametrize(
    ("share", "level"), [(0.7, "trust"), (0.35, "trust"), (0.1, "caution"), (0, "do not use")]
)
def test_disagreement_on_whether_a_feature_exists(share, level):
    prior = PRIOR.copy()
    prior[::2, 0] = np.nan
    x = near([-50, -70])
    x[round(share * len(x)) :, 0] = np.nan
    v = verdict([-50, -70], x, prior=prior)
    assert v.level == level


def test_features_that_predictions_lack_share_a_sentence():
    prior = PRIOR.copy()
    prior[::2] = np.nan
    x = near([-50, -70])
    x[2:, 0] = x[4:, 1] = np.nan
    reasons = verdict([-50, -70], x, prior=prior).reasons
    assert reasons[0] == (
        "first threshold, rest are defined in the recording, but only 1 to 2 % of the predictions "
        "have them"
    )


def test_further_checks_only_make_it_worse():
    x = near([-50, -70])
    worse = verdict([-50, -70], x, further=[Reason("do not use", "calibration failed")])
    assert (worse.level, worse.reasons) == ("do not use", ("calibration failed",))
    better = verdict([-50, -70], x, further=[Reason("trust", "calibration passed")])
    assert better.level == "trust"
    assert better.reasons[-1] == "calibration passed"


def test_worst_reason_first():
    v = verdict_of([Reason("caution", "a"), Reason("do not use", "b")], otherwise="c")
    assert v.reasons == ("b", "a")


def test_remedies_go_with_what_was_found():
    assert verdict([-50, -70], near([-50, -70])).remedies == ()
    (more,) = verdict([-45, -65], near([-57, -77])).remedies  # several reasons, told once
    assert "--simulations" in more
    (model,) = verdict([-45, -65], near([-57, -77]), exact=True).remedies
    assert "neurosbi simulators" in model
    assert model in verdict([10, -70], near([-35, -70])).remedies
    harmless = [Reason("trust", "a", remedy="b"), Reason("caution", "c", remedy="d")]
    assert verdict_of(harmless, otherwise="e").remedies == ("d",)


def test_whole_chain_on_a_simulated_cell():
    assert fitted().verdict.level == "trust"
    impossible = observe(gain=10)
    result = fitted(impossible, theta=rejection_posterior(impossible.x))
    assert result.verdict.level == "do not use"
