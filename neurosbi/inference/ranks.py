r"""Where the true parameters lie within their posterior: ranks, for many observations at once.

Of L draws theta_1 .. theta_L ~ q(. | x) for every pair (theta, x) are counted

    r_j = #{theta_l,j < theta_j}                     for every parameter j (SBC),
    r_q = #{q(theta_l | x) > q(theta | x)}           highest-density regions,
    r_T = #{d(theta_l, s) < d(theta, s)}             balls around a random point s (TARP),

each uniform on 0 .. L where q is the posterior. d is the Euclidean distance in prior quantiles and
s a draw of the prior. All three come from the same draws, in blocks of pairs that go through the
flow together, so a single difficult observation cannot hold up the others.

References:
    Talts et al. (2018), arXiv:1804.06788 (SBC); Hermans et al. (2022), arXiv:2110.06581 (expected
    coverage of highest-density regions); Lemos et al. (2023), arXiv:2302.03026 (TARP).
"""

__all__ = ["Ranks", "context_of", "rank_pairs", "unconstrained", "unconstrained_draws"]

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neurosbi.inference.network import Network
from neurosbi.inference.pairs import Pairs
from neurosbi.seeds import derive_seed

_BLOCK = 100  # pairs that are drawn for at once; each block has a generator of its own


@dataclass(frozen=True, eq=False)
class Ranks:
    """Ranks 0 .. ``draws`` of every pair: ``theta[pair, theta]``, ``density[pair]``, ``ball[pair]``."""

    draws: int
    theta: np.ndarray
    density: np.ndarray
    ball: np.ndarray

    def __len__(self) -> int:
        return len(self.theta)


@torch.no_grad()
def rank_pairs(network: Network, pairs: Pairs, *, draws: int, seed: int) -> Ranks:
    """The ranks of ``pairs`` among ``draws`` posterior draws each."""
    estimator, device = network.estimator, network.device
    theta_ranks, density, ball = [], [], []
    for block, rows in enumerate(_blocks(len(pairs))):
        generator = torch.Generator().manual_seed(derive_seed(seed, f"ranks of block {block}"))
        condition = pairs.condition[rows].to(device)
        true = torch.as_tensor(pairs.theta[rows], dtype=torch.float64, device=device)
        theta = estimator.draw(draws, condition, generator=generator)
        theta_ranks.append((theta < true).sum(0).cpu())
        of_draws = estimator.log_prob(theta, condition)
        density.append((of_draws > estimator.log_prob(true[None], condition)).sum(0).cpu())
        point = torch.rand(true.shape, generator=generator, dtype=torch.float64).to(device)
        near = (_quantiles(network, theta) - point).norm(dim=-1)
        ball.append((near < (_quantiles(network, true) - point).norm(dim=-1)).sum(0).cpu())
    if not theta_ranks:
        none = np.empty(0, dtype=np.int64)
        return Ranks(draws, np.empty((0, len(network.parameters)), dtype=np.int64), none, none)
    return Ranks(
        draws,
        torch.cat(theta_ranks).numpy(),
        torch.cat(density).numpy(),
        torch.cat(ball).numpy(),
    )


@torch.no_grad()
def unconstrained_draws(network: Network, pairs: Pairs, *, draws: int, seed: int) -> np.ndarray:
    """The true parameters and ``draws`` of their posterior, float64 [1 + draw, pair, theta].

    In the coordinates where the prior is standard normal; row 0 is the truth.
    """
    bijection = network.estimator.bijection
    parts = []
    for block, rows in enumerate(_blocks(len(pairs))):
        generator = torch.Generator().manual_seed(derive_seed(seed, f"draws of block {block}"))
        condition = pairs.condition[rows].to(network.device)
        theta = network.estimator.draw(draws, condition, generator=generator)
        true = torch.as_tensor(pairs.theta[rows], dtype=torch.float64, device=network.device)
        parts.append(bijection(torch.cat((true[None], theta))).cpu())
    return torch.cat(parts, dim=1).numpy()


def unconstrained(network: Network, theta: np.ndarray) -> np.ndarray:
    """``theta[..., theta]`` in the coordinates where the prior is standard normal."""
    values = torch.as_tensor(theta, dtype=torch.float64, device=network.device)
    return network.estimator.bijection(values).cpu().numpy()


@torch.no_grad()
def context_of(network: Network, condition: Tensor) -> np.ndarray:
    """What the network makes of a condition before its density, float64 [row, width]."""
    condition = condition.to(network.device)
    embedding = network.estimator.embedding_net
    parts = [embedding(part.float()) for part in condition.split(4096)]
    return torch.cat(parts).double().cpu().numpy()


def _quantiles(network: Network, theta: Tensor) -> Tensor:
    return torch.special.ndtr(network.estimator.bijection(theta))


def _blocks(n: int) -> list[slice]:
    return [slice(i, min(i + _BLOCK, n)) for i in range(0, n, _BLOCK)]
