"""Which constants of a population network are inferred, and their priors.

Any constant of the table below can be inferred, others stay as the network has them. The prior
ranges span what is found in cortex, and are widened where a network of the user lies outside.
Population sizes, connection probabilities, the refractory period and the delay are anatomy or
fall on the time grid; they are never inferred.

The threshold and the hazard at threshold cannot be told apart: c exp(-u_th/Delta_u) is all that
matters. Infer one of the two.

References: the parameters are those of Schwalger, Deger & Gerstner 2017 and Rene, Longtin & Macke
2020. Theirs have unbounded priors (normal, gamma); ours are boxes that hold their true values.
"""

__all__ = ["PARAMETER_SETS", "NetworkParameters"]

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurosbi.contract import Parameter
from neurosbi.errors import BadInputError
from neurosbi_simulators.population.network import PopulationNetwork

PARAMETER_SETS = {
    "weights": ("w",),
    "full": ("w", "u_th", "Delta_u", "tau_m", "tau_s", "J_th", "tau_th"),
}
"""Names for what is inferred: the kinds of constants of each."""

_SOURCE = "Rene et al. 2020"


@dataclass(frozen=True)
class _Kind:
    unit: str
    low: float
    high: float
    scale: str
    description: str


_WEIGHT = {
    True: _Kind("mV", 0.0, 1.0, "linear", "excitatory weight from {source} to {target}"),
    False: _Kind("mV", -3.0, 0.0, "linear", "inhibitory weight from {source} to {target}"),
}
_KINDS = {
    "u_rest": _Kind("mV", 0.0, 40.0, "linear", "resting potential with constant input of {target}"),
    "u_th": _Kind("mV", 5.0, 30.0, "linear", "spike threshold of {target}"),
    "u_r": _Kind("mV", -15.0, 10.0, "linear", "reset potential of {target}"),
    "c": _Kind("Hz", 1.0, 100.0, "log", "hazard at threshold of {target}"),
    "Delta_u": _Kind("mV", 1.0, 15.0, "log", "width of the stochastic threshold of {target}"),
    "tau_m": _Kind("ms", 5.0, 60.0, "log", "membrane time constant of {target}"),
    "tau_s": _Kind("ms", 1.0, 20.0, "log", "time constant of the synapses made by {target}"),
    "J_th": _Kind("mV s", 0.0, 3.0, "linear", "area of the adaptation kernel of {target}"),
    "tau_th": _Kind("ms", 30.0, 1000.0, "log", "time constant of adaptation of {target}"),
}
NEVER_NEGATIVE = ("c", "Delta_u", "tau_m", "tau_s", "J_th", "tau_th")


@dataclass(frozen=True)
class NetworkParameters:
    """The inferred parameters of ``network``, in the order of the columns of theta.

    ``infer`` is one of `PARAMETER_SETS`, or names like "w_EI, u_th_E, tau_m_I".
    """

    network: PopulationNetwork
    infer: str | Sequence[str] = "weights"

    def __post_init__(self) -> None:
        _ = self.table  # checks the names

    @property
    def table(self) -> tuple[Parameter, ...]:
        """The parameters with their prior ranges and the values of the network as defaults."""
        available = self.available
        return tuple(available[name][0] for name in self._chosen(available))

    @property
    def targets(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """The constant and the index in it that each column of theta stands for."""
        available = self.available
        return tuple(available[name][1] for name in self._chosen(available))

    @property
    def available(self) -> dict[str, tuple[Parameter, tuple[str, tuple[int, ...]]]]:
        """All parameters of the network that can be inferred, by name.

        Weights of connections that do not exist and the adaptation of populations that have none
        are left out.
        """
        network, found = self.network, {}
        apart = "" if all(len(name) == 1 for name in network.names) else "_"
        for a, target in enumerate(network.names):
            for b, source in enumerate(network.names):
                value = network.w[a][b]
                if network.p[a][b] > 0 and value != 0:
                    name = f"w_{target}{apart}{source}"
                    kind = _WEIGHT[value > 0]
                    found[name] = _parameter(name, kind, value, target, source), ("w", (a, b))
        for constant, kind in _KINDS.items():
            for a, target in enumerate(network.names):
                if constant in ("J_th", "tau_th") and network.J_th[a] == 0:
                    continue
                name = f"{constant}_{target}"
                value = getattr(network, constant)[a]
                found[name] = _parameter(name, kind, value, target), (constant, (a,))
        return found

    def _chosen(self, available: dict) -> list[str]:
        if isinstance(self.infer, str) and self.infer in PARAMETER_SETS:
            kinds = PARAMETER_SETS[self.infer]
            chosen = [k for kind in kinds for k, (_, at) in available.items() if at[0] == kind]
        else:
            names = self.infer.split(",") if isinstance(self.infer, str) else self.infer
            chosen = [str(name).strip() for name in names]
        wrong = [name for name in chosen if name not in available]
        if wrong or not chosen or len(set(chosen)) != len(chosen):
            problem = f"cannot infer {wrong[0]!r}" if wrong else "needs each parameter once"
            raise BadInputError(
                f"the network {problem}: infer {' or '.join(PARAMETER_SETS)}, or some of "
                f"{', '.join(available)}"
            )
        return chosen

    def values(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """All constants of the network with ``theta[sim, theta]`` put in.

        Float64 [sim, population], ``w`` and ``p`` [sim, to, from]. Raises `BadInputError` for a
        time constant, hazard or width that is not positive, or a negative J_th.
        """
        constants = {
            name: np.repeat(
                np.asarray(getattr(self.network, name), dtype=np.float64)[None], len(theta), axis=0
            )
            for name in ("w", "p", *_KINDS, "t_ref")
        }
        for column, ((name, index), parameter) in enumerate(
            zip(self.targets, self.table, strict=True)
        ):
            given = theta[:, column]
            bad = given < 0 if name == "J_th" else given <= 0
            if name in NEVER_NEGATIVE and np.any(bad):
                row = int(np.argmax(bad))
                raise BadInputError(
                    f"theta row {row} has {parameter.name} = {given[row]:g} {parameter.unit}, but "
                    f"it must be {'at least 0' if name == 'J_th' else 'positive'}"
                )
            constants[name][(slice(None), *index)] = given
        return constants


def _parameter(name: str, kind: _Kind, value: float, target: str, source: str = "") -> Parameter:
    low, high = kind.low, kind.high
    if value < low:
        low = value / 2 if kind.scale == "log" else value - 0.5 * (high - value)
    if value > high:
        high = value * 2 if kind.scale == "log" else value + 0.5 * (value - low)
    text = kind.description.format(target=target, source=source)
    return Parameter(name, kind.unit, low, high, kind.scale, text, _SOURCE, value)  # type: ignore[arg-type]
