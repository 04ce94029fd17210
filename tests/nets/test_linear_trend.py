import numpy as np
import torch

from neurosbi.nets import LinearTrend

WEIGHT = np.array([[0.6, 0.0], [-0.3, 0.5], [0.0, 0.2]])


def linear_rows(n, *, bend=0.0):
    rng = np.random.default_rng(0)
    e = rng.standard_normal((n, 3))
    z = e @ WEIGHT + 0.2 + bend * (e[:, :2] ** 2 - 1) + [0.4, 0.1] * rng.standard_normal((n, 2))
    return torch.as_tensor(z), torch.as_tensor(e)


def fitted(z, e):
    trend = LinearTrend(3, 2)
    trend.fit(z, e)
    return trend.double()


def test_residuals_of_a_linear_problem_are_standard_normal():
    z, e = linear_rows(20_000)
    trend = fitted(z, e)
    r = trend.residual(z, e)
    np.testing.assert_allclose(trend.weight.numpy(), WEIGHT, atol=0.02)
    np.testing.assert_allclose(r.mean(0).numpy(), 0, atol=0.02)
    np.testing.assert_allclose(np.cov(r.numpy().T), np.eye(2), atol=0.03)
    np.testing.assert_allclose(trend.log_det.item(), -np.log(0.4 * 0.1), atol=0.03)


def test_restore_undoes_residual():
    z, e = linear_rows(500)
    trend = fitted(z, e)
    torch.testing.assert_close(trend.restore(trend.residual(z, e), e), z)


def test_a_bent_problem_is_left_as_it_is():
    z, e = linear_rows(5_000, bend=0.3)
    trend = fitted(z, e)
    assert torch.equal(trend.residual(z, e), z)
    assert trend.log_det.item() == 0


def test_few_rows_and_constant_columns_do_no_harm():
    z, e = linear_rows(3)
    assert torch.equal(fitted(z, e).residual(z, e), z)
    z, e = linear_rows(300)
    e[:, 1] = 1.0
    assert torch.isfinite(fitted(z, e).residual(z, e)).all()
