import numpy as np
import pytest

from neurosbi.contract.resample import average_down
from neurosbi.errors import BadInputError


@pytest.mark.parametrize(
    ("dt", "factor"), [(0.005, 4), (0.01, 2), (0.02, 1), (0.05, 1), (0.006, 3)]
)
def test_block_means(dt, factor):
    rng = np.random.default_rng(0)
    v, i = rng.normal(size=1003), rng.normal(size=1003)
    mean_v, mean_i, new = average_down(v, i, dt=dt)
    assert new == pytest.approx(dt * factor)
    assert new <= 0.02 + 1e-12 or factor == 1
    assert len(mean_v) == len(mean_i) == 1003 // factor
    for k in (0, 7, len(mean_v) - 1):
        assert mean_v[k] == pytest.approx(np.mean(v[k * factor : (k + 1) * factor]))
        assert mean_i[k] == pytest.approx(np.mean(i[k * factor : (k + 1) * factor]))


def test_charge_and_spikes_survive():
    t = np.arange(200_000) * 0.005
    v = -70 + 100 * np.exp(-(((t - 500) / 0.3) ** 2))
    i = 100.0 * ((t >= 200) & (t < 700))
    mean_v, mean_i, dt = average_down(v, i, dt=0.005)
    assert mean_i.sum() * dt == pytest.approx(i.sum() * 0.005)
    assert mean_v.max() == pytest.approx(30, abs=1)
    assert np.argmax(mean_v) * dt == pytest.approx(500, abs=0.02)


def test_bad_arrays():
    with pytest.raises(BadInputError, match="equal length"):
        average_down(np.zeros(5), np.zeros(6), dt=0.01)
    with pytest.raises(BadInputError, match="positive"):
        average_down(np.zeros(5), np.zeros(5), dt=0.0)
