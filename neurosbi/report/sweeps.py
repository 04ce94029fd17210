"""A fit to several sweeps as a table and in words: each sweep, and what more of them bought."""

__all__ = ["gain_sentence", "gain_table", "sweep_table"]

from collections.abc import Sequence

import numpy as np
import pandas as pd

from neurosbi.checks import used_checks
from neurosbi.contract import Feature
from neurosbi.store.sweep_results import SweepGain, SweepResults

_CLEARLY = 0.05  # a change of the predictive distance by less is not worth a word


def sweep_table(features: Sequence[Feature], sweeps: SweepResults) -> pd.DataFrame:
    """One row per sweep, by amplitude.

    Columns: sweep, amplitude and holding (in the unit of the stimulus), duration (ms), distance,
    prior_distance, not_reproduced and left_out (names of features).
    """
    rows = []
    for i, (number, check) in enumerate(used_checks(features, sweeps)):
        missed = [f.name for f, m in zip(check.features, check.missed, strict=True) if m]
        amplitude, holding, _, duration = sweeps.step[i]
        rows.append(
            {
                "sweep": number,
                "amplitude": amplitude,
                "holding": holding,
                "duration": duration,
                "distance": check.mean_distance,
                "prior_distance": check.mean_prior_distance,
                "not_reproduced": ", ".join(missed),
                "left_out": ", ".join(
                    f.name for f, g in zip(features, sweeps.given[i], strict=True) if not g
                ),
            }
        )
    return pd.DataFrame(rows).sort_values(["amplitude", "sweep"], ignore_index=True)


def gain_table(gain: SweepGain) -> pd.DataFrame:
    """One row per nested subset: n_sweeps, sweeps, width (mean over parameters), information, distance."""
    everything = (*gain.order, *gain.held_out)
    return pd.DataFrame(
        {
            "n_sweeps": gain.size,
            "sweeps": [", ".join(map(str, sorted(everything[:n]))) for n in gain.size],
            "width": gain.width.mean(axis=1),
            "information": gain.information,
            "distance": gain.distance,
        }
    )


def gain_sentence(gain: SweepGain) -> str:
    """What the sweeps besides the first bought, in words."""
    width = gain.width.mean(axis=1)
    change = 100 * (1 - width[-1] / width[0])
    text = (
        f"With all {gain.size[-1]} sweeps the 90 % intervals are on average "
        f"{abs(change):.0f} % {'narrower' if change >= 0 else 'wider'} than with sweep "
        f"{gain.order[0]} alone ({gain.information[-1] - gain.information[0]:+.1f} nats)"
    )
    told = np.flatnonzero(np.isfinite(gain.distance))
    if len(told) < 2:
        return text + "."
    first, last = gain.distance[told[0]], gain.distance[told[-1]]
    held_out = ", ".join(map(str, sorted(gain.held_out)))
    noun = "sweep" if len(gain.held_out) == 1 else "sweeps"
    if abs(last - first) < _CLEARLY:
        how = f"as well as sweep {gain.order[0]} alone does"
    else:
        how = f"{'better' if last < first else 'worse'} than sweep {gain.order[0]} alone does"
    return (
        f"{text}; {gain.size[told[-1]]} sweeps predict the held-out {noun} {held_out} {how} "
        f"(mean distance {last:.2f} against {first:.2f} prior standard deviations)."
    )
