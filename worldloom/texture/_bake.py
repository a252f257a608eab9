"""The stage that bakes the maps of one part of the light mesh."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, UInt8

from worldloom.bench import Bench
from worldloom.merge import MergedMesh, load_mesh
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey
from worldloom.texture._atlas import Atlas, AtlasArrays, load_atlas
from worldloom.texture._blend import view_weights
from worldloom.texture._choose import Chosen, ChosenViews, load_chosen
from worldloom.texture._inputs import TextureView, view_image
from worldloom.texture._level import Levelled, load_levels, vertex_colors
from worldloom.texture._light import LightArrays, LightMesh, load_light
from worldloom.texture._relief import around, corner_groups, normal_map, tangent_space
from worldloom.texture._shading import TexelColors, corner_values, page_corners
from worldloom.texture._texels import Texels, texels_of
from worldloom.texture._transition import Levels

TEXELS_FILE = "texels.npz"
REACH_VOXELS = 4.0
"""Greatest distance between the light and the fine surface at which normals are carried over."""


@dataclass(frozen=True, eq=False)
class BakeWork:
    """One part, and all that its maps depend on."""

    surface: MergedMesh
    """Whose normals are baked."""
    light: LightMesh
    chosen: ChosenViews
    levelled: Levelled
    atlas: Atlas
    part: int
    views: tuple[TextureView, ...]
    """Those of the part, by view id, ascending."""
    voxel_m: float
    padding_px: int
    blend: bool
    """Mix views in the faces at a seam."""

    @property
    def subject(self) -> str:
        """For people."""
        return f"part {self.part}"


@dataclass(frozen=True)
class BakedPart:
    """The maps of one part."""

    part: int
    artifact: ArtifactKey
    """Artifact with `texels.npz`: the fields of `BakedTexels`."""
    texels: int
    by_page: tuple[int, ...]
    """Texels on each page."""


@dataclass(frozen=True, eq=False)
class BakedTexels:
    """Texels with their maps."""

    column: Int32[np.ndarray, "n"]
    row: Int32[np.ndarray, "n"]
    page: Int32[np.ndarray, "n"]
    inside: Bool[np.ndarray, "n"]
    albedo: UInt8[np.ndarray, "n 3"]
    normal: UInt8[np.ndarray, "n 3"]
    roughness: UInt8[np.ndarray, "n"]


def load_baked(bench: Bench, baked: BakedPart) -> BakedTexels:
    """Returns the maps of a part."""
    return BakedTexels(**bench.arrays(baked.artifact, TEXELS_FILE))


@dataclass(frozen=True, eq=False)
class PartGeometry:
    """The faces of one part, and their texels."""

    faces: Int32[np.ndarray, "f 3"]
    first_face: int
    corners_in_world: Float64[np.ndarray, "f 3 3"]
    corners_px: Float64[np.ndarray, "f 3 2"]
    chart: Int32[np.ndarray, "f"]
    texels: Texels


def part_geometry(
    light: LightArrays, atlas: AtlasArrays, part: int, side_px: int, padding_px: int
) -> PartGeometry:
    """Returns the faces of a part with their texels."""
    rows = light.part(part)
    faces = light.mesh.faces[rows]
    return PartGeometry(
        faces,
        rows.start,
        light.mesh.vertices_in_world[faces],
        page_corners(atlas.uv[rows], side_px),
        atlas.chart[rows],
        texels_of(atlas, rows, side_px, padding_px),
    )


def part_colors(
    image_of: Callable[[TextureView], Float32[np.ndarray, "h w 3"]],
    geometry: PartGeometry,
    views: Sequence[TextureView],
    chosen: Chosen,
    levels: Levels,
    vertices: Float32[np.ndarray, "v 3"],
    blend: bool,
) -> TexelColors:
    """Colours the texels of a part, view by view.

    Args:
        image_of: The image of a view, sRGB levels, exposure undone.
        geometry: Of the part.
        views: Those that may be needed, ascending.
        chosen: Views of all faces.
        levels: Views and offsets of all vertices.
        vertices: Colours of all vertices, for what no view sees, sRGB levels.
        blend: Mix views in the faces at a seam.
    """
    colors = TexelColors(geometry.texels, geometry.corners_in_world, geometry.corners_px)
    faces, first = geometry.faces, geometry.first_face
    unseen = view_weights(-1, faces, first, chosen, levels, blend)
    colors.add_vertices(corner_values(vertices, faces), unseen)
    for view in views:
        weights = view_weights(view.frame.view_id, faces, first, chosen, levels, blend)
        if weights.weight.any():
            colors.add_view(view.frame.camera, image_of(view), weights)
    return colors


def _bake(bench: Bench, key: ArtifactKey, work: BakeWork) -> BakedPart:
    light = load_light(bench, work.light)
    atlas, chosen = load_atlas(bench, work.atlas), load_chosen(bench, work.chosen)
    geometry = part_geometry(light, atlas, work.part, work.atlas.side_px, work.padding_px)
    texels = geometry.texels
    colors = part_colors(
        partial(view_image, bench),
        geometry,
        work.views,
        chosen,
        load_levels(bench, work.levelled),
        vertex_colors(light.mesh),
        work.blend,
    )
    bench.write_arrays(
        key,
        TEXELS_FILE,
        column=texels.column,
        row=texels.row,
        page=texels.page,
        inside=texels.inside,
        albedo=colors.colors(),
        normal=_normals(bench, work, light, geometry),
        roughness=_roughness(geometry, chosen),
    )
    by_page = np.bincount(texels.page, minlength=work.atlas.pages)
    return BakedPart(work.part, key, len(texels), tuple(by_page.tolist()))


def _normals(
    bench: Bench, work: BakeWork, light: LightArrays, geometry: PartGeometry
) -> UInt8[np.ndarray, "n 3"]:
    assert light.mesh.normals_in_world is not None  # the stage of the light mesh writes them
    reach_m = REACH_VOXELS * work.voxel_m
    space = tangent_space(
        geometry.corners_in_world,
        light.mesh.normals_in_world[geometry.faces],
        geometry.corners_px,
        corner_groups(geometry.faces, geometry.chart),
    )
    fine = around(load_mesh(bench, work.surface), geometry.corners_in_world.reshape(-1, 3), reach_m)
    return normal_map(geometry.texels, geometry.corners_in_world, space, fine, reach_m)


def _roughness(geometry: PartGeometry, chosen: Chosen) -> UInt8[np.ndarray, "n"]:
    texels = geometry.texels
    mix = np.maximum(texels.barycentric, 0)
    mix /= mix.sum(axis=1, keepdims=True)
    values = (mix * chosen.roughness[geometry.faces[texels.face]]).sum(axis=1)
    return np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)


BAKE = Stage("bake", 2, Role.CHUNK, BakedPart, _bake)
"""Bakes the maps of one part."""
