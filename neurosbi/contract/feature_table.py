"""Measured features by name, for data of which only a summary is at hand."""

__all__ = ["FeatureTable"]

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neurosbi.errors import BadInputError


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """``values`` of features by name; NaN says that the data do not have that feature.

    ``units`` by the same names, "" or missing where the source does not say.
    Raises `BadInputError` for an empty table or one without a single number.
    """

    path: Path
    values: Mapping[str, float]
    units: Mapping[str, str] = field(default_factory=dict)
    format: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not any(np.isfinite(v) for v in self.values.values()):
            raise BadInputError(
                f"{self.path.name}: the table has no feature with a value; fill in one"
            )

    @property
    def name(self) -> str:
        """A short name for folders and titles."""
        return str(self.metadata.get("name") or self.path.stem)
