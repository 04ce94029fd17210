r"""Is the recording of a kind the network has learned from, in ways that ranges do not show?

`prior_predictive` asks whether each feature, and all of them together, lie within the simulations.
Two questions remain, asked of the same simulations of the prior at the recorded protocol.

*What the network makes of it.* A network compresses features (of a whole set of sweeps) into a
context vector; a recording whose context is unlike those of simulations makes it extrapolate,
whatever the features look like. The distance to the nearest contexts (see `neighbours`) has a
p-value by construction.

*Each feature given the others.* An ordinary value can be impossible for a cell with the other
features: a threshold in the middle of the model's range, but 10 mV from where it is in all
simulations that rest and spike alike. Every feature is predicted from the others by a ridge
regression on their values and products, fitted to one half of the simulations; the residual of the
recording, divided by the typical residual of the ``_ALIKE`` simulations with the nearest
predictions, is ranked among those of the other half, and the same with the halves exchanged
(cross-conformal p-value: right whatever the quality of the prediction).

What it adds to the verdict: a feature with p below ``ALPHA`` / number of features, whose residual
is at least ``CAUTION_RESIDUAL`` of the feature's spread, is **caution**; a context with p below
``ALPHA`` is **caution**, and if farther than ``REJECT_CONTEXT`` times what 99 % of the simulations
are, **do not use**.

References: Schmitt, Buerkner, Koethe, Radev (2021), arXiv:2112.08866, who compare embeddings by the
MMD; for a single observation that is a kernel density, for which nearest neighbours need no
bandwidth. Lei et al. (2018), arXiv:1604.04173 (conformal residuals).
"""

__all__ = ["Misspecification", "misspecification"]

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from neurosbi.checks.neighbours import neighbour_distance
from neurosbi.checks.remedies import ANOTHER_MODEL
from neurosbi.checks.spread import feature_spread
from neurosbi.checks.verdict import Reason
from neurosbi.contract import Feature, in_words

SOURCE = "misspecification"
ALPHA = 0.01
CAUTION_RESIDUAL = 0.25  # of the feature's spread: the least that moves a posterior visibly
REJECT_CONTEXT = 2.0
FEWEST = 200  # simulations with the same features defined
_ALIKE = 100
_SOFT = 5.0
_RIDGE = 1e-4
_LIMIT = 0.999


@dataclass(frozen=True, eq=False)
class Misspecification:
    """The recording among simulations of the prior at its protocol.

    ``context_p`` and ``context_ratio`` (distance over that of 99 % of the simulations) are of the
    network's embedding. Per feature: the value ``expected[feature]`` from the others, the
    ``residual[feature]`` (recorded minus expected), and ``p[feature]``; NaN where a feature is
    undefined, not used, or has too few simulations to compare with.
    """

    features: tuple[Feature, ...]
    n: int
    context_p: float
    context_ratio: float
    expected: np.ndarray
    residual: np.ndarray
    spread: np.ndarray
    p: np.ndarray

    @property
    def odd(self) -> np.ndarray:
        """bool [feature]: the value does not go with those of the other features."""
        tested = max(1, int(np.isfinite(self.p).sum()))
        with np.errstate(invalid="ignore"):
            return (self.p < ALPHA / tested) & (
                np.abs(self.residual) > CAUTION_RESIDUAL * self.spread
            )

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """What it adds to the verdict: the rules at the top of this module, in sentences."""
        found = []
        if self.context_p < ALPHA:
            far = self.context_ratio > REJECT_CONTEXT
            found.append(
                Reason(
                    "do not use" if far else "caution",
                    "to the network this recording looks unlike any simulation of the same "
                    f"stimulus ({self.context_ratio:.1f} times as far from its neighbours as 99 % "
                    "of the simulations)",
                    SOURCE,
                    ANOTHER_MODEL,
                )
            )
        if self.odd.any():
            items = "; ".join(self.describe(i) for i in np.flatnonzero(self.odd))
            found.append(
                Reason(
                    "caution",
                    f"given the other features, this is unlike the model: {items}",
                    SOURCE,
                    ANOTHER_MODEL,
                )
            )
        return tuple(found)

    def describe(self, i: int) -> str:
        """Feature ``i`` in words: recorded and expected value."""
        feature = self.features[i]
        unit = f" {feature.unit}" if feature.unit not in ("", "1") else ""
        value = self.expected[i] + self.residual[i]
        return (
            f"{in_words(feature.name)} {value:.4g}{unit}, where simulations have about "
            f"{self.expected[i]:.4g}{unit}"
        )

    @property
    def sentence(self) -> str:
        """What was done and found, in words."""
        if not np.isfinite(self.context_p):
            return f"Only {self.n} simulations could be compared with the recording, too few."
        text = (
            "To the network this recording looks "
            + ("unlike" if self.context_p < ALPHA else "like")
            + f" simulations of the same stimulus (p = {self.context_p:.2g}, {self.n:,} simulations)"
        )
        if not np.isfinite(self.p).any():
            return f"{text}."
        if self.odd.any():
            items = "; ".join(self.describe(i) for i in np.flatnonzero(self.odd))
            return f"{text}. Given the other features, odd: {items}."
        return f"{text}, and no feature is odd given the others."

    def to_dataset(self) -> xr.Dataset:
        """For a store; `from_dataset` is the inverse."""
        columns = ("expected", "residual", "spread", "p")
        return xr.Dataset(
            {name: ("feature", getattr(self, name)) for name in columns}
            | {"context_p": self.context_p, "context_ratio": self.context_ratio},
            coords={
                "feature": np.array([f.name for f in self.features], dtype=object),
                "feature_unit": (
                    "feature",
                    np.array([f.unit for f in self.features], dtype=object),
                ),
            },
            attrs={"n": self.n},
        )

    @classmethod
    def from_dataset(cls, values: xr.Dataset) -> "Misspecification":
        """Inverse of `to_dataset`."""
        names, units = values["feature"].values, values["feature_unit"].values
        return cls(
            features=tuple(Feature(str(n), str(u)) for n, u in zip(names, units, strict=True)),
            n=int(values.attrs["n"]),
            context_p=float(values["context_p"]),
            context_ratio=float(values["context_ratio"]),
            **{name: values[name].values for name in ("expected", "residual", "spread", "p")},
        )


def misspecification(
    features: Sequence[Feature],
    x_observed: np.ndarray,
    *,
    prior_x: np.ndarray,
    context: np.ndarray,
    context_observed: np.ndarray,
) -> Misspecification:
    """Compare the recording with simulations at its protocol.

    ``x_observed[feature]`` and ``prior_x[sim, feature]`` are the features the posterior is
    conditioned on, of valid simulations (NaN: undefined); ``context[row, width]`` and
    ``context_observed[width]`` what the network makes of simulations and recording.
    """
    x_observed = np.asarray(x_observed, dtype=np.float64)
    width = len(features)
    expected, residual, p = (np.full(width, np.nan) for _ in range(3))
    defined = np.isfinite(x_observed)
    alike = prior_x[np.all(np.isfinite(prior_x) == defined, axis=1)]
    spread, _ = feature_spread(alike)
    used = np.flatnonzero(defined & np.isfinite(spread))
    if len(alike) >= FEWEST and len(used) > 1:
        for i in used:
            others = [j for j in used if j != i]
            expected[i], residual[i], p[i] = _given_others(
                alike[:, others], alike[:, i], x_observed[others], float(x_observed[i])
            )
    context_ratio, context_p = float("nan"), float("nan")
    sd = context.std(0) if len(context) else np.zeros(context.shape[1])
    varies = sd > 1e-6 * max(sd.max(initial=0), 1e-12)
    if len(context) >= FEWEST and varies.any():
        context_ratio, context_p = neighbour_distance(
            context[:, varies], context_observed[varies], spread=sd[varies]
        )
    return Misspecification(
        features=tuple(features),
        n=len(context),
        context_p=context_p,
        context_ratio=context_ratio,
        expected=expected,
        residual=residual,
        spread=spread,
        p=p,
    )


def _given_others(
    others: np.ndarray, values: np.ndarray, others_observed: np.ndarray, observed: float
) -> tuple[float, float, float]:
    """Expected value, residual and conformal p-value of one feature."""
    centre, scale = np.median(others, axis=0), feature_spread(others)[0]

    def columns(x: np.ndarray) -> np.ndarray:
        s = _SOFT * np.tanh((x - centre) / scale / _SOFT)
        i, j = np.triu_indices(s.shape[-1])
        return np.concatenate([np.ones((*s.shape[:-1], 1)), s, s[..., i] * s[..., j]], axis=-1)

    a, here = columns(others), columns(others_observed)
    middle, unit = np.median(values), feature_spread(values[:, None])[0][0]
    y = _SOFT * np.tanh((values - middle) / unit / _SOFT)
    halves = (slice(0, None, 2), slice(1, None, 2))
    farther, expected = 0, []
    for fitted, held_out in (halves, halves[::-1]):
        gram = a[fitted].T @ a[fitted]
        penalty = _RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
        w = np.linalg.solve(gram + penalty, a[fitted].T @ y[fitted])

        def predicted(x: np.ndarray, w: np.ndarray = w) -> np.ndarray:
            return middle + unit * _SOFT * np.arctanh(np.clip(x @ w / _SOFT, -_LIMIT, _LIMIT))

        at, at_recording = predicted(a), float(predicted(here))
        error = np.abs(values - at)
        order = np.argsort(at[fitted], kind="stable")
        typical = _running_mean(error[fitted][order]) + 1e-3 * unit
        size = np.interp([*at[held_out], at_recording], at[fitted][order], typical)
        farther += np.sum(error[held_out] / size[:-1] >= abs(observed - at_recording) / size[-1])
        expected.append(at_recording)
    centre_of = float(np.mean(expected))
    return centre_of, observed - centre_of, float((1 + farther) / (1 + len(values)))


def _running_mean(values: np.ndarray) -> np.ndarray:
    """Mean of the ``_ALIKE`` values around each of ``values[row]``, fewer at the ends."""
    window = np.ones(_ALIKE)
    return np.convolve(values, window, mode="same") / np.convolve(
        np.ones(len(values)), window, mode="same"
    )
