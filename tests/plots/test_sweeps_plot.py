import numpy as np
from recording_files import ALLEN

from neurosbi.plots.sweeps import plot_sweeps
from neurosbi.recordings import default_sweep, demo_recording, read_recording


def test_panels_and_highlight():
    recording = read_recording(demo_recording())
    chosen = default_sweep(recording)
    figure = plot_sweeps(recording, chosen=chosen)
    voltage, current, counts = figure.axes
    assert voltage.get_ylabel() == "voltage (mV)"
    assert current.get_ylabel() == "current (pA)"
    assert len(voltage.lines) == len(current.lines) == 30
    top = max(voltage.lines, key=lambda line: line.get_zorder())
    assert top.get_ydata().max() == chosen.voltage.max()
    np.testing.assert_array_equal(
        counts.lines[0].get_ydata(), [s.spikes for s in recording.sweeps[1:]]
    )


def test_thinning_keeps_extremes_and_skips_padding():
    recording = read_recording(ALLEN)
    (sweep,) = recording.sweeps
    figure = plot_sweeps(recording, chosen=sweep)
    assert len(figure.axes) == 2  # one step: no curve of spike counts
    x, y = figure.axes[0].lines[0].get_data()
    assert len(y) <= 4002
    assert np.all(np.diff(x) >= 0)
    assert x[0] >= sweep.usable_from * sweep.dt
    assert y.max() == sweep.voltage.max()
    crossings = np.count_nonzero((y[:-1] < -10) & (y[1:] >= -10))
    assert crossings == sweep.spikes
