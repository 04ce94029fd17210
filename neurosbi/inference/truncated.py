r"""The prior, restricted to where a posterior has its mass: the proposal of sequential refinement.

With q the present estimate of p(theta | x_o) and p the prior, the region of a round is

    A = {theta : log q(theta) - log p(theta) > tau},   P_q(A) = 1 - epsilon,

tau the epsilon-quantile of log q - log p over draws of q. Simulations of p restricted to A teach
the very posterior p(theta | x_o), up to the epsilon cut off, without any correction of the loss.
Regions are nested: a new one lies within those before it.

Draws are exact. In the space z where the prior is N(0, I) (see `neurosbi.priors`), a box along the
parameters or along the principal axes of q holds its draws in A with a margin; the region is taken
within that box, where the prior is a product of truncated normals, sampled by inversion. What lies
outside A is rejected. Where that would reject too much, q itself is the proposal and a draw is kept
with probability exp(tau) p / q, which is at most 1 on A.

References:
    Deistler, Goncalves, Macke (2022), Truncated proposals for scalable and hassle-free
    simulation-based inference, arXiv:2210.04815. Their region is {log q > tau}, ours is relative to
    the prior, so that it does not depend on the units of theta and is the smallest one by prior
    mass. They accept or resample draws; ours are exact, and a draw follows from seed and index.
"""

__all__ = [
    "BOX_MARGIN",
    "EPSILON",
    "LARGEST_EPSILON",
    "PosteriorLike",
    "TruncatedDraws",
    "TruncatedPrior",
]

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import torch
from scipy.special import ndtr, ndtri

from neurosbi.contract import Parameter, percent, sample_box
from neurosbi.errors import BadInputError, FitError
from neurosbi.priors import BoxPrior, UnconstrainedMap
from neurosbi.progress import progress_bar
from neurosbi.seeds import derive_seed, uniform_rows

EPSILON = 1e-4
LARGEST_EPSILON = 1e-2
EASY = 2e-3  # draws per evaluation of the density that make a region worth drawing from
BOX_MARGIN = 0.1  # of the extent of the draws, on either side: five standard deviations and more
_REGION_DRAWS = 20_000
_PATIENCE = 0.1  # of the time limit, after which it is judged whether the rest can suffice
_BATCH = 20_000  # candidates that are looked at together, and draws of q in one block


class PosteriorLike(Protocol):
    """What truncation asks of a posterior; see `neurosbi.inference.network.Posterior`."""

    def sample(self, n: int, *, seed: int) -> np.ndarray:
        """``n`` draws [n, theta]."""
        ...

    def log_prob(self, theta: np.ndarray) -> np.ndarray:
        """Log density [n] of ``theta[n, theta]``."""
        ...


@dataclass(frozen=True, eq=False)
class TruncatedDraws:
    """``theta[sim, theta]``, the prior mass of the region, and which proposal was used.

    ``accepted`` is the share of the candidates that were kept.
    """

    theta: np.ndarray
    prior_mass: float
    proposal: Literal["prior", "posterior"]
    accepted: float


@dataclass(frozen=True, eq=False)
class _Region:
    """One round's region: a threshold on log q - log p within a box of rotated z."""

    posterior: PosteriorLike
    threshold: float
    axes: np.ndarray  # [theta, axis], orthonormal
    low: np.ndarray  # [axis]
    high: np.ndarray
    kept: float  # acceptance of draws of q, were q the proposal


class TruncatedPrior:
    """The prior of ``parameters``, restricted by any number of posteriors (none: the prior)."""

    def __init__(self, parameters: Sequence[Parameter], regions: Sequence[_Region] = ()) -> None:
        self.parameters, self.regions = tuple(parameters), tuple(regions)
        self._map = UnconstrainedMap(self.parameters)
        self._prior = BoxPrior(self.parameters, dtype=torch.float64)

    def narrowed(
        self,
        posterior: PosteriorLike,
        *,
        epsilon: float = EPSILON,
        seed: int,
        draws: int = _REGION_DRAWS,
    ) -> "TruncatedPrior":
        """The same, restricted to the region of ``posterior`` in addition.

        The threshold is an order statistic of ``draws`` samples; with fewer than 1 / epsilon of
        them it is the smallest value, so that little data cut off little. Raises `BadInputError`
        for an epsilon that is no small probability, `FitError` where the posterior has no mass
        in the regions so far.
        """
        if not 0 < epsilon <= 0.1:
            raise BadInputError(f"epsilon is a probability above 0 and up to 0.1, got {epsilon}")
        theta = posterior.sample(draws, seed=derive_seed(seed, "draws of the region"))
        theta = theta[self.contains(theta)]
        ratio = posterior.log_prob(theta) - self._log_prior(theta)
        theta, ratio = theta[np.isfinite(ratio)], ratio[np.isfinite(ratio)]
        if len(ratio) < max(10, 0.01 * draws):
            raise FitError(
                f"only {len(ratio)} of {draws} posterior samples lie in the region of the rounds "
                "before; simulate more in each round, or use fewer rounds"
            )
        place = int(epsilon * len(ratio))
        threshold = float(np.partition(ratio, place)[place])
        axes, low, high = _smallest_box(self._unconstrained(theta[ratio >= threshold]))
        kept = float(np.mean(np.exp(threshold - np.maximum(ratio, threshold))))
        region = _Region(posterior, threshold, axes, low, high, kept)
        return TruncatedPrior(self.parameters, (*self.regions, region))

    def contains(self, theta: np.ndarray) -> np.ndarray:
        """bool [sim]: ``theta[sim, theta]`` lies in the region."""
        theta = np.atleast_2d(np.asarray(theta, dtype=np.float64))
        rows = np.flatnonzero(self._map.inside(torch.as_tensor(theta)).numpy())
        for region in reversed(self.regions):  # the newest rejects most
            z = self._unconstrained(theta[rows]) @ region.axes
            rows = rows[np.all((z >= region.low) & (z <= region.high), axis=1)]
            if len(rows):
                ratio = region.posterior.log_prob(theta[rows]) - self._log_prior(theta[rows])
                rows = rows[ratio >= region.threshold]
        inside = np.zeros(len(theta), dtype=bool)
        inside[rows] = True
        return inside

    def narrowed_drawably(
        self, posterior: PosteriorLike, *, epsilon: float = EPSILON, seed: int
    ) -> "TruncatedPrior":
        """`narrowed` with the least of epsilon, 10 epsilon, ... that leaves a region easy to draw from.

        In many dimensions most of the region lies where the posterior hardly goes, and is found by
        chance only: to cut off up to ``LARGEST_EPSILON`` of the posterior is better than no round.
        """
        while True:
            region = self.narrowed(posterior, epsilon=epsilon, seed=seed)
            if 10 * epsilon > LARGEST_EPSILON or region.ease(seed=seed) >= EASY:
                return region
            epsilon *= 10

    @cached_property
    def box_mass(self) -> float:
        """Prior mass of the box that candidates are drawn from."""
        newest = self.regions[-1]
        return float(np.prod(_normal_mass(newest.low, newest.high)))

    def sample(
        self, n: int, *, seed: int, time_limit: float = 600.0, progress: bool = False
    ) -> TruncatedDraws:
        """``n`` independent draws; the first ones do not depend on ``n``.

        Raises `FitError` when ``time_limit`` (seconds) does not suffice, early if that is plain.
        """
        if not self.regions:
            return TruncatedDraws(sample_box(self.parameters, n, seed=seed), 1.0, "prior", 1.0)
        began = time.monotonic()
        kept = [self._candidates(0, seed=seed)]
        accepted, seen = len(kept[0]), _BATCH
        proposal = "prior"
        if accepted / seen < self._ease_from_posterior:
            proposal, kept, accepted, seen = "posterior", [], 0, 0
        mass = 0.0
        title = "Drawing parameters"
        with progress_bar(title, n, done=min(n, accepted), show=progress and accepted < n) as bar:
            while accepted < n:
                if proposal == "prior":
                    new = self._candidates(seen, seed=seed)
                else:
                    new, weight = self._from_posterior(seen, seed=seed)
                    mass += weight
                kept.append(new)
                bar(min(len(new), n - accepted))
                accepted, seen = accepted + len(new), seen + _BATCH
                elapsed = time.monotonic() - began
                needed = elapsed * n / max(accepted, 1)
                hopeless = elapsed > _PATIENCE * time_limit and needed > 2 * time_limit
                if accepted < n and (elapsed > time_limit or hopeless):
                    raise FitError(
                        f"only {accepted} of {n} parameter sets were found in the region of the "
                        f"posterior after {elapsed:.0f} s ({percent(accepted / seen)} of the "
                        f"candidates from the {proposal}); use fewer rounds or fewer simulations"
                    )
        share = accepted / seen
        return TruncatedDraws(
            theta=np.concatenate(kept)[:n],
            prior_mass=self.box_mass * share if proposal == "prior" else mass / seen,
            proposal=proposal,
            accepted=share,
        )

    def ease(self, *, seed: int) -> float:
        """How many draws one evaluation of the posterior's density buys, at most 1."""
        if not self.regions:
            return 1.0
        return max(len(self._candidates(0, seed=seed)) / _BATCH, self._ease_from_posterior)

    @property
    def _ease_from_posterior(self) -> float:
        # a draw of q costs about as much as evaluating q once for each coordinate
        return self.regions[-1].kept / (1 + len(self.parameters))

    def _candidates(self, start: int, *, seed: int) -> np.ndarray:
        """Those of the candidates ``start .. start + batch`` that lie in the region."""
        dim = len(self.parameters)
        u = uniform_rows(_BATCH, dim, seed=seed, purpose="truncated prior", start=start)
        newest = self.regions[-1]
        z = _truncated_normal(u, newest.low, newest.high) @ newest.axes.T
        theta = self._map.inverse(torch.as_tensor(z)).numpy()
        return theta[self.contains(theta)]

    def _from_posterior(self, start: int, *, seed: int) -> tuple[np.ndarray, float]:
        """The same from a block of draws of q, and the sum of p / q over those in the region."""
        newest = self.regions[-1]
        block = derive_seed(seed, f"proposal block {start // _BATCH}")
        theta = newest.posterior.sample(_BATCH, seed=block)
        u = uniform_rows(len(theta), 1, seed=block, purpose="acceptance")[:, 0]
        inside = self.contains(theta)
        theta, u = theta[inside], u[inside]
        excess = newest.posterior.log_prob(theta) - self._log_prior(theta) - newest.threshold
        weight = float(np.exp(-excess - newest.threshold).sum())
        return theta[u < np.exp(-excess)], weight

    def _unconstrained(self, theta: np.ndarray) -> np.ndarray:
        return self._map(torch.as_tensor(theta)).numpy()

    def _log_prior(self, theta: np.ndarray) -> np.ndarray:
        return self._prior.log_prob(torch.as_tensor(theta)).numpy()


def _smallest_box(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Axes, low and high of the box around ``z[draw, theta]`` that holds the least of N(0, I)."""
    principal = np.linalg.svd(z - z.mean(0), full_matrices=False)[2].T
    boxes = []
    for axes in (np.eye(z.shape[1]), principal):
        along = z @ axes
        low, high = along.min(0), along.max(0)
        margin = BOX_MARGIN * (high - low)
        low, high = low - margin, high + margin
        boxes.append((float(np.log(_normal_mass(low, high)).sum()), axes, low, high))
    return min(boxes, key=lambda box: box[0])[1:]


def _truncated_normal(u: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """N(0, 1) restricted to [low, high], by inversion from the nearer tail, which keeps digits."""
    upper = low > 0
    a, b = np.where(upper, -high, low), np.where(upper, -low, high)
    p = ndtr(a) + u * _normal_mass(low, high)
    z = np.clip(ndtri(p), a, b)
    return np.where(upper, -z, z)


def _normal_mass(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """P(low < N(0, 1) < high), from the nearer tail."""
    upper = low > 0
    return np.where(upper, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))
