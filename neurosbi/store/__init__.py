"""Everything that is kept on disk: layouts, atomic writes, the cache."""

from neurosbi.store.atomic import atomic_path, write_json
from neurosbi.store.cache import cache_directory, config_hash
from neurosbi.store.simulation_config import SimulationConfig
from neurosbi.store.simulations import (
    SimulationRows,
    SimulationStore,
    SimulationSummary,
    open_simulations,
)

__all__ = [
    "SimulationConfig",
    "SimulationRows",
    "SimulationStore",
    "SimulationSummary",
    "atomic_path",
    "cache_directory",
    "config_hash",
    "open_simulations",
    "write_json",
]
