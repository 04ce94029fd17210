"""Methods by name: train one on simulations, rebuild one from its card and weights."""

from neurosbi.inference.methods import METHODS, load_network, method_config, train_method

__all__ = ["METHODS", "load_network", "method_config", "train_method"]
