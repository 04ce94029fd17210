"""What cannot be simulated is refused in one sentence, before any work."""

from pathlib import Path

import numpy as np
import pytest
from neurosbi_simulators.pyloric import PyloricNetwork

import neurosbi as nb
from neurosbi.contract import SpontaneousFamily, Status, Stimulus
from neurosbi.errors import BadInputError

PREPARATION = Path(__file__).parents[3] / "data" / "pyloric" / "845_082_0044.csv"


def refused(match, call):
    with pytest.raises(BadInputError, match=match) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.fixture
def model():
    return PyloricNetwork()


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"dt": 0.2}, "0.1 ms"),
        ({"dt": 0.0}, "dt is 0 ms, but it cannot be negative or zero, for example 0.025"),
        ({"dt": "fast"}, "must be a number"),
        ({"noise": -1.0}, "cannot be negative"),
        ({"temperature": np.nan}, "must be a number"),
        ({"precision": "half"}, "'single' or 'double'"),
        ({"temperature_parameters": "yes"}, "true or false"),
        ({"area": 1.0}, "no setting"),
        ({"features": "prinz"}, "no feature set"),
    ],
)
def test_settings(settings, match):
    refused(match, lambda: PyloricNetwork(**settings))


def test_theta(model):
    theta = model.sample_prior(3, seed=0)
    refused("takes 31 parameters", lambda: model.simulate(theta[:, :30], seed=0))
    theta[1, 4] = np.nan
    refused("PD.g_KCa = nan, but it must be a finite number", lambda: model.simulate(theta, seed=0))
    theta[1, 4] = -1.0
    refused(
        "row 1 has PD.g_KCa = -1 mS/cm2, but it cannot be negative; its prior goes from 0 to 15",
        lambda: model.simulate(theta, seed=0),
    )


def test_stimuli(model):
    theta = model.sample_prior(2, seed=0)

    def under(**stimulus):
        return lambda: model.simulate(theta, stimulus=Stimulus.spontaneous(**stimulus), seed=0)

    refused("200 ms", under(total=1000.0, onset=900.0))
    refused("longer than the burn-in", under(total=100.0, onset=200.0))
    refused("make it shorter", under(total=1e8, onset=200.0))
    refused("degC", under(total=1000.0, onset=0.0, temperature=283.0))
    step = Stimulus.step(amplitude=100.0, onset=100.0, duration=500.0)
    refused("takes no current", lambda: model.simulate(theta, stimulus=step, seed=0))
    family = SpontaneousFamily(1000.0, 100.0, temperature=(7.0, 27.0))
    refused("one each", lambda: model.simulate(theta, stimulus=family.sample(3, seed=0), seed=0))


def test_traces_that_do_not_fit_memory(model):
    theta = np.repeat(model.sample_prior(1, seed=0), 1_000_000, axis=0)
    refused("larger stride", lambda: model.traces(theta, seed=0))


def test_blow_up_is_flagged_and_leaves_the_others_alone(model):
    theta = model.sample_prior(20, seed=0)
    window = Stimulus.spontaneous(total=500.0, onset=50.0)
    fine = model.simulate(theta, stimulus=window, seed=0)
    wild = theta.copy()
    wild[3] = 0.0  # nothing holds the voltage
    wild[3, 1] = 1e30
    batch = model.simulate(wild, stimulus=window, seed=0)
    assert batch.status[3] == Status.BLOW_UP
    assert np.all(np.isnan(batch.x[3]))
    others = np.arange(20) != 3
    np.testing.assert_array_equal(batch.x[others], fine.x[others])


def test_no_conductance_at_all_is_no_blow_up():
    model = PyloricNetwork(noise=0.0, features="full")
    batch = model.simulate(
        np.zeros((1, 31)), stimulus=Stimulus.spontaneous(total=500.0, onset=50.0), seed=0
    )
    assert batch.status[0] == Status.NO_SPIKES
    names = [f.name for f in model.feature_set]
    assert batch.x[0, names.index("v_mean_LP")] == -50.0


@pytest.mark.parametrize("own_q10s", [False, True])
def test_no_simulations(own_q10s):
    model = PyloricNetwork(temperature_parameters=own_q10s)
    nothing = np.empty((0, len(model.parameters)))
    short = Stimulus.spontaneous(total=300.0, onset=0.0)
    assert model.simulate(nothing, seed=0).x.shape == (0, 18)
    assert model.traces(nothing, stimulus=short, seed=0, stride=100)["v"].shape == (0, 120, 3)


def test_a_q10_is_positive():
    model = PyloricNetwork(temperature_parameters=True)
    theta = model.sample_prior(2, seed=0)
    theta[1, 31] = 0.0
    refused(
        "row 1 has Q10.g_Na = 0, but it cannot be negative or zero",
        lambda: model.simulate(theta, seed=0),
    )


def test_the_shipped_preparation_is_an_observation(model):
    table = nb.read_data(PREPARATION)
    observation = model.observe_table(table)
    assert np.all(np.isfinite(observation.x))
    assert not observation.notes
    assert observation.stimulus.is_spontaneous
    x = dict(zip((f.name for f in model.feature_set), observation.x, strict=True))
    # the table agrees with itself as the definitions say
    for cell in ("PD", "LP", "PY"):
        ratio = x[f"burst_duration_{cell}"] / x["cycle_period"]
        assert x[f"duty_cycle_{cell}"] == pytest.approx(ratio)
    assert x["phase_PY"] == pytest.approx(x["delay_PD_PY"] / x["cycle_period"])
    expected_gap = x["delay_PD_LP"] - x["burst_duration_PD"]
    assert x["gap_PD_LP"] == pytest.approx(expected_gap, rel=0.02)
