"""CSV tables of features and of spikes, and sorted units in NWB files."""

from datetime import UTC, datetime

import numpy as np
import pytest

import neurosbi as nb
from neurosbi.errors import BadInputError
from neurosbi.steps.plan import RESULTS, recording_folder


def written(tmp_path, text, name="table.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_table_of_features(tmp_path):
    path = written(tmp_path, "# name = prep 1\nfeature,value,unit\nperiod,1170.5,ms\nphase,,\n")
    data = nb.read_data(path)
    assert isinstance(data, nb.FeatureTable)
    assert data.name == "prep 1"
    assert data.values["period"] == 1170.5
    assert np.isnan(data.values["phase"])
    assert data.units == {"period": "ms", "phase": ""}


def test_a_table_of_spikes(tmp_path):
    text = "# stop_ms = 500\nunit,time_s,population\na,0.2,E\nb,0.1,I\na,0.05,E\n"
    data = nb.read_data(written(tmp_path, text))
    assert isinstance(data, nb.SpikeTrains)
    assert (data.units, data.populations) == (("a", "b"), ("E", "I"))
    np.testing.assert_allclose(data.times[0], [50.0, 200.0])
    assert (data.start, data.stop, data.stop_known) == (0.0, 500.0, True)


def test_a_number_sign_belongs_to_the_name_of_a_unit(tmp_path):
    text = "# sorted by hand\n\nunit,time_ms # since the start\ntt1#3,10\nb,5 # late\n"
    data = nb.read_data(written(tmp_path, text))
    assert data.units == ("tt1#3", "b")
    np.testing.assert_allclose(np.concatenate(data.times), [10, 5])
    with pytest.raises(BadInputError, match="a comment or a row"):
        nb.read_data(written(tmp_path, "unit,time_ms\n#1,3\n2,10\n"))


def test_an_open_quote_is_a_sentence(tmp_path):
    text = 'unit,time_ms\n"a,1\n' + "b,2.5\n" * 30_000
    with pytest.raises(BadInputError, match="cannot be read as a table"):
        nb.read_data(written(tmp_path, text))


def test_a_comma_at_the_end_of_rows_is_no_column(tmp_path):
    data = nb.read_data(written(tmp_path, "unit,time_ms\na,3,\nb,10,\n"))
    assert data.units == ("a", "b")
    with pytest.raises(BadInputError, match="row 1 has 3 cells, the header names 2"):
        nb.read_data(written(tmp_path, "unit,time_ms\nE,1,12.5\n"))


@pytest.mark.parametrize("name", ["../../up", "/tmp/elsewhere", "cell 3/slice 1", "..\\..", ".."])
def test_a_name_in_a_file_leads_nowhere_else(tmp_path, name):
    data = nb.read_data(written(tmp_path, f"# name = {name}\nfeature,value\nperiod,1\n"))
    folder = recording_folder(data)
    assert folder.parent == RESULTS
    assert folder.name not in ("", ".", "..")


def test_without_a_stop_the_last_spike_ends_the_recording(tmp_path):
    data = nb.read_data(written(tmp_path, "unit,time_ms\n1,3\n1,7.5\n"))
    assert data.stop == pytest.approx(7.5)
    assert data.stop > 7.5
    assert not data.stop_known
    assert data.populations == ("all",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "has the columns a, b"),
        ("feature,value\np,x\n", "the value 'x' in row 1 is not a finite number"),
        ("feature,value\np,1\np,2\n", "p is given twice"),
        ("feature,value\np,\n", "no feature with a value"),
        ("unit,time_ms\n1,inf\n", "row 1 is not a finite number"),
        ("unit,time_ms\n1,\n", "has no spikes"),
        ("unit,time_ms\n1,2\n2,x\n", "row 2 is not a finite number"),
        ("unit,time_ms\n", "has no spikes"),
        ("unit,time_ms,population\n1,2,E\n1,3,I\n", "belongs to several populations"),
        ("# stop_ms = soon\nunit,time_ms\n1,2\n", "not a number in ms"),
        ("# stop = 500\nunit,time_ms\n1,2\n", "'# stop = 500' is not understood"),
        ("# Duration_s: 5\nunit,time_ms\n1,2\n", "# stop_ms = 20000"),
        ("unit,time_ms\n1,2\n# t_stop=9\n", "'# t_stop=9' is not understood"),
        ("## stop_ms = 500\nunit,time_ms\n1,2\n", "is not understood"),
        ("# recording duration 500 ms\nunit,time_ms\n1,2\n", "is not understood"),
        ("# stop_ms = 9\n# t_start = 1\nunit,time_ms\n1,2\n", "like '# start_ms = "),
        ("unit,time_ms\n1,2\n1,\n", "the time_ms of row 2 is empty, but unit 1 has other rows"),
        ("unit,time_ms\n1,\n2,3\n1,\n", "row 1 is empty, but unit 1 has other rows"),
        ("unit,time_ms,population\n1,2,\n", "row 1 names no population"),
        ("unit,time_ms\n,2\n", "row 1 names no unit"),
        ("", "is empty"),
    ],
)
def test_bad_tables(tmp_path, text, words):
    with pytest.raises(BadInputError, match=words):
        nb.read_data(written(tmp_path, text))


def test_units_without_spikes(tmp_path):
    text = "unit,time_s,population\na,0.2,E\nb,,E\nc, ,I\na,0.1,E\n"
    data = nb.read_data(written(tmp_path, text))
    assert data.units == ("a", "b", "c")
    assert data.populations == ("E", "E", "I")
    assert [t.tolist() for t in data.times] == [[100.0, 200.0], [], []]


def test_other_comments_are_anything(tmp_path):
    comments = (
        "start of the session: noon", "start_date: 2024-05-01", "duration_s = 0.009",
        "total_units = 40", "endpoint = 3", "stop_ms = 9", "depth = 300 um",
    )  # fmt: skip
    text = "".join(f"# {c}\n" for c in comments) + "unit,time_ms\n1,2\n"
    assert nb.read_data(written(tmp_path, text)).stop == 9


def test_empty_rows_of_a_spreadsheet_are_nothing(tmp_path):
    data = nb.read_data(written(tmp_path, "unit,time_ms,population\n1,2,E\n,,\n02,3,E\n,\n"))
    assert data.units == ("1", "02")
    features = nb.read_data(written(tmp_path, "feature,value\na,1\n,\n"))
    assert features.values == {"a": 1.0}


def test_a_binary_file_called_csv(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(BadInputError, match="not a text file"):
        nb.read_data(path)


def test_tables_have_no_junction_potential(tmp_path):
    with pytest.raises(BadInputError, match="no membrane voltage"):
        nb.read_data(written(tmp_path, "feature,value\np,1\n"), junction_potential=-14.0)


def units_file(path, times, *, stop=2.0, **columns):
    import pynwb

    nwb = pynwb.NWBFile("units", "units", datetime(2020, 1, 1, tzinfo=UTC))
    for name in columns:
        nwb.add_unit_column(name, name)
    for i, t in enumerate(times):
        values = {name: column[i] for name, column in columns.items()}
        nwb.add_unit(spike_times=t, **({"obs_intervals": [[0.0, stop]]} if stop else {}), **values)
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(nwb)
    return path


def test_sorted_units_of_an_nwb_file(tmp_path):
    times = [[0.1, 0.5], [0.2, 1.9999]]
    path = units_file(tmp_path / "units.nwb", times, cell_type=["RS", "FS"])
    data = nb.read_data(path)
    assert isinstance(data, nb.SpikeTrains)
    assert data.populations == ("RS", "FS")
    assert (data.start, data.stop, data.stop_known) == (0.0, 2000.0, True)
    np.testing.assert_allclose(data.times[1], [200.0, 1999.9])


def test_units_without_intervals_end_with_the_last_spike(tmp_path):
    data = nb.read_data(units_file(tmp_path / "units.nwb", [[0.1, 0.5], [0.2, 1.5]], stop=None))
    assert data.stop == pytest.approx(1500.0)
    assert not data.stop_known


def test_an_nwb_file_with_nothing_to_fit_is_told_to_have_neither(tmp_path):
    path = units_file(tmp_path / "nothing.nwb", [])
    with pytest.raises(BadInputError, match="no intracellular recording and no units table"):
        nb.read_data(path)


def test_intracellular_files_are_still_recordings():
    from neurosbi.recordings import demo_recording

    assert isinstance(nb.read_data(demo_recording()), nb.Recording)
