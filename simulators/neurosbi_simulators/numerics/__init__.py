"""The numerical pieces shared by all simulators: compilation, exponentials, noise."""

from neurosbi_simulators.numerics.jit import entry, kernel

__all__ = ["entry", "kernel"]
