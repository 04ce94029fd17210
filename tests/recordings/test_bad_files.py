from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
from recording_files import ALLEN, LANTYER

from neurosbi.errors import BadInputError
from neurosbi.recordings import read_recording
from neurosbi.recordings.assemble import RawSweep, assemble


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "a.txt",
            b"0.1 -70\n0.2 -69\n",
            r"a text table; neurosbi reads NWB .*ABF.* tables .* \.csv",
        ),
        ("a.csv", b"unit,time_ms\n1,2\n", "no sweeps; read it with neurosbi.read_data"),
        ("a.nwb", b"hello", "neither NWB nor ABF"),
        ("a.mat", b"MATLAB 5.0 MAT-file", "a MATLAB file"),
        ("a.abf", b"", "empty"),
        ("a.nwb", b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        ("a.pkl", b"cos\nsystem\n(S'touch hacked'\ntR.", "a Python pickle"),
    ],
)
def test_other_files(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInputError, match=words):
        read_recording(tmp_path / name)


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(BadInputError, match="there is no file"):
        read_recording(tmp_path / "nothing.nwb")
    with pytest.raises(BadInputError, match="is a folder"):
        read_recording(tmp_path)


def test_other_hdf5(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        h5["spikes"] = [1.0]
    with pytest.raises(BadInputError, match=r"not NWB .*spikes"):
        read_recording(tmp_path / "a.h5")


@pytest.mark.parametrize("source", [ALLEN, LANTYER])
@pytest.mark.parametrize("share", [0.1, 0.6, 0.99])
def test_truncated_hdf5(tmp_path, source, share):
    whole = source.read_bytes()
    (tmp_path / "cut.nwb").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(BadInputError, match="damaged or incomplete"):
        read_recording(tmp_path / "cut.nwb")


def test_flipped_bytes_never_give_a_traceback(tmp_path):
    whole = bytearray(ALLEN.read_bytes())
    for start in range(200, 60_000, 7919):
        broken = bytearray(whole)
        broken[start : start + 400] = bytes(400)
        (tmp_path / "broken.nwb").write_bytes(bytes(broken))
        with suppress(BadInputError):
            read_recording(tmp_path / "broken.nwb")


def test_what_only_a_fit_would_refuse_is_a_problem_of_the_sweep():
    dt, n = 0.2, 5000
    voltage = -65 + 0.1 * np.random.default_rng(0).normal(size=n)
    current = np.zeros(n)
    current[round(300 / dt) : round(800 / dt)] = 100.0
    coarse = RawSweep(number=0, voltage=voltage, current=current, rate=1e3 / dt)
    early_current = np.zeros(n)
    early_current[round(10 / 0.05) : round(200 / 0.05)] = 100.0
    early = RawSweep(number=1, voltage=voltage, current=early_current, rate=1e3 / 0.05)
    recording = assemble(
        Path("cell.abf"), [coarse, early], format="ABF", junction_potential=0.0, metadata={}
    )
    assert "every 0.2 ms, too coarse" in (recording.sweeps[0].problem or "")
    assert "only 10 ms of recording before its step" in (recording.sweeps[1].problem or "")
