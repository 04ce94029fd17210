"""Chains that were stopped and go on, against the same chains without a pause."""

import numpy as np
import pytest
from test_likelihood_samplers import Decay, data

from neurosbi.errors import BadInputError
from neurosbi.inference.chain_checkpoint import ChainCheckpoint
from neurosbi.inference.mcmc import sample_posterior
from neurosbi.inference.slices import SliceChains
from neurosbi.training.checkpoint import UnusableCheckpointError


class Stopping(Decay):
    """Stopped by the user at the evaluation ``at``."""

    def __init__(self, at):
        super().__init__()
        self.left = at

    def log_likelihood_gradient(self, theta, data, *, threads=None):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().log_likelihood_gradient(theta, data)


def sampled(simulator, checkpoint=None, **options):
    # few draws, of which the diagnosis wants more: the pause may fall into both; blocks of 10 and 3
    options = {"chains": 4, "draws": 33, "tune": 12, "starts": 2, "seed": 5, **options}
    return sample_posterior(simulator, data(), checkpoint=checkpoint, **options)


@pytest.fixture(scope="module")
def whole():
    counted = Stopping(10**9)
    return sampled(counted), 10**9 - counted.left


@pytest.mark.parametrize("share", [0.05, 0.2, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_chains_go_on_to_the_same_draws(tmp_path, whole, share):
    expected, calls = whole
    assert expected.theta.shape[1] > 33
    checkpoint = ChainCheckpoint(tmp_path / "c" / "chains.npz", seconds=0)
    with pytest.raises(KeyboardInterrupt):
        sampled(Stopping(round(share * calls)), checkpoint)
    found = sampled(Decay(), checkpoint)
    np.testing.assert_array_equal(found.theta, expected.theta)
    np.testing.assert_array_equal(found.log_likelihood, expected.log_likelihood)
    np.testing.assert_array_equal(found.r_hat, expected.r_hat)
    assert found.evaluations == expected.evaluations


@pytest.mark.parametrize("tune", [0, 12])
def test_tuned_chains_are_not_tuned_again(tmp_path, tune):
    checkpoint = ChainCheckpoint(tmp_path / "chains.npz", seconds=0)
    expected = sampled(Decay(), tune=tune)

    class StoppedOnceTuned(Decay):
        def log_likelihood_gradient(self, theta, data, *, threads=None):
            saved = checkpoint.read()
            if saved is not None and saved.chains is not None:
                raise KeyboardInterrupt
            return super().log_likelihood_gradient(theta, data)

    with pytest.raises(KeyboardInterrupt):
        sampled(StoppedOnceTuned(), checkpoint, tune=tune)
    kept = checkpoint.read()
    assert kept is not None
    assert kept.chains is not None
    assert kept.chains["points"].shape[1] == (0 if tune else 10)
    np.testing.assert_array_equal(sampled(Decay(), checkpoint, tune=tune).theta, expected.theta)


def test_a_search_that_was_cut_is_not_kept(tmp_path):
    checkpoint = ChainCheckpoint(tmp_path / "chains.npz", seconds=0)
    with pytest.raises(BadInputError):
        sampled(Decay(), checkpoint, time_limit=1e-3)
    assert not checkpoint.path.exists()


@pytest.mark.parametrize("other", [{"seed": 6}, {"chains": 5}, {"draws": 40}, {"tune": 0}])
def test_other_chains_are_not_taken_over(tmp_path, other):
    checkpoint = ChainCheckpoint(tmp_path / "chains.npz", seconds=0)
    sampled(Decay(), checkpoint)
    with pytest.raises(UnusableCheckpointError, match="of other chains"):
        sampled(Decay(), checkpoint, **other)


def test_chains_that_cannot_be_kept_are_drawn_all_the_same(tmp_path, capsys, whole):
    (tmp_path / "file").write_text("in the way")
    checkpoint = ChainCheckpoint(tmp_path / "file" / "chains.npz", seconds=0)
    found = sampled(Decay(), checkpoint, progress=True)
    np.testing.assert_array_equal(found.theta, whole[0].theta)
    assert capsys.readouterr().err.count("not kept for a later run") == 1


def test_finished_chains_are_not_drawn_again(tmp_path, whole):
    checkpoint = ChainCheckpoint(tmp_path / "chains.npz", seconds=0)
    sampled(Decay(), checkpoint)
    again = Stopping(40)  # a look at where they are, and at the likelihood's problems
    np.testing.assert_array_equal(sampled(again, checkpoint).theta, whole[0].theta)
    checkpoint.remove()
    assert checkpoint.read() is None


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_files_that_hold_no_chains(tmp_path, content):
    path = tmp_path / "chains.npz"
    if content is None:
        np.savez(path, layout=0, theta=np.zeros(3))
    else:
        path.write_bytes(content)
    with pytest.raises(UnusableCheckpointError, match="delete it"):
        sampled(Decay(), ChainCheckpoint(path))
    assert path.exists()


def test_chains_cut_within_a_block_make_it_again():
    def target(points):
        calls.append(len(points))
        return -0.5 * (points**2).sum(axis=1)

    def chains(over):
        calls.clear()
        return SliceChains(target, np.ones((4, 2)), np.eye(2), seed=2, over=over)

    calls = []
    whole = chains(lambda: False)
    whole.draw(40)
    half = len(calls) // 2
    cut = chains(lambda: len(calls) > half)
    cut.draw(40)
    assert cut.out_of_time
    assert 0 < cut.points.shape[1] < 40
    again = chains(lambda: False)
    again.go_on_from(cut.state())
    again.draw(40 - cut.points.shape[1])
    np.testing.assert_array_equal(again.points, whole.points)
