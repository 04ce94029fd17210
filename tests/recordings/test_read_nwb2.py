from datetime import UTC, datetime

import h5py
import numpy as np
import pytest
from recording_files import (
    LANTYER,
    passive_voltage,
    step_current,
    with_spikes,
    write_nwb2,
)

from neurosbi.errors import BadInputError
from neurosbi.recordings import read_recording, why_no_fit

CURRENTS = [step_current(a, holding=-20) for a in (-60, 40, 120)]
SWEEPS = [(passive_voltage(c, seed=i), c) for i, c in enumerate(CURRENTS)]


@pytest.mark.parametrize("table", [False, True])
@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize(("conversion", "offset"), [(1.0, 0.0), (1e-3, 0.0), (2.5e-5, -0.05)])
def test_values_units_and_pairs(tmp_path, table, numbered, conversion, offset):
    path = write_nwb2(
        tmp_path / "cell.nwb", SWEEPS,
        table=table, numbered=numbered, conversion=conversion, offset=offset,
    )  # fmt: skip
    recording = read_recording(path)
    assert [s.number for s in recording.sweeps] == ([2, 5, 8] if numbered else [0, 1, 2])
    for sweep, (v, i) in zip(recording.sweeps, SWEEPS, strict=True):
        np.testing.assert_allclose(sweep.voltage, v, atol=1e-9)
        np.testing.assert_allclose(sweep.current, i, atol=1e-9)
        assert sweep.dt == 0.05
        assert sweep.problem is None
        assert sweep.voltage.flags.c_contiguous
    assert [s.test_step.amplitude for s in recording.sweeps] == pytest.approx([-60, 40, 120])
    assert recording.sweeps[0].test_step.holding == pytest.approx(-20)
    assert recording.metadata["area"] == "V1"
    assert recording.name == "cell"


def test_pairs_by_start_time_when_names_say_nothing(tmp_path):
    names = [("alpha", "kappa"), ("beta", "lambda"), ("gamma", "mu")]
    path = write_nwb2(tmp_path / "cell.nwb", SWEEPS, numbered=False, names=names)
    recording = read_recording(path)
    found = {s.metadata["series"]: s.test_step.amplitude for s in recording.sweeps}
    assert found == pytest.approx({"alpha": -60, "beta": 40, "gamma": 120})


def test_junction_potential_shifts_voltage_and_spikes(tmp_path):
    v = with_spikes(passive_voltage(CURRENTS[1]), [150, 200])
    path = write_nwb2(tmp_path / "cell.nwb", [(v, CURRENTS[1])])
    plain, shifted = read_recording(path), read_recording(path, junction_potential=-14)
    np.testing.assert_allclose(shifted.sweeps[0].voltage, plain.sweeps[0].voltage - 14)
    assert plain.sweeps[0].spikes == shifted.sweeps[0].spikes == 2
    assert shifted.junction_potential == -14
    with pytest.raises(BadInputError, match="not possible"):
        read_recording(path, junction_potential=-1400)


def test_the_content_decides_not_the_name(tmp_path):
    path = write_nwb2(tmp_path / "cell.abf", SWEEPS)
    assert read_recording(path).format == "NWB 2"


def test_voltage_clamp(tmp_path):
    path = write_nwb2(tmp_path / "vc.nwb", [(step_current(10), step_current(100))], kind="voltage")
    recording = read_recording(path)
    (sweep,) = recording.sweeps
    assert sweep.clamp == "voltage"
    assert "voltage clamp" in sweep.problem
    assert sweep.voltage.max() == pytest.approx(10)
    assert sweep.current.max() == pytest.approx(100)
    assert "voltage clamp" in why_no_fit(recording)


def test_no_stimulus(tmp_path):
    v = passive_voltage(CURRENTS[0])
    path = write_nwb2(tmp_path / "cell.nwb", [(v, None), (v, np.full(len(v), -20.0))])
    none, flat = read_recording(path).sweeps
    assert "no stimulus current" in none.problem
    assert flat.problem == "no stimulus: the current is flat"


@pytest.mark.parametrize(("scale", "word"), [(1e3, "mV stored as V"), (1e6, "another unit")])
def test_implausible_voltage(tmp_path, scale, word):
    path = write_nwb2(tmp_path / "cell.nwb", SWEEPS, scale=scale)
    with pytest.raises(BadInputError, match=word):
        read_recording(path)


def test_implausible_current_in_one_sweep_spares_the_others(tmp_path):
    v, i = SWEEPS[1]
    path = write_nwb2(tmp_path / "cell.nwb", [SWEEPS[0], (v, i * 1e6)])
    good, bad = read_recording(path).sweeps
    assert good.problem is None
    assert "far beyond what a patch electrode passes" in bad.problem


def test_nan_samples(tmp_path):
    v, i = (a.copy() for a in SWEEPS[1])
    v[1000:1004] = np.nan
    tail = SWEEPS[1][0].copy()
    tail[7000:] = np.nan  # a sweep stopped early: not a problem, cut
    path = write_nwb2(tmp_path / "cell.nwb", [(v, i), (tail, i), (np.full(8000, np.nan), i)])
    middle, end, whole = read_recording(path).sweeps
    assert middle.problem == "the voltage has 4 undefined samples (NaN), the first at 50 ms"
    assert end.problem is None
    assert len(end.voltage) == len(end.current) == 7000
    assert end.metadata["unrecorded_end_ms"] == pytest.approx(50)
    assert "undefined samples" in whole.problem


def test_flat_voltage(tmp_path):
    path = write_nwb2(tmp_path / "cell.nwb", [(np.full(8000, -70.0), CURRENTS[1])])
    assert read_recording(path).sweeps[0].problem.startswith("the voltage is flat")


def test_stimulus_of_another_rate(tmp_path):
    from datetime import UTC, datetime

    from pynwb import NWBHDF5IO, NWBFile
    from pynwb.icephys import CurrentClampSeries, CurrentClampStimulusSeries

    nwb = NWBFile("a", "b", datetime(2020, 1, 1, tzinfo=UTC))
    e = nwb.create_icephys_electrode(name="e", description="", device=nwb.create_device(name="d"))
    common = {"electrode": e, "gain": 1.0, "starting_time": 0.0}
    nwb.add_acquisition(CurrentClampSeries(name="s", data=SWEEPS[0][0] * 1e-3, rate=2e4, **common))
    nwb.add_stimulus(
        CurrentClampStimulusSeries(name="s", data=SWEEPS[0][1] * 1e-12, rate=1e4, **common)
    )
    with NWBHDF5IO(str(tmp_path / "c.nwb"), "w") as io:
        io.write(nwb)
    assert "10000 Hz" in read_recording(tmp_path / "c.nwb").sweeps[0].problem


def _stamp(path, group, times):
    """Give a series times of its samples (s) instead of a rate."""
    with h5py.File(path, "r+") as h5:
        del h5[group]["starting_time"]
        stamps = h5[group].create_dataset("timestamps", data=times)
        stamps.attrs["interval"], stamps.attrs["unit"] = np.int32(1), "seconds"


def test_an_unevenly_sampled_series_spares_the_others(tmp_path):
    path = write_nwb2(tmp_path / "cell.nwb", SWEEPS)
    times = np.arange(len(SWEEPS[1][0])) / 20_000
    _stamp(path, "acquisition/response 0", times)
    _stamp(path, "acquisition/response 1", times + 1e-5 * np.sin(times * 1e4))
    even, uneven, plain = read_recording(path).sweeps
    assert even.problem is None
    assert even.dt == pytest.approx(0.05)
    assert plain.problem is None
    assert "series response 1 is not evenly sampled" in uneven.problem
    assert uneven.metadata["series"] == "response 1"
    for rate in (0.0, -1.0, np.nan, np.inf):
        with h5py.File(path, "r+") as h5:
            h5["acquisition/response 2/starting_time"].attrs["rate"] = rate
        assert "it must be positive" in read_recording(path).sweeps[2].problem
    for broken in (np.full(len(times), 1.0), np.full(len(times), np.nan), -times):
        with h5py.File(path, "r+") as h5:
            h5["acquisition/response 1/timestamps"][:] = broken
        assert "is not evenly sampled" in read_recording(path).sweeps[1].problem
    _stamp(path, "stimulus/presentation/stimulus 0", np.arange(len(times)) ** 1.1)
    with pytest.raises(BadInputError, match=r"cell\.nwb: series .* is not evenly sampled"):
        read_recording(path)


def test_file_without_patch_clamp(tmp_path):
    from datetime import UTC, datetime

    from pynwb import NWBHDF5IO, NWBFile

    nwb = NWBFile("a", "b", datetime(2020, 1, 1, tzinfo=UTC))
    nwb.add_unit(spike_times=[0.1, 0.2])
    with NWBHDF5IO(str(tmp_path / "units.nwb"), "w") as io:
        io.write(nwb)
    with pytest.raises(BadInputError, match="sorted units"):
        read_recording(tmp_path / "units.nwb")


def test_real_recorded_current():
    recording = read_recording(LANTYER)
    assert len(recording.sweeps) == 10
    for sweep, nominal in zip(recording.sweeps, range(40, 440, 40), strict=True):
        assert sweep.test_step.amplitude == pytest.approx(nominal, rel=0.01)
        assert sweep.test_step.onset == pytest.approx(100, abs=0.2)
        assert sweep.test_step.duration == pytest.approx(500, abs=0.2)
        assert len(sweep.steps) == 2  # and a 10 ms test pulse
    assert recording.sweeps[0].spikes == 0
    assert recording.metadata["species"] == "Mus musculus"


def test_a_stimulus_belongs_to_its_electrode(tmp_path):
    """Two cells were recorded at once; the current into the second one only is stored."""
    from pynwb import NWBHDF5IO, NWBFile
    from pynwb.icephys import CurrentClampSeries, CurrentClampStimulusSeries

    nwb = NWBFile("pair", "test", datetime(2020, 1, 1, tzinfo=UTC))
    device = nwb.create_device(name="d")
    electrodes = [
        nwb.create_icephys_electrode(name=f"e{i}", description="", device=device) for i in range(2)
    ]
    current = step_current(50.0)
    how = {"gain": 1.0, "rate": 20000.0, "starting_time": 0.0, "sweep_number": np.uint64(3)}
    for i, electrode in enumerate(electrodes):
        voltage = 1e-3 * passive_voltage(current if i == 1 else 0 * current)
        nwb.add_acquisition(
            CurrentClampSeries(name=f"response {i}", data=voltage, electrode=electrode, **how),
            use_sweep_table=False,
        )
    nwb.add_stimulus(
        CurrentClampStimulusSeries(
            name="stimulus", data=1e-12 * current, electrode=electrodes[1], **how
        ),
        use_sweep_table=False,
    )
    path = tmp_path / "pair.nwb"
    with NWBHDF5IO(str(path), "w") as io:
        io.write(nwb)
    first, second = read_recording(path).sweeps
    assert first.problem == "no stimulus current is stored with it"
    assert second.problem is None
    assert second.test_step.amplitude == pytest.approx(50.0, abs=0.5)
