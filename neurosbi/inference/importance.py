r"""Importance sampling: a network's posterior made exact where the likelihood can be computed.

    theta_i ~ q,   w_i = p(x_o | theta_i) p(theta_i) / q(theta_i),
    Z = mean w,    se(log Z) = sqrt((n sum w_i^2 / (sum w_i)^2 - 1) / (n - 1)),
    efficiency = (sum w_i)^2 / (n sum w_i^2)

All in logarithms: a log-likelihood near -500 is as good as one near 0. Evidence and its error come
from the weights as they are (Z is unbiased); weights and efficiency are Pareto smoothed. The shape
k of that fit says whether the weights can be trusted at all: above 0.7 they cannot, because q is
too narrow somewhere (see `pareto`).

References:
    Dax et al. (2023), Neural importance sampling for rapid and reliable gravitational-wave
    inference, arXiv:2210.05686 (efficiency, evidence); Vehtari, Simpson, Gelman, Yao, Gabry (2024),
    Pareto smoothed importance sampling, arXiv:1507.02646.
"""

__all__ = ["UNRELIABLE_K", "ImportanceSamples", "importance_sample"]

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from neurosbi.errors import BadInputError, FitError
from neurosbi.inference.pareto import pareto_smoothed
from neurosbi.inference.truncated import PosteriorLike
from neurosbi.progress import progress_bar
from neurosbi.seeds import uniform_rows

UNRELIABLE_K = 0.7
_FEWEST = 100

LogDensity = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class ImportanceSamples:
    """Draws ``theta[sim, theta]`` of q with their normalised ``weights[sim]`` (sum 1).

    ``log_likelihood[sim]`` is -inf where it is zero or undefined, ``n_undefined`` of them.
    ``log_evidence`` is log Z with standard error ``log_evidence_error``, in nats; ``pareto_k`` the
    shape of the tail of the weights (-inf: all are equal).
    """

    theta: np.ndarray
    weights: np.ndarray
    log_likelihood: np.ndarray
    n_undefined: int
    log_evidence: float
    log_evidence_error: float
    pareto_k: float

    @property
    def effective_size(self) -> float:
        """The number of independent draws of the posterior that are worth as much."""
        return float(1 / np.sum(self.weights**2))

    @property
    def efficiency(self) -> float:
        """`effective_size` per draw, from 0 to 1 (q is the posterior)."""
        return self.effective_size / len(self.weights)

    @property
    def reliable(self) -> bool:
        """Whether averages under the weights can be trusted (Pareto k at most 0.7)."""
        return self.pareto_k <= UNRELIABLE_K

    def columns(self) -> dict[str, np.ndarray | float]:
        """What is kept of it with a result: arrays [sim] and numbers."""
        return {
            "weight": self.weights,
            "log_likelihood": self.log_likelihood,
            "log_evidence": self.log_evidence,
            "log_evidence_error": self.log_evidence_error,
            "pareto_k": self.pareto_k,
            "efficiency": self.efficiency,
        }

    def resample(self, n: int, *, seed: int) -> np.ndarray:
        """``n`` draws [n, theta] with replacement, in proportion to the weights."""
        u = uniform_rows(n, 1, seed=seed, purpose="importance resampling")[:, 0]
        ends = np.cumsum(self.weights)
        return self.theta[np.searchsorted(ends, u * ends[-1], side="right")]


def importance_sample(
    posterior: PosteriorLike,
    log_likelihood: LogDensity,
    *,
    prior_log_prob: LogDensity,
    n: int = 10_000,
    seed: int,
    batch: int = 1000,
    time_limit: float = 600.0,
    progress: bool = False,
) -> ImportanceSamples:
    """Weigh ``n`` draws of ``posterior`` by likelihood and prior.

    ``log_likelihood(theta[sim, theta]) -> [sim]`` of the observation, ``prior_log_prob`` likewise,
    both in the units of theta; NaN and +inf count as undefined and get no weight. Raises
    `BadInputError` for too few draws or values of another shape, `FitError` where no draw has a
    likelihood or ``time_limit`` (seconds) does not suffice.
    """
    if n < _FEWEST or batch < 1:
        raise BadInputError(
            f"importance sampling needs at least {_FEWEST} draws in batches of at least 1, got "
            f"{n} in batches of {batch}"
        )
    theta = posterior.sample(n, seed=seed)
    log_l = _in_batches(log_likelihood, theta, batch, time_limit=time_limit, progress=progress)
    undefined = np.isnan(log_l) | (log_l == np.inf)
    log_l = np.where(undefined, -np.inf, log_l)
    log_w = log_l + _of_length(prior_log_prob(theta), n, "log prior densities")
    log_w = log_w - posterior.log_prob(theta)
    log_w = np.where(np.isnan(log_w), -np.inf, log_w)
    if not np.any(log_w > -np.inf):
        raise FitError(
            f"the likelihood is zero or undefined at all {n} draws of the posterior "
            f"({int(undefined.sum())} undefined); check that it is that of this observation"
        )
    total = logsumexp(log_w)
    share = np.exp(log_w - total)
    smoothed, k = pareto_smoothed(log_w)
    error = np.sqrt(max(n * np.sum(share**2) - 1, 0.0) / (n - 1))
    return ImportanceSamples(
        theta=theta,
        weights=np.exp(smoothed - logsumexp(smoothed)),
        log_likelihood=log_l,
        n_undefined=int(undefined.sum()),
        log_evidence=float(total - np.log(n)),
        log_evidence_error=float(error),
        pareto_k=k,
    )


def _in_batches(
    log_likelihood: LogDensity,
    theta: np.ndarray,
    batch: int,
    *,
    time_limit: float,
    progress: bool,
) -> np.ndarray:
    n = len(theta)
    values = np.empty(n)
    began = time.monotonic()
    with progress_bar("Likelihoods", n, show=progress) as bar:
        for start in range(0, n, batch):
            if start and time.monotonic() - began > time_limit:
                raise FitError(
                    f"only {start} of {n} likelihoods were computed in {time_limit:g} s; give a "
                    "longer time limit, or fewer draws"
                )
            rows = theta[start : start + batch]
            values[start : start + batch] = _of_length(
                log_likelihood(rows), len(rows), "log-likelihoods"
            )
            bar(len(rows))
    return values


def _of_length(values: np.ndarray, n: int, what: str) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (n,):
        raise BadInputError(f"{n} parameter sets have {n} {what}, got shape {values.shape}")
    return values
