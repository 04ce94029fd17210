r"""Is a network calibrated: do its 90 % intervals hold the truth in 90 % of the cases?

Parameters are drawn from the prior and simulated under stimuli that the network serves: fresh ones,
or those that its training held out. The ranks of the truth within the posteriors (see
`neurosbi.inference.ranks`) are then uniform if the posteriors are exact, on average over prior and
stimuli. The *coverage* of a level a is the share
of cases whose interval or region of probability a holds the truth; the *curve* of a rank is its
distribution function F, and its error D = max_a |F(a) - a|, the Kolmogorov-Smirnov distance.

What it adds to the verdict, for every parameter:

- coverage of its 90 % interval too small by more than ``CAUTION_INTERVAL``: **caution**, by more than
  ``REJECT_INTERVAL``: **do not use**; too large by more than ``CAUTION_WIDE`` (an interval a third
  too wide): **caution**. Less than that is told but leaves the posterior in trust: one that is a
  little too wide misleads nobody;
- D above ``CAUTION_CURVE`` (a posterior shifted by 1/8 of its standard deviation): **caution**; above
  ``REJECT_CURVE`` (half a standard deviation): **do not use**. Where the width is told of already,
  which bends the curve too, caution is for an error at the median, where the width does not matter;

and the second rule for the joint posterior: its highest-density regions and, where those find
nothing, TARP's balls around random points. Regions that hold the truth too often, while every
parameter's interval is right, are told but leave the posterior in trust: it is cautious itself.

An error counts only if chance explains it in fewer than ``ALPHA`` of all networks that are exact:
p-values (binomial, Kolmogorov) are compared with ``ALPHA`` / number of tests. So many test cases do
not condemn a network that is practically exact, and few do not either. Below ``FEWEST`` cases
nothing is said.

References: those of `neurosbi.inference.ranks`. sbi's ``check_sbc`` and ``check_tarp`` report the
same distances; they draw for one observation after the other (or wait for the worst), without a
time limit, and fail on undefined features.
"""

__all__ = ["Calibration"]

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from neurosbi.checks.remedies import MORE_SIMULATIONS
from neurosbi.checks.verdict import Level, Reason

SOURCE = "calibration"
LEVEL = 0.9
CAUTION_INTERVAL, REJECT_INTERVAL, CAUTION_WIDE = 0.03, 0.10, 0.07
CAUTION_CURVE, REJECT_CURVE = 0.05, 0.20
ALPHA = 0.01
FEWEST = 100
_ARRAYS = ("theta", "density", "ball")


@dataclass(frozen=True, eq=False)
class Calibration:
    """Ranks 0 .. ``draws`` of the true parameters, and what follows from them.

    ``theta[case, theta]`` are the ranks of each of ``parameters``, ``density[case]`` those of the
    posterior density, ``ball[case]`` those of TARP. ``wanted`` cases were asked for; there are
    fewer where a time limit passed or simulations did not end properly. ``held_out``: the cases
    are simulations that the training held out, not fresh ones.
    """

    parameters: tuple[str, ...]
    draws: int
    theta: np.ndarray
    density: np.ndarray
    ball: np.ndarray
    wanted: int
    seed: int
    seconds: float = 0.0
    stopped: bool = False
    held_out: bool = False

    @property
    def n(self) -> int:
        """Number of test cases."""
        return len(self.theta)

    def coverage(self, level: float = LEVEL) -> np.ndarray:
        """Share of cases whose central interval of this level holds the truth, [theta]."""
        low, high = 0.5 * (1 - level), 0.5 * (1 + level)
        return np.mean(self._below(self.theta, high) - self._below(self.theta, low), axis=0)

    def joint_coverage(self, level: float = LEVEL) -> float:
        """The same for the region of highest density that holds this probability."""
        return float(np.mean(self._below(self.density, level)))

    def ball_coverage(self, level: float = LEVEL) -> float:
        """The same for balls around random points (TARP)."""
        return float(np.mean(self._below(self.ball, level)))

    def _below(self, ranks: np.ndarray, level: float) -> np.ndarray:
        """The part of every rank's cell, one of ``draws`` + 1 equal ones of [0, 1], below ``level``.

        A limit within a cell counts in part, so that exact posteriors are covered with the
        probability ``level`` whatever the number of draws.
        """
        return np.clip(level * (self.draws + 1) - ranks, 0.0, 1.0)

    def curve(self, ranks: np.ndarray) -> np.ndarray:
        """F at the levels 0, 1/(draws+1), ..., 1 of ``ranks[case]``, float64 [draws + 2]."""
        counts = np.bincount(ranks, minlength=self.draws + 1)
        return np.concatenate([[0.0], np.cumsum(counts) / max(1, len(ranks))])

    def curve_error(self, ranks: np.ndarray) -> tuple[float, float]:
        """The largest error of the curve, with its sign, and its p-value."""
        from scipy.stats import kstwo

        level, share = self._farthest(ranks)
        worst = share - level
        return worst, float(kstwo.sf(abs(worst), max(1, len(ranks))))

    def _farthest(self, ranks: np.ndarray) -> tuple[float, float]:
        """The level where the curve of ``ranks[case]`` is farthest off, and the curve there."""
        curve, levels = self.curve(ranks), np.linspace(0, 1, self.draws + 2)
        at = int(np.argmax(np.abs(curve - levels)))
        return float(levels[at]), float(curve[at])

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """What it adds to the verdict: the rules at the top of this module, in sentences."""
        cases = self._cases
        if self.n < FEWEST:
            more = "a longer --time-limit" if self.stopped else "more --simulations"
            return (
                _reason(
                    "caution",
                    f"calibration could be checked on {self.n} simulations only, too few to say "
                    f"anything (at least {FEWEST} are needed); give neurosbi check {more}",
                    remedy="",
                ),
            )
        found = list(self._findings(cases))
        if found:
            return tuple(found)
        low, high = (100 * f(self.coverage()) for f in (np.min, np.max))
        return (
            _reason(
                "trust",
                f"the network is calibrated: its 90 % intervals hold the truth in {low:.0f} to "
                f"{high:.0f} % of {cases}",
            ),
        )

    def _findings(self, cases: str) -> Iterator[Reason]:
        from scipy.stats import binomtest

        significant = ALPHA / (2 * len(self.parameters) + 2)
        coverage = self.coverage()
        p = np.array([binomtest(round(c * self.n), self.n, LEVEL).pvalue for c in coverage])
        error = np.where(p < significant, coverage - LEVEL, 0.0)
        off = np.abs(error) > CAUTION_INTERVAL
        widths: tuple[tuple[np.ndarray, Level, str], ...] = (
            (error < -REJECT_INTERVAL, "do not use", "far too narrow"),
            (off & (error < 0) & (error >= -REJECT_INTERVAL), "caution", "too narrow"),
            (error > CAUTION_WIDE, "caution", "too wide"),
            (off & (error > 0) & (error <= CAUTION_WIDE), "trust", "a little too wide"),
        )
        for chosen, level, how in widths:
            if chosen.any():
                yield _reason(
                    level,
                    f"the posterior of {self._names(chosen)} is {how}: 90 % intervals hold the "
                    f"truth in {_percents(coverage[chosen])} of {cases}",
                )
        curves = np.array([self.curve_error(r) for r in self.theta.T])
        bent = np.where(curves[:, 1] < significant, curves[:, 0], 0.0)
        far = np.abs(bent) > REJECT_CURVE
        below = self.curve_at_half
        p = np.array([binomtest(round(b * self.n), self.n, 0.5).pvalue for b in below])
        moved = np.where(p < significant, below - 0.5, 0.0)
        at_median = off & ~far
        shift = np.where(at_median, moved, bent)
        shifts: tuple[tuple[np.ndarray, Level], ...] = (
            (far, "do not use"),
            ((np.abs(shift) > CAUTION_CURVE) & ~far, "caution"),
        )
        for chosen, level in shifts:
            if chosen.any():
                worst = int(np.argmax(np.abs(shift) * chosen))
                quantile, share = (
                    (0.5, below[worst])
                    if at_median[worst]
                    else self._farthest(self.theta[:, worst])
                )
                whose = f" of {self.parameters[worst]}" if chosen.sum() > 1 else ""
                side = "high" if share > quantile else "low"
                yield _reason(
                    level,
                    f"the posterior of {self._names(chosen)} is shifted or skewed: values{whose} "
                    f"are estimated too {side}, for the truth lies below what should be its "
                    f"{100 * quantile:.0f} % quantile in {100 * share:.0f} % of {cases}",
                )
        yield from self._joint_findings(cases, significant, bool(off.any()))

    def _joint_findings(self, cases: str, significant: float, told: bool) -> Iterator[Reason]:
        error, p = self.curve_error(self.density)
        if p < significant and abs(error) > CAUTION_CURVE:
            far = error < -REJECT_CURVE
            how = ("far too rarely" if far else "too rarely") if error < 0 else "too often"
            level: Level = "caution" if error < 0 else "trust"
            yield _reason(
                "do not use" if far else level,
                f"the joint posterior holds the truth {how}: its 50 % and 90 % regions do so in "
                f"{_percents([self.joint_coverage(0.5), self.joint_coverage()])} of {cases}",
            )
        elif not told:
            error, p = self.curve_error(self.ball)
            if p < significant and abs(error) > CAUTION_CURVE:
                yield _reason(
                    "do not use" if abs(error) > REJECT_CURVE else "caution",
                    "the joint posterior is displaced: regions around random points hold the "
                    f"truth up to {100 * abs(error):.0f} % too {'often' if error > 0 else 'rarely'}"
                    f" in {cases} (TARP)",
                )

    @property
    def curve_at_half(self) -> np.ndarray:
        """Share of cases whose truth lies below the posterior median, [theta]."""
        return np.mean(self._below(self.theta, 0.5), axis=0)

    @property
    def sentence(self) -> str:
        """What was done and found, in words."""
        most = np.argmax(np.abs(self.coverage() - LEVEL)) if self.n else 0
        text = (
            f"On {self._cases} with {self.draws} posterior draws each, 90 % "
            f"intervals hold the truth in {_percents([np.mean(self.coverage())])} of the cases on "
            f"average over the parameters ({_percents([self.coverage()[most]])} for "
            f"{self.parameters[most]}, the farthest off), and the joint 90 % region in "
            f"{_percents([self.joint_coverage()])}."
        )
        if self.stopped:
            text += f" The time limit allowed {self.n:,} of {self.wanted:,} simulations."
        return text

    def to_dataset(self) -> xr.Dataset:
        """Arrays and numbers for a store; `from_dataset` gives the calibration back."""
        kind = np.int32
        return xr.Dataset(
            {
                "theta": (("case", "parameter"), self.theta.astype(kind)),
                "density": ("case", self.density.astype(kind)),
                "ball": ("case", self.ball.astype(kind)),
            },
            coords={"parameter": np.array(self.parameters, dtype=object)},
            attrs={
                "draws": self.draws,
                "wanted": self.wanted,
                "seed": self.seed,
                "seconds": round(self.seconds, 3),
                "stopped": int(self.stopped),
                "held_out": int(self.held_out),
            },
        )

    @classmethod
    def from_dataset(cls, values: xr.Dataset) -> "Calibration":
        """Inverse of `to_dataset`. Raises KeyError or ValueError for something else."""
        attrs: dict[str, Any] = dict(values.attrs)
        arrays = {name: values[name].values.astype(np.int64) for name in _ARRAYS}
        draws = int(attrs["draws"])
        for name, ranks in arrays.items():
            if ranks.shape[:1] != arrays["theta"].shape[:1] or np.any(
                (ranks < 0) | (ranks > draws)
            ):
                raise ValueError(f"{name} are not ranks from 0 to {draws}")
        return cls(
            parameters=tuple(str(name) for name in values["parameter"].values),
            draws=draws,
            wanted=int(attrs["wanted"]),
            seed=int(attrs["seed"]),
            seconds=float(attrs["seconds"]),
            stopped=bool(attrs["stopped"]),
            held_out=bool(attrs.get("held_out", False)),
            **arrays,
        )

    @property
    def _cases(self) -> str:
        kind = "simulations held out of the training" if self.held_out else "fresh simulations"
        return f"{self.n:,} {kind}"

    def _names(self, chosen: np.ndarray) -> str:
        names = [n for n, c in zip(self.parameters, chosen, strict=True) if c]
        return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _reason(level: Level, sentence: str, remedy: str = MORE_SIMULATIONS) -> Reason:
    return Reason(level, sentence, SOURCE, remedy)


def _percents(shares: Any) -> str:
    words = [f"{100 * share:.0f} %" for share in shares]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
