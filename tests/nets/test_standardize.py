import numpy as np
import torch

from neurosbi.contract import Parameter
from neurosbi.nets import FeatureEncoder, Standardizer


def test_gaussian_columns_get_mean_zero_and_sd_one_despite_undefined_values():
    rng = np.random.default_rng(0)
    x = rng.normal([5, -60], [0.1, 20], (5000, 2))
    x[::3, 0] = np.nan
    x[1::3, 1] = np.inf
    z = Standardizer.of(x)(torch.as_tensor(x)).numpy()
    defined = np.isfinite(x)
    for column in range(2):
        values = z[defined[:, column], column]
        assert abs(values.mean()) < 1e-3
        assert abs(values.std() - 1) < 1e-3
    assert np.all(z[~defined] == 0)


def test_enormous_values_neither_flatten_the_rest_nor_pass_through():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2000, 1))
    x[:5] = 1e9
    z = Standardizer.of(x)(torch.as_tensor(x)).numpy()
    assert 0.8 < z[5:].std() < 1.2
    assert 8 < z[:5].min() <= z[:5].max() < 40


def test_soft_limit_is_monotone_and_the_identity_below():
    standardizer = Standardizer.of(np.random.default_rng(2).normal(size=(1000, 1)))
    x = torch.linspace(-1e4, 1e4, 4001, dtype=torch.float64)[:, None]
    z = standardizer(x)[:, 0]
    assert (z.diff() > 0).all()
    small = x[:, 0].abs() < 5
    expected = (x[small, 0] - standardizer.center) * standardizer.rate
    torch.testing.assert_close(z[small].double(), expected, rtol=1e-6, atol=1e-6)


def test_constant_empty_and_mostly_zero_columns():
    x = np.zeros((1000, 3))
    x[:, 0], x[:, 1] = 0.1, np.nan
    x[:20, 2] = 3.0
    z = Standardizer.of(x)(torch.as_tensor(x)).numpy()
    assert np.all(z[:, :2] == 0)
    assert abs(z[:, 2].std() - 1) < 1e-3
    other = Standardizer.of(x)(torch.tensor([[50.0, 1.0, 0.0]]))
    assert other[0, :2].tolist() == [0, 0]


def test_flags_say_defined_undefined_or_not_given_and_log_stimuli_are_in_log():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(400, 3))
    x[:200, 1], x[:, 2] = np.nan, np.nan
    family = (Parameter("amplitude", "pA", 10, 1000, scale="log"), Parameter("onset", "ms", 0, 9))
    stimulus = np.column_stack((10 ** rng.uniform(1, 3, 400), rng.uniform(0, 9, 400)))
    encoder = FeatureEncoder.of(x, stimulus, family=family)
    encoded = encoder(torch.as_tensor(x), torch.as_tensor(stimulus)).numpy()
    assert encoded.shape == (400, encoder.width) == (400, 8)
    assert np.isfinite(encoded).all()
    assert np.all(encoded[:, 3] == 1)
    assert np.all(encoded[:, 5] == -1)
    np.testing.assert_array_equal(encoded[:, 4], np.where(np.arange(400) < 200, -1, 1))
    given = torch.tensor([False, True, True])
    withheld = encoder(torch.as_tensor(x), torch.as_tensor(stimulus), given).numpy()
    assert np.all(withheld[:, [0, 3]] == 0)
    np.testing.assert_array_equal(np.delete(withheld, [0, 3], 1), np.delete(encoded, [0, 3], 1))
    log = np.log(stimulus[:, 0])
    np.testing.assert_allclose(encoded[:, 6], (log - log.mean()) / log.std(), atol=1e-4)
    assert encoder.low[0].item() == x[:, 0].min()
    assert np.isnan(encoder.low[2].item())


def test_the_encoding_is_restored_from_its_state():
    rng = np.random.default_rng(4)
    x, stimulus = rng.normal(size=(50, 2)), np.empty((50, 0))
    first = FeatureEncoder.of(x, stimulus)
    second = FeatureEncoder(2)
    second.load_state_dict(first.state_dict())
    values = torch.as_tensor(x), torch.as_tensor(stimulus)
    assert torch.equal(first(*values), second(*values))
