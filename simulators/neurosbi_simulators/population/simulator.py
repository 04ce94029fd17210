"""What simulators of populations of spiking neurons share: spontaneous activity, after a burn-in."""

__all__ = ["DURATIONS", "PopulationSimulator"]

from typing import ClassVar

import numpy as np

from neurosbi.contract import Setting, Simulator, Stimulus, StimulusBatch
from neurosbi.errors import BadInputError
from neurosbi_simulators.population.features import BIN

DURATIONS = (
    Setting("duration", "ms", 10_000.0, "length of what features are computed of", sign="positive"),
    Setting(
        "burn_in",
        "ms",
        1000.0,
        "left out before it, so that the start is forgotten",
        sign="not negative",
    ),
)


class PopulationSimulator(Simulator):
    """A model with the settings ``duration``, ``burn_in`` and ``dt``, in ms."""

    most_steps: ClassVar[int]
    """Time steps that one simulation may have."""
    most_steps_because: ClassVar[str]
    """Why not more, in words that complete an error."""

    @property
    def dt(self) -> float:
        """Time step in ms."""
        return float(self.settings["dt"])

    @property
    def stimulus(self) -> Stimulus:
        """Spontaneous activity of the settings ``burn_in`` and ``duration``."""
        burn_in = float(self.settings["burn_in"])
        return Stimulus.spontaneous(total=burn_in + float(self.settings["duration"]), onset=burn_in)

    def window(self, stimulus: Stimulus | StimulusBatch | None) -> Stimulus:
        """The one stretch of spontaneous activity that a call asks for (None: `stimulus`).

        Raises `BadInputError` for anything else, and for one too short for features or too long.
        """
        if isinstance(stimulus, StimulusBatch):
            if stimulus.family.parameters:
                raise BadInputError(
                    f"{self.name} simulates spontaneous activity of one duration and has no "
                    f"{stimulus.family.parameters[0].name}"
                )
            stimulus = stimulus.family.stimulus(np.empty(0))
        stimulus = stimulus or self.stimulus
        if not stimulus.is_spontaneous or stimulus.temperature is not None:
            raise BadInputError(
                f"{self.name} simulates spontaneous activity at no particular temperature; give a "
                "stimulus like Stimulus.spontaneous(total=11000, onset=1000)"
            )
        steps = round(stimulus.total / self.dt)
        if steps > self.most_steps:
            raise BadInputError(
                f"{self.name}: {stimulus.total:g} ms are {steps:,} time steps, more than the "
                f"{self.most_steps:,} {self.most_steps_because}; simulate less"
            )
        if stimulus.duration < 2 * BIN:
            raise BadInputError(
                f"{self.name}: {stimulus.total:g} ms leave less than {2 * BIN:g} ms after the "
                f"burn-in of {stimulus.onset:g} ms; make it longer"
            )
        return stimulus
