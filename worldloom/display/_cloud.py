"""A point cloud brought down to a number of points."""

from dataclasses import fields

import numpy as np

from worldloom.errors import ConfigError
from worldloom.scene import PointCloud

_SEED = 20_251


def cloud_within(cloud: PointCloud, max_points: int) -> PointCloud:
    """Returns at most `max_points` points of a cloud, drawn evenly, always the same ones.

    Points whose place is not finite are left out.

    Raises:
        ConfigError: the budget is below 1.
    """
    if max_points < 1:
        raise ConfigError(f"max_points is {max_points}; give at least 1", field="max_points")
    kept = np.flatnonzero(np.isfinite(cloud.points_in_world).all(axis=1))
    if len(kept) == len(cloud) <= max_points:
        return cloud
    if len(kept) > max_points:
        drawn = np.random.default_rng(_SEED).choice(len(kept), max_points, replace=False)
        kept = kept[np.sort(drawn)]
    return PointCloud(**{field.name: getattr(cloud, field.name)[kept] for field in fields(cloud)})
