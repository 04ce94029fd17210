import json
import re

import numpy as np
import pytest
from recording_files import (
    ALLEN,
    DATA,
    FAST_SPIKING,
    passive_voltage,
    step_current,
    with_spikes,
    write_nwb2,
)

from neurosbi.cli import main
from neurosbi.recordings import demo_recording


@pytest.fixture
def inspect(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main(["inspect", *map(str, arguments)])
        said = capsys.readouterr()
        return stop.value.code, said.out, said.err

    return run


def test_text(inspect, tmp_path):
    code, out, _ = inspect(demo_recording())
    assert code == 0
    assert "18713001  (ABF, 30 sweeps)" in out
    line = next(line for line in out.splitlines() if line.startswith("12 "))
    assert "823.4-1323.4" in line
    assert "120" in line
    assert "shown by a fit" in line
    assert "input resistance        191.7 MOhm" in out
    assert "rheobase                80 pA" in out
    figure = tmp_path / "neurosbi-results" / "18713001" / "sweeps.png"
    assert out.rstrip().endswith("Figure: neurosbi-results/18713001/sweeps.png")
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_json(inspect, tmp_path):
    code, out, _ = inspect(ALLEN, "--format", "json", "--plot", tmp_path / "a" / "b.pdf",
                           "--junction-potential", "-14")  # fmt: skip
    assert code == 0
    data = json.loads(out)
    assert data["fit"] == {"possible": True, "sweep": 39, "why_not": None}
    (sweep,) = data["sweeps"]
    assert (sweep["onset_ms"], sweep["offset_ms"], sweep["spikes"]) == (1020, 2020, 25)
    assert sweep["usable_from_ms"] == pytest.approx(815)
    assert sweep["rest_mV"] == pytest.approx(-81.1, abs=0.1)
    assert data["passive"]["source"] == "the Allen database"
    assert data["metadata"]["database"]["tau_ms"] == pytest.approx(15.33, abs=0.01)
    assert (tmp_path / "a" / "b.pdf").read_bytes().startswith(b"%PDF")


def test_a_readable_file_that_cannot_be_fitted(inspect, tmp_path):
    path = write_nwb2(tmp_path / "vc.nwb", [(step_current(10), step_current(100))], kind="voltage")
    code, out, _ = inspect(path)
    assert code == 0
    assert "Nothing can be fitted: its only sweep is voltage clamp" in out
    code, out, _ = inspect(path, "--no-plot", "--format", "json")
    assert json.loads(out)["fit"]["possible"] is False
    assert json.loads(out)["figure"] is None


def test_choice_of_sweeps(inspect):
    code, out, _ = inspect(FAST_SPIKING, "--sweeps", "0-3,9", "--no-plot")
    assert code == 0
    assert "A fit takes sweeps 0-3,9 together, where" in out
    assert re.search(r"Next: neurosbi fit \S+ --sweeps 0-3,9 --simulator \S+-cortical \(", out)
    assert "Passive properties: not estimated" in out
    code, out, err = inspect(FAST_SPIKING, "--sweeps", "17")
    assert (code, out) == (2, "")
    assert "has no sweep 17; it has 0-16" in err


def test_sweeps_of_another_dt_are_not_promised_to_a_fit(inspect, tmp_path):
    current = step_current(100)
    spiking = with_spikes(passive_voltage(current), [120, 160, 200, 240, 280])
    sweeps = [(spiking, current)] * 3
    path = write_nwb2(tmp_path / "mixed.nwb", sweeps, rate=[20e3, 40e3, 20e3])
    _, out, _ = inspect(path, "--no-plot")
    assert "A fit takes sweeps 2,8 together" in out
    assert re.search(r"\n5 .* sampled otherwise than sweep 2\n", out)
    _, out, _ = inspect(path, "--no-plot", "--sweeps", "2,5,8")
    assert re.search(r"Next: neurosbi fit \S+ --sweeps 2,8", out)


def test_a_waveform_among_named_sweeps_is_fitted_by_itself(inspect, tmp_path):
    step = step_current(10)
    ramp = np.where(np.arange(len(step)) < 4000, 0.0, np.linspace(0, 300, len(step)))
    sweeps = [(passive_voltage(step), step), (with_spikes(passive_voltage(ramp), [300, 350]), ramp)]
    path = write_nwb2(tmp_path / "ramp.nwb", [sweeps[0], *sweeps], rate=[20e3] * 3)
    _, out, _ = inspect(path, "--no-plot", "--sweeps", "2,5,8")
    assert "A fit takes sweep 8: a current waveform" in out
    assert re.search(r"Next: neurosbi fit \S+ --sweeps 8\n", out)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.nwb"], "there is no file"),
        ([DATA / "README.md"], "neither NWB nor ABF"),
        ([ALLEN, "--plot", "figure.xyz"], "a .png, .pdf or .svg file"),
        ([ALLEN, "--plot", "a.png", "--no-plot"], "contradict"),
        ([ALLEN, "--junction-potential", "900"], "not possible"),
    ],
)
def test_bad_input(inspect, tmp_path, arguments, words):
    code, out, err = inspect(*arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert list(tmp_path.iterdir()) == []


def test_spike_trains_and_features(inspect, tmp_path):
    spikes = tmp_path / "spikes.csv"
    spikes.write_text("# stop_ms = 2000\nunit,time_ms,population\na,10,E\na,20,E\na,40,E\nb,5,I\n")
    code, out, _ = inspect(spikes)
    assert code == 0
    line = next(line for line in out.splitlines() if line.startswith("a "))
    assert line.split() == ["a", "E", "3", "1.5", "0.47"]  # CV: sd of 10 and 20 ms over their mean
    features = tmp_path / "features.csv"
    features.write_text("feature,value,unit\nnobody_has_this,3,mV\n")
    code, out, _ = inspect(features)
    assert code == 0
    assert "nobody_has_this" in out
    assert "Nothing can be fitted" in out
    code, _, error = inspect(features, "--sweeps", "1")
    assert code == 2
    assert "has no sweeps" in error
