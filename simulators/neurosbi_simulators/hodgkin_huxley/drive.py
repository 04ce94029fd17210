"""The stimulus of every simulation, in steps of dt."""

__all__ = ["Drive", "baseline"]

from typing import TYPE_CHECKING

import numpy as np

from neurosbi.contract import Stimulus, StimulusBatch
from neurosbi.errors import BadInputError
from neurosbi_simulators.hodgkin_huxley import layout as rows

if TYPE_CHECKING:
    from neurosbi_simulators.hodgkin_huxley.current_clamp import CurrentClampSimulator

MOST_STEPS = 16_000_000  # step numbers are kept exactly in single precision up to here


class Drive:
    """The stimulus of every simulation in steps of dt: arrays [sim], or one shared waveform.

    The current that flows before the onset is the holding current, also of a waveform, so that a
    start from rest is a start from the rest under that current.
    """

    def __init__(self, *, on, off, steps, amplitude, holding, shared: Stimulus | None) -> None:
        self.on, self.off, self.steps = on, off, steps
        self.amplitude, self.holding, self.shared = amplitude, holding, shared

    @classmethod
    def of(
        cls, simulator: "CurrentClampSimulator", stimulus: Stimulus | StimulusBatch | None, n: int
    ) -> "Drive":
        """That of ``n`` simulations; raises `BadInputError` where it does not fit them."""
        dt = simulator.dt
        if isinstance(stimulus, StimulusBatch):
            if len(stimulus) != n:
                raise BadInputError(
                    f"there are {n} parameter sets but {len(stimulus)} stimuli; give one each"
                )
            stimuli = [stimulus.family.stimulus(row) for row in stimulus.values]
        else:
            stimuli = [stimulus or simulator.stimulus]
        stimuli = [simulator.in_model_units(s) for s in stimuli]
        columns = np.array(
            [
                (
                    round(s.onset / dt),
                    round(s.offset / dt),
                    round(s.total / dt),
                    s.amplitude if s.is_step else 0.0,
                    baseline(s),
                )
                for s in stimuli
            ]
        )
        columns = np.broadcast_to(columns, (n, 5))
        if n and np.any(columns[:, 1] <= columns[:, 0]):
            raise BadInputError(f"a stimulus is shorter than one time step of {dt} ms")
        if n and np.any(columns[:, 2] > MOST_STEPS):
            raise BadInputError(
                f"a stimulus of {columns[:, 2].max() * dt:.0f} ms is longer than "
                f"{MOST_STEPS:,} time steps of {dt} ms; cut it"
            )
        whole = columns[:, :3].astype(np.int64)
        return cls(
            on=whole[:, 0],
            off=whole[:, 1],
            steps=whole[:, 2],
            amplitude=columns[:, 3],
            holding=columns[:, 4],
            shared=None if stimuli[0].is_step else stimuli[0],
        )

    def rows(self) -> dict[int, np.ndarray]:
        """Kernel rows (see `layout`)."""
        return {
            rows.P_ON: self.on,
            rows.P_OFF: self.off,
            rows.P_END: self.steps,
            rows.P_AMP: self.amplitude,
            rows.P_HOLD: self.holding,
        }

    def wave(self, dt: float) -> np.ndarray:
        """The current that is common to all, without its holding part [time]; 0 for steps."""
        if self.shared is None:
            return np.zeros(1)
        return self.shared.sampled(dt) - baseline(self.shared)


def baseline(stimulus: Stimulus) -> float:
    """The current that flows before ``stimulus`` begins."""
    if stimulus.current is None or stimulus.onset == 0:
        return stimulus.holding
    return stimulus.holding + float(stimulus.current[0])
