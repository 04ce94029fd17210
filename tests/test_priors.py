import numpy as np
import pytest
import torch
from scipy import stats

from neurosbi.contract import Parameter, sample_box
from neurosbi.errors import BadInputError
from neurosbi.priors import BoxPrior, UnconstrainedMap

TABLE = (
    Parameter("a", "mV", -80.0, -50.0),
    Parameter("b", "mS/cm2", 1e-3, 1e3, scale="log"),
    Parameter("c", "1", 0.0, 2.0),
)


def test_log_prob_is_that_of_scipy():
    theta = sample_box(TABLE, 500, seed=3)
    ours = BoxPrior(TABLE, dtype=torch.float64).log_prob(torch.as_tensor(theta)).numpy()
    expected = (
        stats.uniform(-80, 30).logpdf(theta[:, 0])
        + stats.loguniform(1e-3, 1e3).logpdf(theta[:, 1])
        + stats.uniform(0, 2).logpdf(theta[:, 2])
    )
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


def test_density_is_zero_outside_and_the_support_says_so():
    prior = BoxPrior(TABLE)
    theta = torch.tensor([[-60.0, 1.0, 1.0], [-60.0, 2e3, 1.0], [-90.0, 1.0, 1.0]])
    assert torch.isfinite(prior.log_prob(theta)).tolist() == [True, False, False]
    assert prior.support.check(theta).tolist() == [True, False, False]


def test_moments_and_samples_agree_with_scipy():
    prior = BoxPrior(TABLE)
    log_uniform = stats.loguniform(1e-3, 1e3)
    assert prior.mean[1].item() == pytest.approx(log_uniform.mean(), rel=1e-5)
    assert prior.variance[1].item() == pytest.approx(log_uniform.var(), rel=1e-5)
    assert prior.variance[0].item() == pytest.approx(stats.uniform(-80, 30).var(), rel=1e-5)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        draws = prior.sample((4000,)).double().numpy()
    assert stats.kstest(draws[:, 1], log_uniform.cdf).pvalue > 1e-3
    assert stats.kstest(draws[:, 0], stats.uniform(-80, 30).cdf).pvalue > 1e-3


def test_the_prior_is_standard_normal_in_unconstrained_space():
    z = UnconstrainedMap(TABLE)(torch.as_tensor(sample_box(TABLE, 5000, seed=0))).numpy()
    for column in z.T:
        assert stats.kstest(column, "norm").pvalue > 1e-3


def test_log_det_is_the_autograd_jacobian():
    bijection = UnconstrainedMap(TABLE)
    for row in torch.as_tensor(sample_box(TABLE, 20, seed=1)):
        jacobian = torch.autograd.functional.jacobian(bijection, row)
        expected = torch.linalg.slogdet(jacobian)[1]
        torch.testing.assert_close(bijection.log_det(row), expected, rtol=1e-9, atol=1e-9)


def test_the_inverse_has_a_slope_everywhere():
    bijection = UnconstrainedMap(TABLE)
    for z in (-0.5, 0.0, 0.5):
        row = torch.full((3,), z, dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(bijection.inverse, row)
        expected = -bijection.log_det(bijection.inverse(row))
        torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], expected)


def test_round_trip_next_to_the_bounds():
    bijection = UnconstrainedMap(TABLE)
    z = torch.linspace(-7.5, 7.5, 61, dtype=torch.float64)[:, None].expand(-1, 3)
    theta = bijection.inverse(z)
    assert bijection.inside(theta).all()
    # next to 0 and to no other number every digit of the distance to the bound survives
    assert (bijection(theta)[:, 2] - z[:, 2])[z[:, 2] < 0].abs().max() < 1e-9
    middle = z[:, 0].abs() < 5
    torch.testing.assert_close(bijection(theta)[middle], z[middle], rtol=1e-7, atol=1e-7)


def test_bounds_themselves_are_finite():
    bijection = UnconstrainedMap(TABLE)
    corners = torch.tensor([[p.low for p in TABLE], [p.high for p in TABLE]], dtype=torch.float64)
    z = bijection(corners)
    assert torch.isfinite(z).all()
    assert torch.isfinite(bijection.log_det(corners)).all()
    torch.testing.assert_close(bijection.inverse(z), corners, rtol=1e-12, atol=1e-12)
    far = bijection.inverse(torch.tensor([[-50.0] * 3, [50.0] * 3]))
    torch.testing.assert_close(far, corners, rtol=1e-12, atol=1e-12)


def test_an_empty_table_is_refused():
    with pytest.raises(BadInputError, match="at least one parameter"):
        BoxPrior(())
