import pytest

import neurosbi as nb
from neurosbi.errors import BadInputError, MissingResourceError

ENTRY_POINTS = """[neurosbi.simulators]
linear-gaussian = toys:LinearGaussian
passive-membrane = toys:PassiveMembrane
toy-no-module = no_such_module_at_all:Model
toy-no-class = toys:NoSuchClass
toy-syntax = broken_on_import:Model
toy-other-name = toys:LinearGaussian
toy-no-simulator = builtins:dict
"""


@pytest.fixture(autouse=True)
def _installed_package(tmp_path, monkeypatch):
    folder = tmp_path / "toy_package-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-package\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "broken_on_import.py").write_text("raise RuntimeError('a library\\nis missing')\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_a_third_party_simulator_is_a_peer():
    assert {"linear-gaussian", "passive-membrane"} <= set(nb.simulator_names())
    simulator = nb.simulator("passive-membrane")
    assert simulator.features(simulator.sample_prior(3, seed=0), seed=0).shape == (3, 3)


def test_names_are_sorted():
    assert list(nb.simulator_names()) == sorted(nb.simulator_names())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("linear-gausian", "no simulator 'linear-gausian'; did you mean linear-gaussian?"),
        ("zzzzzz", "no simulator 'zzzzzz'; there are .*linear-gaussian, .*passive-membrane"),
    ],
)
def test_unknown_names(name, words):
    with pytest.raises(BadInputError, match=words):
        nb.simulator(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("toy-no-module", "comes from no_such_module_at_all:Model, which cannot be imported"),
        ("toy-no-class", "no attribute 'NoSuchClass'"),
        ("toy-syntax", "a library is missing"),
    ],
)
def test_packages_that_cannot_be_imported(name, words):
    with pytest.raises(MissingResourceError, match=words):
        nb.simulator(name)


@pytest.mark.parametrize("name", ["toy-other-name", "toy-no-simulator"])
def test_what_is_installed_under_a_name_has_that_name(name):
    with pytest.raises(BadInputError, match=f"{name}, is not a simulator of that name"):
        nb.simulator(name)


def test_settings_and_feature_sets_are_checked():
    with pytest.raises(BadInputError, match="has no setting 'dt'"):
        nb.simulator("linear-gaussian", dt=0.1)
    with pytest.raises(BadInputError, match="has no feature set 'wide'"):
        nb.simulator("linear-gaussian", features="wide")
