import numpy as np
import pytest
import torch
from scipy import optimize, stats

from neurosbi.nets.truncated_regression import truncated_regression


def rows(n, *, columns, sd, seed=0):
    """Positions drawn by scipy around linear means, cut off at 0 and 1."""
    rng = np.random.default_rng(seed)
    e = rng.standard_normal((n, columns))
    weight = 0.2 * rng.standard_normal((columns, len(sd)))
    mean = 0.5 + e @ weight
    u = stats.truncnorm(-mean / sd, (1 - mean) / sd, mean, sd).rvs(random_state=rng)
    return torch.as_tensor(u).clamp(2.0**-53, 1 - 2.0**-53), torch.as_tensor(e)


def log_likelihood(u, e, weight, bias, sd):
    mean = e.numpy() @ weight + bias
    return stats.truncnorm(-mean / sd, (1 - mean) / sd, mean, sd).logpdf(u.numpy()).mean()


@pytest.mark.parametrize("sd", [0.02, 0.3, 3.0])
def test_it_is_the_maximum_that_a_general_optimiser_finds(sd):
    u, e = rows(800, columns=2, sd=np.array([sd]))
    weight, bias, scale = truncated_regression(u, e)
    found = log_likelihood(u[:, 0], e, weight[:, 0].numpy(), bias.item(), scale.item())

    def loss(p):
        return -log_likelihood(u[:, 0], e, p[:2], p[2], np.clip(np.exp(p[3]), 1e-3, 20))

    start = np.r_[weight[:, 0].numpy() + 0.05, bias.item() - 0.05, np.log(0.5)]
    best = optimize.minimize(loss, start, method="Nelder-Mead", options={"maxiter": 4000, "xatol": 1e-6, "fatol": 1e-10})  # fmt: skip
    assert found >= -best.fun - 1e-4


def test_quantities_of_different_width_do_not_disturb_one_another():
    sd = np.array([0.003, 0.003, 0.03, 0.3, 3.0])
    u, e = rows(3_000, columns=30, sd=sd)
    together = truncated_regression(u, e)
    np.testing.assert_allclose(together[2][:4].numpy(), sd[:4], rtol=0.1)
    for i in range(len(sd)):
        alone = truncated_regression(u[:, i : i + 1], e)
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a[..., i], b[..., 0], rtol=1e-4, atol=1e-7)


def test_what_says_nothing_gives_a_wide_normal():
    rng = np.random.default_rng(3)
    u, e = torch.as_tensor(rng.random((5_000, 1))), torch.as_tensor(rng.standard_normal((5_000, 2)))
    weight, bias, scale = truncated_regression(u, e)
    found = log_likelihood(u[:, 0], e, weight[:, 0].numpy(), bias.item(), scale.item())
    assert 0 <= found + 1e-4 < 2e-3  # uniform: 0, and four numbers may fit some noise


def test_columns_that_are_constant_or_repeat_one_another():
    u, e = rows(500, columns=2, sd=np.array([0.2]))
    more = torch.cat((e, e[:, :1], torch.ones(500, 1)), dim=1)
    plain, doubled = truncated_regression(u, e), truncated_regression(u, more)
    means = [c @ w + b for c, (w, b, _) in ((e, plain), (more, doubled))]
    torch.testing.assert_close(means[0], means[1], atol=1e-3, rtol=0)
