"""Rendering meshes with textures."""

from collections.abc import Sequence

import numba
import numpy as np
from jaxtyping import Float32, UInt8

from worldloom.errors import ConfigError
from worldloom.render._mesh import MeshRenderer
from worldloom.render._raycaster import RayHits
from worldloom.scene import Texture, UnwrappedMesh


class TexturedRenderer(MeshRenderer):
    """Renders a mesh with its albedo from any number of cameras; both sides are visible.

    Textures are sampled bilinearly, without mip maps: take several `samples` a pixel where texels
    are finer than pixels.

    Args:
        unwrapped: The mesh and its UV set.
        albedo: The texture on it.
        background: sRGB where no ray hits.
        threads: Threads of a rendering; 0 for one a core. Views do not depend on it.

    Raises:
        ConfigError: open3d cannot be loaded, or the texture lacks pages of the mesh.
    """

    def __init__(
        self,
        unwrapped: UnwrappedMesh,
        albedo: Texture,
        background: tuple[int, int, int] = (0, 0, 0),
        threads: int = 1,
    ) -> None:
        super().__init__(unwrapped.mesh, background, threads)
        pages = int(unwrapped.page.max(initial=-1)) + 1
        if len(albedo.pages) < pages or any(page.shape[2] != 3 for page in albedo.pages):
            raise ConfigError(
                f"the mesh lies on {pages} pages but the texture {albedo.kind} has "
                f"{len(albedo.pages)} of shapes {[page.shape for page in albedo.pages]}; give the "
                "albedo of this mesh",
                field="albedo",
            )
        self._uv = unwrapped.uv
        self._page = unwrapped.page
        self._images = albedo.pages

    def _shaded(self, hits: RayHits) -> Float32[np.ndarray, "n 3"]:
        image = np.empty((len(hits.face), 3), np.float32)
        image[:] = self._background
        hit = np.flatnonzero(hits.face >= 0)
        face, weights = hits.face[hit], hits.barycentric[hit]
        uv = np.einsum("nk,nkc->nc", weights, self._uv[face])
        image[hit] = sample_pages(self._images, self._page[face], uv)
        return image


def sample_pages(
    pages: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    page: np.ndarray,
    uv: Float32[np.ndarray, "n 2"],
) -> Float32[np.ndarray, "n 3"]:
    """Samples texture pages bilinearly; edges are repeated.

    Args:
        pages: Images, top row first.
        page: Page of each sample.
        uv: Texture coordinates, origin at the bottom left: the centre of the texel in column i and
            row j lies at u = (i + 0.5) / width, v = 1 - (j + 0.5) / height.

    Returns:
        Levels, 0 to 255.
    """
    colors = np.zeros((len(uv), 3), np.float32)
    for number, image in enumerate(pages):
        here = np.flatnonzero(page == number)
        colors[here] = _sampled(image, uv[here])
    return colors


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sampled(image: np.ndarray, uv: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    colors = np.empty((len(uv), 3), np.float32)
    for n in range(len(uv)):
        left = min(max(uv[n, 0] * width - 0.5, 0.0), width - 1.0)
        top = min(max((1.0 - uv[n, 1]) * height - 0.5, 0.0), height - 1.0)
        i, j = int(left), int(top)
        i1, j1 = min(i + 1, width - 1), min(j + 1, height - 1)
        fx, fy = left - i, top - j
        for c in range(3):
            upper = image[j, i, c] * (1.0 - fx) + image[j, i1, c] * fx
            lower = image[j1, i, c] * (1.0 - fx) + image[j1, i1, c] * fx
            colors[n, c] = upper * (1.0 - fy) + lower * fy
    return colors
