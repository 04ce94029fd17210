"""The balanced network of leaky integrate-and-fire neurons of Brunel 2000.

Excitatory and inhibitory neurons with the same membrane, threshold and input: C_E = p N_E
excitatory synapses of J mV, C_I = p N_I inhibitory ones of -g J, and external excitation. The
latter comes over C_E further synapses of J with a rate ``drive`` times the one that would just
bring the mean potential to the threshold, nu_thr = u_th / (J C_E tau_m), in its diffusion limit:

    mean  mu = drive u_th,    standard deviation of the potential  sigma = sqrt(J mu / 2).

(Brunel's sigma is sqrt(2) of ours, since his noise is sigma sqrt(tau_m) xi.) Depending on g and
drive the network is silent, synchronous and regular, or asynchronous and irregular.

References: Brunel 2000, doi:10.1023/A:1008925309027 (model A). We differ: the external input is
white noise of its mean and variance instead of Poisson spikes; connections are drawn with a fixed
probability instead of a fixed number per neuron.
"""

__all__ = ["BalancedNetwork"]

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from neurosbi.contract import Parameter, Setting
from neurosbi.errors import BadInputError
from neurosbi_simulators.population.settings import per_population
from neurosbi_simulators.spiking.model import (
    COMMON_SETTINGS,
    SpikingSimulator,
    feature_sets,
)
from neurosbi_simulators.spiking.network import SpikingNetwork

_NAMES = ("E", "I")
_SOURCE = "Brunel 2000"
AVAILABLE = {
    p.name: p
    for p in (
        Parameter("J", "mV", 0.03, 0.3, "log", "excitatory weight", _SOURCE, 0.1),
        Parameter("g", "1", 3.5, 8.0, "linear", "inhibitory over excitatory weight", _SOURCE, 5.0),
        Parameter(
            "drive", "1", 0.8, 4.0, "linear", "external input over that of threshold", _SOURCE, 2.0
        ),
        Parameter("tau_m", "ms", 10.0, 40.0, "log", "membrane time constant", _SOURCE, 20.0),
        Parameter("u_r", "mV", 0.0, 15.0, "linear", "reset potential", _SOURCE, 10.0),
        Parameter("tau_s", "ms", 0.5, 10.0, "log", "synaptic time constant", "delta if 0", None),
    )
}
_OWN_DEFAULTS = {"duration": 2000.0, "burn_in": 500.0, "dt": 0.1}


class BalancedNetwork(SpikingSimulator):
    """Excitatory and inhibitory LIF neurons; see the module."""

    name = "spiking-balanced"
    version = "1"
    summary = "balanced network of leaky integrate-and-fire neurons"
    papers = ("Brunel 2000, doi:10.1023/A:1008925309027",)
    names = _NAMES
    fit_simulations = 2_000  # of 12,500 neurons
    may_be_negative = ("u_r",)
    must_be_positive = ("J", "tau_m")
    parameters = tuple(AVAILABLE[name] for name in ("J", "g", "drive", "tau_m"))
    feature_sets = feature_sets(_NAMES)
    setting_table: ClassVar[tuple[Setting, ...]] = (
        Setting("sizes", "neurons", [10_000, 2500], "excitatory and inhibitory neurons"),
        Setting("infer", "", "J,g,drive,tau_m", f"parameters by name: {', '.join(AVAILABLE)}"),
        Setting("p", "1", 0.1, "probability of a connection", sign="positive"),
        Setting("u_th", "mV", 20.0, "threshold above the resting potential", sign="positive"),
        Setting("u_r", "mV", 10.0, "reset potential, unless inferred"),
        Setting("tau_m", "ms", 20.0, "membrane time constant, unless inferred", sign="positive"),
        Setting(
            "tau_s",
            "ms",
            0.0,
            "synaptic time constant, unless inferred; 0: pulses",
            sign="not negative",
        ),
        Setting("t_ref", "ms", 2.0, "refractory period", sign="not negative"),
        Setting("delay", "ms", 1.5, "transmission delay", sign="positive"),
        *(replace(s, default=_OWN_DEFAULTS.get(s.name, s.default)) for s in COMMON_SETTINGS),
    )

    def __init__(self, *, features: str | None = None, **settings: Any) -> None:
        self.size = per_population(
            self.name, "sizes", settings.get("sizes", [10_000, 2500]), _NAMES
        )
        if min(self.size) < 1:
            raise BadInputError(f"{self.name}: a network needs neurons, got sizes {self.size}")
        super().__init__(features=features, **settings)
        self.settings["sizes"] = list(self.size)
        if self.settings["p"] > 1:
            raise BadInputError(
                f"{self.name}: p is a probability of connection, got {self.settings['p']}"
            )
        self.parameters = self._inferred(self.settings["infer"])
        inferred = [p.high for p in self.parameters if p.name == "u_r"]
        highest = max(inferred or [self.settings["u_r"]])
        if highest >= self.settings["u_th"]:
            raise BadInputError(
                f"{self.name}: the threshold u_th of {self.settings['u_th']:g} mV must lie above the "
                f"reset potential u_r, which reaches {highest:g} mV; set u_th higher"
                + (", or infer no u_r" if inferred else ", or u_r lower")
            )

    def _inferred(self, infer: Any) -> tuple[Parameter, ...]:
        names = infer.split(",") if isinstance(infer, str) else list(infer)
        names = [str(name).strip() for name in names]
        if not names or len(set(names)) != len(names) or any(n not in AVAILABLE for n in names):
            raise BadInputError(
                f"{self.name} cannot infer {infer!r}: name some of {', '.join(AVAILABLE)}, each once"
            )
        return tuple(AVAILABLE[name] for name in names)

    def networks(self, theta: np.ndarray) -> list[SpikingNetwork]:
        """See `SpikingSimulator.networks`."""
        fixed = {"J": 0.1, "g": 5.0, "drive": 2.0, **self.settings}
        found = []
        for i, row in enumerate(theta):
            v = fixed | {p.name: float(x) for p, x in zip(self.parameters, row, strict=True)}
            if v["u_r"] >= v["u_th"]:
                raise BadInputError(
                    f"theta row {i} has a reset potential of {v['u_r']:g} mV, not below the "
                    f"threshold of {v['u_th']:g} mV"
                )
            both = np.ones(2)
            mean = v["drive"] * v["u_th"]
            found.append(
                SpikingNetwork(
                    names=_NAMES,
                    size=self.size,
                    p=np.full((2, 2), float(v["p"])),
                    w=np.tile([v["J"], -v["g"] * v["J"]], (2, 1)),
                    u_rest=mean * both,
                    u_th=v["u_th"] * both,
                    u_r=v["u_r"] * both,
                    tau_m=v["tau_m"] * both,
                    t_ref=v["t_ref"] * both,
                    tau_s=v["tau_s"] * both,
                    delay=v["delay"] * both,
                    sigma=np.sqrt(v["J"] * mean / 2) * both,
                )
            )
        return found

    def silenced(self, network: SpikingNetwork) -> SpikingNetwork:
        """The network without the fluctuations of its external input."""
        return replace(network, sigma=np.zeros_like(network.sigma))
