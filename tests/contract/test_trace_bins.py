"""Bins of time against a loop over samples."""

import json

import numpy as np
import pytest

from neurosbi.contract import (
    BinSection,
    FixedStimulus,
    StepFamily,
    Stimulus,
    SweepSets,
    TraceBins,
)
from neurosbi.errors import BadInputError

BINS = TraceBins((BinSection(-2.0, 0.5, 10), BinSection(-10.0, 5.0, 8)))


def by_loop(v, bins, *, dt, onset, offset):
    """Sample by sample, from the definition."""
    on, end = round(onset / dt), min(round(offset / dt), len(v))
    columns = []
    for section in bins.sections:
        for k in range(section.n):
            first = on + round((section.start + k * section.width) / dt)
            after = on + round((section.start + (k + 1) * section.width) / dt)
            if first < 0 or after > end:
                columns.append((np.nan,) * 3)
                continue
            part = [float(v[i]) for i in range(first, after)]
            columns.append((sum(part) / len(part), max(part), min(part)))
    return np.array(columns).T


@pytest.mark.parametrize("dt", [0.025, 0.02, 0.1, 0.04])
@pytest.mark.parametrize(("onset", "duration"), [(20.0, 30.0), (7.3, 12.2), (5.0, 3.0)])
def test_bins_hold_mean_highest_and_lowest(dt, onset, duration):
    rng = np.random.default_rng(3)
    v = rng.normal(-60, 20, size=round((onset + duration) / dt))
    offset = onset + duration
    binned = BINS.of(v, dt=dt, onset=onset, offset=offset)
    assert binned.shape == (1, 3, 18)
    expected = by_loop(v, BINS, dt=dt, onset=onset, offset=offset)
    np.testing.assert_allclose(binned[0], expected, rtol=1e-6)
    assert np.isnan(expected).any() == (onset < 10 or duration < 30)


def test_what_lies_behind_the_stimulus_is_absent():
    v = np.zeros(2000)
    binned = BINS.of(v, dt=0.025, onset=20.0, offset=25.0)[0, 0]
    present = BINS.time[np.isfinite(binned)]
    assert present.max() == 2.75  # the fine bins end at 3 ms, and 25 - 20 ms hold one coarse bin
    assert np.isfinite(binned).sum() == 10 + 3


def test_the_axis_covers_the_longest_step_of_a_family():
    family = StepFamily(unit="pA", amplitude=(1, 9), onset=(20, 200), duration=(200, 1500))
    for covered in (family, SweepSets(family)):
        bins = TraceBins.covering(covered)
        assert bins.time[-1] == pytest.approx(1497.5)
        assert bins.time.min() == -47.5
    waveform = Stimulus.waveform(np.r_[np.zeros(1000), np.ones(400_000)], dt=0.05)
    long = TraceBins.covering(FixedStimulus(waveform))
    assert long.n <= 400
    assert long.time[-1] > waveform.duration - long.sections[1].width


def test_plain_data_and_back():
    assert TraceBins.from_dict(json.loads(json.dumps(BINS.to_dict()))) == BINS


def test_too_coarse_a_sampling_is_one_sentence():
    with pytest.raises(BadInputError, match=r"every 1 ms, too coarse for bins of 0\.5 ms"):
        BINS.of(np.zeros(100), dt=1.0, onset=20.0, offset=50.0)


def test_bins_need_width():
    with pytest.raises(BadInputError, match="positive width"):
        TraceBins((BinSection(0.0, 0.0, 5),))
