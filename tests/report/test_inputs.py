"""The sentence that says which input told more."""

import numpy as np
import pytest

from neurosbi.report.inputs import input_sentence, input_table
from neurosbi.store.input_results import InputComparison


def comparison(information, distance, error=0.02):
    return InputComparison(
        inputs=("features", "trace", "both"),
        simulations=1000,
        entropy=10 - np.array(information),
        information=np.array(information),
        standard_error=np.full(3, error),
        information_here=np.array(information) + 1,
        distance=np.array(distance),
    )


@pytest.mark.parametrize(
    ("information", "distance", "parts"),
    [
        (
            [3.0, 4.0, 4.2],
            [0.4, 0.3, 0.2],
            ["the trace tells more about the parameters than the features", "both together predict best (m"],
        ),
        (
            [4.0, 3.0, 4.2],
            [0.2, 0.3, 0.4],
            ["the features tell more about the parameters than the trace", "the features alone predict best"],
        ),
        (
            [4.0, 4.03, 4.2],
            [0.3, 0.2, 0.21],
            ["tells as much about the parameters", "the trace alone and both together predict equally well, better than the features alone (m"],
        ),
        ([4.0, 3.0, 4.2], [np.nan] * 3, ["4.20 from both)."]),
    ],
)  # fmt: skip
def test_words_follow_numbers(information, distance, parts):
    sentence = input_sentence(comparison(information, distance))
    for part in parts:
        assert part in sentence
    assert f"{information[0]:.2f} from the features" in sentence
    assert sentence.endswith(".")


def test_a_row_for_each_input():
    table = input_table(comparison([3.0, 4.0, 4.2], [0.4, 0.3, 0.2]))
    assert list(table["input"]) == ["features", "trace", "both together"]
    assert list(table["entropy"] + table["information"]) == pytest.approx([10, 10, 10])
