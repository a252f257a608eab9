"""Which texels each pixel of a view sees: the link between images and texture, both ways."""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Bool, Float32, Int32

from worldloom.bench import Bench
from worldloom.cameras import Camera
from worldloom.render import RayCaster, camera_rays, face_normals
from worldloom.scene import UnwrappedMesh
from worldloom.texture._inputs import TextureView, view_image

SAMPLES = 2
"""Rays a pixel each way: a pixel gathers the light of its area (the box is its point spread)."""
_MIN_COSINE = 0.2
_STEP = 0.02
"""Change of depth inside a pixel, as a share, beyond which two things meet in it."""


@dataclass(frozen=True, eq=False)
class Footprints:
    """The usable pixels of one view, and where on the pages they look."""

    place: Float32[np.ndarray, "n s 2"]
    """Of each ray: column and row as shares of the page, from the top left."""
    page: Int32[np.ndarray, "n"]
    face: Int32[np.ndarray, "n"]
    """Face that the pixel sees."""
    color: Float32[np.ndarray, "n 3"]
    """What the view shows there, exposure undone, sRGB levels."""


class FootprintCaster:
    """Finds the footprints of any number of views of one mesh.

    Args:
        unwrapped: The mesh and its UV set.
    """

    def __init__(self, unwrapped: UnwrappedMesh) -> None:
        mesh = unwrapped.mesh
        self._unwrapped = unwrapped
        self._origin = mesh.vertices_in_world.mean(axis=0)
        self._normals = face_normals(mesh.vertices_in_world, mesh.faces)
        self._caster = RayCaster(mesh.vertices_in_world - self._origin, mesh.faces)

    def footprints(self, bench: Bench, view: TextureView) -> Footprints:
        """Returns the footprints of a view.

        Left out are pixels without data, those that look past the mesh, along it or at its back,
        and those in which two surfaces, or two charts, meet.
        """
        camera = view.frame.camera
        lens = camera.intrinsics
        fine = camera.resized(lens.width_px * SAMPLES, lens.height_px * SAMPLES)
        rays = camera_rays(fine)
        start = np.broadcast_to(camera.centre_in_world - self._origin, rays.shape)
        hits = self._caster.cast(start, rays)
        face = _by_pixel(hits.face, lens.height_px, lens.width_px)
        depth = _by_pixel(hits.distance, lens.height_px, lens.width_px)
        mask = bench.mask(view.frame, lens.width_px, lens.height_px).ravel()
        usable = mask & self._clear(face, depth, camera)
        hit = face[usable]
        weights = _by_pixel(hits.barycentric, lens.height_px, lens.width_px)[usable]
        uv = np.einsum("nsk,nskc->nsc", weights, self._unwrapped.uv[hit])
        uv[..., 1] = 1 - uv[..., 1]
        return Footprints(
            uv.astype(np.float32),
            self._unwrapped.page[hit[:, 0]],
            hit[:, 0],
            view_image(bench, view).reshape(-1, 3)[usable],
        )

    def _clear(
        self, face: Int32[np.ndarray, "n s"], depth: Float32[np.ndarray, "n s"], camera: Camera
    ) -> Bool[np.ndarray, "n"]:
        hit = (face >= 0).all(axis=1)
        near, far = depth.min(axis=1), depth.max(axis=1)
        rays = camera_rays(camera)
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        facing = -(self._normals[face[:, 0]] * rays).sum(axis=1) >= _MIN_COSINE
        pages = self._unwrapped.page[face]
        return hit & facing & (far - near <= _STEP * near) & (pages == pages[:, :1]).all(axis=1)


def _by_pixel(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Regroups values of fine rays, row by row, to one row a pixel."""
    rest = values.shape[1:]
    cells = values.reshape(height, SAMPLES, width, SAMPLES, *rest).swapaxes(1, 2)
    return cells.reshape(height * width, SAMPLES**2, *rest)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def corner_weights(place: np.ndarray, width: int, height: int) -> tuple[int, int, float, float]:
    """Texel to the upper left of a place, and the shares of its right and lower neighbours."""
    left = min(max(place[0] * width - 0.5, 0.0), width - 1.001)
    top = min(max(place[1] * height - 0.5, 0.0), height - 1.001)
    i, j = int(left), int(top)
    return i, j, left - i, top - j


@numba.njit(cache=True, nogil=True, error_model="numpy")
def shown(place: np.ndarray, image: np.ndarray, out: np.ndarray) -> None:
    """What a pixel shows of a page: the mean over its rays.

    Args:
        place: s 2, shares of the page.
        image: h w 3.
        out: 3, overwritten.
    """
    height, width = image.shape[:2]
    out[:] = 0.0
    for s in range(len(place)):
        i, j, fx, fy = corner_weights(place[s], width, height)
        for c in range(3):
            upper = image[j, i, c] * (1.0 - fx) + image[j, i + 1, c] * fx
            lower = image[j + 1, i, c] * (1.0 - fx) + image[j + 1, i + 1, c] * fx
            out[c] += (upper * (1.0 - fy) + lower * fy) / len(place)
