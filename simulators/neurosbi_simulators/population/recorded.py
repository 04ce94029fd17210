"""Recorded units whose populations are not those of the network."""

__all__ = ["check_populations"]

from collections.abc import Sequence

from neurosbi.contract import ONE_POPULATION, SpikeTrains
from neurosbi.errors import BadInputError


def check_populations(trains: SpikeTrains, names: Sequence[str]) -> None:
    """Raise `BadInputError` unless every unit belongs to one of the populations ``names``."""
    label, given = trains.path.name, trains.population_names
    if set(given) <= set(names):
        return
    wanted = " or ".join(names)
    if given == (ONE_POPULATION,):
        raise BadInputError(
            f"{label} does not say to which population of the network its units belong; add a "
            f"column population with {wanted} in every row (in NWB: to the units table)"
        )
    raise BadInputError(
        f"{label}: the units belong to {', '.join(given)}, but the network has the populations "
        f"{', '.join(names)}; write {wanted} into the column population"
    )
