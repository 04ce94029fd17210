"""Draws from the exact posterior of a simulator that has a likelihood with a gradient.

The most probable parameters are searched first (`map`); the curvature there gives the coordinates
in which Hamiltonian Monte Carlo (`hmc`) runs. Chains start at the optima of different starts where
these are about equally probable, else spread widely around the best, so that R-hat can tell
whether they found the same posterior.

References: Vehtari et al. 2021, doi:10.1214/20-BA1221 (R-hat, effective sample size).
"""

__all__ = ["McmcDraws", "sample_posterior"]

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neurosbi.contract import Observation, Simulator
from neurosbi.errors import BadInputError, FitError
from neurosbi.inference.hmc import sample_chains
from neurosbi.inference.likelihood_potential import LikelihoodPotential
from neurosbi.inference.map import MapEstimate, find_map
from neurosbi.progress import progress_bar
from neurosbi.seeds import derive_seed

if TYPE_CHECKING:
    import xarray as xr

HIGHEST_RHAT = 1.01
FEWEST_EFFECTIVE = 400
_DIFFERENCE = 0.02  # in standard deviations of the prior, for the curvature
_SPREAD = 2.0  # standard deviations of the starts around the best optimum
_FEWEST_DRAWS = 10
_LOOKED_AT = 16  # draws at which the simulator is asked about its likelihood


@dataclass(frozen=True, eq=False)
class McmcDraws:
    """``theta[chain, draw, theta]``, ``log_likelihood[chain, draw]`` and how well it went.

    ``r_hat[theta]`` and ``effective[theta]`` (bulk effective draws) after Vehtari et al. 2021;
    ``accepted[chain]`` mean acceptance; ``divergent[chain]`` runaway trajectories; ``optimum`` the
    search for the most probable parameters. ``finished`` is False where the time limit cut it;
    ``likelihood_problems`` is what the simulator says of its likelihood at the draws.
    """

    parameters: tuple[str, ...]
    theta: np.ndarray
    log_likelihood: np.ndarray
    r_hat: np.ndarray
    effective: np.ndarray
    accepted: np.ndarray
    divergent: np.ndarray
    steps: float
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
        worst = int(np.argmax(np.nan_to_num(self.r_hat, nan=np.inf)))
        if not self.r_hat[worst] <= HIGHEST_RHAT:
            found.append(
                f"the chains disagree on {self.parameters[worst]} (R-hat {self.r_hat[worst]:.3f}); "
                "draw more"
            )
        fewest = int(np.argmin(np.nan_to_num(self.effective, nan=-np.inf)))
        if not self.effective[fewest] >= FEWEST_EFFECTIVE:
            found.append(
                f"{self.parameters[fewest]} has only {self.effective[fewest]:.0f} effective draws; "
                f"draw more (at least {FEWEST_EFFECTIVE} are needed)"
            )
        if self.divergent.sum():
            found.append(
                f"{self.divergent.sum()} trajectories diverged: parts of the posterior may be "
                "missing; tune longer"
            )
        if not self.finished:
            found.append("the time limit cut the chains short")
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
                "acceptance_rate": ("chain", self.accepted),
                "divergences": ("chain", self.divergent),
            },
            coords,
        )
        return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats})


def sample_posterior(
    simulator: Simulator,
    observation: Observation | Sequence[Observation],
    *,
    chains: int = 4,
    draws: int = 1000,
    tune: int = 300,
    starts: int = 8,
    seed: int,
    time_limit: float = 3600.0,
    threads: int | None = None,
    progress: bool = False,
) -> McmcDraws:
    """Sample p(theta | observation) of a simulator with `log_likelihood_gradient`.

    Several observations are independent given the parameters. After ``time_limit`` seconds the
    chains stop where they are. Raises `BadInputError` for a simulator without a gradient or for
    too few chains or draws, `FitError` where the time did not suffice for any draws.
    """
    if chains < 2 or draws < _FEWEST_DRAWS or tune < 0:
        raise BadInputError(
            f"sampling needs at least 2 chains of {_FEWEST_DRAWS} draws, got {chains} chains of "
            f"{draws} draws"
        )
    began = time.monotonic()
    potential = LikelihoodPotential(simulator, observation, threads=threads)
    optimum = find_map(
        potential,
        starts=starts,
        seed=derive_seed(seed, "starts"),
        time_limit=0.5 * time_limit,
        progress=progress,
    )
    covariance = covariance_at(potential, optimum.z[0])
    first = _starting_points(potential, optimum, covariance, chains, seed)
    with progress_bar("Sampling", tune + draws, show=progress) as bar:
        run = sample_chains(
            potential.value_and_gradient,
            first,
            covariance,
            draws=draws,
            tune=tune,
            seed=seed,
            over=lambda: time.monotonic() - began > time_limit,
            advance=lambda status: bar(1, status=status),
        )
    n = run.z.shape[1]
    if n < _FEWEST_DRAWS:
        raise FitError(
            f"only {n} draws were made in {time_limit:g} s; give a longer time limit, or fewer "
            "chains, tuning steps or seconds of recording"
        )
    theta = potential.theta(run.z.reshape(-1, potential.dimension)).reshape(run.z.shape)
    r_hat, effective = _diagnose(theta)
    return McmcDraws(
        parameters=tuple(p.name for p in simulator.parameters),
        theta=theta,
        log_likelihood=run.log_density + 0.5 * np.sum(run.z**2, axis=-1),
        r_hat=r_hat,
        effective=effective,
        accepted=run.accepted,
        divergent=run.divergent,
        steps=run.steps,
        evaluations=potential.evaluations,
        optimum=optimum,
        finished=run.finished,
        likelihood_problems=_problems_at(simulator, theta, potential.data),
    )


def _problems_at(
    simulator: Simulator, theta: np.ndarray, data: Sequence[Observation]
) -> tuple[str, ...]:
    """What the simulator says of its likelihood at draws spread over all chains."""
    flat = theta.reshape(-1, theta.shape[-1])
    some = flat[np.linspace(0, len(flat) - 1, _LOOKED_AT).astype(int)]
    found = [problem for o in data for problem in simulator.likelihood_problems(some, o)]
    return tuple(dict.fromkeys(found))


def covariance_at(potential: LikelihoodPotential, z: np.ndarray) -> np.ndarray:
    """Inverse curvature of the log density at ``z[theta]``, from differences of gradients.

    Directions in which the density does not fall count as wide as the prior.
    """
    step = _DIFFERENCE * np.eye(len(z))
    _, gradient = potential.value_and_gradient(np.concatenate([z + step, z - step]))
    curvature = (gradient[len(z) :] - gradient[: len(z)]) / (2 * _DIFFERENCE)
    values, vectors = np.linalg.eigh(0.5 * (curvature + curvature.T))
    return (vectors / np.maximum(values, 1.0)) @ vectors.T


def _starting_points(
    potential: LikelihoodPotential,
    optimum: MapEstimate,
    covariance: np.ndarray,
    chains: int,
    seed: int,
) -> np.ndarray:
    """One point per chain [chain, theta], with finite densities."""
    rng = np.random.Generator(np.random.Philox(key=derive_seed(seed, "chains")))
    dim = potential.dimension
    alike = optimum.log_density > optimum.log_density[0] - 5 - dim
    centres = optimum.z[np.flatnonzero(alike)[np.arange(chains) % alike.sum()]]
    factor = np.linalg.cholesky(covariance)
    points = centres.copy()
    waiting = np.ones(chains, dtype=bool)
    for spread in (_SPREAD, 0.5 * _SPREAD, 0.1 * _SPREAD):
        away = rng.standard_normal((chains, dim)) @ factor.T
        points[waiting] = (centres + spread * away)[waiting]
        waiting &= ~np.isfinite(potential.value(points))
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
