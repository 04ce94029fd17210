import numpy as np
import pytest
from toys import LinearGaussian

from neurosbi.contract import Setting
from neurosbi.errors import BadInputError


class WithLimits(LinearGaussian):
    setting_table = (
        Setting("tau", "ms", 10.0, sign="positive"),
        Setting("noise", "mV", 0.0, sign="not negative"),
        Setting("memory", "ms", None, sign="positive"),
        Setting("method", "", "euler", choices=("euler", "exact")),
        Setting("warm", "", False),
    )


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"tau": 0}, "tau is 0 ms, but it cannot be negative or zero, for example 10"),
        ({"tau": -2.0}, "tau is -2 ms, but it cannot be negative or zero, for example 10"),
        ({"noise": -0.5}, "noise is -0.5 mV, but it cannot be negative$"),
        ({"memory": 0.0}, "memory is 0 ms, but it cannot be negative or zero$"),
        ({"memory": "long"}, "memory is 'long', but it must be a number in ms$"),
        ({"method": "heun"}, "method must be 'euler' or 'exact', not 'heun'"),
        ({"warm": "yes"}, "warm must be true or false, not 'yes'"),
        ({"warm": 1}, "warm must be true or false, not 1"),
    ],
)
def test_settings_are_what_their_table_allows(setting, words):
    with pytest.raises(BadInputError, match=f"linear-gaussian: {words}"):
        WithLimits(**setting)


def test_limits_themselves_and_what_may_stay_empty_are_allowed():
    given = {"tau": 1, "noise": 0.0, "memory": None, "method": "exact", "warm": True}
    assert WithLimits(**given).settings == given
    assert WithLimits(memory=np.float64(3.0)).settings["memory"] == 3.0


@pytest.mark.parametrize("value", ["0.1", None, True, float("nan"), float("inf"), [0.1]])
def test_a_setting_that_is_a_number_stays_one(value):
    with pytest.raises(
        BadInputError, match=r"linear-gaussian: tau is .*, but it must be a number in ms"
    ):
        WithLimits(tau=value)
