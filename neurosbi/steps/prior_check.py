"""What the simulator can show under the observed conditions: draws of its prior, simulated."""

__all__ = ["prior_check"]

import numpy as np

from neurosbi.checks import producible_features
from neurosbi.contract import FixedStimulus, Recording, SimulationBatch
from neurosbi.seeds import derive_seed
from neurosbi.steps.execution import Execution
from neurosbi.steps.plan import Plan
from neurosbi.steps.simulate import simulate, store_path
from neurosbi.steps.sweeps import SweepChecks, check_priors
from neurosbi.store.simulation_layout import is_vacant

_PRIOR = 4_000  # prior draws simulated at the recorded stimulus
_FEWER = 1_000  # of a simulator that is worth running in small batches: it takes long
_COMPILED = 256
_STORED = 10_000  # of the training simulations, where these were made under that stimulus


def prior_check(
    plan: Plan, how: Execution, *, simulations: int | None, trained: bool
) -> SweepChecks:
    """Prior simulations at the observed stimuli, and which features they can produce.

    A network of spontaneous activity is trained on ``simulations`` of that very activity: these
    serve here too, since circuits take long to simulate and few draws of their prior are rhythmic.
    They are made now, unless a network is ``trained`` already and they have been deleted. None: no
    network is trained.
    """
    fixed = isinstance(plan.family, FixedStimulus) and not isinstance(plan.recording, Recording)
    path = store_path(plan.simulator, None, plan.family, how.seed, False)
    if simulations is not None and fixed and not (trained and is_vacant(path)):
        with how.timer("simulating"):
            store = simulate(
                plan.simulator,
                simulations,
                stimulus=plan.family,
                seed=how.seed,
                threads=how.threads,
                progress=how.progress,
            )
        rows = store.read(0, min(_STORED, len(store)))
        batch = SimulationBatch(rows.x.astype(np.float64), rows.status)
        given = producible_features(
            plan.simulator.feature_set,
            plan.observation.x,
            prior_x=batch.x,
            prior_status=batch.status,
            measured=plan.measured,
        )
        return SweepChecks(rows.theta, (batch,), given[None], of_training=True)
    n = _PRIOR if plan.simulator.smallest_batch >= _COMPILED else _FEWER
    with how.timer("prior simulations"):
        theta = plan.simulator.sample_prior(n, seed=derive_seed(how.seed, "prior check"))
        return check_priors(
            plan.simulator,
            plan.observations,
            theta,
            seed=how.seed,
            threads=how.threads,
            measured=plan.measured,
            show=how.progress,
        )
