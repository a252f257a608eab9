"""A triangulated sphere on the pixels of a panorama: rings that thin out towards the poles."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from worldloom.panorama._image import equatorial_pixels
from worldloom.panorama._rays import rays_from_pixels

_LEAST_COLUMNS = 8
_GRANULE = 64


@dataclass(frozen=True, eq=False)
class SphereGrid:
    """Vertices in rings, zenith first, nadir last; the two poles are vertices of their own.

    A ring takes every k-th pixel of its row, k a power of two that grows like 1 / cos(latitude), so
    that triangles keep their shape up to the poles. The rings are closed: the last vertex of each
    is the neighbour of its first.
    """

    width_px: int
    height_px: int
    rays: Float64[np.ndarray, "v 3"]
    """Unit rays of the vertices, frame of the panorama."""
    row: Int32[np.ndarray, "v"]
    """Row of the pixel of each vertex; -1 for the zenith, the height for the nadir."""
    column: Int32[np.ndarray, "v"]
    """Column of its pixel; 0 for the poles."""
    stride: Int32[np.ndarray, "v"]
    """Columns to the next vertex of its ring."""
    ring_start: Int64[np.ndarray, "r"]
    """First vertex of each ring, and behind the last one."""

    @property
    def zenith(self) -> int:
        """Index of the vertex straight up."""
        return 0

    @property
    def nadir(self) -> int:
        """Index of the vertex straight down."""
        return len(self.rays) - 1


def grid_height(panorama_height_px: int, wanted_px: float) -> int:
    """Returns the height of the grid: that of the panorama, or a rounder one nearer to the wish."""
    if wanted_px >= panorama_height_px:
        return panorama_height_px
    # Widths that many powers of two divide let the rings thin out all the way to the poles.
    granule = _GRANULE // 2
    return min(panorama_height_px, max(granule, round(wanted_px / granule) * granule))


def sphere_grid(height_px: int) -> SphereGrid:
    """Builds the grid on a panorama of some height."""
    width_px = 2 * height_px
    strides = _strides(width_px, height_px)
    columns = [np.arange(0, width_px, stride) for stride in strides]
    sizes = [len(of_ring) for of_ring in columns]
    row = np.concatenate([[-1], np.repeat(np.arange(height_px), sizes), [height_px]])
    column = np.concatenate([[0], *columns, [0]])
    stride = np.concatenate([[1], np.repeat(strides, sizes), [1]])
    pixels = np.stack([column + 0.5, row + 0.5], axis=-1)
    rays = rays_from_pixels(pixels, width_px, height_px)
    rays[0], rays[-1] = (0, -1, 0), (0, 1, 0)
    return SphereGrid(
        width_px,
        height_px,
        rays,
        row.astype(np.int32),
        column.astype(np.int32),
        stride.astype(np.int32),
        1 + np.concatenate([[0], np.cumsum(sizes)]),
    )


def sphere_faces(grid: SphereGrid, inverse: Float64[np.ndarray, "v"]) -> Int32[np.ndarray, "f 3"]:
    """Triangulates the grid; faces wind counter-clockwise as seen from the centre.

    Args:
        grid: The vertices.
        inverse: Inverse distances of the vertices: of the two ways to cut a square of four, the
            one along the smaller step is taken.
    """
    rings = np.split(np.arange(1, len(grid.rays) - 1), grid.ring_start[1:-1] - 1)
    strips = [_fan(grid.zenith, rings[0], _next(rings[0]))]
    strips += [_strip(above, below, inverse) for above, below in pairwise(rings)]
    strips.append(_fan(grid.nadir, _next(rings[-1]), rings[-1]))
    return np.concatenate(strips).astype(np.int32)


def _strides(width_px: int, height_px: int) -> np.ndarray:
    """Power of two of each row: as many pixels as span one of the equator, or fewer."""
    powers = [1]
    while width_px % (2 * powers[-1]) == 0 and width_px // (2 * powers[-1]) >= _LEAST_COLUMNS:
        powers.append(2 * powers[-1])
    span = equatorial_pixels(width_px, height_px)
    return np.array(powers)[np.searchsorted(powers, span + 1e-6, side="right") - 1]


def _next(ring: Int64[np.ndarray, "n"]) -> Int64[np.ndarray, "n"]:
    return np.roll(ring, -1)


def _fan(pole: int, left: np.ndarray, right: np.ndarray) -> Int64[np.ndarray, "f 3"]:
    return np.stack([np.full(len(left), pole), left, right], axis=-1)


def _strip(
    above: Int64[np.ndarray, "n"], below: Int64[np.ndarray, "m"], inverse: Float64[np.ndarray, "v"]
) -> Int64[np.ndarray, "f 3"]:
    """Joins two neighbouring rings, one of which may have a multiple of the other's vertices."""
    if len(above) == len(below):
        return _squares(above, below, inverse)
    if len(above) < len(below):
        return _coarse_above(above, below)
    # Seen in a mirror the fine ring is below; the mirror turns the winding, too.
    return _coarse_above(below, above)[:, [0, 2, 1]]


def _squares(
    above: Int64[np.ndarray, "n"], below: Int64[np.ndarray, "n"], inverse: Float64[np.ndarray, "v"]
) -> Int64[np.ndarray, "f 3"]:
    above_right, below_right = _next(above), _next(below)
    falling = np.abs(inverse[above] - inverse[below_right])
    rising = np.abs(inverse[below] - inverse[above_right])
    choice: Bool[np.ndarray, "n 1"] = (falling <= rising)[:, None]
    first = np.where(
        choice,
        np.stack([above, below, below_right], axis=-1),
        np.stack([above, below, above_right], axis=-1),
    )
    second = np.where(
        choice,
        np.stack([above, below_right, above_right], axis=-1),
        np.stack([above_right, below, below_right], axis=-1),
    )
    return np.concatenate([first, second])


def _coarse_above(
    coarse: Int64[np.ndarray, "n"], fine: Int64[np.ndarray, "m"]
) -> Int64[np.ndarray, "f 3"]:
    each = len(fine) // len(coarse)
    step = np.arange(len(fine)) % each
    owner = np.arange(len(fine)) // each
    apex = np.where(step < (each + 1) // 2, coarse[owner], _next(coarse)[owner])
    small = np.stack([apex, fine, _next(fine)], axis=-1)
    # Between the fine triangles of the left corner and those of the right one.
    turning = fine[np.arange(len(coarse)) * each + (each + 1) // 2]
    large = np.stack([coarse, turning, _next(coarse)], axis=-1)
    return np.concatenate([small, large])
