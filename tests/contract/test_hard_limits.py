"""What no cell can have is named: the row, the parameter, its value and unit."""

import numpy as np
import pytest

from neurosbi.contract import Parameter, check_hard_limits
from neurosbi.errors import BadInputError

PARAMETERS = (
    Parameter("g", "nS", 0.0, 1.0),
    Parameter("E", "mV", -90.0, 0.0),
    Parameter("tau", "ms", 1.0, 9.0),
)


def check(*rows: tuple[float, float, float]) -> None:
    check_hard_limits(PARAMETERS, np.array(rows), signed=("E",), positive=("tau",))


def test_possible_values_pass():
    check((0.0, -200.0, 0.1), (7.0, 3.0, 100.0))
    check_hard_limits(PARAMETERS, np.empty((0, 3)))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ((-0.25, 0.0, 1.0), "theta row 1 has g = -0.25 nS, but it cannot be negative"),
        ((0.5, 0.0, 0.0), "theta row 1 has tau = 0 ms, but it cannot be negative or zero"),
        ((0.5, 0.0, -2.0), "theta row 1 has tau = -2 ms, but it cannot be negative or zero"),
    ],
)
def test_impossible_values_are_named(row, words):
    with pytest.raises(BadInputError) as caught:
        check((0.5, -60.0, 3.0), row)
    assert str(caught.value) == words
