"""All that was found about one recording: what is stored, and the checks and verdict made of it.

Checks are computed from the stored arrays, not stored themselves, so that a report rebuilt from
``results.zarr`` shows the same numbers as the first one.
"""

__all__ = ["Findings"]

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from neurosbi.checks import PredictiveCheck, PriorPredictiveCheck, Verdict
from neurosbi.report.summary import feature_table, parameter_table, summary_sentences
from neurosbi.store.results import StoredResult


@dataclass(frozen=True, eq=False)
class Findings:
    """One fitted recording with its checks."""

    stored: StoredResult
    predictive: PredictiveCheck
    prior_predictive: PriorPredictiveCheck
    verdict: Verdict

    @cached_property
    def summary(self) -> pd.DataFrame:
        """The posterior, one row per parameter; see `neurosbi.report.summary.parameter_table`."""
        return parameter_table(self.stored.parameters, self.stored.theta)

    @cached_property
    def feature_table(self) -> pd.DataFrame:
        """The predictions, one row per feature; see `neurosbi.report.summary.feature_table`."""
        return feature_table(
            self.predictive,
            self.prior_predictive,
            left_out=self.stored.verdict.get("left_out", ()),
        )

    @property
    def used(self) -> np.ndarray:
        """bool [feature]: the posterior is conditioned on it."""
        left_out = self.stored.verdict.get("left_out", ())
        return np.array([f.name not in left_out for f in self.predictive.features])

    @cached_property
    def predictive_used(self) -> PredictiveCheck:
        """The predictive check of the features used, as the verdict sees it."""
        return self.predictive.only(self.used)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the recording says about the parameters, in words."""
        sentences = summary_sentences(self.summary)
        if self.verdict.level == "do not use":
            return ("The numbers below describe a posterior that should not be used.", *sentences)
        return sentences

    @property
    def title(self) -> str:
        """Recording, sweep, simulator and method, as far as they are known."""
        stored = self.stored
        parts = [
            str(stored.recording.get("name", "recording")),
            f"sweep {stored.observation.sweep}",
            str(stored.simulator.get("name", "")),
            str(stored.config.get("method", "")),
        ]
        return " · ".join(part for part in parts if part)
