"""Small torch modules that methods share."""

from neurosbi.nets.context import ContextEmbedding, FeatureEncoder
from neurosbi.nets.spline_flow import SplineFlow
from neurosbi.nets.standardize import Standardizer
from neurosbi.nets.sweep_sets import SetEmbedding, SetEncoder
from neurosbi.nets.trace_embedding import TraceEmbedding
from neurosbi.nets.trace_encoder import TraceEncoder
from neurosbi.nets.trend import Trend

__all__ = [
    "ContextEmbedding",
    "FeatureEncoder",
    "SetEmbedding",
    "SetEncoder",
    "SplineFlow",
    "Standardizer",
    "TraceEmbedding",
    "TraceEncoder",
    "Trend",
]
