"""Whether a point is one of a cloud."""

import numpy as np
import pytest

from neurosbi.checks.neighbours import neighbour_distance


@pytest.mark.parametrize(("n", "columns"), [(50, 8), (200, 14), (200, 48)])
def test_the_p_value_is_one_with_few_points_of_many_columns(n, columns):
    rng = np.random.default_rng(0)
    p = []
    for _ in range(200):
        cloud, point = rng.normal(size=(n, columns)), rng.normal(size=columns)
        p.append(neighbour_distance(cloud, point, spread=cloud.std(axis=0))[1])
    assert abs(np.mean(np.array(p) < 0.1) - 0.1) < 3 * np.sqrt(0.1 * 0.9 / 200)


def test_a_point_beside_the_cloud_is_found():
    cloud = np.random.default_rng(0).normal(size=(1000, 14))
    point = np.zeros(14)
    point[0] = 8.0
    ratio, p = neighbour_distance(cloud, point, spread=cloud.std(axis=0))
    assert ratio > 1
    assert p < 0.01
