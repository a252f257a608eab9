"""Charts: pieces of the surface laid flat, true to size, turned to fill their boxes."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Float64, Int32

from worldloom.errors import StageError
from worldloom.surface import vertex_normals

_SMOOTHING_ROUNDS = 2
_LARGEST_CHART = 0.1
"""Area of a chart over that of the square around the part: large charts take xatlas long."""


@dataclass(frozen=True, eq=False)
class Charts:
    """The charts of some faces, in world units."""

    uv_m: Float32[np.ndarray, "f 3 2"]
    """Of each corner; counter-clockwise as seen from outside, each chart from (0, 0) on."""
    chart: Int32[np.ndarray, "f"]
    """Chart of each face, from 0."""
    size_m: Float32[np.ndarray, "c 2"]
    """Width and height of each chart."""


def unwrapped_charts(
    vertices: Float64[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"]
) -> Charts:
    """Cuts faces into charts that lie flat with little distortion, by xatlas.

    Args:
        vertices: Any unit.
        faces: Faces with an area.

    Raises:
        StageError: xatlas cannot take the mesh.
    """
    uv, chart = _by_xatlas(_smoothed(vertices, faces), faces)
    chart = _with_singles(chart)
    corners = vertices[faces]
    alone = np.bincount(chart)[chart] == 1
    uv[alone] = _flattened(corners[alone])
    order = np.argsort(chart, kind="stable")
    starts = np.searchsorted(chart[order], np.arange(int(chart.max()) + 2))
    uv_m = np.zeros((len(faces), 3, 2), np.float32)
    size_m = np.zeros((len(starts) - 1, 2), np.float32)
    for index in range(len(starts) - 1):
        members = order[starts[index] : starts[index + 1]]
        laid = _laid(_true_to_size(uv[members], corners[members]))
        uv_m[members] = laid
        size_m[index] = laid.reshape(-1, 2).max(axis=0)
    return Charts(uv_m, chart, size_m)


def _smoothed(
    vertices: Float64[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"]
) -> Float64[np.ndarray, "v 3"]:
    """Moves vertices along their normals, half way to the mean of their neighbours, twice.

    Only for cutting: noise of the surface would cut it into twice as many charts, and the places
    on a chart need not follow it. Along the surface nothing moves, so charts stay true to size.
    """
    normals = vertex_normals(vertices, faces).astype(np.float64)
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    ends = np.unique(np.concatenate([ends, ends[:, ::-1]]), axis=0)
    count = np.maximum(np.bincount(ends[:, 0], minlength=len(vertices)), 1)
    smooth = vertices
    for _ in range(_SMOOTHING_ROUNDS):
        around = [
            np.bincount(ends[:, 0], smooth[ends[:, 1], axis], len(vertices)) for axis in range(3)
        ]
        step = 0.5 * (np.stack(around, axis=1) / count[:, None] - smooth)
        height = (step * normals).sum(axis=1, keepdims=True)
        smooth = smooth + np.where((count > 1)[:, None], height * normals, 0)
    return smooth


def _by_xatlas(
    vertices: Float64[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"]
) -> tuple[Float64[np.ndarray, "f 3 2"], Int32[np.ndarray, "f"]]:
    """Coordinates of corners, in any unit, and the chart of each face; -1 where it has none."""
    import xatlas

    used, indices = np.unique(faces, return_inverse=True)
    points = vertices[used]
    low = points.min(axis=0)
    # Of unit size, since xatlas has tolerances in absolute numbers.
    extent = float(np.ptp(points, axis=0).max())
    atlas = xatlas.Atlas()
    pack = xatlas.PackOptions()
    pack.resolution, pack.padding, pack.bilinear = 2048, 0, False
    cut = xatlas.ChartOptions()
    cut.max_chart_area = _LARGEST_CHART
    try:
        atlas.add_mesh(
            ((points - low) / extent).astype(np.float32),
            indices.reshape(-1, 3).astype(np.uint32),
        )
        atlas.generate(cut, pack)
    except RuntimeError as error:
        raise StageError(
            f"xatlas cannot unwrap {len(faces)} faces ({error}); clean the mesh", stage="unwrap"
        ) from error
    _, corner, coordinates = atlas.get_mesh(0)
    uv = coordinates.astype(np.float64)[corner] * (atlas.width, atlas.height)
    chart = np.full(len(faces), -1, np.int32)
    for index in range(atlas.get_mesh_chart_count(0)):
        chart[np.asarray(atlas.get_mesh_chart(0, index).faces, np.int64)] = index
    return uv, chart


def _with_singles(chart: Int32[np.ndarray, "f"]) -> Int32[np.ndarray, "f"]:
    """Gives each face without a chart one of its own, and numbers charts by their first face."""
    filled = chart.astype(np.int64)
    lost = np.flatnonzero(chart < 0)
    filled[lost] = chart.max(initial=-1) + 1 + np.arange(len(lost))
    _, first, inverse = np.unique(filled, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    return rank[inverse]


def _flattened(corners: Float64[np.ndarray, "f 3 3"]) -> Float64[np.ndarray, "f 3 2"]:
    """Triangles in their own planes, the first edge along x."""
    along = corners[:, 1] - corners[:, 0]
    other = corners[:, 2] - corners[:, 0]
    length = np.linalg.norm(along, axis=1)
    x = (along * other).sum(axis=1) / length
    y = np.linalg.norm(np.cross(along, other), axis=1) / length
    flat = np.zeros((len(corners), 3, 2))
    flat[:, 1, 0] = length
    flat[:, 2] = np.stack([x, y], axis=1)
    return flat


def _true_to_size(
    uv: Float64[np.ndarray, "f 3 2"], corners: Float64[np.ndarray, "f 3 3"]
) -> Float64[np.ndarray, "f 3 2"]:
    """Scales a chart so that lengths along both axes are those of the surface, in the mean.

    xatlas stretches charts to whole texels of its own packing. The metric of the surface over the
    chart is that of Sander et al., "Texture mapping progressive meshes", SIGGRAPH 2001.
    """
    du, dv = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    area = du[:, 0] * dv[:, 1] - du[:, 1] * dv[:, 0]
    p, q = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    flat = np.abs(area) > 1e-12 * max(float(np.abs(area).max(initial=0)), 1e-300)
    if not flat.any():
        return _flattened(corners[:1]).repeat(len(uv), axis=0) if len(uv) else uv
    along_u = (p * dv[:, 1:] - q * du[:, 1:])[flat] / area[flat, None]
    along_v = (q * du[:, :1] - p * dv[:, :1])[flat] / area[flat, None]
    weight = np.abs(area[flat]) / np.abs(area[flat]).sum()
    scale = np.sqrt([(weight * (a**2).sum(axis=1)).sum() for a in (along_u, along_v)])
    mirrored = area[flat].sum() < 0
    return uv * (scale * ((-1, 1) if mirrored else (1, 1)))


def _laid(uv: Float64[np.ndarray, "f 3 2"]) -> Float32[np.ndarray, "f 3 2"]:
    """Turns a chart into its smallest box, the longer side up, and moves it to the origin."""
    points = uv.reshape(-1, 2)
    if len(uv) > 1:
        span = float(np.ptp(points, axis=0).max()) or 1.0
        box = cv2.minAreaRect(((points - points[0]) / span).astype(np.float32))
        angle = math.radians(box[2])
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        points = points @ turn
    extent = np.ptp(points, axis=0)
    if extent[0] > extent[1]:
        points = points @ np.array([[0.0, 1.0], [-1.0, 0.0]])
    points = points - points.min(axis=0)
    return points.reshape(-1, 3, 2).astype(np.float32)
