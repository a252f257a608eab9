"""What every mesh writer gets: the mesh, its textures, and how the world lies in the file."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64, UInt8

from worldloom.cameras import CameraTrajectory
from worldloom.errors import ExportError
from worldloom.export._axes import Placement
from worldloom.export._pages import Page, pages
from worldloom.scene import Mesh, ReconstructedScene

_COARSEST = 1e-5


@dataclass(frozen=True, eq=False)
class Skin:
    """Textures and where they lie on the faces of a mesh."""

    uv: Float32[np.ndarray, "f 3 2"]
    """0 to 1 in its page, origin at the bottom left."""
    page: Int32[np.ndarray, "f"]
    pages: tuple[Page, ...]


@dataclass(frozen=True, eq=False)
class Part:
    """The faces of one page, with a vertex of its own for each place in the texture."""

    vertex: Int64[np.ndarray, "n"]
    """Vertex of the mesh that each of its vertices is."""
    faces: Int32[np.ndarray, "f 3"]
    uv: Float32[np.ndarray, "n 2"] | None = None
    page: Page | None = None


@dataclass(frozen=True, eq=False)
class Model:
    """A mesh on its way into a file."""

    mesh: Mesh
    skin: Skin | None
    """Textures; None where colours at the vertices take their place."""
    placement: Placement
    cameras: CameraTrajectory

    @cached_property
    def origin_in_world(self) -> Float64[np.ndarray, "3"]:
        """What to take off the vertices where single precision would be too coarse for them."""
        return origin(self.mesh.vertices_in_world)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """One part a page that has faces; one for all without textures."""
        if self.skin is None:
            every = np.arange(len(self.mesh.vertices_in_world))
            return (Part(every, self.mesh.faces),)
        return tuple(_parts(self.mesh, self.skin))

    def colors_of(self, part: Part) -> UInt8[np.ndarray, "n 3"] | None:
        """Returns the colours of a part's vertices (sRGB), where textures do not replace them."""
        if self.mesh.colors is None or (part.page and "albedo" in part.page.images):
            return None
        return self.mesh.colors[part.vertex]


def textured_model(
    scene: ReconstructedScene,
    placement: Placement,
    include_textures: bool = True,
    resolution_px: int | None = None,
) -> Model:
    """Returns the unwrapped mesh with its textures, or the full mesh with colours where none are.

    Args:
        scene: The scene.
        placement: How its world lies in the file.
        include_textures: False takes the full mesh in any case.
        resolution_px: Longer side of each texture page; None keeps the size of the bake.

    Raises:
        ExportError: the mesh is empty or not finite, the textures do not fit the mesh, or
            `resolution_px` is above what was baked or asked of a scene without textures.
    """
    if include_textures and scene.unwrapped is not None and scene.textures:
        unwrapped = scene.unwrapped
        skin = Skin(unwrapped.uv, unwrapped.page, tuple(pages(scene.textures, resolution_px)))
        _require_fit(unwrapped.mesh, skin)
        mesh = unwrapped.mesh
    elif resolution_px is not None and not include_textures:
        raise ExportError(
            "a texture resolution was asked for, but no textures; leave out one of the two"
        )
    elif resolution_px is not None:
        raise ExportError(
            "the scene holds no textures, so there is none to bring to a resolution; leave it out, "
            "or reconstruct the scene with textures"
        )
    else:
        skin, mesh = None, scene.mesh
    _require_geometry(mesh)
    return Model(mesh, skin, placement, scene.cameras)


def origin(points: Float64[np.ndarray, "n 3"]) -> Float64[np.ndarray, "3"]:
    """Returns what to take off points where single precision would be too coarse for them, or 0."""
    low, high = points.min(axis=0), points.max(axis=0)
    coarseness = np.spacing(np.float32(max(np.abs(low).max(), np.abs(high).max())))
    if coarseness <= _COARSEST * np.linalg.norm(high - low):
        return np.zeros(3)
    return (low + high) / 2


def _require_geometry(mesh: Mesh) -> None:
    if not len(mesh.faces):
        raise ExportError("the mesh has no faces; there is nothing to write")
    if not np.isfinite(mesh.vertices_in_world).all():
        raise ExportError("the mesh has vertices that are not finite; clean it first")
    if mesh.faces.min() < 0 or mesh.faces.max() >= len(mesh.vertices_in_world):
        raise ExportError("the mesh has faces of vertices that are not there; clean it first")


def _require_fit(mesh: Mesh, skin: Skin) -> None:
    if len(skin.uv) != len(mesh.faces) or len(skin.page) != len(mesh.faces):
        raise ExportError(
            f"{len(mesh.faces)} faces, but texture coordinates of {len(skin.uv)} and pages of "
            f"{len(skin.page)}; bake the textures again"
        )
    if not np.isfinite(skin.uv).all():
        raise ExportError("texture coordinates are not finite; bake the textures again")
    if len(skin.page) and (skin.page.min() < 0 or skin.page.max() >= len(skin.pages)):
        raise ExportError(
            f"faces lie on page {skin.page.max()}, but there are {len(skin.pages)}; bake the "
            "textures again"
        )


def _parts(mesh: Mesh, skin: Skin) -> Iterator[Part]:
    for number, page in enumerate(skin.pages):
        own = np.flatnonzero(skin.page == number)
        if not len(own):
            continue
        vertex = mesh.faces[own].ravel()
        # Adding zero makes one zero of the two that floats have.
        uv = skin.uv[own].reshape(-1, 2) + np.float32(0)
        order = np.lexsort((uv[:, 1], uv[:, 0], vertex))
        differs = (vertex[order][1:] != vertex[order][:-1]) | (uv[order][1:] != uv[order][:-1]).any(
            axis=1
        )
        group = np.concatenate([[0], np.cumsum(differs)])
        index = np.empty(len(order), np.int32)
        index[order] = group
        first = order[np.concatenate([[True], differs])]
        yield Part(vertex[first].astype(np.int64), index.reshape(-1, 3), uv[first], page)
