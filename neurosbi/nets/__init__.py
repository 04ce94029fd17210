"""Small torch modules that methods share."""

from neurosbi.nets.context import ContextEmbedding, FeatureEncoder
from neurosbi.nets.spline_flow import SplineFlow
from neurosbi.nets.standardize import Standardizer

__all__ = ["ContextEmbedding", "FeatureEncoder", "SplineFlow", "Standardizer"]
