"""The rows a network learns from: simulations in the form its encoder makes of them."""

__all__ = ["TrainingRows", "training_rows"]

from typing import Any

import numpy as np

from neurosbi.inference.estimator import FlowEstimator
from neurosbi.inference.simulations import EncodedRows, Simulations
from neurosbi.inference.sweep_sets import EncodedSets
from neurosbi.inference.traces import EncodedTraces
from neurosbi.nets import FeatureEncoder, SetEncoder, TraceEncoder
from neurosbi.priors import UnconstrainedMap

TrainingRows = EncodedRows | EncodedSets | EncodedTraces


def training_rows(
    simulations: Simulations,
    rows: np.ndarray,
    *,
    encoder: FeatureEncoder | SetEncoder | TraceEncoder,
    estimator: FlowEstimator,
    inputs: str,
    withheld: float,
    seed: int,
) -> TrainingRows:
    """``rows`` (indices of the usable simulations) as pairs of parameters and encoded condition.

    In the standardisation of ``estimator``; ``inputs`` and ``withheld`` as in `NPEConfig`, and
    ``seed`` that of the training. One row for each simulation, or each set of sweeps.
    Raises `BadInputError` for a network of sets and simulations of single sweeps.
    """
    how: dict[str, Any] = {
        # copies that stay behind when training moves the estimator to a GPU
        "bijection": UnconstrainedMap(simulations.parameters),
        "center": estimator.center.cpu().clone(),
        "scale": estimator.scale.cpu().clone(),
        "withheld": withheld,
        "seed": seed,
    }
    if isinstance(encoder, SetEncoder):
        return EncodedSets(simulations, encoder=encoder, **how)
    if isinstance(encoder, TraceEncoder):
        return EncodedTraces(simulations, rows, encoder=encoder, inputs=inputs, **how)
    return EncodedRows(simulations, rows, encoder=encoder, **how)
