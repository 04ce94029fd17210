"""Simulations that lie in memory, with the attributes of a store on disk."""

__all__ = ["ArraySimulations", "SimulationRows"]

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from neurosbi.contract import Feature, Parameter, StimulusFamily, TraceBins
from neurosbi.errors import BadInputError
from neurosbi.store import config_hash


@dataclass(frozen=True, eq=False)
class SimulationRows:
    """``theta[sim, theta]``, ``x[sim, feature]``, ``valid[sim]``, ``stimulus[sim, parameter]``."""

    theta: np.ndarray
    x: np.ndarray
    valid: np.ndarray
    stimulus: np.ndarray


@dataclass(frozen=True, eq=False)
class ArraySimulations:
    """A `Simulations` of arrays: what a method trains on when nothing is kept on disk.

    ``trace[sim, channel, bin]`` is voltage in ``trace_bins``, None where only features are kept.
    ``simulator_config`` and ``config_hash`` name what was simulated, as those of a store; without
    a hash the arrays themselves are it.
    Raises `BadInputError` for arrays of different lengths.
    """

    theta: np.ndarray
    x: np.ndarray
    valid: np.ndarray
    stimulus: np.ndarray
    parameters: tuple[Parameter, ...]
    features: tuple[Feature, ...]
    family: StimulusFamily
    simulator_config: Mapping[str, Any] = field(default_factory=dict)
    config_hash: str = ""
    seed: int = 0
    trace_bins: TraceBins | None = None
    trace: np.ndarray | None = None

    def __post_init__(self) -> None:
        lengths = {len(a) for a in (self.theta, self.x, self.valid, self.stimulus)}
        if len(lengths) > 1:
            raise BadInputError(
                f"theta, x, valid and stimulus are arrays of one length, got {sorted(lengths)}"
            )
        if not self.config_hash:
            named = {
                "simulator": self.simulator_config,
                "family": self.family.to_dict(),
                "parameters": [asdict(p) for p in self.parameters],
                "arrays": self._checksum(),
            }
            object.__setattr__(self, "config_hash", config_hash(named))

    def _checksum(self) -> str:
        arrays = (self.theta, self.x, self.valid, self.stimulus, self.trace)
        digest = hashlib.sha256()
        for array in arrays:
            digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    @property
    def n(self) -> int:
        """Number of simulations."""
        return len(self.theta)

    def read_traces(self, start: int, stop: int) -> np.ndarray:
        """Binned voltage of rows ``start .. stop``."""
        if self.trace is None:
            raise BadInputError("these simulations hold features only; simulate with traces=True")
        return self.trace[start:stop]

    def read(self, start: int, stop: int) -> SimulationRows:
        """Rows ``start .. stop``."""
        cut = slice(start, stop)
        return SimulationRows(self.theta[cut], self.x[cut], self.valid[cut], self.stimulus[cut])
