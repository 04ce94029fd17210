"""The methods and how to train and rebuild each; a new method is one line of `METHODS`."""

__all__ = [
    "METHODS",
    "Method",
    "load_network",
    "method_config",
    "needs_traces",
    "network_weights",
    "train_method",
]

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosbi.errors import BadInputError

if TYPE_CHECKING:
    from neurosbi.inference.network import Network
    from neurosbi.inference.simulations import Simulations


@dataclass(frozen=True)
class Method:
    """Names within ``module``: the configuration class, the trainer, the builder from a card.

    ``version`` is raised when the same configuration and data give another network than before.
    """

    module: str
    config: str
    train: str
    build: str
    summary: str
    version: int

    def load(self, name: str) -> Any:
        """The object called ``name`` in the module of the method."""
        return getattr(import_module(self.module), name)


METHODS: dict[str, Method] = {
    "npe": Method(
        "neurosbi.inference.npe",
        "NPEConfig",
        "train_npe",
        "build_npe",
        "neural posterior estimation with a spline flow",
        version=5,
    ),
}


def train_method(
    name: str,
    simulations: "Simulations",
    config: Any = None,
    *,
    seed: int = 0,
    device: str = "auto",
    checkpoint: Path | None = None,
    progress: bool = True,
) -> "Network":
    """A network trained by method ``name``; ``config`` None means its defaults.

    Raises `BadInputError` for an unknown method, and what the method raises.
    """
    method = _method(name)
    return method.load(method.train)(
        simulations,
        config if config is not None else method_config(name),
        seed=seed,
        device=device,
        checkpoint=checkpoint,
        progress=progress,
    )


def method_config(name: str, **options: Any) -> Any:
    """The configuration of method ``name`` with some options changed, also those of training.

    Raises `BadInputError` that lists the options for an unknown one.
    """
    method = _method(name)
    config = method.load(method.config)()
    own = {f.name for f in dataclasses.fields(config)} - {"training"}
    shared = {f.name for f in dataclasses.fields(config.training)}
    for option in options:
        if option not in own | shared:
            raise BadInputError(
                f"method {name} has no option {option!r}; it has {', '.join(sorted(own | shared))}"
            )
    training = {k: v for k, v in options.items() if k in shared}
    return dataclasses.replace(
        config,
        training=dataclasses.replace(config.training, **training),
        **{k: v for k, v in options.items() if k in own},
    )


def needs_traces(config: Any) -> bool:
    """Whether this configuration of a method asks for simulations with traces."""
    return getattr(config, "inputs", "features") != "features"


def load_network(card: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> "Network":
    """The network of a card and its weights.

    Raises `BadInputError` when they do not belong together.
    """
    import torch

    from neurosbi.inference.network import Network

    try:
        method = _method(card["method"])
        estimator, encoder = method.load(method.build)(card)
        for prefix, module in (("estimator.", estimator), ("encoder.", encoder)):
            state = {
                k.removeprefix(prefix): torch.as_tensor(np.array(v))
                for k, v in weights.items()
                if k.startswith(prefix)
            }
            module.load_state_dict(state)
        return Network(estimator, encoder, card)
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInputError(
            f"the card of this network is incomplete ({error}); train it again"
        ) from error
    except RuntimeError as error:
        raise BadInputError(
            "the weights of this network do not fit its card; train it again"
        ) from error


def network_weights(network: "Network") -> dict[str, np.ndarray]:
    """All tensors of a network by name, for the weights file."""
    return {
        f"{prefix}.{name}": value.detach().cpu().contiguous().numpy()
        for prefix, module in (("estimator", network.estimator), ("encoder", network.encoder))
        for name, value in module.state_dict().items()
    }


def _method(name: str) -> Method:
    if name not in METHODS:
        raise BadInputError(f"there is no method {name!r}; there are {', '.join(sorted(METHODS))}")
    return METHODS[name]
