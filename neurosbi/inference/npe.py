"""Neural posterior estimation: a conditional spline flow trained by maximum likelihood.

    min_w  E_{p(theta) p(x | theta)} [ -log q_w(theta | x, stimulus) ]

Its minimum over all densities is the posterior. The flow lives in the space where the prior is
standard normal, so that it cannot leak out of the prior's box. Undefined features are masked and
flagged, hence a simulation without spikes is data like any other.

References:
    Papamakarios, Murray (2016), arXiv:1605.06376; Greenberg, Nonnenmacher, Macke (2019),
    arXiv:1905.07488. We train a single round, amortised over observations and stimuli.
"""

__all__ = ["NPEConfig", "build_npe", "train_npe"]

import math
from collections.abc import Mapping, Sized
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import neurosbi
from neurosbi.contract import (
    Feature,
    Parameter,
    StimulusFamily,
    SweepSets,
    TraceBins,
    family_from_dict,
)
from neurosbi.errors import BadInputError
from neurosbi.inference.estimator import FlowEstimator
from neurosbi.inference.network import Network, column_table
from neurosbi.inference.simulations import (
    EncodedRows,
    Simulations,
    read_rows,
    representative_rows,
    usable_rows,
)
from neurosbi.inference.traces import (
    INPUTS,
    EitherLoss,
    EncodedTraces,
    information_by_input,
    trace_encoder,
)
from neurosbi.inference.training_rows import TrainingRows, training_rows
from neurosbi.nets import (
    ContextEmbedding,
    FeatureEncoder,
    SetEmbedding,
    SetEncoder,
    SplineFlow,
    TraceEmbedding,
    TraceEncoder,
)
from neurosbi.priors import BoxPrior, UnconstrainedMap
from neurosbi.seeds import derive_seed
from neurosbi.training import (
    STEPS,
    TrainingConfig,
    TrainingResult,
    fit,
    held_out_rows,
    read_chosen,
    thread_limit,
)

Encoder = FeatureEncoder | SetEncoder | TraceEncoder

# Networks of sets learn longer than others: 8,000 steps instead of 3,500 were worth 0.9 nats with
# 120,000 sweeps of Hodgkin-Huxley cells and 1.4 nats with 300,000.
_STEPS_OF_SETS = 8_000
_FEW_ROWS = 10_000  # beyond which ten times the rows get twice the steps
_TREND_ROWS = 50_000
_JUDGED_ROWS = 2_000  # held-out ones, on which flow and trend are compared


@dataclass(frozen=True)
class NPEConfig:
    """Size of the flow and of the embedding, and how to train them.

    ``withheld`` is the share of simulations of which the network sees only a random subset of the
    features, so that a feature the model cannot produce can be left out of a fit later.
    ``ensemble`` networks are trained together and answer as their mixture.

    ``inputs`` is what the network sees of a sweep: "features", the "trace" in bins, read by a
    convolution with ``trace_filters`` (see `neurosbi.nets.trace_embedding`), or "both".
    """

    transforms: int = 5
    hidden: tuple[int, ...] = (64, 64)
    bins: int = 8
    context: int = 48
    embedding_hidden: int = 96
    embedding_blocks: int = 1
    inputs: str = "features"
    trace_filters: int = 24
    withheld: float = 0.5
    ensemble: int = 3
    trend: bool = True
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        if self.inputs not in INPUTS:
            raise BadInputError(f"option inputs is one of {', '.join(INPUTS)}, got {self.inputs!r}")
        for name in ("transforms", "context", "embedding_hidden", "ensemble", "trace_filters"):
            if getattr(self, name) < 1:
                raise BadInputError(f"option {name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.withheld <= 1:
            raise BadInputError(f"option withheld is a share from 0 to 1, got {self.withheld}")
        if isinstance(self.hidden, int):
            raise BadInputError(f"option hidden is a list of layer widths, got {self.hidden}")
        if self.bins < 2 or not self.hidden or min(self.hidden) < 1:
            raise BadInputError("a spline flow needs bins >= 2 and hidden layers of width >= 1")

    def builder(self) -> dict[str, Any]:
        """The arguments that rebuild the network, plain data."""
        values = {
            k: v for k, v in asdict(self).items() if k not in ("training", "withheld", "trend")
        }
        return values | {"hidden": list(self.hidden)}


def train_npe(
    simulations: Simulations,
    config: NPEConfig | None = None,
    *,
    seed: int = 0,
    device: str = "auto",
    checkpoint: Path | None = None,
    progress: bool = True,
) -> Network:
    """A network of the posterior, trained on all simulations that ended properly.

    Raises `BadInputError` for too few simulations or parameters outside their prior, and what
    `neurosbi.training.fit` raises.
    """
    config = config or NPEConfig()
    rows = usable_rows(simulations)
    parameters = tuple(simulations.parameters)
    theta, x, stimulus = read_rows(simulations, representative_rows(rows))
    bijection = UnconstrainedMap(parameters)
    _check_inside(theta, bijection)
    sweep_encoder = FeatureEncoder.of(x, stimulus, family=simulations.family.parameters)
    encoder = _for_family(sweep_encoder, simulations.family)
    if config.inputs != "features":
        _refuse_sets(encoder)
        encoder = trace_encoder(simulations, rows, sweep_encoder)
    theta = _without_repeats(theta)
    z = bijection(torch.as_tensor(theta))

    torch_seed = derive_seed(seed, "initial weights")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed)
        estimator = _build(config.builder(), encoder, parameters)
    estimator.center.copy_(z.mean(0))
    estimator.scale.copy_(z.std(0).clamp_min(1e-6) if len(z) > 1 else torch.ones(z.shape[1]))
    training_seed = derive_seed(seed, "training")
    source = training_rows(
        simulations,
        rows,
        encoder=encoder,
        estimator=estimator,
        inputs=config.inputs,
        withheld=config.withheld,
        seed=training_seed,
    )
    held_out = held_out_rows(len(source), config.training, seed=training_seed)
    if isinstance(source, EncodedRows) and config.trend:  # what others read has no fixed columns
        _fit_trend(estimator, source, ~held_out, threads=config.training.threads)
    result = fit(
        estimator,
        source,
        config.training,
        loss=EitherLoss(estimator, source)
        if config.inputs == "both" and isinstance(source, EncodedTraces)
        else estimator.unconstrained_loss,
        seed=training_seed,
        device=device,
        record=isinstance(source, EncodedRows),  # sets and traces have masks
        steps=_steps(source, encoder),
        checkpoint=checkpoint,
        fingerprint=f"npe {config.builder()} {config.withheld} {config.trend} "
        f"{simulations.config_hash} {simulations.seed}",
        progress=progress,
    )
    card = {
        "method": "npe",
        "neurosbi": neurosbi.__version__,
        "simulator": dict(simulations.simulator_config),
        "simulations": {
            "config_hash": simulations.config_hash,
            "seed": simulations.seed,
            "used": len(rows),
            "dropped": int(simulations.n - len(rows)),
        },
        "seed": seed,
        "prior": column_table(parameters),
        "features": column_table(simulations.features),
        "stimulus_family": simulations.family.to_dict(),
        "builder": config.builder(),
        "withheld": config.withheld,
        "trend": estimator.trend.name,
        "training": config.training.to_dict(),
        "standardisation": _standardisation(sweep_encoder, simulations.features),
        "result": result.to_dict() | _in_original_units(result, source, held_out, parameters),
    }
    if isinstance(source, EncodedRows) and estimator.trend.name != "none":
        with thread_limit(config.training.threads):
            card["beyond_trend"] = _beyond_trend(estimator, source, held_out)
    if isinstance(encoder, TraceEncoder) and isinstance(source, EncodedTraces):
        card["trace"] = encoder.bins.to_dict()
        with thread_limit(config.training.threads):
            card["information"] = information_by_input(estimator, source, held_out)
    return Network(estimator, encoder, card)


def build_npe(card: Mapping[str, Any]) -> tuple[FlowEstimator, Encoder]:
    """The untrained modules that a card describes; their state comes from the weights file."""
    parameters = [Parameter(**p) for p in card["prior"]]
    family = family_from_dict(card["stimulus_family"])
    sweep = FeatureEncoder(len(card["features"]), family.parameters)
    encoder = _for_family(sweep, family)
    if "trace" in card:
        encoder = TraceEncoder(sweep, TraceBins.from_dict(card["trace"]))
    return _build(card["builder"], encoder, parameters), encoder


def _build(
    builder: Mapping[str, Any],
    encoder: Encoder,
    parameters: list[Parameter] | tuple,
) -> FlowEstimator:
    embeddings = [_embedding(builder, encoder) for _ in range(builder["ensemble"])]
    flow = SplineFlow(
        len(parameters),
        builder["context"],
        transforms=builder["transforms"],
        hidden=builder["hidden"],
        bins=builder["bins"],
        members=builder["ensemble"],
    )
    return FlowEstimator(flow, embeddings, parameters=parameters, condition_shape=[encoder.width])


def _embedding(builder: Mapping[str, Any], encoder: Encoder) -> nn.Module:
    size = {"hidden": builder["embedding_hidden"], "blocks": builder["embedding_blocks"]}
    context = builder["context"]
    if isinstance(encoder, SetEncoder):
        return SetEmbedding(encoder.width, encoder.most, context, **size)
    if isinstance(encoder, TraceEncoder):
        return TraceEmbedding(
            encoder.width,
            [s.n for s in encoder.bins.sections],
            context,
            filters=builder["trace_filters"],
            features=2 * encoder.sweep.n_features,
            either=builder["inputs"] == "both",
            **size,
        )
    return ContextEmbedding(encoder.width, context, **size)


def _fit_trend(
    estimator: FlowEstimator, source: EncodedRows, learned_from: np.ndarray, *, threads: int | None
) -> None:
    n = min(len(source), _TREND_ROWS)
    z, encoded = source.read(0, n)
    rows = torch.as_tensor(learned_from[:n])
    with thread_limit(threads):
        estimator.trend.fit(z[rows], encoded[rows], center=estimator.center, spread=estimator.scale)


@torch.no_grad()
def _beyond_trend(estimator: FlowEstimator, source: EncodedRows, held_out: np.ndarray) -> float:
    """What the flow knows of held-out rows beyond the trend, in nats: 0 where that is all."""
    device = next(estimator.parameters()).device
    columns = read_chosen(source, held_out, most=_JUDGED_ROWS)
    z, condition = (column.to(device) for column in columns)
    estimator.eval()
    known = -estimator.unconstrained_loss(z, condition) - estimator.trend.log_prob(z, condition)
    return float(known.mean())


def _for_family(sweep: FeatureEncoder, family: StimulusFamily) -> FeatureEncoder | SetEncoder:
    return SetEncoder(sweep, family.most) if isinstance(family, SweepSets) else sweep


def _refuse_sets(encoder: FeatureEncoder | SetEncoder) -> None:
    if isinstance(encoder, SetEncoder):
        raise BadInputError(
            "networks of sets of sweeps read features only; use inputs=features, or simulate "
            "single sweeps"
        )


def _without_repeats(theta: np.ndarray) -> np.ndarray:
    """One row of ``theta[sweep, theta]`` for every run of equal ones (the sweeps of a set)."""
    new = np.ones(len(theta), dtype=bool)
    new[1:] = np.any(theta[1:] != theta[:-1], axis=1)
    return theta[new]


def _steps(source: Sized, encoder: Encoder) -> int:
    """How long to train: the more there is to learn from, the longer.

    Twice the steps of 3,500 gave 0.5 nats more with 50,000 sweeps of Hodgkin-Huxley cells, and with
    100,000 simulations of lotka_volterra a C2ST of .70 instead of .75 (benchmarks/posterior.py).
    """
    if isinstance(encoder, SetEncoder):
        return _STEPS_OF_SETS
    if isinstance(encoder, TraceEncoder):
        return STEPS
    return round(STEPS * 2 ** max(0.0, math.log10(len(source) / _FEW_ROWS)))


def _check_inside(theta: np.ndarray, bijection: UnconstrainedMap) -> None:
    outside = ~bijection.inside(torch.as_tensor(theta)).numpy()
    if outside.any():
        raise BadInputError(
            f"{outside.sum()} of {len(theta)} simulations have parameters outside the prior "
            "ranges of their own table; simulate again with the present ranges"
        )


def _standardisation(encoder: FeatureEncoder, features: tuple[Feature, ...]) -> list[dict]:
    """What each feature was divided by, and how often it was defined, for people who read cards."""
    rate = encoder.features.rate.tolist()
    columns = zip(
        features,
        encoder.features.center.tolist(),
        rate,
        encoder.low.tolist(),
        encoder.high.tolist(),
        encoder.defined.tolist(),
        strict=True,
    )
    return [
        {
            "feature": feature.name,
            "center": center,
            "scale": 1 / r if r else 0.0,
            "low": None if low != low else low,
            "high": None if high != high else high,
            "defined": defined,
        }
        for feature, center, r, low, high, defined in columns
    ]


def _in_original_units(
    result: TrainingResult,
    source: TrainingRows,
    held_out: np.ndarray,
    parameters: tuple[Parameter, ...],
) -> dict[str, float]:
    """Validation log density, in the units of theta and relative to the prior (nats).

    Jacobian and prior are those of the rows validated on; those of others differ by chance.
    """
    z = read_chosen(source, held_out)[0].double() * source.scale + source.center
    theta = source.bijection.inverse(z)
    jacobian = source.bijection.log_det(theta, z).mean() - source.scale.log().sum()
    prior = BoxPrior(parameters, dtype=torch.float64).log_prob(theta).mean()
    log_prob = -result.best_loss + float(jacobian)
    return {
        "validation_log_prob": log_prob,
        "information_gain": log_prob - float(prior),
    }
