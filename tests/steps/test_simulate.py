import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import slow_toys
from filelock import FileLock
from slow_toys import HalfDefined, SlowMembrane
from toys import FAMILY, LinearGaussian, PassiveMembrane

import neurosbi as nb
from neurosbi.contract import SimulationBatch, Status
from neurosbi.errors import BadInputError, FitError, InterruptedRunError, MissingResourceError
from neurosbi.steps.simulate import run_simulations

COLUMNS = ("theta", "x", "status", "valid", "stimulus")


def simulate(simulator, n, path, **keywords):
    return nb.simulate(simulator, n, store=path, **({"progress": False, "seed": 2} | keywords))


def assert_same(first, second):
    for name in COLUMNS:
        a, b = getattr(first, name), getattr(second, name)
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes(), name


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    path = tmp_path_factory.mktemp("reference") / "s.zarr"
    return simulate(PassiveMembrane(), 320, path, shard_size=64)


class Moody(HalfDefined):
    """Raises ``error`` in the batch that starts at ``at``."""

    def __init__(self, at, error):
        super().__init__()
        self.at, self.error = at, error

    def simulate(self, theta, *, start=0, **keywords):
        if start == self.at:
            raise self.error
        return super().simulate(theta, start=start, **keywords)


# ---- what is simulated ------------------------------------------------------------------------


def test_rows_are_the_simulators_own(reference):
    simulator = PassiveMembrane()
    theta = simulator.sample_prior(320, seed=2)
    stimuli = FAMILY.sample(320, seed=2)
    x = simulator.features(theta, stimulus=stimuli, seed=2)
    np.testing.assert_array_equal(reference.theta, theta)
    np.testing.assert_array_equal(reference.stimulus, stimuli.values)
    np.testing.assert_array_equal(reference.x, x.astype(np.float32))


@pytest.mark.parametrize("shard_size", [1, 7, 64, 319, 320, 1000])
def test_content_does_not_depend_on_shard_size(tmp_path, shard_size):
    if shard_size == 1:
        small = simulate(HalfDefined(), 20, tmp_path / "a", shard_size=1)
        assert_same(small, simulate(HalfDefined(), 20, tmp_path / "b"))
        return
    one = simulate(HalfDefined(), 320, tmp_path / "a", shard_size=shard_size)
    assert_same(one, simulate(HalfDefined(), 320, tmp_path / "b", shard_size=32))


def test_one_stimulus_for_all(tmp_path):
    stimulus = nb.Stimulus.step(amplitude=77.0, onset=55.0, duration=111.0)
    store = simulate(PassiveMembrane(), 20, tmp_path / "s.zarr", stimulus=stimulus)
    x = PassiveMembrane().features(store.theta, stimulus=stimulus, seed=2)
    np.testing.assert_array_equal(store.x, x.astype(np.float32))
    assert store.family.only.to_dict() == stimulus.to_dict()


def test_another_family(tmp_path):
    family = nb.StepFamily("pA", (20.0, 30.0), (50.0, 60.0), (100.0, 110.0))
    store = simulate(PassiveMembrane(), 20, tmp_path / "s.zarr", stimulus=family)
    np.testing.assert_array_equal(store.stimulus, family.sample(20, seed=2).values)


def test_a_black_box_in_one_and_two_processes(tmp_path):
    simulator = nb.BlackBoxSimulator(
        slow_toys.fails_below_zero,
        name="black-box",
        parameters=slow_toys.PARAMETERS,
        features=slow_toys.FEATURES,
    )
    one = simulate(simulator, 100, tmp_path / "one", threads=1)
    two = simulate(simulator, 100, tmp_path / "two", threads=2, shard_size=50)
    simulator.close()
    assert_same(one, two)
    assert 0.2 < one.summary().valid_fraction < 0.8


# ---- the cache --------------------------------------------------------------------------------


def test_without_a_path_it_is_kept_by_configuration(tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(tmp_path))
    first = nb.simulate(LinearGaussian(), 50, progress=False)
    assert first.path.parent == tmp_path / "simulations"
    assert first.config_hash in first.path.name
    again = run_simulations(LinearGaussian(), 50, progress=False)
    assert (again.store.path, again.simulated, again.rate) == (first.path, 0, None)
    other = nb.simulate(LinearGaussian(), 50, seed=1, progress=False)
    assert other.path != first.path
    fewer = nb.simulate(LinearGaussian(), 20, progress=False)
    assert fewer.path == first.path
    np.testing.assert_array_equal(fewer.x, first.x[:20])


# ---- existing stores --------------------------------------------------------------------------


def test_resume_adds_simulations(tmp_path, reference):
    simulate(PassiveMembrane(), 100, tmp_path / "s.zarr", shard_size=30)
    run = run_simulations(PassiveMembrane(), 320, store=tmp_path / "s.zarr", seed=2, progress=False)
    assert run.simulated == 320 - 90  # the last shard was short, it is simulated again
    assert_same(run.store, reference)


def test_resume_mends_damage_and_says_so(tmp_path, reference, capsys):
    path = tmp_path / "s.zarr"
    shutil.copytree(reference.path, path)
    chunk = path / "x" / "c" / "3" / "0"
    chunk.write_bytes(chunk.read_bytes()[::-1])
    run = run_simulations(PassiveMembrane(), 320, store=path, seed=2)
    assert run.simulated == 64
    assert f"shard 3 of {path} is damaged and is computed again" in capsys.readouterr().err
    assert_same(run.store, reference)
    assert (path / "manifest.json").exists()


def test_error_refuses(tmp_path):
    simulate(LinearGaussian(), 20, tmp_path / "s.zarr", existing="error")
    with pytest.raises(BadInputError, match="exists; choose another path, or --existing resume"):
        simulate(LinearGaussian(), 20, tmp_path / "s.zarr", existing="error")


def test_overwrite_replaces_any_store_of_simulations(tmp_path, reference):
    simulate(LinearGaussian(), 20, tmp_path / "s.zarr")
    store = simulate(PassiveMembrane(), 320, tmp_path / "s.zarr", existing="overwrite")
    assert store.path == tmp_path / "s.zarr"
    assert_same(store, reference)
    assert [p.name for p in tmp_path.iterdir()] == ["s.zarr"]
    assert (store.path / "manifest.json").exists()


@pytest.mark.parametrize(
    ("error", "raised"), [(KeyboardInterrupt(), InterruptedRunError), (FitError("x"), FitError)]
)
def test_a_failed_overwrite_keeps_the_old_store(tmp_path, error, raised):
    old = simulate(LinearGaussian(), 20, tmp_path / "s.zarr")
    before = old.read()
    with pytest.raises(raised) as caught:
        simulate(Moody(64, error), 320, old.path, existing="overwrite", shard_size=32)
    if raised is InterruptedRunError:
        assert "the store that was to be replaced is untouched" in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["s.zarr"]
    assert_same(nb.open_simulations(old.path), before)


def test_overwrite_never_replaces_something_else(tmp_path):
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(BadInputError, match="not a store of simulations"):
        simulate(LinearGaussian(), 20, tmp_path / "thesis.txt", existing="overwrite")
    with pytest.raises(BadInputError, match="not a store of simulations"):
        simulate(LinearGaussian(), 20, tmp_path, existing="overwrite")
    assert (tmp_path / "thesis.txt").read_text() == "all of it"


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"seed": -1}, "the seed is a whole number from 0"),
        ({"threads": 0}, "number of threads is at least 1"),
        ({"shard_size": 0}, "at least 1"),
        ({"shards": [0, 9], "shard_size": 10}, "has no shard 9; its shards are 0 to 1"),
    ],
)
def test_impossible_arguments(tmp_path, keywords, words):
    with pytest.raises(BadInputError, match=words):
        simulate(LinearGaussian(), 20, tmp_path / "s.zarr", **keywords)
    with pytest.raises(BadInputError, match="at least 1"):
        simulate(LinearGaussian(), 0, tmp_path / "t.zarr")


# ---- several processes ------------------------------------------------------------------------


def test_some_shards_only(tmp_path, reference):
    path = tmp_path / "s.zarr"
    part = simulate(PassiveMembrane(), 320, path, shard_size=64, shards=[3, 1])
    assert part.missing_shards() == (0, 2, 4)
    assert part.summary().done == 128
    assert not (path / "manifest.json").exists()
    with pytest.raises(BadInputError, match="leave --shards out"):
        simulate(PassiveMembrane(), 320, path, shards=[0], existing="overwrite")
    whole = simulate(PassiveMembrane(), 320, path, shards=[4, 2, 0])
    assert_same(whole, reference)
    assert (path / "manifest.json").exists()


WORKER = """
import sys
import neurosbi as nb
from slow_toys import SlowMembrane
first, step, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
nb.simulate(SlowMembrane(), 320, store=path, seed=2, shard_size=8, progress=False,
            shards=range(first, 40, step))
"""


def start(*arguments):
    return subprocess.Popen([sys.executable, "-c", WORKER, *map(str, arguments)])


def test_two_processes_fill_one_store(tmp_path, reference):
    path = tmp_path / "s.zarr"
    workers = [start(0, 2, path), start(1, 2, path)]
    assert [w.wait(60) for w in workers] == [0, 0]
    store = nb.open_simulations(path)
    assert store.complete
    assert store.damaged_shards() == ()
    assert_same(store, reference)
    assert (path / "manifest.json").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["s.zarr"]


def test_in_the_cache_one_process_waits_for_another(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NEUROSBI_CACHE_DIR", str(tmp_path))
    made = nb.simulate(PassiveMembrane(), 64, progress=False)
    taken = threading.Event()

    def hold():
        with FileLock(made.path.with_name(f".{made.path.name}.lock")):
            taken.set()
            time.sleep(3.0)

    other = threading.Thread(target=hold)
    other.start()
    taken.wait()
    # what is complete needs no lock
    assert run_simulations(PassiveMembrane(), 64).simulated == 0
    assert other.is_alive()
    assert run_simulations(PassiveMembrane(), 96).store.complete
    assert not other.is_alive()
    assert "another process is making these simulations" in capsys.readouterr().err


def test_killed_at_any_moment_it_goes_on(tmp_path, reference):
    """kill -9 at random moments; every time, what counts as done is right."""
    path = tmp_path / "s.zarr"
    moment = random.Random(5)
    counts = []
    for _ in range(4):
        worker = start(0, 1, path)
        before = counts[-1] if counts else 0
        while count(path) <= before and worker.poll() is None:
            time.sleep(0.002)
        time.sleep(moment.uniform(0.0, 0.1))
        worker.kill()
        worker.wait()
        store = nb.open_simulations(path)
        counts.append(count(path))
        assert store.damaged_shards() == ()
        for shard in set(range(40)) - set(store.missing_shards()):
            rows = slice(*store.shard_rows(shard))
            np.testing.assert_array_equal(store.read(rows.start, rows.stop).x, reference.x[rows])
    assert 0 < counts[0] < counts[-1]
    assert counts[1] < 40  # some of the kills came in the middle
    run = run_simulations(SlowMembrane(), 320, store=path, seed=2, progress=False)
    assert run.simulated == 8 * (40 - counts[-1])
    assert_same(run.store, reference)


def count(path):
    return len(list(path.glob("shards/[0-9]*.json")))


def test_killed_while_the_store_is_made(tmp_path):
    """Either there is no store or a whole one, whatever the moment."""
    path = tmp_path / "s.zarr"
    worker = start(0, 1, path)
    while not any(tmp_path.iterdir()) and worker.poll() is None:
        time.sleep(0.0005)
    worker.kill()
    worker.wait()
    assert not path.exists() or nb.open_simulations(path).n == 320
    store = simulate(SlowMembrane(), 320, path, shard_size=64)
    assert store.complete


# ---- interruptions and failures ---------------------------------------------------------------


def test_ctrl_c_keeps_the_finished_shards(tmp_path):
    path = tmp_path / "s.zarr"
    with pytest.raises(InterruptedRunError, match="stopped with 96 of 320 simulations done") as e:
        simulate(Moody(96, KeyboardInterrupt()), 320, path, shard_size=32)
    assert str(path) in str(e.value)
    assert e.value.exit_code == 130
    run = run_simulations(HalfDefined(), 320, store=path, seed=2, progress=False)
    assert run.simulated == 224
    assert_same(run.store, simulate(HalfDefined(), 320, tmp_path / "fresh.zarr"))


@pytest.mark.parametrize("after", [0, 3, 9, 12, 15, 21, 40, 80])
def test_a_full_disk(tmp_path, monkeypatch, after):
    """The disk fills up before the k-th file: nothing half-written counts, and it goes on."""
    path = tmp_path / "s.zarr"
    replace, calls = os.replace, []

    def full(source, target):
        calls.append(target)
        if len(calls) > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(FitError, match=r"the disk is full: .*s\.zarr"):
            simulate(PassiveMembrane(), 96, path, shard_size=8)
    assert len(calls) > after
    assert not list(tmp_path.rglob("*.part*"))
    if path.exists():
        partial = nb.open_simulations(path)
        assert not partial.complete
        assert partial.damaged_shards() == ()
    store = simulate(PassiveMembrane(), 96, path, shard_size=8)
    assert_same(store, simulate(PassiveMembrane(), 96, tmp_path / "fresh.zarr"))


def test_a_disk_that_is_really_full(tmp_path):
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", mount]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a file system is not permitted here")
    try:
        path = mount / "s.zarr"
        with pytest.raises(FitError, match=r"the disk is full: .*s\.zarr"):
            simulate(LinearGaussian(), 20_000, path, shard_size=1000)
        partial = nb.open_simulations(path)
        assert 0 < len(partial.missing_shards()) < 20
        assert partial.damaged_shards() == ()
        subprocess.run(["mount", "-o", "remount,size=4m", mount], check=True)
        store = simulate(LinearGaussian(), 20_000, path)
        assert_same(store, simulate(LinearGaussian(), 20_000, tmp_path / "fresh.zarr"))
    finally:
        subprocess.run(["umount", mount], check=True)


class Diverging(LinearGaussian):
    """Blows up below row ``well_from``, as with too large a time step."""

    well_from = 10**9

    def simulate(self, theta, *, start=0, **keywords):
        batch = super().simulate(theta, start=start, **keywords)
        index = start + np.arange(len(theta))
        status = np.where(index < self.well_from, Status.BLOW_UP, Status.OK).astype(np.int8)
        return SimulationBatch(batch.x, status)


def test_a_model_that_never_works_stops_early_and_leaves_nothing(tmp_path):
    with pytest.raises(FitError, match=r"none of the first 112 simulations .* blew up or failed"):
        simulate(Diverging(), 1000, tmp_path / "s.zarr", shard_size=16)
    store = simulate(LinearGaussian(), 1000, tmp_path / "s.zarr")  # mended: no old rows are left
    assert store.summary().valid == 1000


@pytest.mark.parametrize("error", [BadInputError("dt is too large"), MissingResourceError("no")])
def test_what_is_refused_leaves_no_store(tmp_path, error):
    with pytest.raises(type(error)):
        simulate(Moody(0, error), 100, tmp_path / "s.zarr", shard_size=10)
    assert not any(tmp_path.iterdir())
    # but finished shards stay
    with pytest.raises(type(error)):
        simulate(Moody(20, error), 100, tmp_path / "s.zarr", shard_size=10)
    assert nb.open_simulations(tmp_path / "s.zarr").summary().done == 20


def test_a_store_that_others_may_be_filling_stays(tmp_path):
    with pytest.raises(MissingResourceError):
        simulate(
            Moody(0, MissingResourceError("no memory")),
            100,
            tmp_path / "s.zarr",
            shard_size=10,
            shards=[0, 1],
        )
    others = simulate(Moody(-1, None), 100, tmp_path / "s.zarr", shards=[2])
    assert others.summary().done == 10


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "s.zarr", "/proc/s.zarr"):
        with pytest.raises(BadInputError, match="cannot be written"):
            simulate(LinearGaussian(), 10, place)


def test_a_few_bad_shards_at_the_start_are_no_reason_to_stop(tmp_path):
    simulator = Diverging()
    simulator.well_from = 90
    assert simulate(simulator, 1000, tmp_path / "s.zarr", shard_size=30).summary().valid == 910


def test_a_function_that_always_raises_says_why(tmp_path):
    simulator = nb.BlackBoxSimulator(
        slow_toys.always_fails,
        name="hopeless",
        parameters=slow_toys.PARAMETERS,
        features=slow_toys.FEATURES,
    )
    with pytest.raises(FitError, match=r"of hopeless .*ArithmeticError: no solution at all"):
        simulate(simulator, 40, tmp_path / "s.zarr", threads=1)
    assert len(nb.open_simulations(tmp_path / "s.zarr").missing_shards()) == 3


def test_a_simulator_that_returns_the_wrong_shape(tmp_path):
    class Short(LinearGaussian):
        def simulate(self, theta, **keywords):
            batch = super().simulate(theta, **keywords)
            return SimulationBatch(batch.x[:, :2], batch.status)

    with pytest.raises(FitError, match=r"returned x of shape \(16, 2\) .* not \(16, 4\)"):
        simulate(Short(), 32, tmp_path / "s.zarr", shard_size=16)


def test_ctrl_c_of_the_program_ends_with_130(tmp_path):
    path = tmp_path / "s.zarr"
    worker = start(0, 1, path)
    while count(path) < 2 and worker.poll() is None:
        time.sleep(0.005)
    worker.send_signal(signal.SIGINT)
    assert worker.wait(20) != 0
    assert nb.open_simulations(path).damaged_shards() == ()
