"""How much the seams between views stand out in a texture."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int32, Int64

from worldloom.bench import Bench
from worldloom.render import sample_pages
from worldloom.scene import Texture, UnwrappedMesh
from worldloom.texture._choose import Chosen
from worldloom.texture._inputs import TextureView, view_image
from worldloom.texture._look_kernels import sampled_pixels
from worldloom.texture._topology import SharedEdges, shared_edges

_ALONG = np.array([0.25, 0.5, 0.75])
_INWARDS_TEXELS = 1.5
_INSIDE_EDGES = 20_000


@dataclass(frozen=True)
class SeamContrast:
    """The steps that seams add to what views show."""

    edges: int
    """Edges between faces of different views, of which at least one sees both faces."""
    levels: float
    """Mean over these edges of the step of colour across them, as far as it is beyond the steps
    that the two views show there, sRGB levels; 0 without seams."""
    inside_levels: float
    """The same at edges inside patches: what sampling twice does anywhere."""

    @property
    def excess(self) -> float:
        """What seams add to that."""
        return max(self.levels - self.inside_levels, 0.0)


@dataclass(frozen=True, eq=False)
class _Sides:
    """Points along seams, on both of their sides."""

    faces: Int64[np.ndarray, "s 2"]
    mix: Float64[np.ndarray, "s 2 p 3"]
    """Barycentric weights of the points in the faces."""


def seam_contrast(
    bench: Bench,
    unwrapped: UnwrappedMesh,
    albedo: Texture,
    chosen: Chosen,
    views: Mapping[int, TextureView],
) -> SeamContrast:
    """Measures the seams of a texture.

    A step across an edge may be in the scene, or made by the seam. A view that sees both faces
    tells: what it shows of the step is of the scene, and so is what lies between the steps of the
    two views, where both see both faces. Points lie 1.5 texels to either side; steps
    are means along the edge, since noise is no seam.

    Args:
        bench: Where the images are.
        unwrapped: The mesh and its UV set.
        albedo: Its colours.
        chosen: View of each face, and those that see it.
        views: By view id.
    """
    shared = shared_edges(unwrapped.mesh.faces)
    of_sides = chosen.view[shared.faces]
    seen = (of_sides >= 0).all(axis=1)
    seam = np.flatnonzero(seen & (of_sides[:, 0] != of_sides[:, 1]))
    inside = np.flatnonzero(seen & (of_sides[:, 0] == of_sides[:, 1]))
    inside = inside[:: max(len(inside) // _INSIDE_EDGES, 1)]
    at_seams, at_inside = (
        _beyond(bench, unwrapped, albedo, chosen, views, _taken(shared, edges))
        for edges in (seam, inside)
    )
    return SeamContrast(
        len(at_seams),
        float(at_seams.mean()) if len(at_seams) else 0.0,
        float(at_inside.mean()) if len(at_inside) else 0.0,
    )


def _taken(shared: SharedEdges, edges: Int64[np.ndarray, "n"]) -> SharedEdges:
    return SharedEdges(shared.faces[edges], shared.vertices[edges])


def _beyond(
    bench: Bench,
    unwrapped: UnwrappedMesh,
    albedo: Texture,
    chosen: Chosen,
    views: Mapping[int, TextureView],
    edges: SharedEdges,
) -> Float64[np.ndarray, "n"]:
    """Of each edge that a view of its faces sees both of, the step beyond those of the views."""
    sides = _sides(unwrapped, edges.faces, edges.vertices, albedo)
    of_sides = chosen.view[edges.faces]
    step = _step_of_texture(unwrapped, albedo, sides)
    least, most = np.full(step.shape, np.inf), np.full(step.shape, -np.inf)
    points = _points(unwrapped, sides)
    for side in range(2):
        own, other = of_sides[:, side], sides.faces[:, 1 - side]
        sees_both = (chosen.allowed[other] == own[:, None]).any(axis=1)
        for view_id in np.unique(own[sees_both]).tolist():
            here = np.flatnonzero(sees_both & (own == view_id))
            shown = _step_of_view(bench, views[view_id], points[here])
            least[here] = np.minimum(least[here], shown)
            most[here] = np.maximum(most[here], shown)
    told = least[:, 0] <= most[:, 0]
    return np.maximum(np.maximum(least - step, step - most)[told], 0).mean(axis=1)


def _sides(
    unwrapped: UnwrappedMesh,
    faces: Int64[np.ndarray, "s 2"],
    ends: Int32[np.ndarray, "s 2"],
    albedo: Texture,
) -> _Sides:
    size = np.array(albedo.pages[0].shape[1::-1], np.float64)
    mix = np.zeros((len(faces), 2, len(_ALONG), 3))
    rows = np.arange(len(faces))
    for side in range(2):
        corners = unwrapped.mesh.faces[faces[:, side]]
        first = (corners == ends[:, :1]).argmax(axis=1)
        second = (corners == ends[:, 1:]).argmax(axis=1)
        at = unwrapped.uv[faces[:, side]].astype(np.float64) * size
        third = 3 - first - second
        foot, share = _inwards(at[rows, first], at[rows, second], at[rows, third])
        mix[rows, side, :, second] = _ALONG - (share * foot)[:, None]
        mix[rows, side, :, third] = share[:, None]
        mix[rows, side, :, first] = 1 - _ALONG - (share * (1 - foot))[:, None]
    return _Sides(faces, mix)


def _inwards(
    a: Float64[np.ndarray, "s 2"], b: Float64[np.ndarray, "s 2"], c: Float64[np.ndarray, "s 2"]
) -> tuple[Float64[np.ndarray, "s"], Float64[np.ndarray, "s"]]:
    """Foot of the height of c on a b, as a share of it, and the share of the height to go."""
    along = b - a
    square = np.maximum((along**2).sum(axis=1), 1e-12)
    foot = ((c - a) * along).sum(axis=1) / square
    height = np.linalg.norm((c - a) - foot[:, None] * along, axis=1)
    return foot, np.minimum(_INWARDS_TEXELS / np.maximum(height, 1e-12), 0.5)


def _points(unwrapped: UnwrappedMesh, sides: _Sides) -> Float64[np.ndarray, "s 2 p 3"]:
    corners = unwrapped.mesh.vertices_in_world[unwrapped.mesh.faces[sides.faces]]
    return np.einsum("sdpk,sdkc->sdpc", sides.mix, corners)


def _step_of_texture(
    unwrapped: UnwrappedMesh, albedo: Texture, sides: _Sides
) -> Float64[np.ndarray, "s 3"]:
    uv = np.einsum("sdpk,sdkc->sdpc", sides.mix, unwrapped.uv[sides.faces])
    shape = uv.shape[:3]
    page = np.broadcast_to(unwrapped.page[sides.faces][..., None], shape).ravel()
    colors = sample_pages(albedo.pages, page, uv.reshape(-1, 2).astype(np.float32))
    means = colors.reshape(*shape, 3).astype(np.float64).mean(axis=2)
    return means[:, 0] - means[:, 1]


def _step_of_view(
    bench: Bench, view: TextureView, points: Float64[np.ndarray, "n 2 p 3"]
) -> Float64[np.ndarray, "n 3"]:
    pixels, _ = view.frame.camera.project(points.reshape(-1, 3))
    shown = sampled_pixels(view_image(bench, view), pixels).reshape(points.shape)
    means = np.clip(shown, 0, 255).mean(axis=2)
    return means[:, 0] - means[:, 1]
