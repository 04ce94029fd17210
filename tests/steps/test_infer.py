"""The last part of a fit."""

import pytest

from neurosbi import simulator
from neurosbi.steps.infer import predictive_draws


@pytest.mark.parametrize(
    ("name", "draws"), [("hodgkin-huxley", 500), ("spiking", 500), ("spiking-balanced", 100)]
)
def test_slow_models_are_simulated_less_often_for_the_check(name, draws):
    model = simulator(name)
    assert predictive_draws(model) == draws
    assert draws <= model.fit_simulations // 20
