import pytest

from neurosbi.errors import one_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("a\n  b"), "a b"),
        (ValueError(), "ValueError"),
        (KeyError(" \n"), "' \\n'"),
        (OSError("x" * 500), "x" * 160),
    ],
)
def test_errors_of_others_in_one_line(error, line):
    assert one_line(error) == line
