import numpy as np
import pytest
import torch
from scipy import stats

from neurosbi.nets import Trend
from neurosbi.nets.linear_trend import LinearTrend
from neurosbi.nets.truncated_trend import TruncatedTrend

WEIGHT = np.array([[0.6, 0.0], [-0.3, 0.5], [0.0, 0.2]])
BOX_WEIGHT = np.array([[0.2, 0.0], [-0.1, 0.1], [0.0, 0.2]])
SD = np.array([0.15, 0.3])


def linear_rows(n, *, bend=0.0):
    rng = np.random.default_rng(0)
    e = rng.standard_normal((n, 3))
    z = e @ WEIGHT + 0.2 + bend * (e[:, :2] ** 2 - 1) + [0.4, 0.1] * rng.standard_normal((n, 2))
    return torch.as_tensor(z), torch.as_tensor(e)


def boxed_rows(n, center=0.0, spread=1.0):
    """Positions that are normal around a linear mean, cut off at 0 and 1; drawn by scipy."""
    rng = np.random.default_rng(1)
    e = rng.standard_normal((n, 3))
    mean = 0.4 + e @ BOX_WEIGHT
    u = stats.truncnorm(-mean / SD, (1 - mean) / SD, mean, SD).rvs(random_state=rng)
    z = (stats.norm.ppf(u) - center) / spread
    return torch.as_tensor(z), torch.as_tensor(e)


def fitted(z, e, center=0.0, spread=1.0):
    trend = Trend(e.shape[1], z.shape[1])
    trend.fit(z, e, center=torch.full((2,), center), spread=torch.full((2,), spread))
    return trend.double()


def test_residuals_of_a_linear_problem_are_standard_normal():
    z, e = linear_rows(20_000)
    trend = fitted(z, e)
    assert trend.name == "linear"
    r, log_det = trend.residual(z, e)
    np.testing.assert_allclose(trend.linear.weight.numpy(), WEIGHT, atol=0.02)
    np.testing.assert_allclose(r.mean(0).numpy(), 0, atol=0.02)
    np.testing.assert_allclose(np.cov(r.numpy().T), np.eye(2), atol=0.03)
    np.testing.assert_allclose(log_det.numpy(), -np.log(0.4 * 0.1), atol=0.03)


@pytest.mark.parametrize(("center", "spread"), [(0.0, 1.0), (0.3, 0.5)])
def test_residuals_of_a_problem_cut_off_at_walls_are_standard_normal(center, spread):
    z, e = boxed_rows(20_000, center, spread)
    trend = fitted(z, e, center, spread)
    assert trend.name == "truncated"
    np.testing.assert_allclose(trend.truncated.weight.numpy(), BOX_WEIGHT, atol=0.015)
    np.testing.assert_allclose(trend.truncated.scale.numpy(), SD, rtol=0.03)
    r, _ = trend.residual(z, e)
    for i in range(2):
        assert stats.kstest(r[:, i], "norm").statistic < 0.015
    np.testing.assert_allclose(np.corrcoef(r.numpy().T)[0, 1], 0, atol=0.03)


@pytest.mark.parametrize("rows", [linear_rows, boxed_rows])
def test_the_log_slope_is_that_of_the_residuals(rows):
    z, e = rows(400)
    trend = fitted(z, e)
    assert trend.name != "none"
    step = 1e-5
    ahead, behind = (trend.residual(z + s, e)[0] for s in (step, -step))
    numerical = ((ahead - behind) / (2 * step)).log().sum(1)
    torch.testing.assert_close(trend.residual(z, e)[1], numerical, atol=1e-6, rtol=0)


@pytest.mark.parametrize("rows", [linear_rows, boxed_rows])
def test_restore_undoes_residual(rows):
    z, e = rows(500)
    trend = fitted(z, e)
    torch.testing.assert_close(trend.restore(trend.residual(z, e)[0], e), z, atol=1e-9, rtol=0)
    trend.float()
    single = trend.residual(z.float(), e.float())[0]
    assert single.dtype == torch.float32
    torch.testing.assert_close(trend.restore(single, e.float()).double(), z, atol=1e-5, rtol=0)


def test_densities_are_those_of_scipy():
    z, e = boxed_rows(2_000)
    trend = fitted(z, e).truncated
    mean, sd = (e @ trend.weight + trend.bias).numpy(), trend.scale.numpy()
    truth = stats.truncnorm(-mean / sd, (1 - mean) / sd, mean, sd)
    expected = truth.logpdf(stats.norm.cdf(z)) + stats.norm.logpdf(z)
    np.testing.assert_allclose(trend.log_prob(z, e), expected.sum(1), atol=1e-6)


@pytest.mark.parametrize("raw", [-12.0, -8.0, 8.0, 20.0])
@pytest.mark.parametrize("sd", [0.05, 1.0, 20.0])
def test_the_walls_themselves_are_exact(raw, sd):
    """A wide cut-off normal is the prior: r is then z, however near to a wall."""
    trend = TruncatedTrend(1, 1)
    trend.scale.fill_(sd)
    trend.bias.fill_(0.5)
    z, e = torch.tensor([[raw]]).double().requires_grad_(), torch.zeros(1, 1).double()
    r, log_det = trend.residual(z, e)
    if sd == 20:
        assert r.item() == pytest.approx(raw, rel=1e-3)
        assert log_det.item() == pytest.approx(0, abs=0.05)
    slope = torch.autograd.grad(r.sum(), z)[0]
    assert slope.log().item() == pytest.approx(log_det.item(), rel=1e-6, abs=1e-6)


def test_rows_far_from_the_regression_stay_finite():
    z, e = boxed_rows(2_000)
    trend = fitted(z, e)
    far, edge = 1e3 * e[:50], torch.tensor([[-8.0, 8.0]]).repeat(50, 1).double()
    for points in (z[:50], edge):
        r, log_det = trend.residual(points, far)
        assert torch.isfinite(r).all()
        assert torch.isfinite(log_det).all()
    assert torch.isfinite(trend.restore(3 * torch.randn(50, 2).double(), far)).all()


@pytest.mark.parametrize("n", [100, 300, 1_000])
def test_data_that_say_nothing_are_not_regressed_on(n):
    rng = np.random.default_rng(n)
    z, e = (torch.as_tensor(rng.standard_normal((n, k))) for k in (2, 30))
    assert fitted(z, e).name == "none"


def test_a_bent_problem_is_left_as_it_is():
    z, e = linear_rows(5_000, bend=0.3)
    trend = fitted(z, e)
    assert trend.name == "none"
    r, log_det = trend.residual(z, e)
    assert torch.equal(r, z)
    assert not log_det.any()
    assert torch.equal(trend.restore(z, e), z)


def test_what_was_chosen_is_in_the_state():
    z, e = boxed_rows(2_000)
    trend = fitted(z, e)
    again = Trend(3, 2).double()
    again.load_state_dict(trend.state_dict())
    assert again.name == "truncated"
    torch.testing.assert_close(again.residual(z, e)[0], trend.residual(z, e)[0])


def test_few_rows_and_constant_columns_do_no_harm():
    z, e = linear_rows(3)
    assert fitted(z, e).name == "none"
    for rows in (linear_rows, boxed_rows):
        z, e = rows(300)
        e[:, 1] = 1.0
        assert torch.isfinite(fitted(z, e).residual(z, e)[0]).all()


def test_a_wide_truncated_normal_is_the_prior():
    rng = np.random.default_rng(2)
    z, e = (torch.as_tensor(rng.standard_normal((4_000, k))) for k in (1, 2))
    trend = TruncatedTrend(2, 1).fit(z, e, center=torch.zeros(1), spread=torch.ones(1))
    prior = stats.norm.logpdf(z[:, 0].numpy())
    assert abs((trend.log_prob(z, e).numpy() - prior).mean()) < 2e-3
    assert LinearTrend(2, 1).double().fit(z, e).scale.item() == pytest.approx(1, abs=0.05)
