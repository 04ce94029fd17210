"""The pyloric network of the crustacean stomatogastric ganglion."""

from neurosbi_simulators.pyloric.network import PyloricNetwork

__all__ = ["PyloricNetwork"]
