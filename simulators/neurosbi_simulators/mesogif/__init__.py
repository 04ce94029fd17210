"""Mesoscopic populations of GIF neurons: spike counts, their likelihood and its gradient."""

from neurosbi_simulators.mesogif.model import MesoGif

__all__ = ["MesoGif"]
