"""The state of unfinished Markov chains on disk: numbers only, written whole or not at all."""

__all__ = ["ChainCheckpoint", "SavedChains"]

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurosbi.inference.map import MapEstimate
from neurosbi.store import atomic_path
from neurosbi.training.checkpoint import UnusableCheckpointError

_LAYOUT = 1
_OPTIMUM = ("theta", "z", "log_density")
_CHAINS = "chains."


@dataclass(frozen=True, eq=False)
class SavedChains:
    """The optimum that was found, and the state of the chains once they were tuned."""

    optimum: MapEstimate
    evaluations: int
    chains: Mapping[str, np.ndarray] | None = None


@dataclass(frozen=True)
class ChainCheckpoint:
    """One file, for the chains of one configuration, written at most every ``seconds``."""

    path: Path
    seconds: float = 5.0

    def write(self, saved: SavedChains, fingerprint: str) -> None:
        """Replace what the file holds; ``fingerprint`` names what the draws depend on."""
        arrays: dict[str, Any] = {
            "layout": _LAYOUT,
            "fingerprint": fingerprint,
            "evaluations": saved.evaluations,
            **{name: getattr(saved.optimum, name) for name in _OPTIMUM},
            **{_CHAINS + name: value for name, value in (saved.chains or {}).items()},
        }
        with atomic_path(self.path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)

    def read(self, fingerprint: str | None = None) -> SavedChains | None:
        """What was saved, or None.

        Raises `UnusableCheckpointError` for a file that is not ours, or of another ``fingerprint``.
        """
        if not self.path.exists():
            return None
        try:
            with np.load(self.path, allow_pickle=False) as file:
                if file["layout"] != _LAYOUT:
                    raise ValueError("it is of another version of neurosbi")
                if fingerprint is not None and file["fingerprint"] != fingerprint:
                    raise ValueError("it is of other chains")
                optimum = MapEstimate(**{name: file[name] for name in _OPTIMUM})
                chains = {
                    name.removeprefix(_CHAINS): file[name]
                    for name in file.files
                    if name.startswith(_CHAINS)
                }
                return SavedChains(optimum, int(file["evaluations"]), chains or None)
        except Exception as error:  # a damaged file ends in any kind of error
            raise UnusableCheckpointError(
                f"{self.path} holds no chains that can go on ({error}); delete it to begin again"
            ) from error

    def remove(self) -> None:
        """Forget the chains."""
        self.path.unlink(missing_ok=True)
