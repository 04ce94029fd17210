"""Networks of homogeneous populations of generalised integrate-and-fire (GIF) neurons.

A neuron of population a has the membrane potential u and the threshold theta,

    tau_m du/dt = -(u - u_rest) + tau_m sum_b w_ab sum_j (eps_b * S_j)(t - delay)
    theta(t)    = u_th + sum_{its spikes t_f} J_th/tau_th exp(-(t - t_f - t_ref)/tau_th)

where j runs over the presynaptic neurons (each pair is connected with probability p_ab), S_j is a
spike train and eps_b(t) = exp(-t/tau_s)/tau_s: one spike of b moves u by w_ab. It spikes with the
hazard lambda = c exp((u - theta)/Delta_u); then u stays at u_r for t_ref. A constant external
current is part of u_rest. The tables hold what both the microscopic (`spiking`) and the
mesoscopic model (`mesogif`) of such a network need.

References: Schwalger, Deger & Gerstner 2017, doi:10.1371/journal.pcbi.1005507; Rene, Longtin &
Macke 2020, doi:10.1162/neco_a_01292 (the network "two-populations").
"""

__all__ = ["PRESETS", "PopulationNetwork"]

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from neurosbi.errors import BadInputError

MOST_POPULATIONS = 4


@dataclass(frozen=True)
class PopulationNetwork:
    """The constants of a network of 1 to 4 populations; tuples have one value per population.

    ``w[a][b]`` and ``p[a][b]`` belong to the connection from b to a; ``tau_s[b]`` to the synapses
    that population b makes. Raises `BadInputError` for tables that do not fit together or have
    values no neuron can have.
    """

    names: tuple[str, ...]
    size: tuple[int, ...]
    """Neurons."""
    p: tuple[tuple[float, ...], ...]
    """Probability of a connection."""
    w: tuple[tuple[float, ...], ...]
    """Weight in mV; negative: inhibition."""
    u_rest: tuple[float, ...]
    """Resting potential in mV, the constant external input included."""
    u_th: tuple[float, ...]
    """Threshold in mV."""
    u_r: tuple[float, ...]
    """Reset potential in mV."""
    tau_m: tuple[float, ...]
    """Membrane time constant in ms."""
    t_ref: tuple[float, ...]
    """Absolute refractory period in ms."""
    c: tuple[float, ...]
    """Hazard at threshold in Hz."""
    Delta_u: tuple[float, ...]
    """Width of the stochastic threshold in mV."""
    tau_s: tuple[float, ...]
    """Synaptic time constant in ms."""
    J_th: tuple[float, ...]
    """Area of the threshold kernel in mV s (0: no adaptation)."""
    tau_th: tuple[float, ...]
    """Time constant of adaptation in ms."""
    delay: float = 1.0
    """Transmission delay in ms."""

    def __post_init__(self) -> None:
        m = len(self.names)
        if not 1 <= m <= MOST_POPULATIONS or len(set(self.names)) != m:
            raise BadInputError(
                f"a network has 1 to {MOST_POPULATIONS} populations of different names, got "
                f"{', '.join(map(str, self.names)) or 'none'}"
            )
        for field in fields(self):
            if field.name in ("names", "delay"):
                continue
            shape = (m, m) if field.name in ("w", "p") else (m,)
            values = np.asarray(getattr(self, field.name), dtype=np.float64)
            if values.shape != shape or not np.all(np.isfinite(values)):
                raise BadInputError(
                    f"{field.name} of a network of {m} populations is {' x '.join(map(str, shape))}"
                    f" finite numbers, got shape {values.shape}"
                )
            _check_values(field.name, values)
        if not (np.isfinite(self.delay) and self.delay > 0):
            raise BadInputError(f"the transmission delay is {self.delay} ms, but must be positive")

    @property
    def n(self) -> int:
        """Number of populations."""
        return len(self.names)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; `from_dict` gives the network back."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "PopulationNetwork":
        """Inverse of `to_dict`. Raises `BadInputError` naming what is missing or unknown."""
        known = [f.name for f in fields(cls)]
        missing = [k for k in known if k not in values and k != "delay"]
        unknown = [k for k in values if k not in known]
        if missing or unknown:
            problem = (
                f"lacks {', '.join(missing)}" if missing else f"has unknown {', '.join(unknown)}"
            )
            raise BadInputError(f"the table of populations {problem}; it has {', '.join(known)}")
        return cls(**{k: _as_tuple(v) for k, v in values.items()})

    @classmethod
    def of(cls, populations: "str | Mapping[str, Any] | PopulationNetwork") -> "PopulationNetwork":
        """A preset by name, a table as a mapping, or the path of a JSON file with such a table."""
        if isinstance(populations, PopulationNetwork):
            return populations
        if isinstance(populations, Mapping):
            return cls.from_dict(populations)
        if populations in PRESETS:
            return PRESETS[populations]
        path = Path(str(populations))
        if path.suffix == ".json" and path.is_file():
            try:
                values = json.loads(path.read_text())
            except ValueError as error:
                raise BadInputError(f"{path.name} is not JSON: {error}") from error
            if isinstance(values, dict):
                return cls.from_dict(values)
        raise BadInputError(
            f"there are no populations {str(populations)!r}: use {', '.join(PRESETS)}, or a JSON "
            "file with a table of your own"
        )


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(v) for v in value) if isinstance(value, (list, tuple)) else value


_POSITIVE = ("size", "tau_m", "c", "Delta_u", "tau_s", "tau_th")
_NOT_NEGATIVE = ("p", "t_ref", "J_th")


def _check_values(name: str, values: np.ndarray) -> None:
    if (name in _POSITIVE and np.any(values <= 0)) or (
        name in _NOT_NEGATIVE and np.any(values < 0)
    ):
        must = "positive" if name in _POSITIVE else "at least 0"
        raise BadInputError(f"{name} of a population must be {must}, got {values.tolist()}")
    if name == "p" and np.any(values > 1):
        raise BadInputError(f"p is a probability of connection, got {values.tolist()}")


PRESETS = {
    "two-populations": PopulationNetwork(
        names=("E", "I"),
        size=(500, 100),
        p=((0.1009, 0.1689), (0.1346, 0.1371)),
        w=((0.176, -0.702), (0.176, -0.702)),
        u_rest=(20.123, 20.362),
        u_th=(15.0, 15.0),
        u_r=(0.0, 0.0),
        tau_m=(20.0, 20.0),
        t_ref=(4.0, 4.0),
        c=(10.0, 10.0),
        Delta_u=(5.0, 5.0),
        tau_s=(3.0, 6.0),
        J_th=(1.0, 0.0),
        tau_th=(200.0, 1.0),
    ),
    "excitation-inhibition": PopulationNetwork(
        names=("E", "I"),
        size=(800, 200),
        p=((0.2, 0.2), (0.2, 0.2)),
        w=((0.3, -1.5), (0.3, -1.5)),
        u_rest=(24.0, 24.0),
        u_th=(15.0, 15.0),
        u_r=(0.0, 0.0),
        tau_m=(20.0, 20.0),
        t_ref=(4.0, 4.0),
        c=(10.0, 10.0),
        Delta_u=(2.5, 2.5),
        tau_s=(3.0, 6.0),
        J_th=(0.0, 0.0),
        tau_th=(1.0, 1.0),
    ),
}
"""Networks by name: that of Rene et al. 2020, and the E-I network of Schwalger et al. 2017."""
