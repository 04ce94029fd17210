"""Values that a setting cannot have, refused before a simulator is made."""

__all__ = ["check_setting"]

from typing import Any

import numpy as np

from neurosbi.contract.tables import Setting
from neurosbi.errors import BadInputError


def check_setting(simulator: str, setting: Setting, value: Any) -> None:
    """Raise `BadInputError` unless ``value`` is one that ``setting`` of ``simulator`` can have.

    What is a real number by default must be a finite one of the setting's sign, what is true or
    false by default must be either, and where there are choices it must be one of them. A setting
    whose default is None may stay None. Others are for the simulator to judge.
    """
    if value is None and setting.default is None:
        return
    if setting.choices:
        if value not in setting.choices:
            choices = " or ".join(map(repr, setting.choices))
            raise BadInputError(f"{simulator}: {setting.name} must be {choices}, not {value!r}")
    elif isinstance(setting.default, bool):
        if not isinstance(value, (bool, np.bool_)):
            raise BadInputError(f"{simulator}: {setting.name} must be true or false, not {value!r}")
    elif isinstance(setting.default, float) or setting.sign != "any":
        _check_number(simulator, setting, value)


def _check_number(simulator: str, setting: Setting, value: Any) -> None:
    unit = "" if setting.unit in ("", "1") else f" {setting.unit}"
    example = f", for example {setting.default:g}" if setting.default else ""
    number = isinstance(value, (int, float, np.integer, np.floating))
    if isinstance(value, bool) or not number or not np.isfinite(value):
        raise BadInputError(
            f"{simulator}: {setting.name} is {value!r}, but it must be a number"
            f"{' in' if unit else ''}{unit}{example}"
        )
    forbidden = {"any": False, "not negative": value < 0, "positive": value <= 0}
    if forbidden[setting.sign]:
        zero = " or zero" if setting.sign == "positive" else ""
        raise BadInputError(
            f"{simulator}: {setting.name} is {value:g}{unit}, but it cannot be negative{zero}{example}"
        )
