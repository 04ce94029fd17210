"""Simulations with binned traces as training data, and what each input tells on average.

A network of ``inputs`` "both" is trained to do with either alone: every simulation is learned from
twice in a pass, with its trace (and, in two of three, its features) and with its features alone. So
it is three posteriors in one, and the question which input tells more has an answer on the same
network: over held-out simulations

    expected entropy = E[-log q(theta | input)],    information = E[log q(theta | input) - log p(theta)]

The information is a lower bound of the mutual information of parameters and input, in nats.

References: Barber, Agakov (2003), The IM algorithm, for the bound.
"""

__all__ = ["INPUTS", "EitherLoss", "EncodedTraces", "information_by_input", "trace_encoder"]

from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurosbi.errors import BadInputError
from neurosbi.inference.estimator import FlowEstimator
from neurosbi.inference.simulations import Simulations, given_features, read_rows
from neurosbi.nets import FeatureEncoder, TraceEncoder
from neurosbi.priors import BoxPrior, UnconstrainedMap

INPUTS = ("features", "trace", "both")

_STATISTICS_ROWS = 4096
_ROWS = 4096  # read, encoded and evaluated at once: traces are wide


def trace_encoder(
    simulations: Simulations, rows: np.ndarray, sweep: FeatureEncoder
) -> TraceEncoder:
    """The encoder standardised on the traces of ``simulations``, of which ``rows`` are usable.

    Raises `BadInputError` if the simulations hold no traces.
    """
    bins = simulations.trace_bins
    if bins is None:
        raise BadInputError(
            "these simulations hold features only; simulate with --traces (and another output) "
            "for networks that read traces"
        )
    # simulations are independent draws: the first ones are as good as any
    return TraceEncoder.of(sweep, bins, _read_traces(simulations, rows[:_STATISTICS_ROWS]))


class EncodedTraces:
    """Valid simulations as pairs of unconstrained parameters and encoded condition with trace.

    A `RowSource` for the training loop, as `EncodedRows`; see there for ``withheld``.
    """

    def __init__(
        self,
        simulations: Simulations,
        rows: np.ndarray,
        *,
        encoder: TraceEncoder,
        bijection: UnconstrainedMap,
        center: Tensor,
        scale: Tensor,
        inputs: str,
        withheld: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.simulations, self.rows = simulations, rows
        self.encoder, self.bijection = encoder, bijection
        self.center, self.scale, self.inputs = center, scale, inputs
        self.withheld, self.seed = withheld, seed

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Standardised z [row, theta] and encoding [row, column], float32."""
        n, width = stop - start, len(self.simulations.features)
        given = np.zeros((n, width), dtype=bool)
        if self.inputs == "both":
            given = given_features(width, n, share=self.withheld, seed=self.seed, start=start)
        z = torch.empty((n, len(self.center)))
        encoded = torch.empty((n, self.encoder.width))
        for first in range(0, n, _ROWS):
            part = slice(first, min(first + _ROWS, n))
            rows = self.rows[start:stop][part]
            theta, encoded[part] = self.encode(rows, given[part], np.ones(len(rows), dtype=bool))
            z[part] = (self.bijection(torch.as_tensor(theta)) - self.center) / self.scale
        return z, encoded

    def encode(
        self, rows: np.ndarray, features: np.ndarray, trace: np.ndarray
    ) -> tuple[np.ndarray, Tensor]:
        """theta and encoding of ``rows``, given ``features[row, feature]`` and ``trace[row]``."""
        theta, x, stimulus = read_rows(self.simulations, rows)
        encoded = self.encoder(
            torch.as_tensor(x),
            torch.as_tensor(stimulus),
            torch.as_tensor(features),
            torch.as_tensor(_read_traces(self.simulations, rows)),
            torch.as_tensor(trace),
        )
        return theta, encoded


class EitherLoss:
    """The loss with the trace, and in training the mean of it and that of the features alone."""

    def __init__(self, estimator: FlowEstimator, source: EncodedTraces) -> None:
        self.estimator = estimator
        self.first = source.encoder.sweep.width  # column of the trace

    def __call__(self, z: Tensor, condition: Tensor) -> Tensor:
        """Losses [row] of ``z[row, theta]`` given ``condition[row, column]``."""
        with_trace = self.estimator.unconstrained_loss(z, condition)
        if not self.estimator.training:
            return with_trace
        alone = condition.clone()
        alone[:, self.first :] = 0.0
        return 0.5 * (with_trace + self.estimator.unconstrained_loss(z, alone))


@torch.no_grad()
def information_by_input(
    estimator: FlowEstimator, source: EncodedTraces, held_out: np.ndarray
) -> dict[str, Any]:
    """What the network learns from each of its inputs, for its card.

    Over the rows ``held_out`` [row] of ``source``: "simulations" (their number) and, for each
    input the network can do with, "entropy" and "information" in nats (see above) with
    "standard_error" of the latter. Entropies are in the units of the parameters.
    """
    rows = source.rows[held_out]
    device = next(estimator.parameters()).device
    estimator.eval()
    prior = BoxPrior(source.simulations.parameters, dtype=torch.float64)
    width = len(source.simulations.features)
    names = INPUTS if source.inputs == "both" else ("trace",)
    log_q: dict[str, list[np.ndarray]] = {name: [] for name in names}
    log_p = []
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        for name in names:
            features = np.full((len(part), width), name != "trace")
            trace = np.full(len(part), name != "features")
            theta, encoded = source.encode(part, features, trace)
            values = torch.as_tensor(theta, dtype=torch.float64, device=device)
            density = estimator.log_prob(values[None], encoded.to(device))[0]
            log_q[name].append(density.cpu().numpy())
        log_p.append(prior.log_prob(torch.as_tensor(theta)).numpy())
    gain = {name: np.concatenate(parts) - np.concatenate(log_p) for name, parts in log_q.items()}
    return {
        "simulations": len(rows),
        "inputs": {
            name: {
                "entropy": float(-np.concatenate(log_q[name]).mean()),
                "information": float(values.mean()),
                "standard_error": float(values.std() / np.sqrt(len(values))),
            }
            for name, values in gain.items()
        },
    }


def _read_traces(simulations: Simulations, rows: np.ndarray) -> np.ndarray:
    """Traces of sorted ``rows``, in pieces: rows lie close together except where some failed."""
    if not len(rows):
        return np.empty((0, *simulations.read_traces(0, 0).shape[1:]), dtype=np.float32)
    parts = [
        simulations.read_traces(int(part[0]), int(part[-1]) + 1)[part - part[0]]
        for part in np.split(rows, np.flatnonzero(np.diff(rows) > _ROWS) + 1)
    ]
    return np.concatenate(parts)
