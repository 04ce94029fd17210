import json
import pickle

import numpy as np
import pytest
import torch

from neurosbi.errors import BadInputError
from neurosbi.store.networks import is_network, read_network, write_network

WEIGHTS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([True, False])}
CARD = {"method": "npe", "loss": [1.0, float("nan")], "n": np.int64(3)}


@pytest.fixture
def path(tmp_path):
    write_network(tmp_path / "network", WEIGHTS, CARD)
    return tmp_path / "network"


def test_what_is_written_is_read(path):
    weights, card = read_network(path)
    assert is_network(path)
    assert card["method"] == "npe"
    assert card["loss"] == [1.0, None]
    assert card["n"] == 3
    for name, value in WEIGHTS.items():
        np.testing.assert_array_equal(weights[name], value)
    assert sorted(p.name for p in path.parent.iterdir()) == ["network"]


def test_a_failed_write_leaves_the_old_network(path):
    with pytest.raises(BadInputError, match="object"):
        write_network(path, {"a": np.zeros(2)}, {"bad": object()})
    assert read_network(path)[1]["method"] == "npe"
    assert sorted(p.name for p in path.parent.iterdir()) == ["network"]


class Dangerous:
    def __reduce__(self):
        return (print, ("this must never run",))


@pytest.mark.parametrize("save", [torch.save, lambda o, p: p.write_bytes(pickle.dumps(o))])
def test_a_pickle_is_refused_and_not_opened(path, save, capsys):
    save({"a": Dangerous()}, path / "weights.safetensors")
    with pytest.raises(BadInputError, match="is a pickle, which could run any code"):
        read_network(path)
    file = path.parent / "model.pt"
    save({"a": Dangerous()}, file)
    with pytest.raises(BadInputError, match="is a pickled file, not a network"):
        read_network(file)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("length", [1408, 1152, 640])  # 80 05, 80 04, 80 02 as the first bytes
def test_a_header_whose_length_looks_like_a_pickle_is_read(path, length):
    file = path / "weights.safetensors"
    whole = file.read_bytes()
    old = int.from_bytes(whole[:8], "little")
    header = whole[8 : 8 + old].ljust(length)  # the format allows spaces at its end
    file.write_bytes(length.to_bytes(8, "little") + header + whole[8 + old :])
    weights, _ = read_network(path)
    for name, value in WEIGHTS.items():
        np.testing.assert_array_equal(weights[name], value)


def test_damage_is_said_in_a_sentence(path):
    whole = (path / "weights.safetensors").read_bytes()
    (path / "weights.safetensors").write_bytes(whole[:-3])
    with pytest.raises(BadInputError, match=r"weights\.safetensors is damaged"):
        read_network(path)
    (path / "card.json").write_text("{")
    with pytest.raises(BadInputError, match=r"card\.json is damaged"):
        read_network(path)
    (path / "card.json").write_text("[]")
    with pytest.raises(BadInputError, match="not the card of a network"):
        read_network(path)
    (path / "card.json").write_text(json.dumps({"layout": 99}))
    with pytest.raises(BadInputError, match="layout 99"):
        read_network(path)
    (path / "card.json").unlink()
    with pytest.raises(BadInputError, match=r"has no card\.json"):
        read_network(path)
    with pytest.raises(BadInputError, match="there is no network at"):
        read_network(path / "nowhere")
