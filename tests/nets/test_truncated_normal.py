import mpmath
import numpy as np
import pytest
import torch

from neurosbi.nets.truncated_normal import log_mass, normal_cdf


def exact(low, width):
    with mpmath.workdps(600):
        low, width = mpmath.mpf(float(low)), mpmath.mpf(float(width))
        return float(mpmath.log(mpmath.ncdf(low + width) - mpmath.ncdf(low)))


@pytest.mark.parametrize("low", [-30.0, -6.0, -0.3, 0.0, 0.5, 7.0, 30.0])
def test_log_mass_keeps_its_digits(low):
    widths = np.array([1e-290, 1e-16, 1e-8, 1e-4, 9e-4, 2e-3, 9e-3, 2e-2, 0.3, 5.0, 40.0])
    expected = [exact(low, w) for w in widths]
    found = log_mass(torch.full((len(widths),), low, dtype=torch.float64), torch.as_tensor(widths))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-11, atol=1e-9)


def test_log_mass_has_the_right_derivatives():
    low = torch.tensor([-8.0, -0.5, 3.0, 9.0, 0.1]).double().requires_grad_()
    width = torch.tensor([0.7, 1e-9, 1e-12, 2.0, 1e-280]).double().requires_grad_()
    by_low, by_width = torch.autograd.grad(log_mass(low, width).sum(), (low, width))
    density = torch.distributions.Normal(0, 1).log_prob
    mass = log_mass(low, width)
    at_low, at_high = (density(low) - mass).exp(), (density(low + width) - mass).exp()
    torch.testing.assert_close(by_width, at_high, rtol=1e-4, atol=0)
    wide = width > 0.1
    torch.testing.assert_close(by_low[wide], (at_high - at_low)[wide], rtol=1e-6, atol=0)
    torch.testing.assert_close(by_low[~wide], -low[~wide], rtol=1e-4, atol=1e-6)  # phi' / phi


def test_normal_cdf_in_the_tail():
    with mpmath.workdps(40):
        expected = [float(mpmath.ncdf(x)) for x in (-37.0, -9.0, -1.0, 0.0, 2.0)]
    found = normal_cdf(torch.tensor([-37.0, -9.0, -1.0, 0.0, 2.0]).double())
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
