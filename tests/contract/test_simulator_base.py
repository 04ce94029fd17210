import numpy as np
import pytest
from toys import LinearGaussian

from neurosbi.contract import Setting, SimulationBatch, Status
from neurosbi.errors import BadInputError, FitError


class WithSettings(LinearGaussian):
    setting_table = (
        Setting("dt", "ms", 0.02),
        Setting("area", "cm2", 1e-4, role="preparation"),
    )


def test_settings_have_defaults_and_are_checked():
    assert WithSettings(dt=0.05).settings == {"dt": 0.05, "area": 1e-4}
    with pytest.raises(BadInputError, match="no setting 'Dt'; it has dt, area"):
        WithSettings(Dt=0.05)
    with pytest.raises(BadInputError, match="it has none"):
        LinearGaussian(dt=0.05)
    with pytest.raises(BadInputError, match="no feature set 'wide'; it has default"):
        LinearGaussian(features="wide")

    with pytest.raises(BadInputError, match=r"no feature set \['default'\]"):
        LinearGaussian(features=["default"])


def test_features_have_names_of_their_own():
    class Twice(LinearGaussian):
        feature_sets = {"default": 2 * LinearGaussian.feature_sets["default"]}

    class Nothing(LinearGaussian):
        feature_sets = {"default": ()}

    for model in (Twice, Nothing):
        with pytest.raises(BadInputError, match="needs features, each with a name of its own"):
            model()


def test_a_preparation_does_not_change_the_configuration():
    assert WithSettings(area=2.0).config() == WithSettings().config()
    assert WithSettings(dt=0.05).config() != WithSettings().config()


def test_theta_is_checked():
    simulator = LinearGaussian()
    assert simulator.check_theta([1, 2, 3]).shape == (1, 3)
    with pytest.raises(BadInputError, match=r"takes 3 parameters \(t0, t1, t2\).*\(4, 2\)"):
        simulator.check_theta(np.zeros((4, 2)))
    for no_numbers in ([["a", 2, 3]], [[1, 2, 3], [4]]):
        with pytest.raises(BadInputError, match="an array of numbers"):
            simulator.check_theta(no_numbers)
    theta = np.zeros((4, 3))
    theta[2, 1] = np.nan
    with pytest.raises(BadInputError, match=r"row 2 has t1 = \w+, but it must be a finite number"):
        simulator.check_theta(theta)


def test_which_simulations_are_valid():
    status = np.array([Status.OK, Status.NO_SPIKES, Status.BLOW_UP, Status.FAILED], dtype=np.int8)
    batch = SimulationBatch(np.zeros((4, 1)), status)
    np.testing.assert_array_equal(batch.valid, [True, True, False, False])


def test_features_of_a_batch_that_failed_altogether():
    class Failing(LinearGaussian):
        def simulate(self, theta, **keywords):
            failed = np.full(len(theta), Status.FAILED, dtype=np.int8)
            return SimulationBatch(np.full((len(theta), 4), np.nan), failed, "a reason")

    with pytest.raises(FitError, match=r"every simulation of linear-gaussian failed.*a reason"):
        Failing().features(np.zeros((3, 3)), seed=0)
