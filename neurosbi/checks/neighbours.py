"""Is a point unlike a cloud of simulations: its distance to the nearest of them.

The mean distance of the point to its ``NEIGHBOURS`` nearest simulations, in whitened space, is
compared with the same distance of every simulation to the others. As simulations and point are
alike if the point is a simulation too, the share of simulations that are at least as far off is a
p-value, in any number of dimensions.
"""

__all__ = ["JOINT_QUANTILE", "NEIGHBOURS", "neighbour_distance"]

import numpy as np

NEIGHBOURS = 5
JOINT_QUANTILE = 0.99  # an ordinary recording exceeds it with a probability of 1 %
_CLIP = 10.0  # spreads; keeps runaway simulations from ruling the covariance
_SMALLEST_EIGENVALUE = 1e-3  # of the largest: directions flatter than that are rounding, not data


def neighbour_distance(
    cloud: np.ndarray, point: np.ndarray, *, spread: np.ndarray
) -> tuple[float, float]:
    """How far ``point[column]`` is from ``cloud[sim, column]``, all finite.

    ``spread[column]`` above 0 is the unit of each column. Returns the neighbour distance over the
    ``JOINT_QUANTILE`` of the simulations' own (above 1: unlike any simulation) and the p-value.
    """
    from scipy.spatial import KDTree

    # computed of simulations and point together: nothing but its place tells the point apart
    every = np.vstack([cloud, point])
    every = np.clip((every - np.median(every, axis=0)) / spread, -_CLIP, _CLIP)
    eigenvalues, axes = np.linalg.eigh(np.atleast_2d(np.cov(every, rowvar=False)))
    floor = _SMALLEST_EIGENVALUE * eigenvalues[-1]
    every = every @ (axes / np.sqrt(np.maximum(eigenvalues, floor)))
    distances = KDTree(every).query(every, k=NEIGHBOURS + 1)[0][:, 1:]  # the first is itself
    means = distances.mean(axis=1)
    own, observed = means[:-1], float(means[-1])
    reference = float(np.quantile(own, JOINT_QUANTILE))
    p = float((np.sum(own >= observed) + 1) / (len(own) + 1))
    if reference == 0:  # all simulations coincide
        return (0.0 if observed == 0 else float("inf")), p
    return observed / reference, p
