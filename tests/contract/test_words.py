import pytest

from neurosbi.contract import percent


@pytest.mark.parametrize(
    ("share", "words"),
    [(1.0, "100 %"), (0.996, "100 %"), (0.944, "94 %"), (0.0995, "10 %"), (0.0043, "0.43 %")],
)
def test_shares_are_read_without_powers_of_ten(share, words):
    assert percent(share) == words
