"""Which views may overlap, from the poses alone; cost grows linearly with the number of views."""

import numpy as np
from jaxtyping import Float64
from scipy.spatial import KDTree

from worldloom.cameras import Camera


def match_candidates(
    cameras: list[Camera], count: int, *, max_turn_deg: float = 50.0
) -> list[tuple[int, ...]]:
    """Chooses the views to match each view with, before any depth is known.

    Of the views that look the same way from another place, those at distance ranks 1, 2, 4, 8, ...
    are taken: whatever the scale of the scene, some of them have a useful baseline.

    Args:
        cameras: All views.
        count: Views to choose for each, at most.
        max_turn_deg: Largest angle between viewing directions.

    Returns:
        For each view, indices of the others, nearest first.
    """
    centres = np.array([camera.centre_in_world for camera in cameras])
    forward = np.array([camera.forward_in_world for camera in cameras])
    still = parallax_floor(centres)
    ranks = np.unique(np.round(2.0 ** np.arange(count))).astype(int) - 1
    pools = view_pools(centres, nearest=int(2 ** (count + 1)), strided=32)
    chosen: list[tuple[int, ...]] = []
    for view, pool in enumerate(pools):
        distance = np.linalg.norm(centres[pool] - centres[view], axis=1)
        turned = forward[pool] @ forward[view] < np.cos(np.radians(max_turn_deg))
        usable = pool[(distance > still) & ~turned]
        distance = distance[(distance > still) & ~turned]
        by_distance = usable[np.lexsort((usable, distance))]
        chosen.append(tuple(by_distance[ranks[ranks < len(by_distance)]].tolist()))
    return chosen


def parallax_floor(centres: Float64[np.ndarray, "n 3"]) -> float:
    """Returns the distance below which two centres count as one place."""
    extent = float(np.linalg.norm(np.ptp(centres, axis=0)))
    return 1e-6 * extent


def view_pools(
    centres: Float64[np.ndarray, "n 3"], *, nearest: int, strided: int
) -> list[np.ndarray]:
    """For each view, the indices of its nearest views and of evenly spread others, sorted."""
    count = len(centres)
    if count <= nearest + strided + 1:
        every = np.arange(count)
        return [np.delete(every, view) for view in range(count)]
    neighbours = np.asarray(KDTree(centres).query(centres, k=nearest + 1)[1])
    spread = np.unique(np.linspace(0, count - 1, strided).round().astype(int))
    pools: list[np.ndarray] = []
    for view in range(count):
        pool = np.union1d(neighbours[view], spread)
        pools.append(pool[pool != view])
    return pools
