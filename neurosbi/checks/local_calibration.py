r"""Is the posterior calibrated at this recording: a local classifier two-sample test (L-C2ST).

A network can be exact on average and wrong where the recording lies. Pairs (theta, x) simulated at
the recorded protocol are compared with pairs (theta', x), theta' ~ q(. | x), by a classifier. What
it predicts at the recording,

    p(theta | x_o) / q(theta | x_o)  ~  1 + l(theta),    t = Var_{theta ~ q(. | x_o)} l(theta),

says how the exact posterior differs from q there. t is the test statistic; its null distribution
comes from exchanging theta with one of the draws of the same x, which changes nothing if q is
exact. So the p-value is exact whatever the classifier is.

Where we differ from the paper: the classifier is not a neural network but a least-squares fit of
the density ratio (one Newton step of a logistic regression), because 499 null classifiers are then
matrix products, there is nothing to tune, and what it found can be said in words. It sees theta in
the coordinates r = (z - m(x)) / s(x), with z the unconstrained parameters and m, s mean and
standard deviation of q(. | x) (the paper's L-C2ST-NF uses the flow's base space for the same
purpose, which a mixture of flows does not have), by its values, squares and products; and x by the
leading principal components c of the network's embedding, weighted by exp(-|c - c_o|^2 / 2 h^2)
with h the median distance. It finds shifts, wrong widths and wrong correlations, not wrong shapes
beyond that.

What it adds to the verdict, if p < ``ALPHA``: a posterior shifted by more than ``CAUTION_SHIFT`` of
its standard deviations, or with a standard deviation wrong by more than the factor
``CAUTION_WIDTH``, is **caution**; beyond ``REJECT_SHIFT``, or too narrow by ``REJECT_WIDTH``, **do
not use**.

References: Linhart, Gramfort, Rodrigues (2023), arXiv:2306.03580. sbi's ``LC2ST`` takes about 85 s
for 2,000 pairs of 8 parameters (101 classifiers).
"""

__all__ = ["LocalCalibration", "local_calibration"]

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from neurosbi.checks.remedies import MORE_SIMULATIONS
from neurosbi.checks.verdict import Reason

SOURCE = "local calibration"
ALPHA = 0.01
CAUTION_SHIFT, REJECT_SHIFT = 0.3, 0.75
CAUTION_WIDTH, REJECT_WIDTH = 1.25, 1.6
FEWEST = 200  # pairs
_COMPONENTS = 4
_NULL = 499
_SOFT = 4.0  # standard deviations beyond which a value counts less: tails must not rule the test
_RIDGE = 1e-3
_LEAST_VARIANCE = 0.01  # the fitted ratio may be negative in the tails


@dataclass(frozen=True, eq=False)
class LocalCalibration:
    """``p`` of L-C2ST at the recording from ``n`` pairs, and how the exact posterior seems to differ.

    ``shift[theta]`` is where its mean lies, in standard deviations of the posterior used, and
    ``width[theta]`` its standard deviation relative to that (both in unconstrained coordinates).
    ``statistic`` is t and ``null`` what exact posteriors give (median).
    """

    parameters: tuple[str, ...]
    n: int
    p: float
    statistic: float
    null: float
    shift: np.ndarray
    width: np.ndarray

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """What it adds to the verdict: the rules at the top of this module, in sentences."""
        if self.n < FEWEST:
            return ()
        if self.p >= ALPHA:
            return (
                Reason(
                    "trust", f"the posterior is calibrated at this recording ({self._test})", SOURCE
                ),
            )
        found = []
        shifted = np.abs(self.shift) > CAUTION_SHIFT
        wrong = np.maximum(self.width, 1 / self.width) > CAUTION_WIDTH
        far = (np.abs(self.shift) > REJECT_SHIFT) | (self.width > REJECT_WIDTH)
        for i in np.flatnonzero(shifted | wrong):
            parts = []
            if shifted[i]:
                side = "low" if self.shift[i] > 0 else "high"
                parts.append(f"too {side} by {abs(self.shift[i]):.1f} standard deviations")
            if wrong[i]:
                ratio = max(self.width[i], 1 / self.width[i])
                parts.append(
                    f"too {'narrow' if self.width[i] > 1 else 'wide'} by a factor of {ratio:.1f}"
                )
            found.append(f"{self.parameters[i]} {' and '.join(parts)}")
        if not found:
            return ()
        return (
            Reason(
                "do not use" if far.any() else "caution",
                f"at this recording the posterior is off ({self._test}): {'; '.join(found)}",
                SOURCE,
                MORE_SIMULATIONS,
            ),
        )

    @property
    def _test(self) -> str:
        return f"local two-sample test, {self.n:,} simulations, p = {self.p:.3f}"

    @property
    def sentence(self) -> str:
        """What was done and found, in words."""
        if self.n < FEWEST:
            return (
                f"Only {self.n} simulations of the recorded protocol could be used, too few to "
                "test the posterior at this recording."
            )
        worst = int(np.argmax(np.abs(self.shift)))
        little = "" if any(r.level != "trust" for r in self.reasons) else "a little "
        verdict = f"differs {little}from" if self.p < ALPHA else "cannot be told from"
        off = np.maximum(self.width, 1 / self.width)
        off_by = f"{off.max():.2f} ({self.parameters[int(np.argmax(off))]})"
        return (
            f"At this recording the posterior {verdict} the exact one ({self._test}); the "
            f"estimated shift is {np.abs(self.shift).max():.2f} standard deviations at most "
            f"({self.parameters[worst]}), its standard deviations are off by a factor of {off_by} at "
            "most."
        )

    def to_dataset(self) -> xr.Dataset:
        """For a store; `from_dataset` is the inverse."""
        return xr.Dataset(
            {"shift": ("parameter", self.shift), "width": ("parameter", self.width)},
            coords={"parameter": np.array(self.parameters, dtype=object)},
            attrs={"n": self.n, "p": self.p, "statistic": self.statistic, "null": self.null},
        )

    @classmethod
    def from_dataset(cls, values: xr.Dataset) -> "LocalCalibration":
        """Inverse of `to_dataset`."""
        return cls(
            parameters=tuple(str(name) for name in values["parameter"].values),
            n=int(values.attrs["n"]),
            shift=values["shift"].values,
            width=values["width"].values,
            **{name: float(values.attrs[name]) for name in ("p", "statistic", "null")},
        )


def local_calibration(
    parameters: Sequence[str],
    z: np.ndarray,
    context: np.ndarray,
    *,
    z_observed: np.ndarray,
    context_observed: np.ndarray,
    seed: int,
) -> LocalCalibration:
    """The test, from arrays.

    ``z[1 + draw, pair, theta]`` are unconstrained parameters, the true ones first;
    ``context[pair, width]`` is what the network makes of their data. ``z_observed[draw, theta]``
    and ``context_observed[width]`` are those of the recording. The time is that of 500 small
    matrix products.
    """
    n, dim = z.shape[1:]
    if n < FEWEST:
        nothing = np.full(dim, np.nan)
        return LocalCalibration(tuple(parameters), n, 1.0, 0.0, 0.0, nothing, nothing)
    # moments over the truth and the draws together: exchangeable, so that the test stays exact
    r = _soft((z - z.mean(0)) / _sd(z))
    terms = np.stack([_terms(of_draw, dim) for of_draw in r])  # one by one: they fill the memory
    terms -= terms.mean(0)
    place, weight = _place(context, context_observed)
    local = np.concatenate([np.ones((n, 1)), place], axis=1)
    root = np.sqrt(weight)[:, None] * local
    of_draws, draws = _curvature(terms[1:], root), len(z) - 1
    pooled = (draws * of_draws + _curvature(terms[:1], root)) / len(z)
    columns = (weight[:, None] * local).astype(np.float32)
    r = _soft((z_observed - z_observed.mean(0)) / _sd(z_observed))
    at_recording = _terms(r[:, None], dim)[:, 0].astype(np.float64)
    at_recording -= at_recording.mean(0)
    covariance = at_recording.T @ at_recording / len(at_recording)

    def score(chosen: np.ndarray) -> np.ndarray:
        """[term * (1 + component)], the sum over pairs of the terms of the chosen draws."""
        return (terms[chosen, np.arange(n)].T @ columns).ravel().astype(np.float64)

    # only the rows of the constant are needed: the components are zero at the recording
    at_constant = slice(None, None, columns.shape[1])
    inverse = _inverse(pooled)[at_constant]
    true_score = score(np.zeros(n, dtype=np.int64))
    w = inverse @ true_score
    statistic = float(w @ covariance @ w)
    rng = np.random.default_rng(seed)
    null = np.empty(_NULL)
    for i in range(_NULL):
        v = inverse @ score(rng.integers(len(z), size=n))
        null[i] = v @ covariance @ v
    # the test must treat truth and draws alike; the estimate of what is wrong need not
    estimate = _inverse(of_draws)[at_constant] @ true_score * len(z) / draws
    ratio = 1 + at_recording @ estimate
    mean = np.mean(ratio[:, None] * r, axis=0)
    variance = np.mean(ratio[:, None] * (r - mean) ** 2, axis=0)
    width = np.sqrt(np.maximum(variance, _LEAST_VARIANCE)) / r.std(0)
    return LocalCalibration(
        parameters=tuple(parameters),
        n=n,
        p=float((1 + np.sum(null >= statistic)) / (1 + _NULL)),
        statistic=statistic,
        null=float(np.median(null)),
        shift=mean - r.mean(0),
        width=width,
    )


def _sd(z: np.ndarray) -> np.ndarray:
    sd = z.std(0)
    return np.where(sd > 0, sd, 1.0)


def _soft(r: np.ndarray) -> np.ndarray:
    return _SOFT * np.tanh(r / _SOFT)


def _terms(r: np.ndarray, dim: int) -> np.ndarray:
    """Values, squares and products of ``r[..., theta]``, float32 [..., term]."""
    i, j = np.triu_indices(dim)
    return np.concatenate([r, r[..., i] * r[..., j]], axis=-1).astype(np.float32)


def _place(context: np.ndarray, observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leading components relative to the recording [pair, component], and the weights [pair]."""
    centre, sd = context.mean(0), context.std(0)
    used = sd > 1e-6 * max(sd.max(), 1e-12)
    scaled = (context[:, used] - centre[used]) / sd[used]
    _, singular, axes = np.linalg.svd(scaled, full_matrices=False)
    k = min(_COMPONENTS, int(np.sum(singular > 1e-6 * max(singular[:1].max(initial=0), 1e-12))))
    basis = axes[:k].T / (singular[:k] / np.sqrt(len(context)))
    point = (observed[used] - centre[used]) / sd[used]
    place = (scaled - point) @ basis
    square = np.sum(place**2, axis=1)
    scale = np.median(square)
    return place, np.exp(-0.5 * square / scale) if scale > 0 else np.ones(len(context))


def _curvature(terms: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Mean over draws of the squares of ``terms[draw, pair, term]`` times ``root[pair, component]``."""
    count, n, width = terms.shape
    size = width * root.shape[1]
    curvature = np.zeros((size, size))
    rows = max(1, 4_000_000 // size)
    for draw in terms:
        for i in range(0, n, rows):
            part = (draw[i : i + rows, :, None] * root[i : i + rows, None, :]).reshape(-1, size)
            part = part.astype(np.float32)
            curvature += part.T @ part
    return curvature / count


def _inverse(curvature: np.ndarray) -> np.ndarray:
    size = len(curvature)
    return np.linalg.inv(curvature + _RIDGE * np.trace(curvature) / size * np.eye(size))
