"""The rasteriser on the CPU: Gaussians to an image, and gradients back."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32, Int64

from worldloom.cameras import Camera
from worldloom.errors import ConfigError
from worldloom.scene import Splats
from worldloom.splat import _blending as blending
from worldloom.splat import _projection as projection
from worldloom.splat._crew import Crew
from worldloom.splat._projection_back import project_back

NEAR_M = 0.01
"""Gaussians nearer than this are left out, world unit; as in gsplat."""


@dataclass(frozen=True, eq=False)
class Scene:
    """What is rasterised: linear parameters, as in `Splats`, but not checked."""

    means: Float32[np.ndarray, "n 3"]
    rotations: Float32[np.ndarray, "n 4"]
    """Of any length."""
    scales: Float32[np.ndarray, "n 3"]
    opacities: Float32[np.ndarray, "n"]
    sh: Float32[np.ndarray, "n k 3"]


@dataclass(frozen=True, eq=False)
class Raster:
    """A view of Gaussians, with what its gradients need."""

    image: Float32[np.ndarray, "h w 3"]
    """sRGB, 0 to 1 and above; black behind all."""
    depth: Float32[np.ndarray, "h w"]
    """Sum of weight times depth of the centre, world unit; divide by alpha for the mean."""
    square: Float32[np.ndarray, "h w"]
    """Sum of weight times squared depth."""
    alpha: Float32[np.ndarray, "h w"]
    """Sum of the weights, 0 to 1."""
    projected: Float32[np.ndarray, "n 16"]
    boxes: Int32[np.ndarray, "n 4"]
    lists: "TileLists"
    last: Int32[np.ndarray, "h w"]
    view: projection.View
    degree: int


@dataclass(frozen=True, eq=False)
class TileLists:
    """The Gaussians of each tile, front to back; see `sort_into_tiles`."""

    columns: int
    starts: Int64[np.ndarray, "tiles_1"]
    ids: Int32[np.ndarray, "m"]
    slot_starts: Int64[np.ndarray, "n_1"]
    slots: Int64[np.ndarray, "m"]


@dataclass(frozen=True, eq=False)
class Slopes:
    """Gradients of a loss by the Gaussians that a view shows; those of the others are 0."""

    rows: Int32[np.ndarray, "m"]
    """Which Gaussians, ascending."""
    in_image: Float32[np.ndarray, "m 2"]
    """By the place in the image, 1 / pixel."""
    means: Float32[np.ndarray, "m 3"]
    rotations: Float32[np.ndarray, "m 4"]
    scales: Float32[np.ndarray, "m 3"]
    opacities: Float32[np.ndarray, "m"]
    sh: Float32[np.ndarray, "m k 3"]


def scene_of(splats: Splats) -> Scene:
    """Returns what is rasterised of a product."""
    return Scene(
        splats.means_in_world, splats.rotations, splats.scales_m, splats.opacities, splats.sh
    )


def view_of(camera: Camera) -> projection.View:
    """Returns a camera as the kernels take it."""
    lens = camera.intrinsics
    return projection.View(
        np.ascontiguousarray(camera.cam_from_world[:3]),
        np.ascontiguousarray(camera.centre_in_world),
        float(lens.fx),
        float(lens.fy),
        float(lens.cx),
        float(lens.cy),
        lens.width_px,
        lens.height_px,
        NEAR_M,
    )


def rasterize(scene: Scene, camera: Camera, degree: int, crew: Crew) -> Raster:
    """Renders Gaussians.

    Args:
        scene: The Gaussians.
        camera: At the size of the result.
        degree: Of the spherical harmonics that are used; at most that of the scene.
        crew: Threads; the result does not depend on how many.

    Raises:
        ConfigError: the scene has not the bands of that degree.
    """
    if (degree + 1) ** 2 > scene.sh.shape[1]:
        raise ConfigError(
            f"degree {degree} needs {(degree + 1) ** 2} bands, and there are {scene.sh.shape[1]}",
            field="degree",
        )
    view = view_of(camera)
    count = len(scene.means)
    projected = np.empty((count, projection.COLUMNS), np.float32)
    boxes = np.empty((count, 4), np.int32)
    crew.run(
        *(projection.project, view, scene.means, scene.rotations, scene.scales),
        *(scene.opacities, scene.sh, degree, projected, boxes),
    )
    lists = tile_lists(projected, boxes, view)
    shape = (view.height_px, view.width_px)
    image, remaining = np.empty((*shape, 5), np.float32), np.empty(shape, np.float32)
    last = np.empty(shape, np.int32)
    crew.run(
        *(blending.blend, projected, boxes, lists.starts, lists.ids, lists.columns),
        *(image, remaining, last),
    )
    return Raster(
        *(image[..., :3], image[..., 3], image[..., 4], np.float32(1) - remaining),
        *(projected, boxes, lists, last, view, degree),
    )


def tile_lists(
    projected: Float32[np.ndarray, "n 16"], boxes: Int32[np.ndarray, "n 4"], view: projection.View
) -> TileLists:
    """Returns the Gaussians of each tile of a view, front to back."""
    columns = -(-view.width_px // blending.TILE_PX)
    rows = -(-view.height_px // blending.TILE_PX)
    order = blending.order_by_depth(np.ascontiguousarray(projected[:, 9]), boxes)
    return TileLists(columns, *blending.sort_into_tiles(order, boxes, columns, rows))


def slopes(
    scene: Scene,
    raster: Raster,
    image_slope: Float32[np.ndarray, "h w 3"],
    depth_slope: Float32[np.ndarray, "h w"],
    square_slope: Float32[np.ndarray, "h w"],
    alpha_slope: Float32[np.ndarray, "h w"],
    crew: Crew,
    count: int | None = None,
) -> Slopes:
    """Returns the gradients of a loss by the Gaussians from those by their view.

    Args:
        scene: What was rasterised.
        raster: The view.
        image_slope: Gradient of the loss by `raster.image`.
        depth_slope: By `raster.depth`.
        square_slope: By `raster.square`.
        alpha_slope: By `raster.alpha`.
        crew: Threads; the result does not depend on how many.
        count: Gradients of the first so many Gaussians only; None for all.
    """
    lists = raster.lists
    slot_slopes = np.empty((len(lists.ids), blending.SLOPES), np.float32)
    by_depth = np.stack([depth_slope, square_slope], axis=2)
    by_values = np.concatenate([image_slope, by_depth], axis=2)
    crew.run(
        *(blending.blend_back, raster.projected, raster.boxes, lists.starts, lists.ids),
        *(lists.columns, np.float32(1) - raster.alpha, raster.last),
        *(np.ascontiguousarray(by_values), np.ascontiguousarray(alpha_slope), slot_slopes),
    )
    rows = np.flatnonzero(raster.boxes[:count, 2]).astype(np.int32)
    shown = len(rows)
    view_slopes = np.empty((shown, blending.SLOPES), np.float32)
    crew.run(
        *(blending.gather_slopes, rows, lists.slot_starts, lists.slots, slot_slopes, view_slopes)
    )
    found = Slopes(
        rows,
        view_slopes[:, :2],
        np.empty((shown, 3), np.float32),
        np.empty((shown, 4), np.float32),
        np.empty((shown, 3), np.float32),
        np.empty(shown, np.float32),
        np.empty((shown, *scene.sh.shape[1:]), np.float32),
    )
    crew.run(
        *(project_back, raster.view, scene.means, scene.rotations, scene.scales),
        *(scene.sh, raster.degree, raster.projected, rows, view_slopes),
        *(found.means, found.rotations, found.scales, found.opacities, found.sh),
    )
    return found
