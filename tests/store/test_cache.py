from pathlib import Path

import numpy as np
import pytest

from neurosbi.errors import BadInputError
from neurosbi.store import cache_directory, config_hash
from neurosbi.store.cache import plain_data


def test_the_environment_moves_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(tmp_path / "c"))
    assert cache_directory() == tmp_path / "c"
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", "~/c")
    assert cache_directory() == Path.home() / "c"
    monkeypatch.delenv("NEUROSBI_CACHE_DIR")
    assert cache_directory().name == "neurosbi"


def test_equal_data_have_equal_hashes():
    reference = config_hash({"a": 1, "b": {"c": [0.5, 2.0]}})
    assert config_hash({"b": {"c": (0.5, 2)}, "a": 1.0}) == reference
    assert config_hash({"b": {"c": np.array([0.5, 2.0])}, "a": np.int64(1)}) == reference
    assert len(reference) == 16


@pytest.mark.parametrize(
    "other", [{"a": 2}, {"a": True}, {"a": "1"}, {"b": 1}, {"a": [1]}, {"a": 1, "b": None}]
)
def test_different_data_have_different_hashes(other):
    assert config_hash(other) != config_hash({"a": 1})


def test_large_seeds_are_not_rounded():
    assert config_hash({"seed": 2**62}) != config_hash({"seed": 2**62 + 1})


def test_plain_data_of_numpy():
    values = plain_data({"x": np.float32(0.5), "y": np.arange(3), "z": (1, "a"), "p": Path("a/b")})
    assert values == {"x": 0.5, "y": [0, 1, 2], "z": [1, "a"], "p": "a/b"}


def test_functions_are_not_data():
    with pytest.raises(BadInputError, match="numbers, text and lists"):
        plain_data({"f": print})
