"""Tangent planes of the vertices of a panorama, and where neighbours are one surface.

A plane that does not go through the centre is a vector g: the distance along a unit ray r is
1 / (g . r). Inverse distance is linear in the ray there, however slanted the plane.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float64, Int32

from worldloom.panorama._distance import wrapped
from worldloom.panorama._grid import SphereGrid
from worldloom.panorama._rays import TURN

_ROUNDS = 6
"""Rounds of averaging planes over neighbours: enough that noise of a percent does not tilt them."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """Surface elements in the directions of vertices."""

    inverse: Float64[np.ndarray, "v"]
    """Inverse distance; 0 = no surface."""
    plane: Float64[np.ndarray, "v 3"]
    """Tangent plane, see the module; 0 = no surface."""


def sheet_from_panorama(
    inverse: Float64[np.ndarray, "h w"], grid: SphereGrid, max_jump: float
) -> Sheet:
    """Reads inverse distance at the vertices and finds the planes there.

    Slopes are one-sided: of the two neighbours on an axis that one counts beyond which the surface
    goes on straight, so that the planes of an edge do not lean on what is behind it.

    Args:
        inverse: Inverse distance of every pixel; 0 = unknown.
        grid: Vertices on that panorama.
        max_jump: Relative deviation from a straight line that is still a surface.
    """
    rows, columns = grid.row.astype(np.int64), grid.column.astype(np.int64)
    inner = slice(1, -1)
    rows, columns = rows[inner], columns[inner]
    stride = grid.stride[inner].astype(np.int64)
    own = inverse[rows, columns]
    ray = grid.rays[inner]
    level = np.hypot(ray[:, 0], ray[:, 2])
    east = np.stack([ray[:, 2], np.zeros(len(ray)), -ray[:, 0]], axis=-1) / level[:, None]
    south = np.cross(ray, east)

    def along(step_x: np.ndarray, step_y: int) -> list[np.ndarray]:
        return [
            inverse[wrapped(inverse.shape, columns + k * step_x, rows + k * step_y)]
            for k in (-2, -1, 1, 2)
        ]

    east_angle = stride * TURN / grid.width_px * level
    plane = own[:, None] * ray
    plane += _slope(own, along(stride, 0), east_angle, max_jump)[:, None] * east
    down_angle = np.full(len(own), TURN / grid.width_px)
    plane += _slope(own, along(0 * stride, 1), down_angle, max_jump)[:, None] * south
    return _with_poles(own, plane, grid)


def _slope(
    own: Float64[np.ndarray, "v"],
    along: list[Float64[np.ndarray, "v"]],
    angle: Float64[np.ndarray, "v"],
    max_jump: float,
) -> Float64[np.ndarray, "v"]:
    """Change of inverse distance per radian, from the straighter side; 0 where neither is."""
    two_before, before, after, two_after = along

    def bend(near: np.ndarray, far: np.ndarray) -> np.ndarray:
        known = (near > 0) & (far > 0) & (own > 0)
        return np.where(known, np.abs(own - 2 * near + far), np.inf)

    back, forth = bend(before, two_before), bend(after, two_after)
    slope = np.where(back <= forth, own - before, after - own) / angle
    return np.where(np.minimum(back, forth) <= max_jump * own, slope, 0)


def _with_poles(
    own: Float64[np.ndarray, "v"], plane: Float64[np.ndarray, "v 3"], grid: SphereGrid
) -> Sheet:
    """Adds the poles: the middle of what the planes around them say there."""
    inverse = np.concatenate([[0.0], own, [0.0]])
    planes = np.concatenate([np.zeros((1, 3)), plane, np.zeros((1, 3))])
    starts = grid.ring_start
    for pole, ring in (
        (grid.zenith, slice(starts[0], starts[1])),
        (grid.nadir, slice(starts[-2], starts[-1])),
    ):
        around = planes[ring][inverse[ring] > 0]
        if 2 * len(around) <= starts[1] - starts[0]:
            continue
        at_pole = around @ grid.rays[pole]
        middle = np.argsort(at_pole)[len(around) // 2]
        if at_pole[middle] > 0:
            inverse[pole], planes[pole] = at_pole[middle], around[middle]
    return Sheet(inverse, planes)


def one_surface(
    sheet: Sheet,
    rays: Float64[np.ndarray, "v 3"],
    edges: Int32[np.ndarray, "e 2"],
    max_jump: float,
) -> Bool[np.ndarray, "e"]:
    """Tells which edges run on one surface.

    Both ends are known, and either their distances differ little, or one end lies on the plane of
    the other.
    """
    a, b = edges[:, 0], edges[:, 1]
    near = np.maximum(sheet.inverse[a], sheet.inverse[b])
    far = np.minimum(sheet.inverse[a], sheet.inverse[b])
    step = np.minimum.reduce(
        [
            near - far,
            np.abs((sheet.plane[a] * rays[b]).sum(axis=1) - sheet.inverse[b]),
            np.abs((sheet.plane[b] * rays[a]).sum(axis=1) - sheet.inverse[a]),
        ]
    )
    return (far > 0) & (step <= max_jump * far)


def edges_of(faces: Int32[np.ndarray, "f 3"], count: int) -> Int32[np.ndarray, "e 2"]:
    """Returns the edges of faces, each once, the smaller vertex first.

    Args:
        faces: Vertex indices.
        count: Number of vertices.
    """
    pairs = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    codes = np.unique(pairs[:, 0].astype(np.int64) * count + pairs[:, 1])
    return np.stack([codes // count, codes % count], axis=-1).astype(np.int32)


def smoothed_planes(
    sheet: Sheet, rays: Float64[np.ndarray, "v 3"], joined: Int32[np.ndarray, "e 2"]
) -> Float64[np.ndarray, "v 3"]:
    """Averages planes over the surface that vertices are on; each still holds its vertex.

    Args:
        sheet: Planes.
        rays: Unit rays of the vertices.
        joined: Edges that run on one surface.
    """
    count = len(rays)
    around = symmetric(joined, count)
    number = np.asarray(around.sum(axis=1)).ravel() + 1
    plane = sheet.plane
    for _ in range(_ROUNDS):
        plane = (plane + around @ plane) / number[:, None]
        plane += (sheet.inverse - (plane * rays).sum(axis=1))[:, None] * rays
    return plane


def symmetric(edges: Int32[np.ndarray, "e 2"], count: int) -> sp.csr_matrix:
    """Returns the matrix of neighbours: 1 both ways for each edge."""
    ones = np.ones(len(edges))
    half = sp.coo_matrix((ones, (edges[:, 0], edges[:, 1])), shape=(count, count)).tocsr()
    return sp.csr_matrix(half + half.T)
