"""All that was found about one recording: what is stored, and the checks and verdict made of it.

Checks are computed from the stored arrays, not stored themselves, so that a report rebuilt from
``results.zarr`` shows the same numbers as the first one.
"""

__all__ = ["Findings"]

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from neurosbi.checks import (
    Calibration,
    LocalCalibration,
    Misspecification,
    PredictiveCheck,
    PriorPredictiveCheck,
    Verdict,
)
from neurosbi.report.inputs import input_sentence, input_table
from neurosbi.report.rounds import rounds_sentence, rounds_table
from neurosbi.report.summary import feature_table, parameter_table, summary_sentences
from neurosbi.report.sweeps import gain_sentence, sweep_table
from neurosbi.store.stored_result import StoredResult


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
        return self.stored.used

    @cached_property
    def predictive_used(self) -> PredictiveCheck:
        """The predictive check of the features used, as the verdict sees it."""
        return self.predictive.only(self.used)

    @cached_property
    def sweep_table(self) -> pd.DataFrame | None:
        """The sweeps fitted together; see `neurosbi.report.sweeps.sweep_table`. None for one."""
        sweeps = self.stored.sweeps
        return None if sweeps is None else sweep_table(self.stored.features, sweeps)

    @cached_property
    def calibration(self) -> Calibration | None:
        """The test of the network on simulations it has not learned from; None where it was not made."""
        values = self.stored.diagnostics.get("calibration")
        return None if values is None else Calibration.from_dataset(values)

    @cached_property
    def local_calibration(self) -> LocalCalibration | None:
        """The test of the posterior at this recording; None where it was not made."""
        values = self.stored.diagnostics.get("local_calibration")
        return None if values is None else LocalCalibration.from_dataset(values)

    @cached_property
    def misspecification(self) -> Misspecification | None:
        """The recording among simulations, as the network sees it; None where it was not made."""
        values = self.stored.diagnostics.get("misspecification")
        return None if values is None else Misspecification.from_dataset(values)

    @property
    def check_sentences(self) -> tuple[str, ...]:
        """What the checks of the network and of its posterior at this recording found, in words."""
        made = (self.calibration, self.local_calibration, self.misspecification)
        return tuple(check.sentence for check in made if check is not None)

    @property
    def gain_sentence(self) -> str:
        """What more sweeps bought, in words; empty for a single sweep."""
        sweeps = self.stored.sweeps
        return "" if sweeps is None or sweeps.gain is None else gain_sentence(sweeps.gain)

    @cached_property
    def rounds_table(self) -> pd.DataFrame | None:
        """The rounds of a refined fit; see `neurosbi.report.rounds.rounds_table`. None for one."""
        rounds = self.stored.rounds
        return None if rounds is None else rounds_table(rounds)

    @property
    def rounds_sentence(self) -> str:
        """What more rounds bought, in words; empty where the posterior was not refined."""
        rounds, sweeps = self.stored.rounds, self.stored.sweeps
        if rounds is None:
            return ""
        return rounds_sentence(rounds, sweeps=1 if sweeps is None else len(sweeps.number))

    @cached_property
    def input_table(self) -> pd.DataFrame | None:
        """Features against trace; see `neurosbi.report.inputs.input_table`. None for one input."""
        inputs = self.stored.inputs
        if inputs is None or inputs.comparison is None:
            return None
        return input_table(inputs.comparison)

    @property
    def input_sentence(self) -> str:
        """Which input told more, in words; empty for one input."""
        inputs = self.stored.inputs
        if inputs is None or inputs.comparison is None:
            return ""
        return input_sentence(inputs.comparison)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the recording says about the parameters, in words."""
        sentences = summary_sentences(self.summary)
        if self.verdict.level == "do not use":
            return ("The numbers below describe a posterior that should not be used.", *sentences)
        return sentences

    @property
    def _sweeps_text(self) -> str:
        sweeps = self.stored.sweeps
        if sweeps is None or len(sweeps.number) == 1:
            sweep = self.stored.observation.sweep
            return "" if sweep is None else f"sweep {sweep}"
        return f"{len(sweeps.number)} sweeps"

    @property
    def title(self) -> str:
        """Recording, sweep, simulator and method, as far as they are known."""
        stored = self.stored
        parts = [
            str(stored.recording.get("name", "recording")),
            self._sweeps_text,
            str(stored.simulator.get("name", "")),
            str(stored.config.get("method", "")),
        ]
        return " · ".join(part for part in parts if part)
