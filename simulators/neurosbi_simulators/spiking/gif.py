"""The network of stochastic (GIF) neurons that `mesogif` describes by its population counts.

The same populations, parameters and priors, neuron by neuron: use it where single spike trains
matter, or to see what the mesoscopic description leaves out. See `network` for the equations.

References: Schwalger, Deger & Gerstner 2017, doi:10.1371/journal.pcbi.1005507; Rene, Longtin &
Macke 2020, doi:10.1162/neco_a_01292.
"""

__all__ = ["SpikingGif"]

from dataclasses import fields, replace
from typing import Any, ClassVar

import numpy as np

from neurosbi.contract import Setting
from neurosbi_simulators.population.network import PRESETS, PopulationNetwork
from neurosbi_simulators.population.parameters import NetworkParameters
from neurosbi_simulators.population.settings import per_population
from neurosbi_simulators.spiking.model import (
    COMMON_SETTINGS,
    SpikingSimulator,
    feature_sets,
)
from neurosbi_simulators.spiking.network import Hazard, SpikingNetwork

CONNECTIONS = ("random", "mean-field")
_DEFAULT = NetworkParameters(PRESETS["two-populations"])


class SpikingGif(SpikingSimulator):
    """Populations of GIF neurons, spike by spike; see the module and `network`."""

    name = "spiking"
    version = "2"
    summary = "networks of stochastic (GIF) neurons, spike by spike"
    papers = (
        "Schwalger, Deger & Gerstner 2017, doi:10.1371/journal.pcbi.1005507",
        "Rene, Longtin & Macke 2020, doi:10.1162/neco_a_01292",
    )
    parameters = _DEFAULT.table
    feature_sets = feature_sets(_DEFAULT.network.names)
    setting_table: ClassVar[tuple[Setting, ...]] = (
        Setting(
            "populations",
            "",
            "two-populations",
            f"the network: {', '.join(PRESETS)}, or a JSON file with a table of your own",
        ),
        Setting(
            "sizes",
            "neurons",
            None,
            "neurons of each population, like 500,100; by default those of the network",
        ),
        Setting("infer", "", "weights", "weights, full, or parameters by name, like w_EE,u_th_E"),
        Setting(
            "connections",
            "",
            "random",
            "mean-field: all pairs with the mean weight, as mesogif assumes",
            choices=CONNECTIONS,
        ),
        *COMMON_SETTINGS,
    )

    def __init__(self, *, features: str | None = None, **settings: Any) -> None:
        network = PopulationNetwork.of(settings.get("populations", "two-populations"))
        sizes = settings.get("sizes")
        if sizes is not None:
            sizes = per_population(self.name, "sizes", sizes, network.names)
            network = replace(network, size=sizes)
        self.network, self.names, self.size = network, network.names, network.size
        super().__init__(features=features, **settings)
        if str(self.settings["populations"]) not in PRESETS:
            self.settings["populations"] = network.to_dict()
        if sizes is not None:
            self.settings["sizes"] = list(sizes)
        infer = self.settings["infer"]
        self.inferred = NetworkParameters(
            network, infer if isinstance(infer, str) else tuple(infer)
        )
        self.parameters = self.inferred.table

    def networks(self, theta: np.ndarray) -> list[SpikingNetwork]:
        """See `SpikingSimulator.networks`."""
        values = self.inferred.values(theta)
        n = self.network.n
        hazard = {f.name for f in fields(Hazard)}
        return [
            SpikingNetwork(
                names=self.names,
                size=self.size,
                delay=np.full(n, self.network.delay),
                sigma=np.zeros(n),
                everyone=self.settings["connections"] == "mean-field",
                hazard=Hazard(**{f.name: values[f.name][row] for f in fields(Hazard)}),
                **{k: v[row] for k, v in values.items() if k not in hazard},
            )
            for row in range(len(theta))
        ]
