"""Spike trains as counts of the populations of a network."""

__all__ = ["counts_of"]

import numpy as np

from neurosbi.contract import SpikeTrains
from neurosbi.errors import BadInputError
from neurosbi_simulators.population.network import PopulationNetwork
from neurosbi_simulators.population.recorded import check_populations


def counts_of(
    trains: SpikeTrains, network: PopulationNetwork, dt: float
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Counts [time, population] in bins of ``dt`` ms, and notes on what was assumed.

    Raises `BadInputError` where the recorded populations are not those of the network, or have
    more units than it has neurons.
    """
    recorded = trains.population_names
    notes = []
    if network.n == 1 == len(recorded):
        columns = recorded
        if recorded != network.names:
            notes.append(f"population {recorded[0]} is taken to be {network.names[0]}")
    else:
        columns = network.names
        check_populations(trains, columns)
        missing = [name for name in columns if name not in recorded]
        if missing:
            raise BadInputError(
                f"{trains.path.name}: there are no units of {', '.join(missing)}, but the model "
                "needs the spikes of all its populations; choose another network with the setting "
                "populations"
            )
    for column, name, size in zip(columns, network.names, network.size, strict=True):
        units = trains.populations.count(column)
        if units > size:
            raise BadInputError(
                f"{trains.path.name}: {units} units of {column} are more than the {size} neurons "
                f"of {name}; give the numbers of neurons with the setting sizes"
            )
        if units < size:
            notes.append(
                f"the {units} units of {column} are taken to be all spikes of its {size} neurons"
                + (" (set sizes if only some were recorded)" if units < 0.9 * size else "")
            )
    return trains.counts(dt, populations=columns).astype(np.float64), tuple(notes)
