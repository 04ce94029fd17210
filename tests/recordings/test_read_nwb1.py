import h5py
import numpy as np
import pytest
from recording_files import ALLEN, DATA, passive_voltage, step_current, write_nwb1

from neurosbi.errors import BadInputError
from neurosbi.recordings import estimate_passive, read_recording

PUBLISHED = {  # specimen: sweep, step pA, spikes, database vrest mV
    509881736: (39, 130, 25, -66.89),
    518290966: (57, 170, 12, -72.15),
    532571720: (42, 250, 18, -76.25),
    555060623: (34, 90, 13, -61.78),
    566517779: (46, 150, 20, -59.78),
    567399060: (38, 170, 11, -74.52),
    569469018: (44, 90, 12, -73.03),
}
CURRENT = step_current(80, dt=0.02)
VOLTAGE = passive_voltage(CURRENT, dt=0.02)


@pytest.mark.parametrize("specimen", PUBLISHED)
def test_allen_cells(specimen):
    number, amplitude, spikes, rest = PUBLISHED[specimen]
    recording = read_recording(DATA / "allen_cell_types" / f"specimen_{specimen}" / "ephys.nwb")
    (sweep,) = recording.sweeps
    assert recording.name == f"specimen_{specimen}"
    assert (sweep.number, sweep.spikes, sweep.dt) == (number, spikes, 0.02)
    step = sweep.test_step
    assert (step.onset, step.offset) == (1020.0, 2020.0)
    assert step.amplitude == pytest.approx(amplitude, abs=1e-3)
    assert sweep.usable_from in (40750, 40751)
    assert sweep.problem is None
    passive = estimate_passive(recording)
    assert passive.source == "the Allen database"
    assert passive.v_rest == pytest.approx(rest, abs=2.0)
    assert passive.rheobase <= amplitude
    assert passive.area == pytest.approx(passive.tau / passive.input_resistance * 1e-3)


def test_voltages_are_those_of_the_file():
    with h5py.File(ALLEN) as h5:
        v = h5["acquisition/timeseries/Sweep_39/data"][:]
        i = h5["epochs/Sweep_39/stimulus/timeseries/data"][:]
    (sweep,) = read_recording(ALLEN).sweeps
    np.testing.assert_allclose(sweep.voltage, v * 1e3, atol=1e-9)
    np.testing.assert_allclose(sweep.current, i * 1e12, atol=1e-9)


def test_conversion_counts_from_pipeline_1_1(tmp_path):
    volts, amperes = VOLTAGE * 1e-3, CURRENT * 1e-12
    old = write_nwb1(tmp_path / "old.nwb", {7: (volts, amperes)}, version="1.0", conversion=1e-3)
    new = write_nwb1(
        tmp_path / "new.nwb", {7: (volts * 1e3, amperes * 1e3)}, version="1.1", conversion=1e-3
    )
    for path in (old, new):
        (sweep,) = read_recording(path).sweeps
        np.testing.assert_allclose(sweep.voltage, VOLTAGE, atol=1e-9)
        assert sweep.test_step.amplitude == pytest.approx(80)


def test_mies_files_use_conversion_and_numbers_in_names(tmp_path):
    path = write_nwb1(
        tmp_path / "mies.nwb",
        dict.fromkeys((3, 12), (VOLTAGE, CURRENT * 1e-9)),
        allen=False,
        conversion=1e-3,
    )
    recording = read_recording(path)
    assert [s.number for s in recording.sweeps] == [3, 12]
    assert recording.sweeps[1].test_step.amplitude == pytest.approx(80)
    assert recording.name == "mies"


@pytest.mark.parametrize("rate", [200000.0, 50000.0, 12500.0])
def test_other_sampling_rates(tmp_path, rate):
    dt = 1e3 / rate
    i = step_current(80, dt=dt, total=250, offset=200)
    v = passive_voltage(i, dt=dt)
    path = write_nwb1(tmp_path / "c.nwb", {1: (v * 1e-3, i * 1e-12)}, rate=rate)
    (sweep,) = read_recording(path).sweeps
    assert sweep.dt == pytest.approx(dt, rel=1e-12)
    assert (sweep.test_step.onset, sweep.test_step.offset) == pytest.approx((100, 200))


def test_units_that_cannot_be(tmp_path):
    path = write_nwb1(tmp_path / "c.nwb", {1: (VOLTAGE, CURRENT * 1e-12)})
    with pytest.raises(BadInputError, match=r"reaches 70\.\d V.*mV stored as V"):
        read_recording(path)
    path = write_nwb1(tmp_path / "d.nwb", {1: (VOLTAGE * 1e-3, CURRENT)})
    with pytest.raises(BadInputError, match="reaches 80 A"):
        read_recording(path)


def test_voltage_clamp(tmp_path):
    path = write_nwb1(tmp_path / "c.nwb", {1: (CURRENT * 1e-12, VOLTAGE * 1e-3)}, clamp="Voltage")
    (sweep,) = read_recording(path).sweeps
    assert "voltage clamp" in sweep.problem


def test_padding_is_found_but_noise_free_traces_are_whole(tmp_path):
    padded = VOLTAGE.copy()
    padded[:2000] = padded[0]
    exact = passive_voltage(CURRENT, dt=0.02, noise=0.0)
    path = write_nwb1(
        tmp_path / "c.nwb",
        {1: (padded * 1e-3, CURRENT * 1e-12), 2: (exact * 1e-3, CURRENT * 1e-12)},
    )
    first, second = read_recording(path).sweeps
    assert first.usable_from == 2000
    assert second.usable_from == 0


def test_missing_pieces(tmp_path):
    path = write_nwb1(tmp_path / "c.nwb", {1: (VOLTAGE * 1e-3, CURRENT * 1e-12)})
    with h5py.File(path, "a") as h5:
        del h5["stimulus/presentation/Sweep_1"]
    assert "no stimulus current" in read_recording(path).sweeps[0].problem
    with h5py.File(path, "a") as h5:
        del h5["acquisition/timeseries/Sweep_1/starting_time"]
    with pytest.raises(BadInputError, match="damaged NWB 1"):
        read_recording(path)
    with h5py.File(path, "a") as h5:
        del h5["acquisition/timeseries/Sweep_1"]
    with pytest.raises(BadInputError, match="no patch-clamp sweeps"):
        read_recording(path)
