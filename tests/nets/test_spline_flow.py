import math
from functools import partial

import pytest
import torch
import zuko

from neurosbi.nets.spline_flow import (
    SplineFlow,
    rational_quadratic,
    rational_quadratic_inverse,
)


@pytest.fixture(autouse=True)
def _same_initial_weights():
    """Whatever tests ran before."""
    torch.manual_seed(0)


def roughened(flow, size=0.3):
    with torch.no_grad():
        for p in flow.parameters():
            p.add_(size * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    return flow.double()


def parameters_of(bins, dim, batch):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3 * bins - 1, dim, batch, generator=generator, dtype=torch.float64)


def test_spline_equals_the_one_of_zuko():
    bins, dim, batch = 8, 3, 200
    ours = parameters_of(bins, dim, batch)
    x = torch.linspace(-6, 6, dim * batch, dtype=torch.float64).view(dim, batch)
    y, log_slope = rational_quadratic(x, ours)

    # zuko clips its parameters softly and has no minimum bin: give it what makes the same knots
    rest, slope = 1 - bins * 1e-3, 1e-3
    sizes = ours[: 2 * bins].reshape(bins, 2 * dim, batch).softmax(0) * rest + 1e-3
    unit = math.log(math.expm1(1 - slope))
    slopes = (slope + torch.nn.functional.softplus(ours[2 * bins :] + unit)).log()

    widths, heights = sizes[:, :dim].log(), sizes[:, dim:].log()
    middle = widths.mean(0), heights.mean(0)
    zuko_spline = zuko.transforms.MonotonicRQSTransform(
        *(
            _undo_clip(v, factor).movedim(0, -1)
            for v, factor in ((widths - middle[0], 2), (heights - middle[1], 2), (slopes, 1))
        ),
        slope=1e-9,
    )
    expected, expected_log = zuko_spline.call_and_ladj(x)
    torch.testing.assert_close(y, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(log_slope, expected_log, rtol=1e-8, atol=1e-8)


def _undo_clip(v, factor):
    """The w with w / (1 + |factor w / log 1e-9|) = v."""
    return v / (1 - factor * v.abs() / abs(math.log(1e-9)))


def test_gradient_of_the_spline():
    x = torch.linspace(-5.5, 5.5, 12, dtype=torch.float64).view(2, 6).requires_grad_()
    parameters = parameters_of(5, 2, 6).requires_grad_()
    assert torch.autograd.gradcheck(rational_quadratic, (x, parameters))


def test_spline_and_inverse_undo_each_other():
    parameters = 3 * parameters_of(8, 2, 300)
    x = torch.linspace(-7, 7, 600, dtype=torch.float64).view(2, 300)
    y, _ = rational_quadratic(x, parameters)
    torch.testing.assert_close(rational_quadratic_inverse(y, parameters), x, rtol=0, atol=1e-9)


@pytest.mark.parametrize("members", [1, 3])
def test_log_prob_is_the_change_of_variables_by_autograd(members):
    flow = roughened(SplineFlow(4, 2, transforms=3, hidden=(16, 16), members=members))
    z, context = torch.randn(5, 4).double(), torch.randn(members, 5, 2).double()

    def image(row, c, k):
        u, _ = flow.affine(row[:, None].expand(members, -1, -1), c[:, :, None])
        for transform in flow.transforms:
            u, _ = transform(u, c[:, :, None])
        return u[k, :, 0]

    values = flow.log_prob(z, context)
    assert values.shape == (members, 5)
    for k in range(members):
        for i, row in enumerate(z):
            of_row = partial(image, c=context[:, i], k=k)
            jacobian = torch.autograd.functional.jacobian(of_row, row)
            log_det = torch.linalg.slogdet(jacobian)[1]
            base = torch.distributions.Normal(0, 1).log_prob(of_row(row)).sum()
            torch.testing.assert_close(values[k, i], base + log_det, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("dim", [1, 2])
def test_the_density_integrates_to_one(dim):
    flow = roughened(SplineFlow(dim, 3, transforms=2, hidden=(16,), members=2), size=0.15)
    grid = torch.linspace(-9, 9, 901 if dim == 1 else 301, dtype=torch.float64)
    points = torch.cartesian_prod(*[grid] * dim).view(-1, dim)
    with torch.no_grad():
        density = flow.log_prob(points, torch.ones(2, 1, 3).double()).exp()
    total = density.sum(1) * (grid[1] - grid[0]) ** dim
    assert total.tolist() == pytest.approx([1, 1], abs=2e-3)


def test_samples_follow_the_density():
    flow = roughened(SplineFlow(2, 1, transforms=2, hidden=(16,), members=2), size=0.15).float()
    z = flow.sample(torch.ones(2, 40_000, 1), generator=torch.Generator().manual_seed(0))
    assert z.shape == (2, 40_000, 2)
    grid = torch.linspace(-9, 9, 901)
    points = torch.cartesian_prod(grid, grid).expand(2, -1, -1)
    with torch.no_grad():
        mass = flow.log_prob(points, torch.ones(2, points.shape[1], 1)).exp() * 0.02**2
    # nine boxes: their share of the samples and the integral of the density
    edges = torch.tensor([-0.71, 0.71])
    boxes = [torch.bucketize(v.contiguous(), edges) @ torch.tensor([3, 1]) for v in (z, points)]
    for k in range(2):
        share = torch.bincount(boxes[0][k], minlength=9) / 40_000
        integral = torch.bincount(boxes[1][k], weights=mass[k], minlength=9)
        torch.testing.assert_close(share, integral, rtol=0, atol=0.0125)  # 5 sd of a share of 1/2


def test_inverse_undoes_every_member():
    flow = roughened(SplineFlow(3, 2, transforms=3, hidden=(16, 16), members=2))
    u, c = torch.randn(2, 3, 50).double(), torch.randn(2, 2, 50).double()
    with torch.no_grad():
        for transform in flow.transforms:
            z = transform.inverse(u, c)
            torch.testing.assert_close(transform(z, c)[0], u, rtol=0, atol=1e-7)


def test_a_member_is_not_touched_by_the_others():
    flow = roughened(SplineFlow(3, 2, transforms=2, hidden=(16,), members=3))
    alone = SplineFlow(3, 2, transforms=2, hidden=(16,)).double()
    alone.load_state_dict({k: v[1:2] for k, v in flow.state_dict().items()})
    z, context = torch.randn(20, 3).double(), torch.randn(3, 20, 2).double()
    torch.testing.assert_close(flow.log_prob(z, context)[1:2], alone.log_prob(z, context[1:2]))


def test_sampling_needs_no_global_random_state():
    flow = SplineFlow(3, 2)
    state = torch.get_rng_state()
    draws = [
        flow.sample(torch.zeros(1, 4, 2), generator=torch.Generator().manual_seed(7)) for _ in "ab"
    ]
    assert torch.equal(*draws)
    assert torch.equal(state, torch.get_rng_state())
