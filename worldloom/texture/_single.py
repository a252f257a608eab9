"""What a texture of one view alone would show."""

import numpy as np
from jaxtyping import Float32, Float64, Int64

from worldloom.cameras import Camera
from worldloom.scene import UnwrappedMesh
from worldloom.texture._blend import ViewWeights
from worldloom.texture._shading import TexelColors, page_corners
from worldloom.texture._texels import Texels

_AROUND = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])


class SingleViewTexture:
    """Colours that single views give to points of a mesh by way of texels.

    Texels are coloured as baking does it, and read as a renderer does: what a view shows is
    compared with a texture at what both resolve.

    Args:
        unwrapped: The mesh and its UV set.
        side_px: Side of a page, texels.
    """

    def __init__(self, unwrapped: UnwrappedMesh, side_px: int) -> None:
        mesh = unwrapped.mesh
        self._corners = mesh.vertices_in_world[mesh.faces]
        self._corners_px = page_corners(unwrapped.uv, side_px)
        self._page = unwrapped.page
        self._whole = ViewWeights(
            np.ones((len(mesh.faces), 3), np.float32),
            np.zeros((len(mesh.faces), 3, 3), np.float32),
        )

    def colors(
        self,
        camera: Camera,
        image: Float32[np.ndarray, "h w 3"],
        faces: Int64[np.ndarray, "n 2"],
        mix: Float64[np.ndarray, "n 2 p 3"],
    ) -> Float64[np.ndarray, "n 2 p 3"]:
        """Returns the colours of points, levels.

        Args:
            camera: Of the view, at the size of its image.
            image: What it shows, levels.
            faces: Two faces a row.
            mix: Barycentric weights of some points in each of them.
        """
        face = np.repeat(faces.ravel(), mix.shape[2])
        at = np.einsum("nk,nkc->nc", mix.reshape(-1, 3), self._corners_px[face])
        first = np.floor(at - 0.5)
        share = at - 0.5 - first
        texel = first[:, None, :] + _AROUND
        weight = np.where(_AROUND == 1, share[:, None, :], 1 - share[:, None, :]).prod(axis=2)
        texels = self._texels(np.repeat(face, len(_AROUND)), texel.reshape(-1, 2))
        shown = TexelColors(texels, self._corners, self._corners_px)
        shown.add_view(camera, image, self._whole)
        colors = shown.levels().reshape(len(face), len(_AROUND), 3)
        return (colors * weight[..., None]).sum(axis=1).reshape(*mix.shape[:3], 3)

    def _texels(self, face: Int64[np.ndarray, "m"], texel: Float64[np.ndarray, "m 2"]) -> Texels:
        """Texels as parts of the plane of a face, also where their centres are past its edge."""
        a, b, c = (self._corners_px[face, k] for k in range(3))
        u, w, p = b - a, c - a, texel + 0.5 - a
        area = u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]
        area = np.where(area == 0, 1, area)
        second = (p[:, 0] * w[:, 1] - p[:, 1] * w[:, 0]) / area
        third = (u[:, 0] * p[:, 1] - u[:, 1] * p[:, 0]) / area
        barycentric = np.stack([1 - second - third, second, third], axis=1)
        column, height = texel.astype(np.int32).T
        return Texels(
            column,
            height,
            self._page[face],
            face.astype(np.int32),
            barycentric.astype(np.float32),
            np.asarray((barycentric >= 0).all(axis=1)),
        )
