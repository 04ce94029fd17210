"""What the laws take as given about each simulator: how many simulations, how many may fail.

A simulator that is not listed gets the defaults: nothing fails, every feature occurs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import black_box_example

import neurosbi as nb


@dataclass(frozen=True)
class Case:
    """``simulations`` are enough to see each law; slow models get fewer.

    ``failed`` is the largest fraction of prior draws that may blow up or fail, over ``many`` draws.
    ``rare`` features may be undefined in all of so few draws from the prior; in a ``sparse`` model
    most draws define hardly any (a circuit without rhythm). ``precision`` is the
    largest median difference between single and double precision, in standard deviations of the
    prior; ``agreeing`` the smallest share of simulations that are defined alike in both.
    ``settings`` make a model that is small enough for tests.
    """

    simulations: int = 48
    many: int = 2000
    failed: float = 0.0
    rare: frozenset[str] = frozenset()
    sparse: bool = False
    precision: float = 0.01
    agreeing: float = 0.97
    settings: Mapping[str, Any] = field(default_factory=dict)


# populations that inhibit themselves have no slow decay of their autocorrelation to fit
_TIMESCALES = frozenset({"timescale_E", "timescale_I"})
CASES = {
    # inhibitory populations of the prior lose the correlations of their counts within 5 ms
    "mesogif": Case(rare=frozenset({"timescale_I"})),
    "neuron-ball-and-stick": Case(simulations=10, many=100),
    "neuron-point": Case(simulations=40, many=300),
    # its spikes are chaotic: single and double precision part after some hundred ms
    "pyloric": Case(simulations=16, many=512, sparse=True, precision=0.2, agreeing=0.85),
    "spiking": Case(
        simulations=24,
        many=300,
        rare=_TIMESCALES,
        settings={"duration": 2000.0, "burn_in": 300.0},
    ),
    "spiking-balanced": Case(
        simulations=24,
        many=300,
        rare=_TIMESCALES,
        settings={"sizes": [800, 200], "duration": 1500.0, "burn_in": 200.0},
    ),
    black_box_example.NAME: Case(simulations=12, many=200),
}
NAMES = (*nb.simulator_names(), black_box_example.NAME)


def case(name: str) -> Case:
    return CASES.get(name, Case())


def make(name: str, **settings):
    if name == black_box_example.NAME:
        return black_box_example.build(**settings)
    return nb.simulator(name, **{**case(name).settings, **settings})
