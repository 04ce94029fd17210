"""Published C2ST of the public benchmark, mean over its ten observations, at 1k, 10k and 100k simulations.

Source: Lueckmann et al. (2021), arXiv:2101.04653, results of the repository sbi-benchmark/results.
Rows: NPE; the best amortised method (of NPE, NLE, NRE); the best sequential one (SNPE, SNLE, SNRE).
"""

__all__ = ["BUDGETS", "PUBLISHED"]

BUDGETS = (1_000, 10_000, 100_000)
PUBLISHED: dict[str, dict[str, tuple[float, float, float]]] = {
    "gaussian_linear": {
        "NPE": (0.694, 0.552, 0.506),
        "amortised": (0.650, 0.552, 0.506),
        "sequential": (0.628, 0.536, 0.507),
    },
    "gaussian_linear_uniform": {
        "NPE": (0.696, 0.553, 0.509),
        "amortised": (0.696, 0.548, 0.506),
        "sequential": (0.631, 0.527, 0.507),
    },
    "gaussian_mixture": {
        "NPE": (0.731, 0.661, 0.555),
        "amortised": (0.731, 0.661, 0.555),
        "sequential": (0.697, 0.583, 0.533),
    },
    "two_moons": {
        "NPE": (0.725, 0.606, 0.542),
        "amortised": (0.725, 0.606, 0.542),
        "sequential": (0.643, 0.554, 0.530),
    },
    "slcp": {
        "NPE": (0.975, 0.901, 0.831),
        "amortised": (0.946, 0.771, 0.699),
        "sequential": (0.921, 0.713, 0.578),
    },
    "bernoulli_glm": {
        "NPE": (0.863, 0.678, 0.559),
        "amortised": (0.740, 0.605, 0.545),
        "sequential": (0.634, 0.553, 0.522),
    },
    "sir": {
        "NPE": (0.815, 0.680, 0.585),
        "amortised": (0.761, 0.680, 0.585),
        "sequential": (0.637, 0.561, 0.547),
    },
    "lotka_volterra": {
        "NPE": (0.999, 0.997, 0.981),
        "amortised": (0.994, 0.956, 0.952),
        "sequential": (0.909, 0.738, 0.695),
    },
}
