"""A layered mesh and its point cloud from colours and distances of one panorama."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, UInt8

from worldloom.errors import ReconstructionError
from worldloom.panorama._behind import Background, Foreground, background
from worldloom.panorama._config import LayerConfig
from worldloom.panorama._distance import DistancePanorama
from worldloom.panorama._grid import SphereGrid, sphere_faces, sphere_grid
from worldloom.panorama._planes import (
    Sheet,
    edges_of,
    one_surface,
    sheet_from_panorama,
    smoothed_planes,
)
from worldloom.scene import Mesh, PointCloud

_MIXED_CONFIDENCE = 0.5
"""Factor on the confidence beside a cut, where a pixel may show both sides."""


@dataclass(frozen=True, eq=False)
class LayeredSurface:
    """Two layers in one mesh: what the panorama shows, then what was filled in behind it."""

    mesh: Mesh
    """Vertices of the first layer come before those of the second."""
    cloud: PointCloud
    """`count` is 1 for points that the panorama shows, 0 for those filled in."""
    shown_vertices: int
    """Vertices of the first layer."""
    shown_faces: int
    """Faces of the first layer, which come first; faces of the second may use vertices of both."""


def layered_surface(
    rgb: UInt8[np.ndarray, "h w 3"],
    panorama: DistancePanorama,
    world_from_pano: Float64[np.ndarray, "4 4"],
    config: LayerConfig,
    cloud_step: int = 1,
) -> LayeredSurface:
    """Triangulates a panorama with distances, cut where the surface breaks off.

    Args:
        rgb: Colours, sRGB, at the size of the distances.
        panorama: Distances; directions without one are left out.
        world_from_pano: Pose of the panorama.
        config: When to cut, and how far to go on behind a cut.
        cloud_step: Every so many-th vertex, both ways, becomes a point.

    Raises:
        ReconstructionError: no three neighbours have a distance.
    """
    grid = sphere_grid(panorama.distance.shape[0])
    distance = panorama.distance.astype(np.float64)
    inverse = np.where(distance > 0, 1 / np.where(distance > 0, distance, 1), 0)
    sheet = sheet_from_panorama(inverse, grid, config.max_jump)
    colors = _at_vertices(rgb.astype(np.float64), grid)
    faces = sphere_faces(grid, sheet.inverse)
    edges = edges_of(faces, len(grid.rays))
    joined = one_surface(sheet, grid.rays, edges, config.max_jump)
    smooth = Sheet(sheet.inverse, smoothed_planes(sheet, grid.rays, edges[joined]))
    first = Foreground(grid.rays, smooth, colors, edges, joined)
    reach_steps = round(np.radians(config.reach_deg) / (np.pi / grid.height_px))
    second = background(first, reach_steps, config.max_jump)
    confidence = _confidence(panorama, first, grid, second, reach_steps, config)
    layers = _Layers(grid, sheet, second, colors, confidence)
    is_shown = _whole(sheet, grid.rays, faces, config.max_jump)
    shown = faces[is_shown]
    if not len(shown):
        raise ReconstructionError(
            "no surface could be made: no three neighbouring pixels of the panorama have a depth "
            "that could be one surface; check the depth, its unit and its orientation",
            stage="layers",
        )
    filled = _filled_faces(layers, faces, is_shown, config.max_jump)
    return _assembled(layers, shown, filled, world_from_pano, cloud_step)


@dataclass(frozen=True, eq=False)
class _Layers:
    """Vertices of both layers: those of the grid, then those of the background."""

    grid: SphereGrid
    sheet: Sheet
    second: Background
    colors: Float64[np.ndarray, "v 3"]
    confidence: Float32[np.ndarray, "n"]
    """Of both layers."""


def _at_vertices(image: Float64[np.ndarray, "h w c"], grid: SphereGrid) -> np.ndarray:
    """Values of an image at the vertices; a pole gets the mean of the row beside it."""
    inner = slice(1, -1)
    middle = image[grid.row[inner], grid.column[inner]]
    return np.concatenate([image[:1].mean(axis=1), middle, image[-1:].mean(axis=1)])


def _confidence(
    panorama: DistancePanorama,
    first: Foreground,
    grid: SphereGrid,
    second: Background,
    reach_steps: int,
    config: LayerConfig,
) -> Float32[np.ndarray, "n"]:
    shown = _at_vertices(panorama.confidence[..., None].astype(np.float64), grid)[:, 0]
    cut = first.edges[~first.joined]
    both = cut[(first.sheet.inverse[cut] > 0).all(axis=1)]
    mixed = np.zeros(len(shown), bool)
    mixed[both.ravel()] = True
    shown[mixed] *= _MIXED_CONFIDENCE
    left = 1 - (second.steps - 1) / max(reach_steps, 1)
    return np.concatenate([shown, config.filled_confidence * left]).astype(np.float32)


def _whole(
    sheet: Sheet, rays: Float64[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"], max_jump: float
) -> Bool[np.ndarray, "f"]:
    """Where all three edges of a face run on one surface."""
    return np.logical_and.reduce(
        [one_surface(sheet, rays, faces[:, [k, (k + 1) % 3]], max_jump) for k in range(3)]
    )


def _filled_faces(
    layers: _Layers, faces: Int32[np.ndarray, "f 3"], is_shown: Bool[np.ndarray, "f"], jump: float
) -> Int32[np.ndarray, "g 3"]:
    """Faces with corners in the second layer, where that makes them whole.

    In faces that are cut, what is before the farthest corner goes to the second layer: that joins
    the layer to the surface that it carries on. In the others all corners do, where there is such a
    layer behind them.
    """
    count = len(layers.grid.rays)
    moved = np.arange(count, dtype=np.int32)
    vertex = layers.second.vertex
    moved[vertex] = np.arange(count, count + len(vertex))
    cut = faces[~is_shown]
    farthest = layers.sheet.inverse[cut].argmin(axis=1)
    far = np.take_along_axis(cut, farthest[:, None], axis=1)[:, 0]
    with_far = [
        one_surface(layers.sheet, layers.grid.rays, np.stack([cut[:, k], far], axis=-1), jump)
        for k in range(3)
    ]
    edge = np.where(np.stack(with_far, axis=-1), cut, moved[cut])
    inner = moved[faces[(moved[faces] >= count).all(axis=1)]]
    rays = np.concatenate([layers.grid.rays, layers.grid.rays[vertex]])
    both = Sheet(
        np.concatenate([layers.sheet.inverse, layers.second.sheet.inverse]),
        np.concatenate([layers.sheet.plane, layers.second.sheet.plane]),
    )
    found = np.concatenate([edge[(edge >= count).any(axis=1)], inner])
    found = found[_whole(both, rays, found, jump)]
    # A face that is cut and has all of its corners moved is found twice.
    return found[np.sort(np.unique(found, axis=0, return_index=True)[1])]


def _assembled(
    layers: _Layers,
    shown: Int32[np.ndarray, "s 3"],
    filled: Int32[np.ndarray, "t 3"],
    world_from_pano: Float64[np.ndarray, "4 4"],
    cloud_step: int,
) -> LayeredSurface:
    grid, second = layers.grid, layers.second
    rays = np.concatenate([grid.rays, grid.rays[second.vertex]])
    inverse = np.concatenate([layers.sheet.inverse, second.sheet.inverse])
    used = np.zeros(len(rays), bool)
    used[shown.ravel()], used[filled.ravel()] = True, True
    points = rays[used] / inverse[used, None]
    points = points @ world_from_pano[:3, :3].T + world_from_pano[:3, 3]
    number = np.cumsum(used, dtype=np.int64) - 1
    faces = number[np.concatenate([shown, filled])].astype(np.int32)
    colors = np.concatenate([layers.colors, second.colors])[used]
    towards = -(rays[used] @ world_from_pano[:3, :3].T)
    mesh = Mesh(
        points,
        faces,
        np.clip(np.rint(colors), 0, 255).astype(np.uint8),
        vertex_normals(points, faces, towards),
    )
    return LayeredSurface(
        mesh,
        _cloud(mesh, layers, used, cloud_step),
        int(used[: len(grid.rays)].sum()),
        len(shown),
    )


def _cloud(mesh: Mesh, layers: _Layers, used: np.ndarray, step: int) -> PointCloud:
    grid, second = layers.grid, layers.second
    on_row = grid.row % step == 0
    on_column = grid.column % np.maximum(step, grid.stride) == 0
    thin = on_row & on_column
    kept = np.concatenate([thin, thin[second.vertex]])[used]
    shown = np.arange(len(used)) < len(grid.rays)
    assert mesh.colors is not None  # both are made right above
    assert mesh.normals_in_world is not None
    return PointCloud(
        mesh.vertices_in_world[kept],
        mesh.normals_in_world[kept],
        mesh.colors[kept],
        layers.confidence[used][kept],
        shown[used][kept].astype(np.int32),
    )


def vertex_normals(
    vertices: Float64[np.ndarray, "v 3"],
    faces: Int32[np.ndarray, "f 3"],
    fallback: Float64[np.ndarray, "v 3"],
) -> Float32[np.ndarray, "v 3"]:
    """Returns unit normals of vertices, weighted by area.

    Args:
        vertices: Positions.
        faces: Vertex indices.
        fallback: Unit normals where the faces around a vertex have no area, or cancel out.
    """
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    weighted = np.cross(b - a, c - a)
    total = np.zeros_like(vertices)
    for axis in range(3):
        total[:, axis] = sum(
            np.bincount(faces[:, k], weighted[:, axis], minlength=len(vertices)) for k in range(3)
        )
    length = np.linalg.norm(total, axis=1, keepdims=True)
    usable = length > 1e-300
    return np.where(usable, total / np.where(usable, length, 1), fallback).astype(np.float32)
