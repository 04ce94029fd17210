"""The density over parameters that the pieces make together: flow, trend, box of the prior."""

import numpy as np
import pytest
import torch
from scipy import stats

from neurosbi.contract import Parameter
from neurosbi.inference.estimator import FlowEstimator
from neurosbi.nets import ContextEmbedding, SplineFlow

PARAMETERS = (Parameter("a", "mV", -1.0, 3.0), Parameter("g", "nS", 0.1, 10.0, "log"))
COLUMNS, CONTEXT = 3, 8


def estimator(kind):
    """One with random weights whose trend is of this kind."""
    torch.manual_seed(1)
    embeddings = [ContextEmbedding(COLUMNS, CONTEXT, hidden=16, blocks=1) for _ in range(2)]
    flow = SplineFlow(2, CONTEXT, transforms=2, hidden=(16,), bins=5, members=2)
    made = FlowEstimator(flow, embeddings, parameters=PARAMETERS, condition_shape=[COLUMNS])
    made.center.copy_(torch.tensor([0.1, -0.2]))
    made.scale.copy_(torch.tensor([0.8, 1.1]))
    rng = np.random.default_rng(0)
    e = torch.as_tensor(rng.standard_normal((2_000, COLUMNS)))
    noise = torch.as_tensor(rng.standard_normal((2_000, 2)))
    if kind == "linear":
        z = 0.8 * e[:, :2] + 0.3 * noise
    elif kind == "truncated":
        mean = 0.5 + 0.3 * e[:, :2].numpy()
        u = stats.truncnorm(-mean / 0.15, (1 - mean) / 0.15, mean, 0.15).rvs(random_state=rng)
        z = (torch.special.ndtri(torch.as_tensor(u)) - made.center) / made.scale
    else:
        z = e[:, :2].square() - 1 + 0.2 * noise
    made.trend.fit(z, e, center=made.center, spread=made.scale)
    assert made.trend.name == kind
    return made.eval()


@pytest.mark.parametrize("kind", ["none", "linear", "truncated"])
def test_the_gradient_of_the_density_is_that_of_differences(kind):
    made = estimator(kind)
    condition = torch.tensor([[0.2, -0.5, 1.0]])
    points = torch.tensor([[0.0, 1.0], [2.5, 0.3], [-0.5, 7.0]], dtype=torch.float64)
    leaf = points.clone().requires_grad_()
    gradient = torch.autograd.grad(made.log_prob(leaf[:, None], condition).sum(), leaf)[0]
    for i in range(2):
        step = 1e-3 * torch.eye(2, dtype=torch.float64)[i]
        with torch.no_grad():
            ahead, behind = (
                made.log_prob((points + s)[:, None], condition)[:, 0] for s in (step, -step)
            )
        torch.testing.assert_close(gradient[:, i], (ahead - behind) / 2e-3, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("kind", ["none", "linear", "truncated"])
def test_the_density_is_one_and_draws_follow_it(kind):
    made = estimator(kind)
    condition = torch.tensor([[0.2, -0.5, 0.3]])
    a = torch.linspace(-1, 3, 401, dtype=torch.float64)
    log_g = torch.linspace(np.log(0.1), np.log(10), 402, dtype=torch.float64)
    a, log_g = (0.5 * (v[1:] + v[:-1]) for v in (a, log_g))
    grid = torch.cartesian_prod(a, log_g.exp())
    with torch.no_grad():
        density = made.log_prob(grid[:, None], condition)[:, 0].exp() * grid[:, 1]
    weight = density * (4 / 400) * (np.log(100) / 401)
    assert weight.sum().item() == pytest.approx(1, abs=0.01)
    torch.manual_seed(0)
    draws = made.sample(torch.Size([20_000]), condition).reshape(-1, 2).double()
    columns = torch.stack([draws[:, 0], draws[:, 1].log()], dim=1)
    exact = torch.stack([grid[:, 0], grid[:, 1].log()], dim=1)
    mean = weight @ exact
    sd = (weight @ (exact - mean).square()).sqrt()
    assert torch.all((columns.mean(0) - mean).abs() < 0.03 * sd)
    torch.testing.assert_close(columns.std(0), sd, rtol=0.03, atol=0)
