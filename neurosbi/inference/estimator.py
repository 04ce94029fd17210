"""A conditional flow, or an ensemble of them, as an sbi density estimator over the parameters.

    log q(theta | e) = log 1/K sum_k flow_k(r | embed_k(e)) + log |dr / dz| + log |dz / d theta|,
    z = (g(theta) - center) / scale,    r = residual of z given e

where g maps the prior's box to R^n (see `neurosbi.priors`), e is the encoded condition (see
`neurosbi.nets.context`) and the residual is that of a regression (see
`neurosbi.nets.trend`). Nothing can leak out of the prior. The K members are trained together,
each by its own likelihood, and answer as their mixture: what one of them has not learned
well is diluted, which mends over-confidence.

References: Lakshminarayanan, Pritzel, Blundell (2017), arXiv:1612.01474; Hermans et al. (2022),
arXiv:2110.06581, on ensembles against over-confident posteriors.
"""

__all__ = ["FlowEstimator"]

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from neurosbi.contract import Parameter
from neurosbi.inference._sbi import ConditionalDensityEstimator
from neurosbi.nets import SplineFlow, Trend
from neurosbi.priors import UnconstrainedMap


class FlowEstimator(ConditionalDensityEstimator):
    """Shapes are those of sbi: ``input[(sample,) batch, theta]``, ``condition[batch, column]``.

    ``embeddings`` are modules from the encoded condition to ``[batch, flow.context]``, one for
    each member of ``flow``.
    """

    center: Tensor
    scale: Tensor

    def __init__(
        self,
        flow: SplineFlow,
        embeddings: Sequence[nn.Module],
        *,
        parameters: Sequence[Parameter],
        condition_shape: Sequence[int],
    ) -> None:
        super().__init__(flow, torch.Size([flow.dim]), torch.Size(condition_shape))
        self.trend = Trend(torch.Size(condition_shape).numel(), flow.dim)
        self.members = nn.ModuleList(embeddings)
        self.bijection = UnconstrainedMap(parameters)
        self.register_buffer("center", torch.zeros(flow.dim, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(flow.dim, dtype=torch.float64))

    @property
    def embedding_net(self) -> nn.Module:
        """The learned embedding of the first member."""
        return self.members[0]

    def embedding(self, condition: Tensor) -> Tensor:
        """The contexts of all members, [member, batch, context]."""
        return torch.stack([member(condition) for member in self.members])

    def loss(self, input: Tensor, condition: Tensor, **kwargs: object) -> Tensor:
        """Negative log probability [batch] of ``input[batch, theta]``."""
        return -self.log_prob(input[None], condition)[0]

    def unconstrained_loss(self, z: Tensor, condition: Tensor) -> Tensor:
        """The same up to the Jacobian, which has no weights, [batch].

        What training minimises: in training mode the mean over the members, else their mixture.
        """
        r, log_det = self.trend.residual(z, condition)
        each = self.net.log_prob(r, self.embedding(condition)) + log_det  # type: ignore[operator]
        return -(each.mean(0) if self.training else self._mixture(each))

    def log_prob(self, input: Tensor, condition: Tensor, **kwargs: object) -> Tensor:
        """log q [sample, batch] of ``input``; -inf outside the prior's box."""
        self._check_condition_shape(condition)
        self._check_input_shape(input)
        input, condition, batch = self._broadcast_and_align(input, condition)
        shared = condition.stride(0) == 0 or len(condition) == 1
        one_each = condition[0] if shared else condition.flatten(0, 1)
        one_each = one_each.float()
        context = self.embedding(one_each)
        if shared:
            context = context.repeat(1, len(input), 1)
            one_each = one_each.repeat(len(input), 1)
        theta = input.double()
        z = self.bijection(theta)
        flat = ((z - self.center) / self.scale).flatten(0, 1).float()
        flat, log_det = self.trend.residual(flat, one_each)
        density = self._mixture(self.net.log_prob(flat, context)) + log_det  # type: ignore[operator]
        density = density.view(len(input), batch)
        jacobian = self.bijection.log_det(theta, z) - self.scale.log().sum()
        total = torch.where(self.bijection.inside(input), density.double() + jacobian, -torch.inf)
        return total.to(input.dtype)

    def sample(self, sample_shape: Sequence[int], condition: Tensor, **kwargs: object) -> Tensor:
        """Draws [*sample_shape, batch, theta] from torch's global generator, float32."""
        self._check_condition_shape(condition)
        n, k = torch.Size(sample_shape).numel(), len(self.members)
        theta = self.draw(-(-n // k) * k, condition)
        if k > 1:  # any one draw is of the mixture: which member it is from is chance
            turns = torch.rand(theta.shape[:2], device=theta.device).argsort(0)[:n]
            theta = theta.gather(0, turns[..., None].expand(-1, -1, theta.shape[2]))
        return theta.float().reshape(*sample_shape, *theta.shape[1:])

    @torch.no_grad()
    def draw(
        self, n: int, condition: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """``n`` draws per condition, float64 [n, batch, theta]; the members take turns."""
        condition = condition.float()
        context = self.embedding(condition)
        k, batch, _ = context.shape
        turns = -(-n // k)
        r = self.net.sample(context.repeat(1, turns, 1), generator=generator)  # type: ignore[operator]
        r = r.view(k, turns, batch, -1).transpose(0, 1).flatten(0, 1)[:n]
        z = self.trend.restore(r, condition).double()
        return self.bijection.inverse(z * self.scale + self.center)

    def _mixture(self, each: Tensor) -> Tensor:
        """log density of the mixture [...] from those of its members [member, ...]."""
        return each.logsumexp(0) - math.log(len(each)) if len(each) > 1 else each[0]
