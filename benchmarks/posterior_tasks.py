"""The eight tasks of the public benchmark of simulation-based inference, with its references.

Every prior is written as independent uniforms u in (0, 1): theta = theta_of(u). Ours learns in the
space where u is standard normal, so the change of variables costs nothing and is exact.

References: Lueckmann, Boelts, Greenberg, Goncalves, Macke (2021), Benchmarking Simulation-Based
Inference, arXiv:2101.04653; observations and reference posteriors of its repository (MIT licence).
"""

__all__ = ["TASKS", "Task", "reference"]

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numba as nb
import numpy as np
import torch
from scipy.special import expit, ndtri
from torch.distributions import (
    Distribution,
    Independent,
    LogNormal,
    MultivariateNormal,
    Normal,
    Uniform,
)

DATA = Path(__file__).parents[1] / "data" / "sbibm"


@dataclass(frozen=True)
class Task:
    """``theta_of(u[sim, theta])``, ``simulate(theta, rng) -> x[sim, column]`` and the torch prior.

    ``encode`` is what our networks see of x (logarithms of positive, skewed data); ``log_theta``
    says that theta is positive.
    """

    name: str
    dim: int
    theta_of: Callable[[np.ndarray], np.ndarray]
    simulate: Callable[[np.ndarray, np.random.Generator], np.ndarray]
    prior: Callable[[], Distribution]
    encode: Callable[[np.ndarray], np.ndarray] = lambda x: x


def reference(task: str) -> dict[str, np.ndarray]:
    """``observation[obs, column]``, ``true_parameters``, ``reference_posterior[obs, 10000, theta]``."""
    with np.load(DATA / f"{task}.npz") as file:
        return {name: file[name].astype(np.float64) for name in file.files}


def _normal(u: np.ndarray) -> np.ndarray:
    return ndtri(np.clip(u, 2.0**-60, 1 - 2.0**-53))


def _scaled(low: float, high: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda u: low + (high - low) * u


def _box(low: float, high: float, dim: int) -> Callable[[], Distribution]:
    return lambda: Independent(
        Uniform(torch.full((dim,), low), torch.full((dim,), high), validate_args=False), 1
    )


def _gaussian_linear(theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return theta + np.sqrt(0.1) * rng.standard_normal(theta.shape)


def _gaussian_mixture(theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    sd = np.where(rng.random((len(theta), 1)) < 0.5, 1.0, 0.1)
    return theta + sd * rng.standard_normal(theta.shape)


def _two_moons(theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    a = np.pi * (rng.random(len(theta)) - 0.5)
    r = 0.1 + 0.01 * rng.standard_normal(len(theta))
    crescent = np.column_stack([r * np.cos(a) + 0.25, r * np.sin(a)])
    t1, t2 = theta.T
    return crescent + np.column_stack([-np.abs(t1 + t2), -t1 + t2]) / np.sqrt(2)


def _slcp(theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    t1, t2, t3, t4, t5 = (column[:, None] for column in theta.T)
    e1, e2 = rng.standard_normal((2, len(theta), 4))
    s1, s2, rho = t3**2, t4**2, np.tanh(t5)
    first = t1 + s1 * e1
    second = t2 + s2 * (rho * e1 + np.sqrt(1 - rho**2) * e2)
    return np.stack([first, second], axis=2).reshape(len(theta), 8)


@cache
def _glm_stimulus() -> np.ndarray:
    return np.random.RandomState(42).randn(100)


@cache
def _glm_design() -> np.ndarray:
    """Columns: 1, then the stimulus at lags 0 to 8 [bin, theta]."""
    stimulus = _glm_stimulus()
    lagged = [np.concatenate([np.zeros(k), stimulus[: 100 - k]]) for k in range(9)]
    return np.column_stack([np.ones(100), *lagged])


@cache
def _glm_factor() -> np.ndarray:
    """Cholesky factor of the prior covariance."""
    d = np.eye(9) - np.eye(9, k=-1)
    f = d @ d + np.diag(np.sqrt(np.arange(9) / 9))
    precision = np.zeros((10, 10))
    precision[0, 0] = 0.5
    precision[1:, 1:] = f.T @ f
    return np.linalg.cholesky(np.linalg.inv(precision))


def _glm_summaries(y: np.ndarray) -> np.ndarray:
    """The spike count and the last 9 values of conv1d(y, stimulus, padding 8), [sim, 10]."""
    padded = np.pad(y, ((0, 0), (8, 8)))
    stimulus = _glm_stimulus()
    lags = [padded[:, i : i + 100] @ stimulus for i in range(padded.shape[1] - 99)]
    return np.column_stack([y.sum(1), *lags[-9:]])


def _bernoulli_glm(theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    p = expit(theta @ _glm_design().T)
    return _glm_summaries((rng.random(p.shape) < p).astype(np.float64))


@nb.njit(cache=True, error_model="numpy")
def _sir_infected(theta: np.ndarray) -> np.ndarray:
    out = np.empty((len(theta), 10))
    dt, per_day, total = 0.05, 20, 1e6
    for i in range(len(theta)):
        beta, gamma = theta[i, 0], theta[i, 1]
        s, j = total - 1.0, 1.0
        for day in range(160):
            if day % 17 == 0:
                out[i, day // 17] = j
            for _ in range(per_day):
                a1 = beta * s * j / total
                b1 = a1 - gamma * j
                s2, j2 = s - 0.5 * dt * a1, j + 0.5 * dt * b1
                a2 = beta * s2 * j2 / total
                b2 = a2 - gamma * j2
                s3, j3 = s - 0.5 * dt * a2, j + 0.5 * dt * b2
                a3 = beta * s3 * j3 / total
                b3 = a3 - gamma * j3
                s4, j4 = s - dt * a3, j + dt * b3
                a4 = beta * s4 * j4 / total
                b4 = a4 - gamma * j4
                s -= dt / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
                j += dt / 6 * (b1 + 2 * b2 + 2 * b3 + b4)
    return out


def _sir(theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    share = np.clip(np.nan_to_num(_sir_infected(theta) / 1e6), 0.0, 1.0)
    return rng.binomial(1000, share).astype(np.float64)


@nb.njit(cache=True, error_model="numpy")
def _lotka_volterra_populations(theta: np.ndarray) -> np.ndarray:
    """log x and log y at every 2.1 days, [sim, 20]; integrated in logs, which stay finite."""
    out = np.empty((len(theta), 20))
    per_sample, dt = 20, 0.1 / 20
    for i in range(len(theta)):
        a, b, c, d = theta[i]
        p, q = np.log(30.0), 0.0
        for sample in range(200):
            if sample % 21 == 0:
                out[i, sample // 21] = p
                out[i, 10 + sample // 21] = q
            for _ in range(per_sample):
                p1, q1 = a - b * np.exp(q), d * np.exp(p) - c
                p2 = a - b * np.exp(q + 0.5 * dt * q1)
                q2 = d * np.exp(p + 0.5 * dt * p1) - c
                p3 = a - b * np.exp(q + 0.5 * dt * q2)
                q3 = d * np.exp(p + 0.5 * dt * p2) - c
                p4 = a - b * np.exp(q + dt * q3)
                q4 = d * np.exp(p + dt * p3) - c
                p += dt / 6 * (p1 + 2 * p2 + 2 * p3 + p4)
                q += dt / 6 * (q1 + 2 * q2 + 2 * q3 + q4)
    return out


def _lotka_volterra(theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    logs = np.clip(_lotka_volterra_populations(theta), np.log(1e-10), np.log(1e4))
    return np.exp(logs + 0.1 * rng.standard_normal(logs.shape))


def _log_normal(mean: tuple[float, ...], sd: tuple[float, ...]) -> dict:
    center, scale = np.array(mean), np.array(sd)
    return {
        "theta_of": lambda u: np.exp(center + scale * _normal(u)),
        "prior": lambda: Independent(
            LogNormal(
                torch.tensor(mean, dtype=torch.float32), torch.tensor(sd, dtype=torch.float32)
            ),
            1,
        ),
    }


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            "gaussian_linear",
            10,
            lambda u: np.sqrt(0.1) * _normal(u),
            _gaussian_linear,
            lambda: Independent(Normal(torch.zeros(10), torch.full((10,), 0.1**0.5)), 1),
        ),
        Task("gaussian_linear_uniform", 10, _scaled(-1, 1), _gaussian_linear, _box(-1.0, 1.0, 10)),
        Task("gaussian_mixture", 2, _scaled(-10, 10), _gaussian_mixture, _box(-10.0, 10.0, 2)),
        Task("two_moons", 2, _scaled(-1, 1), _two_moons, _box(-1.0, 1.0, 2)),
        Task("slcp", 5, _scaled(-3, 3), _slcp, _box(-3.0, 3.0, 5)),
        Task(
            "bernoulli_glm",
            10,
            lambda u: _normal(u) @ _glm_factor().T,
            _bernoulli_glm,
            lambda: MultivariateNormal(
                torch.zeros(10), scale_tril=torch.as_tensor(_glm_factor(), dtype=torch.float32)
            ),
        ),
        Task(
            "sir",
            2,
            simulate=_sir,
            encode=np.log1p,
            **_log_normal((np.log(0.4), np.log(0.125)), (0.5, 0.2)),
        ),
        Task(
            "lotka_volterra",
            4,
            simulate=_lotka_volterra,
            encode=np.log,
            **_log_normal((-0.125, -3.0, -0.125, -3.0), (0.5,) * 4),
        ),
    )
}
