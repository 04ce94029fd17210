import pytest
from toys import LinearGaussian, PassiveMembrane

import neurosbi as nb
from neurosbi.cli import main
from neurosbi.cli.options import parse_settings, parse_shards, parse_stimulus
from neurosbi.errors import BadInputError


def test_settings_become_values():
    text = [
        "dt=0.02",
        "n=3",
        "channel=Kv 3.1",
        "fast=true",
        "slow=No",
        "area=None",
        "x=-1e-3",
        "f=a=b",
    ]
    assert parse_settings(text) == {
        "dt": 0.02, "n": 3, "channel": "Kv 3.1", "fast": True, "slow": False, "area": None,
        "x": -1e-3, "f": "a=b",
    }  # fmt: skip
    assert isinstance(parse_settings(["n=3"])["n"], int)
    assert parse_settings([]) == {}


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (["dt"], "name=value, for example dt=0.02, not 'dt'"),
        (["=3"], "not '=3'"),
        (["dt="], "not 'dt='"),
        (["dt=1", "dt=2"], "setting dt is given twice"),
        (["features=wide"], "--features"),
    ],
)
def test_settings_that_are_none(pairs, words):
    with pytest.raises(BadInputError, match=words):
        parse_settings(pairs)


@pytest.mark.parametrize(
    ("text", "shards"),
    [
        ("3", (3,)),
        ("0-3", (0, 1, 2, 3)),
        (" 7, 0-1,1", (0, 1, 7)),
        ("5-5", (5,)),
        ("0 - 2", (0, 1, 2)),
    ],
)
def test_shards(text, shards):
    assert parse_shards(text) == shards


@pytest.mark.parametrize("text", ["", "a", "3-1", "1-", "-1", "1,,2", "1.5"])
def test_shards_that_are_none(text):
    with pytest.raises(BadInputError, match="written like 3 or 0-9 or 0-3,7"):
        parse_shards(text)


def test_stimuli():
    simulator = PassiveMembrane()
    assert parse_stimulus("family", simulator) == simulator.stimulus_family
    assert parse_stimulus("default", simulator).to_dict() == simulator.stimulus.to_dict()
    step = parse_stimulus(
        "amplitude=170, onset=205,duration=1000,total=1450,holding=-20", simulator
    )
    assert (step.amplitude, step.onset, step.offset, step.total) == (170, 205, 1205, 1450)
    assert (step.holding, step.unit) == (-20, "pA")
    dense = parse_stimulus("amplitude=5,onset=10,duration=100,unit=uA/cm2", LinearGaussian())
    assert (dense.unit, dense.total) == ("uA/cm2", 110)
    # a bare number is pA for every simulator, as in Python
    bare = parse_stimulus("amplitude=5,onset=10,duration=100", nb.simulator("hodgkin-huxley"))
    assert bare.unit == "pA"


def test_a_current_into_a_model_that_takes_none():
    with pytest.raises(BadInputError, match="pyloric is spontaneously active and takes no current"):
        parse_stimulus("amplitude=100,onset=100,duration=500", nb.simulator("pyloric"))
    with pytest.raises(BadInputError, match="needs a unit"):
        nb.Stimulus.step(amplitude=100, onset=100, duration=500, unit="")


def test_a_family_with_ranges():
    text = "amplitude=50:300,onset=100:110,duration=500:600,holding=-5,unit=pA"
    family = parse_stimulus(text, PassiveMembrane())
    assert family.to_dict() == {
        "kind": "steps", "unit": "pA", "amplitude": [50, 300], "onset": [100, 110],
        "duration": [500, 600], "holding": -5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fmaily", "family, default, or a step"),
        ("amplitude=1,height=3", "'height=3' is none of these"),
        ("amplitude=1,onset=3", "lacks duration"),
        ("amplitude=big,onset=3,duration=5", "amplitude is a number, not 'big'"),
        ("amplitude=1:2,onset=3,duration=5", "a range low:high for each"),
        ("amplitude=1:2,onset=3:4,duration=5:6,total=9", "no total"),
        ("amplitude=1:,onset=3:4,duration=5:6", "amplitude is a number, not ''"),
        ("amplitude=1,onset=3,duration=5,unit=nA", "unit 'nA' is unknown"),
    ],
)
def test_stimuli_that_are_none(text, words):
    with pytest.raises(BadInputError, match=words):
        parse_stimulus(text, PassiveMembrane())


@pytest.mark.parametrize(
    ("verb", "words"), [("fit", "100000"), ("fit", "16]"), ("fit", "3600]"), ("train", "are]")]
)
def test_help_shows_the_defaults_it_names(verb, words, capsys):
    from neurosbi.cli import main

    with pytest.raises(SystemExit):
        main([verb, "--help"])
    assert words in capsys.readouterr().out  # brackets are markup unless they are escaped


def test_the_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"neurosbi {nb.__version__}\n"
