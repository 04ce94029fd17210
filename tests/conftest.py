"""Programs that tests start find the helper modules of the tests; fits in tests are quick."""

import os
from pathlib import Path

import pytest

_TESTS = Path(__file__).parent
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(_TESTS), *filter(None, [os.environ.get("PYTHONPATH", "")])]
)


@pytest.fixture(scope="session", autouse=True)
def _quick_calibrations():
    """Fits in tests calibrate their networks on few simulations."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neurosbi.steps.check.FIT_SIMULATIONS", 200)
        yield
