"""Draws from the exact posterior of a simulator that has a likelihood with a gradient.

The most probable parameters are searched first (`map`); the curvature there gives the coordinates
in which slice sampling (`slices`) runs, between the bounds of the prior (`box_likelihood`). Chains
start at the optima of different starts where these are about equally probable, else spread widely
around the best, so that R-hat can tell whether they found the same posterior. They go on until it
says so.

There are many chains, because a simulator computes the likelihoods of many parameter sets side by
side for little more than that of one.

References: Vehtari et al. 2021, doi:10.1214/20-BA1221 (R-hat, effective sample size).
"""

__all__ = ["McmcDraws", "sample_posterior"]

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neurosbi.contract import Observation, Simulator, positions
from neurosbi.errors import BadInputError, NeuroSBIError
from neurosbi.inference.box_likelihood import BoxLikelihood
from neurosbi.inference.chain_checkpoint import ChainCheckpoint, SavedChains
from neurosbi.inference.likelihood_potential import LikelihoodPotential
from neurosbi.inference.map import MapEstimate, find_map
from neurosbi.inference.slices import CHAINS, DRAWS, TUNE, SliceChains
from neurosbi.progress import progress_bar, say
from neurosbi.seeds import derive_seed

if TYPE_CHECKING:
    import xarray as xr

HIGHEST_RHAT = 1.01
FEWEST_EFFECTIVE = 400
_MOST = 10  # times the draws asked for, before chains that disagree are given up
_PART = 1 / 3  # of the draws asked for, by which chains go on
_SPREAD = 2.0  # standard deviations of the starts around the best optimum
_TRIES = 20  # to start at such a distance, inside the prior
_FEWEST_DRAWS = 10
_REMEDY = "ask for more draws (--samples) or chains (--chains), or infer fewer parameters"
_LOOKED_AT = 16  # draws at which the simulator is asked about its likelihood


@dataclass(frozen=True, eq=False)
class McmcDraws:
    """``theta[chain, draw, theta]``, ``log_likelihood[chain, draw]`` and how well it went.

    ``r_hat[theta]`` and ``effective[theta]`` (bulk effective draws) after Vehtari et al. 2021;
    ``evaluations`` parameter sets whose likelihood was computed; ``optimum`` the search for the
    most probable parameters. ``finished`` is False where the time limit cut it;
    ``likelihood_problems`` is what the simulator says of its likelihood at the draws.
    """

    parameters: tuple[str, ...]
    theta: np.ndarray
    log_likelihood: np.ndarray
    r_hat: np.ndarray
    effective: np.ndarray
    evaluations: int
    optimum: MapEstimate
    finished: bool
    likelihood_problems: tuple[str, ...] = ()

    @property
    def flat(self) -> np.ndarray:
        """All draws, [draw, theta]."""
        return self.theta.reshape(-1, self.theta.shape[-1])

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the draws should not be relied upon, in words; () where nothing speaks against them."""
        found = list(self.likelihood_problems)
        remedy = f"; {_REMEDY}" if self.finished else ""
        worst = int(np.argmax(np.nan_to_num(self.r_hat, nan=np.inf)))
        if not self.r_hat[worst] <= HIGHEST_RHAT:
            found.append(
                f"the chains disagree on {self.parameters[worst]} (R-hat {self.r_hat[worst]:.3f})"
                f"{remedy}"
            )
        fewest = int(np.argmin(np.nan_to_num(self.effective, nan=-np.inf)))
        if not self.effective[fewest] >= FEWEST_EFFECTIVE:
            found.append(
                f"{self.parameters[fewest]} has only {self.effective[fewest]:.0f} effective draws, "
                f"of at least {FEWEST_EFFECTIVE} that are needed{remedy}"
            )
        if not self.finished:
            found.append(
                "the time limit cut the chains short; let them go on (--existing overwrite), or "
                "give them longer (--time-limit)"
            )
        return tuple(found)

    def to_arviz(self) -> "xr.DataTree":
        """A tree of ``posterior`` and ``sample_stats`` in ArviZ's schema."""
        import xarray as xr

        dims = ("chain", "draw")
        coords = {name: np.arange(n) for name, n in zip(dims, self.theta.shape, strict=False)}
        posterior = xr.Dataset(
            {name: (dims, self.theta[..., i]) for i, name in enumerate(self.parameters)}, coords
        )
        stats = xr.Dataset(
            {
                "log_likelihood": (dims, self.log_likelihood),
            },
            coords,
        )
        return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats})


def sample_posterior(
    simulator: Simulator,
    observation: Observation | Sequence[Observation],
    *,
    chains: int = CHAINS,
    draws: int = DRAWS,
    tune: int = TUNE,
    starts: int = 8,
    seed: int,
    time_limit: float = 3600.0,
    threads: int | None = None,
    checkpoint: ChainCheckpoint | None = None,
    progress: bool = False,
) -> McmcDraws:
    """Sample p(theta | observation) of a simulator with `log_likelihood_gradient`.

    Several observations are independent given the parameters. Each chain makes ``draws``, and goes
    on, up to ten times as far, while R-hat or the number of effective draws is not good enough.
    After ``time_limit`` seconds the chains stop where they are. With a ``checkpoint`` chains that
    were stopped go on, to the same draws as without the pause; its file belongs to one simulator
    and observation, and stays for the caller to remove. Raises `BadInputError` for a simulator
    without a gradient, for too few chains or draws, too little time for any and a checkpoint of
    other chains, `FitError` where the likelihood is undefined at all draws of the prior.
    """
    if chains < 2 or draws < _FEWEST_DRAWS:
        raise BadInputError(
            f"sampling needs at least 2 chains of {_FEWEST_DRAWS} draws, got {chains} chains of "
            f"{draws} draws"
        )
    if tune < 0:
        raise BadInputError(f"chains cannot be tuned for {tune} draws; give 0 or more")
    if not time_limit > 0:
        raise BadInputError(f"a time limit of {time_limit} s leaves no time to sample; give more")
    began = time.monotonic()
    potential = LikelihoodPotential(simulator, observation, threads=threads)
    keeper = _Keeper(
        checkpoint, f"{chains} {draws} {tune} {starts} {seed} {potential.dimension}", progress
    )
    saved = keeper.read()
    if saved is None:
        optimum = _search(potential, starts, seed, time_limit, progress)
        saved = SavedChains(optimum, potential.evaluations)
        keeper.write(saved)
    box = BoxLikelihood(potential)
    moving = _chains_of(
        saved, box, chains, seed=seed, over=lambda: time.monotonic() - began > time_limit
    )
    optimum = saved.optimum

    def keep(now: bool) -> None:
        if keeper.due(now):
            keeper.write(SavedChains(optimum, potential.evaluations, moving.state()))

    theta, r_hat, effective = _sampled(
        moving,
        box,
        draws=draws,
        tune=tune if saved.chains is None else 0,
        keep=keep,
        show=progress,
    )
    n = theta.shape[1]
    if n < _FEWEST_DRAWS:
        raise BadInputError(
            f"search and tuning left time for {n} draws of each chain within {time_limit:g} s, at "
            f"least {_FEWEST_DRAWS} are needed; allow more (--time-limit) or fit fewer seconds of "
            "the recording"
        )
    return McmcDraws(
        parameters=tuple(p.name for p in simulator.parameters),
        theta=theta,
        log_likelihood=moving.log_density,
        r_hat=r_hat,
        effective=effective,
        evaluations=potential.evaluations,
        optimum=optimum,
        finished=not moving.out_of_time,
        likelihood_problems=_problems_at(simulator, theta, potential.data, threads),
    )


def _search(
    potential: LikelihoodPotential, starts: int, seed: int, time_limit: float, progress: bool
) -> MapEstimate:
    return find_map(
        potential,
        starts=starts,
        seed=derive_seed(seed, "starts"),
        time_limit=0.5 * time_limit,
        progress=progress,
    )


class _Keeper:
    """Writes the checkpoint, if there is one; what cannot be kept does not end the sampling."""

    def __init__(self, checkpoint: ChainCheckpoint | None, fingerprint: str, show: bool) -> None:
        self.checkpoint, self.fingerprint, self.show = checkpoint, fingerprint, show
        self.written = -np.inf

    def read(self) -> SavedChains | None:
        return self.checkpoint.read(self.fingerprint) if self.checkpoint else None

    def due(self, now: bool) -> bool:
        """Whether there is a checkpoint to write: ``now``, or since the last one is old enough."""
        if self.checkpoint is None:
            return False
        return now or time.monotonic() - self.written >= self.checkpoint.seconds

    def write(self, saved: SavedChains) -> None:
        # chains that start where a time limit cut the search would be others without the pause
        if self.checkpoint is None or not saved.optimum.finished:
            return
        try:
            self.checkpoint.write(saved, self.fingerprint)
            self.written = time.monotonic()
        except (NeuroSBIError, OSError) as error:
            say(f"the chains are not kept for a later run: {error}", show=self.show)
            self.checkpoint = None


def _chains_of(
    saved: SavedChains, box: BoxLikelihood, chains: int, *, seed: int, over: Callable[[], bool]
) -> SliceChains:
    """Chains where they were saved, or at their start."""
    box.potential.evaluations = saved.evaluations
    if saved.chains is None:
        best = positions(box.parameters, saved.optimum.best)
        covariance = box.covariance_at(best)
        points = _starting_points(box, saved.optimum, covariance, chains, seed)
        return SliceChains(box, points, covariance, seed=seed, over=over)
    moving = SliceChains(box, saved.chains["at"], saved.chains["covariance"], seed=seed, over=over)
    moving.go_on_from(saved.chains)
    box.potential.evaluations = saved.evaluations  # without that look at where they are
    return moving


def _sampled(
    moving: SliceChains,
    box: BoxLikelihood,
    *,
    draws: int,
    tune: int,
    keep: Callable[[bool], None],
    show: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws of chains that may have some already, and what `_diagnosed` says of them."""
    if tune:
        with progress_bar("Tuning", tune, show=show) as bar:
            moving.tune(tune, advance=bar)
        if not moving.out_of_time:
            keep(True)
    made = moving.points.shape[1]
    more = max(_FEWEST_DRAWS, round(_PART * draws))
    goal, why = draws, ""
    while goal < made:
        goal += more
    while True:
        with progress_bar(f"Sampling{why}", goal, done=made, show=show) as bar:

            def advance(n: int, bar: Callable[[int], None] = bar) -> None:
                keep(False)
                bar(n)

            moving.draw(goal - made, advance=advance)
        made = moving.points.shape[1]
        if made:
            keep(True)
        theta, r_hat, effective = _diagnosed(moving, box)
        good = r_hat.max() <= HIGHEST_RHAT and effective.min() >= FEWEST_EFFECTIVE
        if good or moving.out_of_time or goal >= _MOST * draws:
            return theta, r_hat, effective
        why = f" on (R-hat {r_hat.max():.3f}, {effective.min():.0f} effective draws)"
        goal += more


def _diagnosed(
    moving: SliceChains, box: BoxLikelihood
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parameters of the draws so far [chain, draw, theta], R-hat and effective draws [theta]."""
    theta = box.theta(moving.points)
    if theta.shape[1] < _FEWEST_DRAWS:
        nothing = np.full(theta.shape[2], np.nan)
        return theta, nothing, nothing
    return theta, *_diagnose(theta)


def _problems_at(
    simulator: Simulator, theta: np.ndarray, data: Sequence[Observation], threads: int | None
) -> tuple[str, ...]:
    """What the simulator says of its likelihood at draws spread over all chains."""
    flat = theta.reshape(-1, theta.shape[-1])
    some = flat[np.linspace(0, len(flat) - 1, _LOOKED_AT).astype(int)]
    found = [
        problem for o in data for problem in simulator.likelihood_problems(some, o, threads=threads)
    ]
    return tuple(dict.fromkeys(found))


def _starting_points(
    box: BoxLikelihood, optimum: MapEstimate, covariance: np.ndarray, chains: int, seed: int
) -> np.ndarray:
    """One position per chain [chain, theta], at finite densities if any near the optima are."""
    rng = np.random.Generator(np.random.Philox(key=derive_seed(seed, "chains")))
    alike = optimum.log_density > optimum.log_density[0] - 5 - optimum.theta.shape[1]
    centres = positions(box.parameters, optimum.theta[alike])[np.arange(chains) % alike.sum()]
    factor = np.linalg.cholesky(covariance)
    points = centres.copy()
    waiting = np.ones(chains, dtype=bool)
    for spread in np.geomspace(_SPREAD, 0.05 * _SPREAD, _TRIES):
        away = rng.standard_normal(centres.shape) @ factor.T
        points[waiting] = (centres + spread * away)[waiting]
        waiting &= ~np.isfinite(box(points))
        if not waiting.any():
            return points
    points[waiting] = centres[waiting]
    return points


def _diagnose(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R-hat and bulk effective sample size of each parameter, of ``theta[chain, draw, theta]``."""
    import arviz as az

    columns = np.moveaxis(theta, -1, 0)
    return (
        np.array([float(az.rhat(c)) for c in columns]),
        np.array([float(az.ess(c)) for c in columns]),
    )
