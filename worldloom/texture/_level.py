"""The stage that finds how the views of the faces are made to meet."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32

from worldloom.bench import Bench
from worldloom.scene import Mesh
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey
from worldloom.texture._choose import Chosen, ChosenViews, load_chosen
from worldloom.texture._inputs import TextureView, view_image, views_by_id
from worldloom.texture._levelling import Corners, Seams, corners_of, offsets
from worldloom.texture._light import LightMesh, load_light
from worldloom.texture._look_kernels import sampled_pixels
from worldloom.texture._topology import shared_edges
from worldloom.texture._transition import Levels, passed_levels

LEVELS_FILE = "levels.npz"
_ALONG = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
"""Where an edge is sampled, as shares of its length."""
_GREY = 128.0


@dataclass(frozen=True, eq=False)
class LevelWork:
    """The views of the faces, with their images."""

    light: LightMesh
    chosen: ChosenViews
    views: tuple[TextureView, ...]
    """By view id, ascending."""
    shift: bool
    """Shift the colours of patches so that they meet; else leave them."""
    rings: int
    """Rings of faces over which views pass into each other, besides those at the seam."""

    @property
    def subject(self) -> str:
        """For people."""
        return "seams"


@dataclass(frozen=True)
class Levelled:
    """How the views of the faces meet."""

    artifact: ArtifactKey
    """Artifact with `levels.npz`: the fields of `Levels`."""
    seam_edges: int
    difference_levels: float
    """Mean difference of colours across the seams before, sRGB levels; 0 without seams."""
    left_levels: float
    """The same after the shift."""
    part_views: tuple[tuple[int, ...], ...]
    """Views that the faces of each part may need, ascending."""


def load_levels(bench: Bench, levelled: Levelled) -> Levels:
    """Returns the views and offsets of the vertices."""
    return Levels(**bench.arrays(levelled.artifact, LEVELS_FILE))


def _level(bench: Bench, key: ArtifactKey, work: LevelWork) -> Levelled:
    light = load_light(bench, work.light)
    mesh, chosen = light.mesh, load_chosen(bench, work.chosen)
    corners = corners_of(mesh.vertices_in_world, mesh.faces, chosen.view)
    seams = _seams(bench, mesh, chosen, corners, work.views)
    offset = np.zeros((len(corners.view), 3), np.float32)
    if work.shift:
        offset = offsets(corners, seams)
    levels = Levels(corners.vertex_starts, corners.view, corners.weight, offset)
    if work.rings:
        levels = passed_levels(levels, mesh.faces, chosen.view, chosen.allowed, work.rings)
    bench.write_arrays(key, LEVELS_FILE, **vars(levels))
    moved = offset[seams.rows[:, :, 0]] - offset[seams.rows[:, :, 1]]
    return Levelled(
        key,
        len(seams.rows),
        _mean_size(seams.difference),
        _mean_size(seams.difference + moved),
        tuple(_views_at(levels, mesh.faces[light.part(part)]) for part in range(work.light.parts)),
    )


def _mean_size(difference: Float64[np.ndarray, "s 2 3"]) -> float:
    return float(np.abs(difference).mean()) if len(difference) else 0.0


def _views_at(levels: Levels, faces: Int32[np.ndarray, "f 3"]) -> tuple[int, ...]:
    used = np.zeros(len(levels.vertex_starts) - 1, bool)
    used[faces] = True
    views = np.unique(levels.view[np.repeat(used, np.diff(levels.vertex_starts))])
    return tuple(views[views >= 0].tolist())


def _seams(
    bench: Bench,
    mesh: Mesh,
    chosen: Chosen,
    corners: Corners,
    views: tuple[TextureView, ...],
) -> Seams:
    shared = shared_edges(mesh.faces)
    view = chosen.view[shared.faces]
    apart = view[:, 0] != view[:, 1]
    faces, ends, view = shared.faces[apart], shared.vertices[apart], view[apart]
    rows = np.empty((len(faces), 2, 2), np.int64)
    for end in range(2):
        for side in range(2):
            corner = (mesh.faces[faces[:, side]] == ends[:, end, None]).argmax(axis=1)
            rows[:, end, side] = corners.of_face[faces[:, side], corner]
    colors = np.empty((len(faces), 2, len(_ALONG), 3))
    points = mesh.vertices_in_world[ends]
    points = points[:, :1] * (1 - _ALONG)[:, None] + points[:, 1:] * _ALONG[:, None]
    _without_view(mesh, ends, view, colors)
    by_id = views_by_id(views)
    for view_id in np.unique(view[view >= 0]).tolist():
        here = view == view_id
        colors[here] = _shown(bench, by_id[view_id], points, here)
    difference = colors[:, 0] - colors[:, 1]
    near = np.stack([1 - _ALONG, _ALONG])
    near /= near.sum(axis=1, keepdims=True)
    return Seams(rows, np.einsum("en,snc->sec", near, difference))


def _without_view(
    mesh: Mesh,
    ends: Int32[np.ndarray, "s 2"],
    view: Int32[np.ndarray, "s 2"],
    colors: Float64[np.ndarray, "s 2 n 3"],
) -> None:
    """Sets the colours of sides that no view sees to those of the vertices."""
    own = vertex_colors(mesh)[ends].astype(np.float64)
    mixed = own[:, :1] * (1 - _ALONG)[:, None] + own[:, 1:] * _ALONG[:, None]
    for side in range(2):
        unseen = view[:, side] < 0
        colors[unseen, side] = mixed[unseen]


def vertex_colors(mesh: Mesh) -> Float32[np.ndarray, "v 3"]:
    """Returns the colours of the vertices, sRGB levels; grey for a mesh without."""
    if mesh.colors is None:
        return np.full((len(mesh.vertices_in_world), 3), _GREY, np.float32)
    return mesh.colors.astype(np.float32)


def _shown(
    bench: Bench,
    view: TextureView,
    points: Float64[np.ndarray, "s n 3"],
    here: Bool[np.ndarray, "s 2"],
) -> Float64[np.ndarray, "_ n 3"]:
    """Colours of a view along the edges of which it has a side; a row for each such side."""
    edge = np.nonzero(here)[0]
    pixels, _ = view.frame.camera.project(points[edge].reshape(-1, 3))
    return sampled_pixels(view_image(bench, view), pixels).reshape(len(edge), -1, 3)


LEVEL = Stage("level", 4, Role.MERGER, Levelled, _level)
"""Finds how the views of the faces are made to meet."""
