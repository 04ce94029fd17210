"""An unforeseen error is told in one sentence, with whose it is."""

import numpy as np
import pytest
from toys import LinearGaussian

from neurosbi.cli.defects import describe_defect


class Broken(LinearGaussian):
    name = "broken"

    def simulate(self, theta, *, stimulus=None, seed, start=0, threads=None):
        return np.linalg.inv(np.zeros((2, 3)))


def failure(call):
    with pytest.raises((ValueError, TypeError, IndexError)) as caught:
        call()
    return describe_defect(caught.value)


def test_an_error_in_somebodys_simulator_is_told_as_theirs():
    said = failure(lambda: Broken().features(np.zeros((1, 3)), seed=0))
    line = Broken.simulate.__code__.co_firstlineno + 1
    place = f"{__file__}, line {line}: LinAlgError: "
    assert said.startswith(f"the code of simulator broken failed in {place}")
    assert "\n" not in said


def test_any_other_is_ours():
    model = Broken()
    said = failure(lambda: model.sample_prior("many", seed=0))
    assert said.startswith("internal error: ")
    assert "--debug" in said
    assert failure(lambda: [][1]).startswith("internal error: IndexError")
