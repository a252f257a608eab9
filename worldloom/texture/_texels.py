"""Texels of charts: which face each lies on, and where."""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Bool, Float32, Int32

from worldloom.scene import UnwrappedMesh
from worldloom.texture._atlas import AtlasArrays

_EDGE = 1e-9


@dataclass(frozen=True, eq=False)
class Texels:
    """Texels of some charts: those inside of faces, and those around them, within the padding."""

    column: Int32[np.ndarray, "n"]
    row: Int32[np.ndarray, "n"]
    """From the top of the page."""
    page: Int32[np.ndarray, "n"]
    face: Int32[np.ndarray, "n"]
    """The face that the centre lies in, or the nearest one; counted in the part."""
    barycentric: Float32[np.ndarray, "n 3"]
    """Of the centre in that face; of the nearest point of the face where it lies outside, since
    what lies beyond the edge of a surface is not of it."""
    inside: Bool[np.ndarray, "n"]

    def __len__(self) -> int:
        return len(self.face)

    def taken(self, rows: Bool[np.ndarray, "n"]) -> "Texels":
        """Returns some of the texels."""
        return Texels(**{name: values[rows] for name, values in vars(self).items()})


def texels_of(atlas: AtlasArrays, faces: slice, side_px: int, padding_px: int) -> Texels:
    """Returns the texels of the charts of one part, chart by chart, from below, left to right.

    The centre of the texel in column i and row j from the top lies at u = (i + 0.5) / side and
    v = 1 - (j + 0.5) / side.

    Args:
        atlas: The UV set.
        faces: Faces of the part; its charts have no others.
        side_px: Side of a page.
        padding_px: Texels around a chart that are filled as well.
    """
    chart = atlas.chart[faces]
    order = np.argsort(chart, kind="stable")
    charts, first = np.unique(chart[order], return_index=True)
    starts = np.append(first, len(order))
    corners = atlas.uv[faces].astype(np.float64) * side_px
    column, height, owner, barycentric, inside = _rasterised(
        corners, order, starts, atlas.boxes[charts], float(padding_px)
    )
    return Texels(
        column,
        side_px - 1 - height,
        atlas.page[faces][owner],
        owner,
        barycentric,
        inside,
    )


def texels_on_pages(
    unwrapped: UnwrappedMesh, page: int, side_px: int, reach_px: float = 1.5
) -> Texels:
    """Returns the texels of one page of a mesh, row by row from below; faces count in the mesh.

    Args:
        unwrapped: The mesh and its UV set.
        page: Which page.
        side_px: Side of the page, texels.
        reach_px: Texels whose centres are this near to a face are taken as well.
    """
    order = np.flatnonzero(unwrapped.page == page)
    column, height, owner, barycentric, inside = _rasterised(
        unwrapped.uv.astype(np.float64) * side_px,
        order,
        np.array([0, len(order)]),
        np.array([[0, 0, side_px, side_px]], np.int32),
        reach_px,
    )
    number = np.full(len(owner), page, np.int32)
    return Texels(column, side_px - 1 - height, number, owner, barycentric, inside)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _distance_to_edge(px: float, py: float, a: np.ndarray, b: np.ndarray) -> float:
    ux, uy = b[0] - a[0], b[1] - a[1]
    square = ux * ux + uy * uy
    t = 0.0
    if square > 0.0:
        t = min(max(((px - a[0]) * ux + (py - a[1]) * uy) / square, 0.0), 1.0)
    return np.sqrt((px - a[0] - t * ux) ** 2 + (py - a[1] - t * uy) ** 2)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _barycentric(px: float, py: float, corners: np.ndarray) -> tuple[float, float, float]:
    a, b, c = corners[0], corners[1], corners[2]
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    if area == 0.0:
        return 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0
    second = ((px - a[0]) * (c[1] - a[1]) - (py - a[1]) * (c[0] - a[0])) / area
    third = ((b[0] - a[0]) * (py - a[1]) - (b[1] - a[1]) * (px - a[0])) / area
    return 1.0 - second - third, second, third


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _nearest(px: float, py: float, corners: np.ndarray) -> tuple[float, float, float]:
    """Barycentric weights of the point of the edges that is nearest."""
    best = np.inf
    weights = np.zeros(3)
    for k in range(3):
        a, b = corners[k], corners[(k + 1) % 3]
        ux, uy = b[0] - a[0], b[1] - a[1]
        square = ux * ux + uy * uy
        t = 0.0
        if square > 0.0:
            t = min(max(((px - a[0]) * ux + (py - a[1]) * uy) / square, 0.0), 1.0)
        apart = (px - a[0] - t * ux) ** 2 + (py - a[1] - t * uy) ** 2
        if apart < best:
            best = apart
            weights[:] = 0.0
            weights[k], weights[(k + 1) % 3] = 1.0 - t, t
    return weights[0], weights[1], weights[2]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _claim(
    corners: np.ndarray,
    face: int,
    left: int,
    low: int,
    reach: float,
    owner: np.ndarray,
    distance: np.ndarray,
) -> None:
    """Gives a face the texels of a box that are nearer to it than to any face before it."""
    height, width = owner.shape
    x0 = max(int(np.floor(corners[:, 0].min() - reach)) - left, 0)
    x1 = min(int(np.ceil(corners[:, 0].max() + reach)) - left, width)
    y0 = max(int(np.floor(corners[:, 1].min() - reach)) - low, 0)
    y1 = min(int(np.ceil(corners[:, 1].max() + reach)) - low, height)
    for y in range(y0, y1):
        for x in range(x0, x1):
            if distance[y, x] == 0.0:
                continue
            px, py = left + x + 0.5, low + y + 0.5
            b0, b1, b2 = _barycentric(px, py, corners)
            apart = 0.0
            if min(b0, min(b1, b2)) < -_EDGE:
                apart = min(
                    _distance_to_edge(px, py, corners[0], corners[1]),
                    min(
                        _distance_to_edge(px, py, corners[1], corners[2]),
                        _distance_to_edge(px, py, corners[2], corners[0]),
                    ),
                )
            if apart <= reach and apart < distance[y, x]:
                owner[y, x] = face
                distance[y, x] = apart


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _rasterised(
    corners: np.ndarray,
    order: np.ndarray,
    starts: np.ndarray,
    boxes: np.ndarray,
    reach: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    most = 0
    for c in range(len(boxes)):
        most += boxes[c, 2] * boxes[c, 3]
    column, row = np.empty(most, np.int32), np.empty(most, np.int32)
    face = np.empty(most, np.int32)
    barycentric = np.empty((most, 3), np.float32)
    inside = np.empty(most, np.bool_)
    n = 0
    for c in range(len(boxes)):
        left, low, width, height = boxes[c, 0], boxes[c, 1], boxes[c, 2], boxes[c, 3]
        owner = np.full((height, width), -1, np.int32)
        distance = np.full((height, width), np.inf, np.float32)
        for at in range(starts[c], starts[c + 1]):
            _claim(corners[order[at]], order[at], left, low, reach, owner, distance)
        for y in range(height):
            for x in range(width):
                f = owner[y, x]
                if f < 0:
                    continue
                column[n], row[n], face[n] = left + x, low + y, f
                if distance[y, x] == 0.0:
                    b = _barycentric(left + x + 0.5, low + y + 0.5, corners[f])
                else:
                    b = _nearest(left + x + 0.5, low + y + 0.5, corners[f])
                barycentric[n, 0], barycentric[n, 1], barycentric[n, 2] = b[0], b[1], b[2]
                inside[n] = distance[y, x] == 0.0
                n += 1
    return column[:n], row[:n], face[:n], barycentric[:n], inside[:n]
