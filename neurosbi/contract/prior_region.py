"""A part of the prior's box: where simulations are expected to have all their features.

The region holds the parameters that score at least a threshold. With u the position of each
parameter in its range, from -1 to 1 (of its logarithm for log-uniform ones), and q_k quadratic
functions of u, the score is

    c(theta) = b + w . u + sum_k a_k q_k(u) + d_k log sigma(q_k(u)),   log sigma(q) = -log(1 + e^-q)

A q_k is the log odds that one feature is defined, so log sigma(q_k) is the logarithm of the
probability; their sum is that of all at once. NumPy only, as all of the contract;
`neurosbi.inference.restriction` finds such regions.
"""

__all__ = ["PriorRegion", "quadratic_terms", "score_terms"]

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurosbi.contract.tables import Parameter, positions, sample_box
from neurosbi.errors import BadInputError, FitError

_ROWS = 2048  # draws that are looked for together
_MOST_TRIES = 100_000  # candidates of one draw; a region smaller than this allows is useless
_ENOUGH_TRIES = 2000  # candidates without a single hit of all rows, after which there is no hope


@dataclass(frozen=True, eq=False)
class PriorRegion:
    """``quadratic`` [term, k] are the weights of each q_k on `quadratic_terms`, ``score_weights`` those
    of the score on `score_terms`.

    ``facts`` is plain data on how the region was found, for people who read manifests.
    """

    quadratic: np.ndarray
    score_weights: np.ndarray
    threshold: float
    facts: Mapping[str, Any] = field(default_factory=dict)

    def score(self, parameters: Sequence[Parameter], theta: np.ndarray) -> np.ndarray:
        """Score [sim] of ``theta[sim, theta]``."""
        u = positions(parameters, theta)
        return score_terms(u, quadratic_terms(u) @ self.quadratic) @ self.score_weights

    def contains(self, parameters: Sequence[Parameter], theta: np.ndarray) -> np.ndarray:
        """bool [sim]: the rows of ``theta[sim, theta]`` that lie in the region."""
        return self.score(parameters, theta) >= self.threshold

    def sample(
        self, parameters: Sequence[Parameter], n: int, *, seed: int, start: int = 0
    ) -> np.ndarray:
        """Draws ``start .. start+n`` of the prior restricted to the region, float64 [sim, theta].

        Each draw is the first of its own sequence of draws of the box that lies in the region, so
        it does not depend on the others. Raises `FitError` where the region can hardly be found.
        """
        theta = np.empty((n, len(parameters)))
        for first in range(0, n, _ROWS):
            rows = min(_ROWS, n - first)
            theta[first : first + rows] = self._rows(parameters, rows, seed, start + first)
        return theta

    def _rows(self, parameters: Sequence[Parameter], n: int, seed: int, start: int) -> np.ndarray:
        theta = np.empty((n, len(parameters)))
        missing = np.arange(n)
        for attempt in range(_MOST_TRIES):
            low, high = missing[0], missing[-1] + 1
            candidates = sample_box(
                parameters,
                int(high - low),
                seed=seed,
                purpose=f"restricted prior {attempt}",
                start=start + int(low),
            )[missing - low]
            inside = self.contains(parameters, candidates)
            theta[missing[inside]] = candidates[inside]
            missing = missing[~inside]
            if not len(missing):
                return theta
            if attempt > _ENOUGH_TRIES and len(missing) == n:
                break
        raise FitError(
            "the restricted prior holds too little of the prior to draw from it; restrict it less"
        )

    @property
    def digest(self) -> str:
        """12 hexadecimal digits that name the region."""
        numbers = self._numbers() + np.float64(self.threshold).tobytes()
        return hashlib.blake2b(numbers, digest_size=6).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a manifest (weights in base 64); `from_dict` gives the region back."""
        return {
            "shape": list(self.quadratic.shape),
            "weights": base64.b64encode(self._numbers()).decode(),
            "threshold": float(self.threshold),
            "digest": self.digest,
            "facts": dict(self.facts),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "PriorRegion":
        """Inverse of `to_dict`. Raises `BadInputError` where the numbers are damaged."""
        try:
            numbers = np.frombuffer(base64.b64decode(values["weights"]), dtype="<f8")
            rows, columns = values["shape"]
            region = cls(
                numbers[: rows * columns].reshape(rows, columns),
                numbers[rows * columns :],
                float(values["threshold"]),
                dict(values["facts"]),
            )
            whole = region.digest == values["digest"]
        except (KeyError, TypeError, ValueError) as error:
            raise BadInputError(f"the restricted prior cannot be read ({error})") from error
        if not whole:
            raise BadInputError("the restricted prior is damaged; restrict it again")
        return region

    def _numbers(self) -> bytes:
        parts = (self.quadratic, self.score_weights)
        return b"".join(np.ascontiguousarray(p, dtype="<f8").tobytes() for p in parts)


def quadratic_terms(u: np.ndarray) -> np.ndarray:
    """1, every u_i, and every u_i u_j with i <= j of ``u[sim, theta]``: [sim, term]."""
    i, j = np.triu_indices(u.shape[1])
    return np.hstack([np.ones((len(u), 1)), u, u[:, i] * u[:, j]])


def score_terms(u: np.ndarray, q: np.ndarray) -> np.ndarray:
    """1, every u_i, every q_k and every log sigma(q_k) of ``u[sim, theta]``, ``q[sim, k]``."""
    return np.hstack([np.ones((len(u), 1)), u, q, -np.logaddexp(0.0, -q)])
