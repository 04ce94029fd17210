import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import slow_toys
from toys import FAMILY

import neurosbi as nb
from neurosbi.contract import Status
from neurosbi.errors import BadInputError, FitError


def wrap(function, **keywords):
    return nb.BlackBoxSimulator(
        function,
        name="black-box",
        parameters=slow_toys.PARAMETERS,
        features=slow_toys.FEATURES,
        **keywords,
    )


@pytest.fixture(scope="module")
def pooled():
    simulator = wrap(slow_toys.fails_below_zero, stimulus_family=FAMILY)
    yield simulator
    simulator.close()


def test_results_do_not_depend_on_workers_or_batches(pooled):
    theta = pooled.sample_prior(60, seed=1)
    stimuli = FAMILY.sample(60, seed=1)
    one = pooled.simulate(theta, stimulus=stimuli, seed=5, threads=1)
    two = pooled.simulate(theta, stimulus=stimuli, seed=5, threads=2)
    np.testing.assert_array_equal(one.x, two.x)
    np.testing.assert_array_equal(one.status, two.status)
    tail = pooled.simulate(theta[41:], stimulus=stimuli[41:], seed=5, start=41, threads=1)
    np.testing.assert_array_equal(tail.x, one.x[41:])


def test_a_simulation_that_raises_does_not_stop_the_others(pooled):
    theta = pooled.sample_prior(40, seed=1)
    batch = pooled.simulate(theta, seed=5, threads=1)
    failed = theta[:, 0] < 0
    assert 5 < failed.sum() < 35
    np.testing.assert_array_equal(batch.status == Status.FAILED, failed)
    np.testing.assert_array_equal(np.isnan(batch.x).all(axis=1), failed)
    first = theta[failed][0, 0]
    assert batch.error == f"ArithmeticError: no solution for {first:.3f}"


def test_noise_has_the_right_distribution():
    simulator = wrap(slow_toys.gaussian_pair)
    theta = np.tile([0.5, 2.0], (2000, 1))
    x = simulator.simulate(theta, seed=3, threads=1).x
    z = (x - 0.5) / 2.0
    assert abs(z.mean()) < 5 / np.sqrt(z.size)
    assert abs(z.std() - 1) < 5 / np.sqrt(2 * z.size)
    assert abs(np.corrcoef(z.T)[0, 1]) < 5 / np.sqrt(2000)
    assert len(np.unique(x)) == x.size
    assert not np.array_equal(simulator.simulate(theta, seed=4, threads=1).x, x)


def test_the_stimulus_reaches_the_function(pooled):
    theta = np.tile([0.5, 0.1], (3, 1))
    stimuli = FAMILY.sample(3, seed=1)
    with_stimuli = pooled.simulate(theta, stimulus=stimuli, seed=5, threads=1).x
    none = pooled.simulate(theta, seed=5, threads=1).x
    np.testing.assert_allclose(
        with_stimuli - none, np.repeat(1e-3 * stimuli.values[:, :1], 2, axis=1), rtol=1e-6
    )


def test_every_row_has_its_stimulus(pooled):
    with pytest.raises(BadInputError, match="3 stimuli do not go with 2 rows of theta"):
        pooled.simulate(np.tile([0.5, 0.1], (2, 1)), stimulus=FAMILY.sample(3, seed=1), seed=5)


def test_wrong_width_is_a_failure_with_a_reason():
    simulator = wrap(slow_toys.three_values)
    batch = simulator.simulate(simulator.sample_prior(4, seed=0), seed=0, threads=1)
    assert (batch.status == Status.FAILED).all()
    assert "the function returned shape (3,), not (2,)" in batch.error
    with pytest.raises(FitError, match=r"returned shape \(3,\), not \(2,\)"):
        simulator.features(simulator.sample_prior(1, seed=0), seed=0)


def test_no_simulations_at_all():
    batch = wrap(slow_toys.gaussian_pair).simulate(np.empty((0, 2)), seed=0)
    assert batch.x.shape == (0, 2)
    assert batch.status.shape == (0,)


def test_a_function_that_workers_cannot_import():
    simulator = wrap(lambda theta, stimulus, rng: theta)
    theta = simulator.sample_prior(4, seed=0)
    np.testing.assert_array_equal(simulator.simulate(theta, seed=0, threads=1).x, theta)
    with pytest.raises(BadInputError, match=r"define it at the top of a \.py file"):
        simulator.simulate(theta, seed=0, threads=2)


def test_a_worker_that_dies():
    simulator = wrap(slow_toys.dies)
    with pytest.raises(FitError, match="a worker process of simulator black-box ended"):
        simulator.simulate(simulator.sample_prior(4, seed=0), seed=0, threads=2)


def test_neither_traces_nor_features_of_traces():
    with pytest.raises(BadInputError, match="it has no traces"):
        wrap(slow_toys.gaussian_pair).traces(np.zeros((1, 2)), seed=0)
    with pytest.raises(BadInputError, match="give the observed features"):
        wrap(slow_toys.gaussian_pair).features_of(np.zeros(3))


SCRIPT = """
import slow_toys, neurosbi as nb
if __name__ == "__main__":
    simulator = nb.BlackBoxSimulator(slow_toys.waits, name="w", parameters=slow_toys.PARAMETERS,
                                     features=slow_toys.FEATURES)
    simulator.simulate(simulator.sample_prior(4, seed=0), seed=0, threads=2)
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads the process table of Linux")
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_workers_leave_with_their_owner(tmp_path, blow):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen([sys.executable, script], stderr=subprocess.PIPE, text=True)
    workers = wait_for(lambda: len(spawned_by(process.pid)) >= 2 and spawned_by(process.pid))
    time.sleep(1.0)  # they are in the function by now, or still importing it
    process.send_signal(blow)
    _, errors = process.communicate(timeout=20)
    assert process.returncode != 0
    if blow == signal.SIGINT:
        assert errors.count("KeyboardInterrupt") == 1  # the owner's alone
    assert wait_for(lambda: not any(map(alive, workers)))


def wait_for(condition, seconds=20.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if answer := condition():
            return answer
        time.sleep(0.05)
    raise TimeoutError


def spawned_by(owner):
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == owner and b"spawn_main" in command:
            found.append(int(folder.name))
    return found


def alive(pid):
    try:
        os.kill(pid, 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
