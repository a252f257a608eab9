"""One depth map as the fusion sees it: a small plane at each pixel."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from worldloom.lattice import cells_from_keys
from worldloom.memory import BLOCK_VOXELS
from worldloom.scene import DepthMap
from worldloom.surface import _kernels as kernels


@dataclass(frozen=True, eq=False)
class SurfaceView:
    """A view, ready for fusion."""

    planes: Float32[np.ndarray, "h w 5"]
    """Per pixel, camera coordinates: unit normal n towards the camera (3), n . surface point, and
    the weight (0 = unknown). The signed distance of x is n . x minus the fourth."""
    reach: Float64[np.ndarray, "tile_rows tile_columns"]
    """Greatest depth at which any pixel of a tile still says something."""
    cam_from_world: Float64[np.ndarray, "4 4"]
    lens: kernels.Lens


def surface_view(
    depth_map: DepthMap, voxel_m: float, truncation_m: float, min_confidence: float
) -> SurfaceView:
    """Prepares a depth map: planes, weights, reach.

    The distance of a point is taken from the tangent plane of the pixel that it falls on, so that
    slanted surfaces are neither shifted nor thickened (point-to-plane, as in Bylow et al. 2013,
    "Real-time camera tracking and 3D reconstruction using signed distance functions", eq. 20).
    A weight is the confidence times the cosine of the viewing angle, divided by the square of the
    depth: the noise of a depth from images grows so.

    Args:
        depth_map: Checked depth map.
        voxel_m: Side of a voxel, world unit.
        truncation_m: Distance behind the surface at which a pixel falls silent.
        min_confidence: Pixels below it are left out.
    """
    camera = depth_map.camera
    intrinsics = camera.intrinsics
    used = (depth_map.confidence > 0) & (depth_map.confidence >= np.float32(min_confidence))
    far_m = float(depth_map.depth.max(where=used, initial=0)) + truncation_m / kernels.MIN_COSINE
    lens = kernels.Lens(intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy, far_m)
    cam_from_world = np.ascontiguousarray(camera.cam_from_world)
    planes, reach = kernels.planes(
        np.where(used, depth_map.depth, np.float32(0)),
        depth_map.confidence,
        depth_map.normal_in_world,
        cam_from_world,
        lens,
        voxel_m,
        truncation_m,
    )
    return SurfaceView(planes, reach, cam_from_world, lens)


def visible_blocks(
    view: SurfaceView, block_keys: Int64[np.ndarray, "n"], voxel_m: float
) -> Bool[np.ndarray, "n"]:
    """Returns the blocks about which a view may say something; never leaves one out wrongly."""
    corners = cells_from_keys(block_keys).astype(np.float64) * (BLOCK_VOXELS * voxel_m)
    shape = np.array(view.planes.shape[:2])
    return kernels.visible(
        corners, BLOCK_VOXELS * voxel_m, view.reach, shape, view.cam_from_world, view.lens
    )
