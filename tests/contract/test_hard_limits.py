"""What no cell can have is named: the row, the parameter, its value, unit and prior."""

import numpy as np
import pytest

from neurosbi.contract import Parameter
from neurosbi.contract.hard_limits import check_hard_limits
from neurosbi.errors import BadInputError

PARAMETERS = (
    Parameter("g", "nS", 0.0, 1.0),
    Parameter("E", "mV", -90.0, 0.0),
    Parameter("tau", "ms", 1.0, 9.0),
    Parameter("ratio", "1", 0.5, 2.0),
)


def check(*rows: tuple[float, float, float, float], signed=("E",), positive=("tau", "ratio")):
    check_hard_limits(PARAMETERS, np.array(rows), signed=signed, positive=positive)


def test_possible_values_pass():
    check((0.0, -200.0, 0.1, 9.0), (7.0, 3.0, 100.0, 0.1))
    check_hard_limits(PARAMETERS, np.empty((0, 4)), signed=(), positive=())
    check((-1.0, -1.0, -1.0, -1.0), signed=None, positive=())


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            (-0.25, 0.0, 1.0, 1.0),
            "theta row 1 has g = -0.25 nS, but it cannot be negative; its prior goes from 0 to 1 nS",
        ),
        (
            (0.5, 0.0, 0.0, 1.0),
            "theta row 1 has tau = 0 ms, but it cannot be negative or zero; its prior goes from 1 to "
            "9 ms",
        ),
        (
            (0.5, 0.0, 2.0, -3.0),
            "theta row 1 has ratio = -3, but it cannot be negative or zero; its prior goes from 0.5 to "
            "2",
        ),
    ],
)
def test_impossible_values_are_named(row, words):
    with pytest.raises(BadInputError) as caught:
        check((0.5, -60.0, 3.0, 1.0), row, (-9.0, 0.0, 0.0, 0.0))
    assert str(caught.value) == words


def test_what_must_be_positive_need_not_be_named_twice():
    with pytest.raises(BadInputError, match="tau = -1 ms, but it cannot be negative or zero"):
        check((0.5, 0.0, -1.0, 1.0), signed=None, positive=("tau",))
