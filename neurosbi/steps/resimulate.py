"""Posterior draws of a result back into a simulator: features or traces."""

__all__ = ["simulate_draws"]

from typing import TYPE_CHECKING

import numpy as np

from neurosbi.contract import Simulator, Stimulus
from neurosbi.errors import BadInputError
from neurosbi.progress import say
from neurosbi.registry import simulator as make_simulator
from neurosbi.store.stored_result import StoredResult

if TYPE_CHECKING:
    import xarray as xr


def simulate_draws(
    stored: StoredResult,
    n: int,
    *,
    seed: int,
    simulator: str | Simulator | None,
    stimulus: Stimulus | None,
    traces: bool,
    threads: int | None,
) -> "xr.Dataset":
    """The first ``n`` draws of a stored result as simulations; see `Result.simulate`."""
    import xarray as xr

    if not 1 <= n <= len(stored.theta):
        raise BadInputError(
            f"this result holds {len(stored.theta)} posterior draws, {n} were asked for; fit with "
            "more --samples"
        )
    model = _model(stored, simulator)
    names = [p.name for p in stored.parameters]
    missing = [p.name for p in model.parameters if p.name not in names]
    if missing:
        raise BadInputError(
            f"simulator {model.name} needs {', '.join(missing)}, which this posterior does not "
            f"have; its parameters are {', '.join(names)}"
        )
    theta = stored.theta[:n, [names.index(p.name) for p in model.parameters]]
    stimulus = stimulus or stored.observation.stimulus
    parameters = {
        p.name: ("sim", theta[:, i], {"units": p.unit}) for i, p in enumerate(model.parameters)
    }
    if traces:
        return model.traces(theta, stimulus=stimulus, seed=seed).assign_coords(parameters)
    batch = model.simulate(theta, stimulus=stimulus, seed=seed, threads=threads)
    return xr.Dataset(
        {
            "x": (("sim", "feature"), batch.x),
            "status": ("sim", batch.status.astype(np.int8)),
        },
        coords={"feature": [f.name for f in model.feature_set], **parameters},
    )


def _model(stored: StoredResult, simulator: str | Simulator | None) -> Simulator:
    if isinstance(simulator, Simulator):
        return simulator
    if isinstance(simulator, str):
        return make_simulator(simulator)
    name, config = stored.simulator["name"], stored.simulator["config"]
    try:
        made = make_simulator(name, features=config["features"], **stored.simulator["settings"])
    except BadInputError as error:
        raise BadInputError(
            f"the simulator {name} of this result cannot be made again ({error}); give one as "
            "simulator"
        ) from error
    if made.version != config["version"]:
        say(
            f"the result is of {name} version {config['version']}, these simulations are of version "
            f"{made.version}"
        )
    return made
