"""What the viewer shows, added to a scene of viser."""

import colorsys
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, UInt8

from worldloom.cameras import Camera, CameraTrajectory
from worldloom.display import Box, cloud_within, depth_picture, depth_span
from worldloom.memory import MemoryConfig, points_from_depth
from worldloom.scene import DepthMap, Mesh, PointCloud, Splats, Texture, UnwrappedMesh
from worldloom.viewer._config import ViewerConfig
from worldloom.viewer._glb import mesh_glb, textured_glb

Scene = Any  # viser.SceneApi
_CLAY = (206, 198, 187)
_SH_DC = 0.28209479177387814
"""Spherical harmonic of degree 0, 1 / (2 sqrt(pi))."""
_EDGES = np.array(
    [(0, 1), (1, 3), (3, 2), (2, 0), (4, 5), (5, 7), (7, 6), (6, 4), (0, 4), (1, 5), (2, 6), (3, 7)]
)
_MOST_SQUARES = 20_000


def add_mesh(
    scene: Scene,
    path: str,
    light: Mesh,
    cameras: CameraTrajectory,
    origin: Float64[np.ndarray, "3"],
) -> None:
    """Adds a light mesh with its vertex colours; faces seen from behind are left out."""
    scene.add_glb(f"{path}/mesh", mesh_glb(light, cameras, origin))


def add_textured(
    scene: Scene,
    path: str,
    unwrapped: UnwrappedMesh,
    albedo: Texture,
    cameras: CameraTrajectory,
    origin: Float64[np.ndarray, "3"],
) -> None:
    """Adds a textured mesh."""
    scene.add_glb(f"{path}/textured", textured_glb(unwrapped, albedo, cameras, origin))


def add_clay(
    scene: Scene, path: str, light: Mesh, origin: Float64[np.ndarray, "3"], *, wireframe: bool
) -> None:
    """Adds the bare surface, lit, or its edges."""
    scene.add_mesh_simple(
        f"{path}/surface",
        (light.vertices_in_world - origin).astype(np.float32),
        light.faces.astype(np.uint32),
        color=_CLAY,
        wireframe=wireframe,
        cast_shadow=False,
        receive_shadow=False,
    )


def add_cloud(
    scene: Scene,
    path: str,
    cloud: PointCloud,
    origin: Float64[np.ndarray, "3"],
    *,
    most: int,
    size: float,
) -> None:
    """Adds at most `most` points; `size` is the side of one, world unit."""
    few = cloud_within(cloud, most)
    add_points(scene, f"{path}/points", few.points_in_world - origin, few.colors, size)


def add_points(
    scene: Scene,
    path: str,
    points: Float[np.ndarray, "n 3"],
    colors: UInt8[np.ndarray, "n 3"],
    size: float,
) -> None:
    """Adds points relative to the origin of the viewer."""
    scene.add_point_cloud(
        path,
        points.astype(np.float32),
        colors,
        point_size=size,
        point_shading="flat",
        precision="float32",
    )


def add_splats(
    scene: Scene,
    path: str,
    splats: Splats,
    origin: Float64[np.ndarray, "3"],
    config: ViewerConfig,
) -> None:
    """Adds Gaussians, the most opaque ones, with the colour of their degree 0."""
    from scipy.spatial.transform import Rotation

    kept = np.sort(np.argsort(-splats.opacities, kind="stable")[: config.max_splats])
    turn = Rotation.from_quat(splats.rotations[kept], scalar_first=True).as_matrix()
    spread = turn * splats.scales_m[kept][:, None, :]
    colors = np.clip(0.5 + _SH_DC * splats.sh[kept, 0], 0, 1)
    scene.add_gaussian_splats(
        f"{path}/splats",
        centers=(splats.means_in_world[kept] - origin).astype(np.float32),
        covariances=np.einsum("nij,nkj->nik", spread, spread).astype(np.float32),
        rgbs=colors.astype(np.float32),
        opacities=splats.opacities[kept][:, None].astype(np.float32),
    )


def add_camera(
    scene: Scene,
    path: str,
    camera: Camera,
    origin: Float64[np.ndarray, "3"],
    *,
    size: float,
    color: tuple[int, int, int],
    image: UInt8[np.ndarray, "h w 3"] | None,
) -> Any:  # a handle of viser
    """Adds the frustum of a camera, with its image where there is one; returns its handle."""
    from scipy.spatial.transform import Rotation

    lens = camera.intrinsics
    pose = camera.world_from_cam
    return scene.add_camera_frustum(
        path,
        fov=2 * float(np.arctan(lens.height_px / (2 * lens.fy))),
        aspect=lens.width_px / lens.height_px * lens.fy / lens.fx,
        scale=size,
        thickness=1.5,
        thickness_units="screen",
        color=color,
        image=image,
        format="jpeg",
        wxyz=Rotation.from_matrix(pose[:3, :3]).as_quat(scalar_first=True),
        position=pose[:3, 3] - origin,
        cast_shadow=False,
        receive_shadow=False,
    )


def add_boxes(
    scene: Scene,
    path: str,
    boxes: Sequence[Box],
    origin: Float64[np.ndarray, "3"],
    *,
    hue: float,
) -> None:
    """Adds the edges of boxes, all in one node."""
    if not boxes:
        return
    lower = np.stack([box.lower_in_world for box in boxes]) - origin
    upper = np.stack([box.upper_in_world for box in boxes]) - origin
    ends = np.stack([lower, upper])
    choice = np.array([[(k >> axis) & 1 for axis in range(3)] for k in range(8)])
    corners = np.stack([ends[choice[:, axis], :, axis] for axis in range(3)], axis=-1)
    lines = corners[_EDGES].transpose(2, 0, 1, 3).reshape(-1, 2, 3)
    shades = np.array([_shade(hue, k) for k in range(len(boxes))], np.uint8)
    colors = np.repeat(shades, len(_EDGES), axis=0)[:, None].repeat(2, axis=1)
    _add_lines(scene, f"{path}/boxes", lines, colors)


def add_squares(
    scene: Scene,
    path: str,
    squares: Float64[np.ndarray, "n 4 3"],
    origin: Float64[np.ndarray, "3"],
) -> None:
    """Adds the edges of squares, all in one node; of very many an even choice."""
    if not len(squares):
        return
    shown = squares[:: -(-len(squares) // _MOST_SQUARES)] - origin
    lines = np.stack([shown, np.roll(shown, -1, axis=1)], axis=2).reshape(-1, 2, 3)
    colors = np.broadcast_to(np.array([214, 64, 91], np.uint8), lines.shape)
    _add_lines(scene, f"{path}/squares", lines, colors)


def add_depth(
    scene: Scene,
    path: str,
    depth_map: DepthMap,
    image: UInt8[np.ndarray, "h w 3"],
    origin: Float64[np.ndarray, "3"],
    *,
    most: int,
) -> None:
    """Adds the depth map of a view as points in the colours of its image."""
    points, colors = depth_points(depth_map, image, most)
    lens = depth_map.camera.intrinsics
    known = depth_map.depth[depth_map.depth > 0]
    footprint = float(np.median(known)) / lens.fx if len(known) else 1.0
    stride = np.sqrt(max(1.0, depth_map.depth.size / most))
    add_points(scene, path, points - origin, colors, 1.2 * stride * footprint)


def depth_points(
    depth_map: DepthMap, image: UInt8[np.ndarray, "h w 3"], most: int
) -> tuple[Float64[np.ndarray, "n 3"], UInt8[np.ndarray, "n 3"]]:
    """Returns about at most `most` points of a depth map, world, and their colours.

    Of the confidence that the memory asks for: below it depth is a guess.
    """
    stride = max(1, int(np.ceil(np.sqrt(depth_map.depth.size / most))))
    least = MemoryConfig().min_confidence
    surface = points_from_depth(depth_map, stride_px=stride, min_confidence=least)
    return surface.points_in_world, image.reshape(-1, 3)[surface.pixels]


def depth_image(depth_map: DepthMap) -> UInt8[np.ndarray, "h w 3"]:
    """Returns a depth map as a picture on its own scale."""
    return depth_picture(depth_map.depth, *depth_span([depth_map.depth]))


def path_color(index: int) -> tuple[int, int, int]:
    """Returns the colour of the n-th trajectory; neighbours differ clearly."""
    hue = (0.07 + 0.381966 * index) % 1
    red, green, blue = colorsys.hls_to_rgb(hue, 0.55, 0.75)
    return round(255 * red), round(255 * green), round(255 * blue)


def _shade(hue: float, index: int) -> tuple[int, int, int]:
    light = 0.45 + 0.2 * ((index * 0.618034) % 1)
    red, green, blue = colorsys.hls_to_rgb(hue, light, 0.7)
    return round(255 * red), round(255 * green), round(255 * blue)


def _add_lines(scene: Scene, path: str, lines: np.ndarray, colors: np.ndarray) -> None:
    scene.add_line_segments(
        path, lines.astype(np.float32), colors, thickness=1.5, thickness_units="screen"
    )
