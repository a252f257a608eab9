"""Rendering meshes with vertex colours."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float32, UInt8

from worldloom.cameras import Camera
from worldloom.render._raycaster import (
    RayCaster,
    RayHits,
    camera_rays,
    face_normals,
    facing_normals,
)
from worldloom.render._view import RenderedView
from worldloom.scene import Mesh

_PLAIN = (176, 176, 176)
_CLAY = np.array([206.0, 198.0, 187.0])


class MeshRenderer:
    """Renders one mesh from any number of cameras; both sides of a face are visible.

    Args:
        mesh: What to render; an empty mesh gives views without hits. Without colours it is grey.
        background: sRGB where no ray hits.
        threads: Threads of a rendering; 0 for one a core. Views do not depend on it.

    Raises:
        ConfigError: open3d cannot be loaded.
    """

    def __init__(
        self, mesh: Mesh, background: tuple[int, int, int] = (0, 0, 0), threads: int = 1
    ) -> None:
        self._faces = mesh.faces
        self._colors = (
            np.broadcast_to(np.array(_PLAIN, np.uint8), (len(mesh.vertices_in_world), 3))
            if mesh.colors is None
            else mesh.colors
        )
        self._background = background
        # Single precision resolves a large world only near its origin, so the mesh is moved there.
        self._origin_in_world = (
            mesh.vertices_in_world.mean(axis=0) if len(mesh.vertices_in_world) else np.zeros(3)
        )
        self._vertices = mesh.vertices_in_world - self._origin_in_world
        self._caster = RayCaster(self._vertices, mesh.faces, threads)

    def depth(self, camera: Camera) -> Float32[np.ndarray, "h w"]:
        """Returns depth along +z at pixel centres; 0 where nothing is hit."""
        height, width = camera.intrinsics.height_px, camera.intrinsics.width_px
        return self._hits(camera, 1).distance.reshape(height, width)

    def render(self, camera: Camera, samples: int = 1) -> RenderedView:
        """Renders colours, depth and normals.

        Args:
            camera: Undistorted camera; its distortion is not applied.
            samples: Rays a pixel each way for the image; depth and normals are of pixel centres.
        """
        height, width = camera.intrinsics.height_px, camera.intrinsics.width_px
        centre = self._hits(camera, 1)
        fine = centre if samples == 1 else self._hits(camera, samples)
        image = self._shaded(fine).reshape(height, samples, width, samples, 3).mean(axis=(1, 3))
        return RenderedView(
            camera=camera,
            image=np.rint(image).astype(np.uint8),
            depth=centre.distance.reshape(height, width),
            normal_in_world=self._normals(centre, camera),
        )

    def _hits(self, camera: Camera, samples: int) -> RayHits:
        width, height = camera.intrinsics.width_px, camera.intrinsics.height_px
        directions = camera_rays(camera.resized(width * samples, height * samples))
        origin = camera.centre_in_world - self._origin_in_world
        return self._caster.cast(np.broadcast_to(origin, directions.shape), directions)

    def _normals(self, hits: RayHits, camera: Camera) -> Float32[np.ndarray, "h w 3"]:
        # A view shows few of the faces of a large mesh.
        seen, position = np.unique(hits.face[hits.face >= 0], return_inverse=True)
        normals = face_normals(self._vertices, self._faces[seen])
        face = np.full(len(hits.face), -1, np.int32)
        face[hits.face >= 0] = position
        return facing_normals(normals, replace(hits, face=face), camera)

    def _shaded(self, hits: RayHits) -> Float32[np.ndarray, "n 3"]:
        hit = hits.face >= 0
        image = np.empty((len(hits.face), 3), np.float32)
        image[:] = self._background
        corners = self._faces[hits.face[hit]]
        weights = hits.barycentric[hit]
        image[hit] = sum(
            weights[:, k, None] * self._colors[corners[:, k]].astype(np.float32) for k in range(3)
        )
        return image


def render_mesh(mesh: Mesh, camera: Camera, samples: int = 1) -> RenderedView:
    """Renders a mesh once; for several views make one `MeshRenderer`.

    Args:
        mesh: What to render.
        camera: Undistorted camera.
        samples: Rays a pixel each way.

    Raises:
        ConfigError: open3d cannot be loaded.
    """
    return MeshRenderer(mesh).render(camera, samples)


def shade_by_normals(
    view: RenderedView, background: tuple[int, int, int] = (0, 0, 0)
) -> UInt8[np.ndarray, "h w 3"]:
    """Returns a view as if made of clay: lit from the camera and from above left, no colours."""
    height, width = view.depth.shape
    rays = camera_rays(view.camera).reshape(height, width, 3)
    towards_camera = -rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    key_in_world = view.camera.world_from_cam[:3, :3] @ (np.array([-0.5, -0.7, -0.5]) / 0.995)
    facing = (view.normal_in_world * towards_camera).sum(-1)
    lit = np.maximum(view.normal_in_world @ key_in_world, 0)
    brightness = 0.16 + 0.42 * facing + 0.46 * lit
    image = np.clip(brightness[..., None] * _CLAY, 0, 255)
    return np.where(view.hit[..., None], np.rint(image), np.array(background)).astype(np.uint8)
