"""A trained network: conditions on an observation, knows its card, checks what it is used for."""

__all__ = ["Network", "Posterior"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurosbi.contract import (
    Feature,
    Parameter,
    Simulator,
    Stimulus,
    StimulusFamily,
    SweepSets,
    TraceBins,
    family_from_dict,
)
from neurosbi.errors import BadInputError
from neurosbi.inference._sbi import DirectPosterior, direct_posterior
from neurosbi.inference.estimator import FlowEstimator
from neurosbi.inference.sampling import sample_inside
from neurosbi.inference.sweep_sets import encode_set
from neurosbi.nets import FeatureEncoder, SetEncoder, TraceEncoder
from neurosbi.priors import BoxPrior
from neurosbi.store import config_hash

Stimuli = np.ndarray | Stimulus | Sequence[Stimulus] | None

_ROWS = 20_000  # rows evaluated at once


class Network:
    """A trained estimator with its encoder and card (see ``card`` for what it was trained on)."""

    def __init__(
        self,
        estimator: FlowEstimator,
        encoder: FeatureEncoder | SetEncoder | TraceEncoder,
        card: Mapping[str, Any],
    ) -> None:
        self.estimator, self.encoder, self.card = estimator.eval(), encoder.eval(), dict(card)
        self.parameters = tuple(Parameter(**p) for p in card["prior"])
        self.features = tuple(Feature(**f) for f in card["features"])
        self.family: StimulusFamily = family_from_dict(card["stimulus_family"])
        self.folder: Path | None = None  # where it was opened, if it lies on disk

    @property
    def method(self) -> str:
        """The name of the method that trained it."""
        return self.card["method"]

    @property
    def refined(self) -> bool:
        """Whether it was trained in a round of refinement, for one recording alone."""
        return "round" in self.card

    @property
    def prior(self) -> BoxPrior:
        """The prior of the training simulations, as a torch distribution."""
        return BoxPrior(self.parameters)

    def prior_log_prob(self, theta: np.ndarray) -> np.ndarray:
        """Log density [sim] of the prior at ``theta[sim, theta]``; -inf outside its box."""
        prior = BoxPrior(self.parameters, dtype=torch.float64)
        return prior.log_prob(torch.as_tensor(np.atleast_2d(theta))).numpy()

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.estimator.parameters()).device

    def to(self, device: str | torch.device) -> "Network":
        """The network itself, with its weights moved."""
        self.estimator.to(device)
        return self

    def encode(
        self,
        x: np.ndarray,
        stimulus: Stimuli = None,
        given: np.ndarray | None = None,
        trace: np.ndarray | None = None,
    ) -> Tensor:
        """The condition that the estimator (and `to_sbi`) takes, float32 [sim, column].

        A network of sets of sweeps (``takes_sets``) takes one set: ``x[sweep, feature]``, a
        stimulus and ``given[sweep, feature]`` for each sweep, and gives one row. Otherwise:

        ``x[sim, feature]`` or ``[feature]`` in the order of ``features``, NaN where undefined;
        ``stimulus`` is a `Stimulus`, its vector, or one row per simulation; None for networks of
        a fixed stimulus; ``given[feature]`` False withholds a feature (None: all are given);
        ``trace[(sim,) channel, bin]`` is the voltage in ``trace_bins`` (None: it is withheld).
        Raises `BadInputError` for other widths or a stimulus outside the family.
        """
        x = np.atleast_2d(np.asarray(x, dtype=np.float64))
        if x.shape[1] != len(self.features):
            names = ", ".join(f.name for f in self.features)
            raise BadInputError(
                f"this network takes {len(self.features)} features ({names}), got {x.shape[1]}"
            )
        values = np.broadcast_to(self._stimulus_rows(stimulus), (len(x), self._stimulus_width))
        if isinstance(self.encoder, SetEncoder):
            mask = None if given is None else np.broadcast_to(given, x.shape).astype(bool)
            return encode_set(self.encoder, x, values, mask)
        if self.inputs == "trace":
            given = np.zeros(len(self.features), dtype=bool)
        mask = None if given is None else torch.as_tensor(np.asarray(given, dtype=bool))
        columns = (torch.as_tensor(x), torch.as_tensor(values.copy()), mask)
        if self.trace_bins is None and trace is None:
            return self.encoder(*columns)
        return self.encoder(*columns, self._checked_trace(trace, len(x)))

    def posterior(
        self,
        x_o: np.ndarray,
        stimulus: Stimuli = None,
        given: np.ndarray | None = None,
        trace: np.ndarray | None = None,
    ) -> "Posterior":
        """The posterior given observed features ``x_o[feature]`` and the stimulus.

        With sets of sweeps ``x_o[sweep, feature]``, and a stimulus and ``given`` for each.
        ``given[feature]`` False leaves a feature out of the condition, as if nobody had looked.
        ``trace[channel, bin]`` is the voltage in ``trace_bins``, for networks that read traces; one
        of both inputs does with features alone (None) or with the trace alone (nothing given).
        Raises `BadInputError` if the network was not trained to do without what is missing.
        """
        if self.refined and given is not None:
            # trained for one observation, without what was left out of it (see `rounds`)
            x_o, given = np.where(given, x_o, np.nan), None
        some = given is not None and not np.all(given) and self.inputs != "trace"
        alone = some and trace is not None and not np.any(given)
        if some and not alone and not self.card.get("withheld"):
            raise BadInputError(
                "this network needs all its features; train it with withheld above 0 to leave "
                "some out"
            )
        x_o = np.asarray(x_o, dtype=np.float64)
        if x_o.ndim != 1 and not (self.takes_sets and x_o.ndim == 2):
            raise BadInputError(f"one observation is one row of features, got shape {x_o.shape}")
        if trace is None and not np.isfinite(x_o).any() and x_o.size:
            raise BadInputError(
                "all observed features are undefined, so there is nothing to infer from; "
                "choose another sweep"
            )
        return Posterior(self, x_o, self.encode(x_o, stimulus, given, trace))

    @torch.no_grad()
    def log_prob(
        self,
        theta: np.ndarray,
        x: np.ndarray,
        stimulus: np.ndarray | None = None,
        trace: np.ndarray | None = None,
    ) -> np.ndarray:
        """log q(theta_i | x_i) of pairs ``theta[sim, theta]``, ``x[sim, feature]``: [sim]."""
        encoded = self.encode(x, stimulus, trace=trace).to(self.device)
        values = torch.as_tensor(np.atleast_2d(theta), dtype=torch.float64, device=self.device)
        parts = [
            self.estimator.log_prob(values[i : i + _ROWS][None], encoded[i : i + _ROWS])[0]
            for i in range(0, len(values), _ROWS)
        ]
        return torch.cat(parts).cpu().numpy()

    def to_sbi(self) -> DirectPosterior:
        """sbi's amortised posterior; its ``x`` is what `encode` returns."""
        return direct_posterior(self.estimator, _prior_on(self))

    def check_simulator(self, simulator: Simulator) -> None:
        """Raise `BadInputError` unless the network was trained on simulations of ``simulator``."""
        mine, other = self.card["simulator"], simulator.config()
        if config_hash(mine) == config_hash(other):
            names = tuple(p.name for p in simulator.parameters)
            box = [(p.low, p.high, p.scale) for p in simulator.parameters]
            if names == tuple(p.name for p in self.parameters) and box == [
                (p.low, p.high, p.scale) for p in self.parameters
            ]:
                return
            raise BadInputError(
                f"this network was trained under other prior ranges of {simulator.name} than the "
                "present ones; train a network for these ranges"
            )
        raise BadInputError(
            f"this network was trained on {_describe(mine)}, not on {_describe(other)} "
            f"({_difference(mine, other)}); train a network for that simulator"
        )

    @property
    def inputs(self) -> str:
        """What it sees of a sweep: "features", "trace" or "both"."""
        return self.card.get("builder", {}).get("inputs", "features")

    @property
    def trace_bins(self) -> TraceBins | None:
        """The bins in which it takes voltage (see `Simulator.observe_binned`), None if it does not."""
        return self.encoder.bins if isinstance(self.encoder, TraceEncoder) else None

    @property
    def takes_sets(self) -> bool:
        """Whether an observation is a set of sweeps."""
        return isinstance(self.family, SweepSets)

    @property
    def _stimulus_width(self) -> int:
        return len(self.family.parameters)

    def _checked_trace(self, trace: np.ndarray | None, n: int) -> Tensor | None:
        """The trace as float32 [sim, channel, bin]; None where it may be left out."""
        bins = self.trace_bins
        if bins is None:
            raise BadInputError("this network sees features only, it takes no trace")
        if trace is None and self.inputs == "trace":
            raise BadInputError(
                "this network sees traces only: give the voltage in its bins "
                "(simulator.observe_binned), or train one with inputs=both"
            )
        if trace is None:
            return None
        trace = np.asarray(trace, dtype=np.float32)
        if trace.shape[-2:] != bins.shape or trace.ndim not in (2, 3):
            raise BadInputError(
                f"this network takes traces of {bins.shape[0]} channels and {bins.n} bins, got "
                f"shape {trace.shape}"
            )
        if not np.isfinite(trace).any():
            raise BadInputError("the trace has no voltage in any bin, so there is nothing to read")
        return torch.as_tensor(np.array(np.broadcast_to(trace, (n, *bins.shape))))

    def _vector(self, stimulus: Stimulus) -> np.ndarray:
        reason = self.family.why_not(stimulus)
        if reason:
            raise BadInputError(f"this network cannot take the stimulus: {reason}")
        return self.family.vector(stimulus)

    def _stimulus_rows(self, stimulus: Stimuli) -> np.ndarray:
        if isinstance(stimulus, Stimulus):
            stimulus = self._vector(stimulus)
        elif isinstance(stimulus, (list, tuple)):
            stimulus = np.array([self._vector(s) for s in stimulus])
        values = np.empty(0) if stimulus is None else np.asarray(stimulus, dtype=np.float64)
        if values.shape[-1] != self._stimulus_width:
            names = ", ".join(p.name for p in self.family.parameters) or "none"
            raise BadInputError(
                f"this network takes {self._stimulus_width} stimulus parameters ({names}), "
                f"got {values.shape[-1]}"
            )
        if not np.all(np.isfinite(values)):
            raise BadInputError("a stimulus parameter is not finite")
        return values


@dataclass(frozen=True, eq=False)
class Posterior:
    """The distribution of the parameters given one observation ``x_o[(sweep,) feature]``."""

    network: Network
    x_o: np.ndarray
    condition: Tensor

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The columns of samples."""
        return self.network.parameters

    def sample(self, n: int, *, seed: int, time_limit: float = 60.0) -> np.ndarray:
        """``n`` draws, float64 [n, theta], inside the prior's box.

        Raises `FitError` when ``time_limit`` seconds do not suffice.
        """
        estimator = self.network.estimator
        condition = self.condition.to(self.network.device)
        return sample_inside(
            lambda count, generator: estimator.draw(count, condition, generator=generator)[:, 0],
            estimator.bijection.inside,
            n=n,
            seed=seed,
            time_limit=time_limit,
        )

    @torch.no_grad()
    def log_prob(self, theta: np.ndarray) -> np.ndarray:
        """Log density [n] of ``theta[n, theta]`` in its own units; -inf outside the prior."""
        device = self.network.device
        values = torch.as_tensor(np.atleast_2d(theta), dtype=torch.float64, device=device)
        condition = self.condition.to(device)
        parts = [
            self.network.estimator.log_prob(values[i : i + _ROWS, None], condition)[:, 0]
            for i in range(0, len(values), _ROWS)
        ]
        return torch.cat(parts).cpu().numpy()

    def to_sbi(self) -> DirectPosterior:
        """The same as an sbi posterior, with the observation as its default ``x``."""
        network = self.network
        x = self.condition.to(network.device)
        return direct_posterior(network.estimator, _prior_on(network), x=x)


def _prior_on(network: Network) -> BoxPrior:
    prior = network.prior
    prior.to(network.device)
    return prior


def _describe(config: Mapping[str, Any]) -> str:
    return f"{config.get('simulator', 'an unknown simulator')} version {config.get('version', '?')}"


def _difference(mine: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The first difference of two simulator configurations in words."""
    for key in ("simulator", "version", "features"):
        if mine.get(key) != other.get(key):
            return f"{key} {mine.get(key)} against {other.get(key)}"
    a, b = mine.get("settings", {}), other.get("settings", {})
    for key in sorted({*a, *b}):
        if a.get(key) != b.get(key):
            return f"setting {key} {a.get(key)} against {b.get(key)}"
    return "other configuration"


def column_table(rows: Sequence[Parameter] | Sequence[Feature]) -> list[dict[str, Any]]:
    """A table of parameters or features as plain data for a card."""
    return [dict(vars(row)) for row in rows]
