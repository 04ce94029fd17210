r"""Slice sampling of several chains at once, in coordinates where the target is round.

Points are c + L w with the Cholesky factor L of an estimate of the target's covariance. In w the
target is near to N(0, I): one width of brackets suits all coordinates, and a sweep over them gives
a nearly independent draw. The slice sampler is sbi's, which evaluates all chains together; nothing
in it has to be tuned, and walls, where the density falls to 0, only shorten its brackets.
While tuning, c and L are estimated anew from the draws of all chains, twice.

References: Neal 2003, doi:10.1214/aos/1056562461 (slice sampling).
"""

__all__ = ["CHAINS", "DRAWS", "TUNE", "SliceChains"]

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from neurosbi.errors import FitError
from neurosbi.seeds import derive_seed

LogDensity = Callable[[np.ndarray], np.ndarray]

CHAINS, DRAWS, TUNE = 16, 180, 30
"""Chains that fill the vector lanes of a simulator, and draws of each.

Signs of neighbouring draws are independent, but their distances from the centre are not (a slice is
as wide as the point is far out), and R-hat looks at both: with 60 draws of chains that agree
perfectly it is above 1.01 in 19 of 20 cases, with 180 in one of ten (4 parameters).
"""
_BRACKET = 2.5  # standard deviations
_WIDEST = 50.0  # standard deviations that a bracket grows to: more, and the coordinates are wrong
_TOGETHER = 10  # draws after which the chains wait for one another
_SHRINKAGE = 5.0  # draws that the old covariance counts for
_GENERATOR = ("buffer", "buffer_pos", "has_uint32", "uinteger", "has_gauss", "gauss")
_FEWEST_TO_ESTIMATE = 5  # draws per parameter from which a covariance is estimated


class _OutOfTime(Exception):
    """Leaves sbi's sampler between two evaluations."""


class SliceChains:
    """Chains that start at ``points[chain, dim]``, where the target is finite, and all they drew.

    ``target(points[chain, dim])`` is the log density [chain]; ``covariance`` is a first estimate of
    the target's. Once ``over`` is true the chains move no more and `out_of_time` is set. Raises
    `FitError` for a start at which the target is not finite, from which no bracket would ever end.
    """

    def __init__(
        self,
        target: LogDensity,
        points: np.ndarray,
        covariance: np.ndarray,
        *,
        seed: int,
        over: Callable[[], bool] = lambda: False,
    ) -> None:
        self.out_of_time = False
        self._target, self._over = target, over
        self._rng = np.random.RandomState(
            np.random.Philox(key=derive_seed(seed, "slice sampling"))  # type: ignore[arg-type]
        )
        if not np.isfinite(points).all() or not np.isfinite(target(points)).all():
            raise FitError("a Markov chain cannot start where the density is zero or undefined")
        self._at, self._covariance = points, covariance
        self._centre, self._factor = points.mean(axis=0), np.linalg.cholesky(covariance)
        n, dim = points.shape
        self._drawn: list[np.ndarray] = [np.empty((n, 0, dim))]
        self._densities: list[np.ndarray] = [np.empty((n, 0))]

    @property
    def points(self) -> np.ndarray:
        """The draws kept [chain, draw, dim]."""
        return np.concatenate(self._drawn, axis=1)

    @property
    def log_density(self) -> np.ndarray:
        """Log density of the target at the draws kept [chain, draw]."""
        return np.concatenate(self._densities, axis=1)

    def state(self) -> dict[str, np.ndarray]:
        """All that the next draws depend on, and the draws kept: arrays by name."""
        generator = self._rng.get_state(legacy=False)
        assert isinstance(generator, dict)
        return {
            "at": self._at,
            "covariance": self._covariance,
            "centre": self._centre,
            "points": self.points,
            "log_density": self.log_density,
            "counter": generator["state"]["counter"],
            "key": generator["state"]["key"],
            **{name: np.asarray(generator[name]) for name in _GENERATOR},
        }

    def go_on_from(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over a `state`: the draws that follow are those that would have followed then."""
        self._at, self._covariance = state["at"], state["covariance"]
        self._centre, self._factor = state["centre"], np.linalg.cholesky(self._covariance)
        self._drawn, self._densities = [state["points"]], [state["log_density"]]
        self._rng.set_state(
            {
                "bit_generator": "Philox",
                "state": {"counter": state["counter"], "key": state["key"]},
                **{n: state[n] if state[n].ndim else state[n].item() for n in _GENERATOR},
            }
        )

    def tune(self, draws: int, *, advance: Callable[[int], None] = lambda n: None) -> None:
        """Move ``draws`` times without keeping them, and learn the coordinates."""
        for part in (draws // 3, draws - draws // 3):
            recent = [points for points, _ in self._moves(part, advance)]
            if recent:
                self._estimate(np.concatenate(recent, axis=1))

    def draw(self, draws: int, *, advance: Callable[[int], None] = lambda n: None) -> None:
        """Make ``draws`` of each chain; ``advance`` hears of every few."""
        for points, density in self._moves(draws, advance):
            self._drawn.append(points)
            self._densities.append(density)

    def _moves(
        self, draws: int, advance: Callable[[int], None]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Points [chain, draw, dim] and log densities [chain, draw], a few draws at a time."""
        while draws > 0 and not self.out_of_time:
            n = min(draws, _TOGETHER)
            before = self._rng.get_state(legacy=False)
            try:
                yield self._move(n)
            except _OutOfTime:
                # nothing of these draws is left: they can be made again
                self._rng.set_state(before)
                self.out_of_time = True
                return
            advance(n)
            draws -= n

    def _move(self, draws: int) -> tuple[np.ndarray, np.ndarray]:
        from sbi.samplers.mcmc import SliceSamplerVectorized

        known: dict[bytes, float] = {}

        def log_density(w: np.ndarray) -> np.ndarray:
            if self._over():
                raise _OutOfTime
            value = self._target(self._points(w))
            value = np.where(np.isfinite(value), value, -np.inf)  # sbi would accept NaN
            known.update(zip((row.tobytes() for row in w), value.tolist(), strict=True))
            return value

        sampler = SliceSamplerVectorized(
            log_density,
            np.linalg.solve(self._factor, (self._at - self._centre).T).T,
            num_chains=len(self._at),
            tuning=0,
            verbose=False,
            init_width=_BRACKET,
            max_width=_WIDEST,
        )
        # or it would draw from NumPy's global state, the module that its annotation names
        sampler.rng = self._rng  # pyright: ignore[reportAttributeAccessIssue]
        w = sampler.run(draws)
        points = self._points(w)
        self._at = points[:, -1]
        return points, np.array([[known[row.tobytes()] for row in chain] for chain in w])

    def _estimate(self, points: np.ndarray) -> None:
        """Coordinates from the later two thirds of ``points[chain, draw, dim]``, shrunk to the present."""
        flat = points[:, points.shape[1] // 3 :].reshape(-1, points.shape[2])
        n, dim = flat.shape
        if n < _FEWEST_TO_ESTIMATE * dim:
            return
        weight = _SHRINKAGE * dim
        found = np.atleast_2d(np.cov(flat, rowvar=False))
        self._covariance = (n * found + weight * self._covariance) / (n + weight)
        self._centre, self._factor = flat.mean(axis=0), np.linalg.cholesky(self._covariance)

    def _points(self, w: np.ndarray) -> np.ndarray:
        return self._centre + w @ self._factor.T
