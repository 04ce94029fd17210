"""Parameters, features and settings as data: each with a name, a unit and a meaning."""

__all__ = [
    "Feature",
    "Parameter",
    "Setting",
    "at_positions",
    "positions",
    "prior_bounds",
    "sample_box",
    "shrinkage",
    "stretch",
]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from neurosbi.errors import BadInputError
from neurosbi.seeds import uniform_rows


@dataclass(frozen=True)
class Parameter:
    """One inferred quantity with its uniform prior range (uniform in log when ``scale="log"``)."""

    name: str
    unit: str
    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"
    description: str = ""
    source: str = ""
    default: float | None = None

    def __post_init__(self) -> None:
        if not np.all(np.isfinite([self.low, self.high])):
            raise BadInputError(
                f"parameter {self.name}: the bounds {self.low} and {self.high} are not both finite"
            )
        if self.scale not in ("linear", "log"):
            raise BadInputError(
                f"parameter {self.name}: the scale is linear or log, not {self.scale!r}"
            )
        if not self.low < self.high:
            raise BadInputError(
                f"parameter {self.name}: the lower bound {self.low} is not below {self.high}"
            )
        if self.scale == "log" and self.low <= 0:
            raise BadInputError(f"parameter {self.name}: a log scale needs a positive lower bound")


@dataclass(frozen=True)
class Feature:
    """One summary of a trace. NaN means that it is undefined there (no spike, no threshold).

    An ``essential`` feature is not traded for others: a fit leaves it out only when the model
    cannot produce the value at all.
    """

    name: str
    unit: str
    description: str = ""
    essential: bool = False


@dataclass(frozen=True)
class Setting:
    """A constant of a model that a user may change but that is not inferred.

    ``role="preparation"`` marks what belongs to one recording (membrane area): it reaches the
    model through the stimulus only, so networks trained for different cells are the same.
    ``sign`` says which numbers make sense, ``choices`` which words: others are refused.
    """

    name: str
    unit: str
    default: Any
    description: str = ""
    role: Literal["model", "preparation"] = "model"
    sign: Literal["any", "not negative", "positive"] = "any"
    choices: tuple[str, ...] = ()

    @property
    def meaning(self) -> str:
        """The description and the choices, for lists."""
        return "; ".join(t for t in (self.description, " or ".join(self.choices)) if t)


def prior_bounds(parameters: Sequence[Parameter]) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper prior bounds, float64 [theta] each."""
    return (
        np.array([p.low for p in parameters], dtype=np.float64),
        np.array([p.high for p in parameters], dtype=np.float64),
    )


def sample_box(
    parameters: Sequence[Parameter], n: int, *, seed: int, purpose: str = "prior", start: int = 0
) -> np.ndarray:
    """Draws ``start .. start+n`` from the uniform (or log-uniform) box, float64 [sim, theta]."""
    share = uniform_rows(n, len(parameters), seed=seed, purpose=purpose, start=start)
    low, high, log = _ends(parameters)
    values = low + (high - low) * share
    values[:, log] = np.exp(values[:, log])
    return np.clip(values, *prior_bounds(parameters))


def positions(parameters: Sequence[Parameter], theta: np.ndarray) -> np.ndarray:
    """``theta[..., theta]`` in its ranges, from -1 to 1; of the logarithm where that is uniform."""
    low, high, log = _ends(parameters)
    values = np.array(theta, dtype=np.float64)
    values[..., log] = np.log(np.maximum(values[..., log], 1e-300))
    return 2.0 * (values - low) / (high - low) - 1.0


def shrinkage(parameters: Sequence[Parameter], theta: np.ndarray) -> np.ndarray:
    """1 - sd / sd of the prior [theta] of ``theta[draw, theta]``: 0 where the data tell nothing."""
    # uniform between -1 and 1, the prior has the standard deviation 1 / sqrt(3)
    return 1 - np.sqrt(3) * positions(parameters, theta).std(axis=0, ddof=1)


def at_positions(parameters: Sequence[Parameter], position: np.ndarray) -> np.ndarray:
    """The parameters [..., theta] at these `positions`."""
    low, high, log = _ends(parameters)
    values = low + (high - low) * 0.5 * (np.asarray(position, dtype=np.float64) + 1.0)
    values[..., log] = np.exp(values[..., log])
    inside = np.clip(values, *prior_bounds(parameters))
    return np.where(np.abs(position) <= 1, inside, values)  # a bound is met to the last digit


def stretch(parameters: Sequence[Parameter], theta: np.ndarray) -> np.ndarray:
    """d theta / d share [..., theta], where the share of the range runs from 0 to 1."""
    low, high, log = _ends(parameters)
    return (high - low) * np.where(log, theta, 1.0)


def _ends(parameters: Sequence[Parameter]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bounds between which the prior is flat [theta] each, and which are those of logarithms."""
    low, high = prior_bounds(parameters)
    log = np.array([p.scale == "log" for p in parameters], dtype=bool)
    low[log], high[log] = np.log(low[log]), np.log(high[log])
    return low, high, log
