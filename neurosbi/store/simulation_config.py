"""What determines the rows of a simulation store, as data that can be compared and hashed."""

__all__ = ["SimulationConfig"]

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from neurosbi.contract import (
    Feature,
    Parameter,
    Simulator,
    StimulusFamily,
    TraceBins,
    family_from_dict,
)
from neurosbi.errors import BadInputError
from neurosbi.store.cache import config_hash, plain_data

_MANY = 3  # differences named before "and others"


@dataclass(frozen=True)
class SimulationConfig:
    """Simulator, parameter and feature tables, stimulus family and seed of a set of simulations.

    The number of simulations is not part of it: row ``i`` is the same in a store of any length.
    Neither are descriptions: a mended sentence does not make old simulations useless.
    ``trace`` are the bins in which voltage is kept, None where only features are.
    """

    simulator: Mapping[str, Any]
    parameters: tuple[Parameter, ...]
    features: tuple[Feature, ...]
    family: StimulusFamily
    seed: int
    trace: TraceBins | None = None

    @classmethod
    def of(
        cls, simulator: Simulator, *, family: StimulusFamily, seed: int, traces: bool = False
    ) -> "SimulationConfig":
        """The configuration of simulations of ``simulator`` under stimuli of ``family``.

        With ``traces`` their voltage is kept in bins. Raises `BadInputError` for simulators that
        have none.
        """
        bins = simulator.trace_bins(family) if traces else None
        if traces and bins is None:
            raise BadInputError(
                f"simulator {simulator.name} gives features only, no traces; use inputs=features"
            )
        return cls(
            simulator=plain_data(simulator.config()),
            parameters=tuple(simulator.parameters),
            features=tuple(simulator.feature_set),
            family=family,
            seed=int(seed),
            trace=bins,
        )

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any]) -> "SimulationConfig":
        """Inverse of `attributes`."""
        config = attributes["config"]
        return cls(
            simulator=config["simulator"],
            parameters=tuple(Parameter(**p) for p in attributes["parameters"]),
            features=tuple(Feature(**f) for f in attributes["features"]),
            family=family_from_dict(config["stimulus"]),
            seed=config["seed"],
            trace=TraceBins.from_dict(config["trace"]) if "trace" in config else None,
        )

    @property
    def name(self) -> str:
        """The name of the simulator."""
        return str(self.simulator["simulator"])

    @property
    def hash(self) -> str:
        """16 hexadecimal digits, the same for the same simulations."""
        return config_hash(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Everything that determines the simulations, as plain data."""
        trace = {} if self.trace is None else {"trace": self.trace.to_dict()}
        return plain_data(
            {
                "simulator": dict(self.simulator),
                "parameters": {
                    p.name: {"unit": p.unit, "low": p.low, "high": p.high, "scale": p.scale}
                    for p in self.parameters
                },
                "parameter_order": [p.name for p in self.parameters],
                "features": [f"{f.name} [{f.unit}]" for f in self.features],
                "stimulus": self.family.to_dict(),
                "seed": self.seed,
            }
            | trace
        )

    def attributes(self) -> dict[str, Any]:
        """The attributes of a store: this configuration, its hash, and the full tables."""
        return {
            "config": self.to_dict(),
            "config_hash": self.hash,
            "parameters": plain_data([asdict(p) for p in self.parameters]),
            "features": plain_data([asdict(f) for f in self.features]),
        }

    def differences(self, other: "SimulationConfig") -> str:
        """In words, what is different in ``other`` ("" if nothing is)."""
        mine, theirs = (dict(_leaves("", c.to_dict())) for c in (self, other))
        keys = [*mine, *(k for k in theirs if k not in mine)]
        found = [
            f"{key} is {_short(mine.get(key))} there, {_short(theirs.get(key))} here"
            for key in keys
            if mine.get(key) != theirs.get(key)
        ]
        return "; ".join(found[:_MANY]) + ("; and more" if len(found) > _MANY else "")


def _leaves(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{prefix} {key}".strip(), inner)
    else:
        yield prefix, value


def _short(value: Any) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
