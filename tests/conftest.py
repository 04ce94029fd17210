"""Programs that tests start find the helper modules of the tests, as pytest itself does."""

import os
from pathlib import Path

_TESTS = Path(__file__).parent
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(_TESTS), *filter(None, [os.environ.get("PYTHONPATH", "")])]
)
