"""A conditional flow as an sbi density estimator, in the original parameter space.

    log q(theta | e) = log flow(z | embed(e)) + log |dz / d theta|,   z = (g(theta) - center) / scale

where g maps the prior's box to R^n (see `neurosbi.priors`) and e is the encoded condition (see
`neurosbi.nets.context`). Nothing can leak out of the prior.
"""

__all__ = ["FlowEstimator"]

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from neurosbi.contract import Parameter
from neurosbi.inference._sbi import ConditionalDensityEstimator
from neurosbi.nets import SplineFlow
from neurosbi.priors import UnconstrainedMap


class FlowEstimator(ConditionalDensityEstimator):
    """Shapes are those of sbi: ``input[(sample,) batch, theta]``, ``condition[batch, column]``.

    ``embedding`` is any module from the encoded condition to ``[batch, flow.context]``.
    """

    center: Tensor
    scale: Tensor

    def __init__(
        self,
        flow: SplineFlow,
        embedding: nn.Module,
        *,
        parameters: Sequence[Parameter],
        condition_shape: Sequence[int],
    ) -> None:
        super().__init__(flow, torch.Size([flow.dim]), torch.Size(condition_shape))
        self.embedding = embedding
        self.bijection = UnconstrainedMap(parameters)
        self.register_buffer("center", torch.zeros(flow.dim, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(flow.dim, dtype=torch.float64))

    @property
    def embedding_net(self) -> nn.Module:
        """The learned embedding."""
        return self.embedding

    def loss(self, input: Tensor, condition: Tensor, **kwargs: object) -> Tensor:
        """Negative log probability [batch] of ``input[batch, theta]``."""
        return -self.log_prob(input[None], condition)[0]

    def unconstrained_loss(self, z: Tensor, condition: Tensor) -> Tensor:
        """The same up to the Jacobian, which has no weights: what training minimises, [batch]."""
        return -self.net.log_prob(z, self.embedding(condition))  # type: ignore[operator]

    def log_prob(self, input: Tensor, condition: Tensor, **kwargs: object) -> Tensor:
        """log q [sample, batch] of ``input``; -inf outside the prior's box."""
        self._check_condition_shape(condition)
        self._check_input_shape(input)
        input, condition, batch = self._broadcast_and_align(input, condition)
        shared = condition.stride(0) == 0 or len(condition) == 1
        one_each = condition[0] if shared else condition.flatten(0, 1)
        context = self.embedding(one_each.float())
        if shared:
            context = context.expand(len(input), *context.shape).flatten(0, 1)
        theta = input.double()
        z = self.bijection(theta)
        flat = ((z - self.center) / self.scale).flatten(0, 1).float()
        density = self.net.log_prob(flat, context).view(len(input), batch)  # type: ignore[operator]
        jacobian = self.bijection.log_det(theta, z) - self.scale.log().sum()
        total = torch.where(self.bijection.inside(input), density.double() + jacobian, -torch.inf)
        return total.to(input.dtype)

    def sample(self, sample_shape: Sequence[int], condition: Tensor, **kwargs: object) -> Tensor:
        """Draws [*sample_shape, batch, theta] from torch's global generator, float32."""
        self._check_condition_shape(condition)
        n = torch.Size(sample_shape).numel()
        theta = self.draw(n, condition)
        return theta.float().reshape(*sample_shape, *theta.shape[1:])

    @torch.no_grad()
    def draw(
        self, n: int, condition: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """``n`` draws per condition, float64 [n, batch, theta]."""
        context = self.embedding(condition.float())
        repeated = context.expand(n, *context.shape).flatten(0, 1)
        z = self.net.sample(repeated, generator=generator).double()  # type: ignore[operator]
        return self.bijection.inverse(z * self.scale + self.center).view(n, *context.shape[:1], -1)
