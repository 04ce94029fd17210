"""What a fit is about to do, in one sentence, and what it assumes."""

__all__ = ["announce"]

import numpy as np

from neurosbi.contract import FeatureTable, Recording
from neurosbi.progress import say
from neurosbi.recordings import format_sweeps
from neurosbi.steps.plan import Plan


def announce(plan: Plan, *, show: bool) -> None:
    """Say which data are fitted, and the notes on them, on stderr."""
    name = f"{plan.recording.path.name}: fitting {plan.simulator.name} to"
    if not isinstance(plan.recording, Recording):
        say(f"{name} {_described(plan)}", show=show)
    elif len(plan.observations) > 1:
        amplitudes = [o.stimulus.amplitude for o in plan.observations]
        unit = plan.observation.stimulus.unit
        numbers = format_sweeps(o.sweep for o in plan.sweeps)
        say(
            f"{name} {len(amplitudes)} sweeps together ({numbers}; steps of {min(amplitudes):.3g} "
            f"to {max(amplitudes):.3g} {unit})",
            show=show,
        )
    else:
        stimulus = plan.observation.stimulus
        sweep = plan.sweeps[0].sweep
        step = plan.recording.sweep(sweep).test_step
        kind = f"step of {step.amplitude:.4g} pA" if step else "recorded current"
        say(
            f"{name} sweep {sweep} ({kind}, {stimulus.duration:.0f} ms)",
            show=show,
        )
    for note in plan.observation.notes:
        say(f"  {note}", show=show)


def _described(plan: Plan) -> str:
    """What other data than sweeps hold, in words."""
    data, x = plan.recording, plan.observation.x
    if isinstance(data, FeatureTable):
        return f"{int(np.isfinite(x).sum())} of {len(x)} features"
    assert not isinstance(data, Recording)
    n = sum(map(len, data.times))
    return (
        f"{n:,} spikes of {len(data.units)} units in {len(data.population_names)} population"
        f"{'s' if len(data.population_names) > 1 else ''} ({data.duration / 1e3:.4g} s)"
    )
