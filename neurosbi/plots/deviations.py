"""Features of predictions as deviations from the data, in prior spreads: one row for all."""

__all__ = ["draw_deviations"]

from collections.abc import Collection, Sequence

import numpy as np
from matplotlib.axes import Axes

from neurosbi.contract import Feature, in_words
from neurosbi.plots.style import BLUE, GREY, ORANGE, PRIOR, RECORDING

_LIMIT = 3.0  # prior spreads; what lies beyond is drawn at the rim
_SPREAD = (
    "one prior spread: standard deviation of the feature over simulations of the prior, winsorised "
    "at 1 % and 99 % where extremes inflate it"
)


def draw_deviations(
    axes: Axes,
    features: Sequence[Feature],
    x_observed: np.ndarray,
    x: np.ndarray,
    prior_x: np.ndarray,
    spread: np.ndarray,
    not_measured: Collection[str] = (),
) -> None:
    """Draw ``x[draw, feature]`` and ``prior_x[sim, feature]`` minus ``x_observed[feature]``.

    In units of ``spread[feature]``; NaN are undefined features, or ``not_measured`` ones by name.
    """
    axes.axhline(0, color=RECORDING, lw=1.2, zorder=1)
    for i in range(len(features)):
        if not (np.isfinite(x_observed[i]) and np.isfinite(spread[i])):
            word = "undefined" if not np.isfinite(x_observed[i]) else "constant"
            word = "not measured" if features[i].name in not_measured else word
            axes.text(
                i,
                0,
                word,
                rotation=90,
                ha="center",
                va="center",
                color=GREY,
                fontsize=7.5,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
            )
            continue
        for values, kind in ((prior_x[:, i], "prior"), (x[:, i], "posterior")):
            z = (values[np.isfinite(values)] - x_observed[i]) / spread[i]
            if not len(z):
                continue
            q = np.clip(np.quantile(z, [0.05, 0.25, 0.5, 0.75, 0.95]), -_LIMIT, _LIMIT)
            if kind == "prior":
                axes.bar(i, q[4] - q[0], 0.62, bottom=q[0], color=PRIOR, alpha=0.75, zorder=0)
                continue
            axes.plot([i, i], [q[0], q[4]], color=BLUE, lw=1.2, zorder=3)
            axes.plot([i, i], [q[1], q[3]], color=BLUE, lw=4.5, solid_capstyle="butt", zorder=3)
            rim = abs(q[2]) >= _LIMIT
            axes.plot(
                i,
                q[2],
                "^" if rim and q[2] > 0 else "v" if rim else "o",
                color=ORANGE if rim else "white",
                mec=ORANGE if rim else BLUE,
                mew=1.2,
                ms=5.5,
                zorder=4,
            )
    n = len(features)
    axes.set_xticks(
        range(n),
        [in_words(f.name) for f in features],
        rotation=0 if n <= 4 else 30 if n <= 30 else 55,
        ha="right" if n > 4 else "center",
    )
    axes.set(xlim=(-0.6, n - 0.4), ylim=(-1.08 * _LIMIT, 1.08 * _LIMIT))
    axes.set_ylabel("deviation from recording\n(prior spreads)")
    axes.set_xlabel(_SPREAD, fontsize=8, color="#555555")
    axes.set_title(
        "Features: prediction minus recording (dot: median, bars: 50 % and 90 %; grey: 90 % of the "
        "prior)",
        loc="left",
    )
