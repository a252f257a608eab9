"""What a texture of one view alone would show."""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from worldloom.cameras import Camera
from worldloom.scene import UnwrappedMesh
from worldloom.texture._blend import ViewWeights
from worldloom.texture._shading import TexelColors, page_corners
from worldloom.texture._texels import Texels, texels_on_pages

_AROUND = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
_REACH_PX = 2.0
"""Texels around a chart that are known to be of its faces: bilinear reading needs no more."""

TexelReading = Literal["owner", "plane"]
"""Where a texel past the edge of the face that is read lies: on the face that owns it, as baking
has it, or in the plane of the face that is read."""


class SingleViewTexture:
    """Colours that single views give to points of a mesh by way of texels.

    Texels are coloured as baking does it, on the faces that own them, and read as a renderer does:
    what a view shows is compared with a texture at what both resolve. A texel of a face that the
    view does not see counts as a part of the plane of the face that is read; all of them do where
    `reading` says so.

    Args:
        unwrapped: The mesh and its UV set.
        side_px: Side of a page, texels.
        faces: Two faces a row.
        mix: Barycentric weights of some points in each of them.
        reading: Where texels past the edge of a face lie.
    """

    def __init__(
        self,
        unwrapped: UnwrappedMesh,
        side_px: int,
        faces: Int64[np.ndarray, "n 2"],
        mix: Float64[np.ndarray, "n 2 p 3"],
        reading: TexelReading = "owner",
    ) -> None:
        mesh = unwrapped.mesh
        self._corners = mesh.vertices_in_world[mesh.faces]
        self._corners_px = page_corners(unwrapped.uv, side_px)
        self._whole = ViewWeights(
            np.ones((len(mesh.faces), 3), np.float32),
            np.zeros((len(mesh.faces), 3, 3), np.float32),
        )
        self._shape = mix.shape[1:3]
        face = np.repeat(faces.ravel(), mix.shape[2])
        at = np.einsum("nk,nkc->nc", mix.reshape(-1, 3), self._corners_px[face])
        first = np.floor(at - 0.5)
        share = at - 0.5 - first
        texel = (first[:, None, :] + _AROUND).reshape(-1, 2)
        face = np.repeat(face, len(_AROUND))
        self._weight = np.where(_AROUND == 1, share[:, None, :], 1 - share[:, None, :]).prod(axis=2)
        self._in_plane = _in_plane(self._corners_px, unwrapped.page, face, texel)
        self._owned = self._in_plane
        if reading == "owner":
            self._owned = _owned(unwrapped, side_px, self._in_plane)

    def colors(
        self,
        camera: Camera,
        image: Float32[np.ndarray, "h w 3"],
        rows: Int64[np.ndarray, "m"],
        sees: Bool[np.ndarray, "f"],
    ) -> Float64[np.ndarray, "m 2 p 3"]:
        """Returns the colours of the points of some rows, levels.

        Args:
            camera: Of the view, at the size of its image.
            image: What it shows, levels.
            rows: Which rows.
            sees: Faces that the view sees; those of the rows are among them.
        """
        per_row = len(_AROUND) * self._shape[0] * self._shape[1]
        at = (rows[:, None] * per_row + np.arange(per_row)).ravel()
        plane, owned = _rows(self._in_plane, at), _rows(self._owned, at)
        known = (owned.face >= 0) & sees[owned.face]
        texels = Texels(
            *(plane.column, plane.row, plane.page),
            np.where(known, owned.face, plane.face),
            np.where(known[:, None], owned.barycentric, plane.barycentric),
            plane.inside,
        )
        shown = TexelColors(texels, self._corners, self._corners_px)
        shown.add_view(camera, image, self._whole)
        colors = shown.levels().reshape(-1, len(_AROUND), 3)
        weight = self._weight[at[:: len(_AROUND)] // len(_AROUND)]
        return (colors * weight[..., None]).sum(axis=1).reshape(len(rows), *self._shape, 3)


def _rows(texels: Texels, at: Int64[np.ndarray, "m"]) -> Texels:
    return Texels(**{name: values[at] for name, values in vars(texels).items()})


def _in_plane(
    corners_px: Float64[np.ndarray, "f 3 2"],
    page: np.ndarray,
    face: Int64[np.ndarray, "m"],
    texel: Float64[np.ndarray, "m 2"],
) -> Texels:
    """Texels as parts of the plane of a face, also where their centres are past its edge.

    Their row counts from below here, as texture coordinates do.
    """
    a, b, c = (corners_px[face, k] for k in range(3))
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
        page[face],
        face.astype(np.int32),
        barycentric.astype(np.float32),
        np.asarray((barycentric >= 0).all(axis=1)),
    )


def _owned(unwrapped: UnwrappedMesh, side_px: int, wanted: Texels) -> Texels:
    """The same texels on the faces that own them; face -1 where none does."""
    face, barycentric = np.full(len(wanted), -1, np.int32), wanted.barycentric.copy()
    key = (side_px - 1 - wanted.row.astype(np.int64)) * side_px + wanted.column
    for page in np.unique(wanted.page).tolist():
        owners = texels_on_pages(unwrapped, page, side_px, _REACH_PX)
        of_owners = owners.row.astype(np.int64) * side_px + owners.column
        here = np.flatnonzero(wanted.page == page)
        order = np.argsort(of_owners)
        at = order[np.minimum(np.searchsorted(of_owners, key[here], sorter=order), len(order) - 1)]
        found = of_owners[at] == key[here]
        face[here[found]] = owners.face[at[found]]
        barycentric[here[found]] = owners.barycentric[at[found]]
    return Texels(wanted.column, wanted.row, wanted.page, face, barycentric, wanted.inside)
