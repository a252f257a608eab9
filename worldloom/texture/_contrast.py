"""How much the seams between views stand out in a texture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from worldloom.bench import Bench
from worldloom.render import sample_pages
from worldloom.scene import Texture, UnwrappedMesh
from worldloom.texture._choose import Chosen
from worldloom.texture._inputs import TextureView, view_image
from worldloom.texture._single import SingleViewTexture, TexelReading
from worldloom.texture._topology import SharedEdges, shared_edges

_ALONG = np.array([0.25, 0.5, 0.75])
_INWARDS_TEXELS = 1.5
_INSIDE_EDGES = 20_000


@dataclass(frozen=True)
class SeamContrast:
    """The steps that seams add to what views show."""

    edges: int
    """Edges between faces of different views, of which some view sees both faces."""
    levels: float
    """Mean over these edges of the step of colour across them, as far as it is beyond the steps
    that the views of its two sides show, sRGB levels; 0 without seams. What a third view adds
    counts."""
    inside_levels: float
    """The same at edges inside patches, held against their one view: steps that blending adds
    there, and the floor of the measure."""
    all_views_levels: float
    """As `levels`, held against all views that see both faces: what a third view shows is taken
    for the scene."""
    all_views_inside_levels: float
    """As `all_views_levels`, inside patches."""
    ending_edges: int
    """Edges between faces of different views of which one sees both faces, and the other ends
    there: views cannot pass into each other."""
    ending_levels: float
    """As `levels`, at those edges."""


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
    reading: TexelReading = "owner",
) -> SeamContrast:
    """Measures the seams of a texture.

    A step across an edge may be in the scene, or made by the seam. The views of its two sides
    tell: a step that a texture of one of them alone would have is of the scene, and so is what lies
    between such steps; what is beyond them is of the seam. Points lie 1.5 texels to
    either side; steps are means along the edge, since noise is no seam.

    Args:
        bench: Where the images are.
        unwrapped: The mesh and its UV set.
        albedo: Its colours.
        chosen: View of each face, and those that see it.
        views: By view id.
        reading: Where texels past the edge of a face lie in the texture of one view alone. "plane"
            has a floor of its own, since baking has them elsewhere.
    """
    shared = shared_edges(unwrapped.mesh.faces)
    of_sides = chosen.view[shared.faces]
    seen = (of_sides >= 0).all(axis=1)
    seam = np.flatnonzero(seen & (of_sides[:, 0] != of_sides[:, 1]))
    inside = np.flatnonzero(seen & (of_sides[:, 0] == of_sides[:, 1]))
    inside = inside[:: max(len(inside) // _INSIDE_EDGES, 1)]
    at_seams, at_inside = (
        _beyond(bench, unwrapped, albedo, chosen, views, _taken(shared, edges), reading)
        for edges in (seam, inside)
    )
    return SeamContrast(
        len(at_seams.all_views),
        _mean(at_seams.own_views),
        _mean(at_inside.own_views),
        _mean(at_seams.all_views),
        _mean(at_inside.all_views),
        int(at_seams.ending.sum()),
        _mean(at_seams.own_views[at_seams.ending]),
    )


def _mean(values: Float64[np.ndarray, "n"]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _taken(shared: SharedEdges, edges: Int64[np.ndarray, "n"]) -> SharedEdges:
    return SharedEdges(shared.faces[edges], shared.vertices[edges])


class _Range:
    """The steps that views show at edges, channel by channel."""

    def __init__(self, edges: int) -> None:
        self._least, self._most = np.full((edges, 3), np.inf), np.full((edges, 3), -np.inf)
        self._views = np.zeros(edges, np.int64)

    def add(self, edges: Int64[np.ndarray, "n"], steps: Float64[np.ndarray, "n 3"]) -> None:
        self._least[edges] = np.minimum(self._least[edges], steps)
        self._most[edges] = np.maximum(self._most[edges], steps)
        self._views[edges] += 1

    def beyond(self, step: Float64[np.ndarray, "s 3"]) -> Float64[np.ndarray, "_"]:
        """By how much steps leave the range, at the edges that have one."""
        beyond = np.maximum(self._least - step, step - self._most)[self._views > 0]
        return np.maximum(beyond, 0).mean(axis=1)

    def by_one(self) -> Bool[np.ndarray, "_"]:
        """Which of the edges that have a range have it from one view."""
        return self._views[self._views > 0] == 1


class _Beyond(NamedTuple):
    """Steps of a texture beyond those of views, edge by edge."""

    all_views: Float64[np.ndarray, "_"]
    own_views: Float64[np.ndarray, "_"]
    ending: Bool[np.ndarray, "_"]
    """Of the edges of `own_views`."""


def _beyond(
    bench: Bench,
    unwrapped: UnwrappedMesh,
    albedo: Texture,
    chosen: Chosen,
    views: Mapping[int, TextureView],
    edges: SharedEdges,
    reading: TexelReading,
) -> _Beyond:
    sides = _sides(unwrapped, edges.faces, edges.vertices, albedo)
    step = _step_of_texture(unwrapped, albedo, sides)
    side_px = albedo.pages[0].shape[0]
    alone = SingleViewTexture(unwrapped, side_px, sides.faces, sides.mix, reading)
    every, own = _Range(len(step)), _Range(len(step))
    of_sides, allowed = chosen.view[edges.faces], chosen.allowed[edges.faces]
    for view_id, view in views.items():
        here = np.flatnonzero((allowed == view_id).any(axis=2).all(axis=1))
        if not len(here):
            continue
        image = view_image(bench, view)
        sees = (chosen.allowed == view_id).any(axis=1)
        shown = alone.colors(view.frame.camera, image, here, sees)
        means = np.clip(shown, 0, 255).mean(axis=2)
        steps = means[:, 0] - means[:, 1]
        every.add(here, steps)
        of_edge = (of_sides[here] == view_id).any(axis=1)
        own.add(here[of_edge], steps[of_edge])
    return _Beyond(every.beyond(step), own.beyond(step), own.by_one())


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


def _step_of_texture(
    unwrapped: UnwrappedMesh, albedo: Texture, sides: _Sides
) -> Float64[np.ndarray, "s 3"]:
    uv = np.einsum("sdpk,sdkc->sdpc", sides.mix, unwrapped.uv[sides.faces])
    shape = uv.shape[:3]
    page = np.broadcast_to(unwrapped.page[sides.faces][..., None], shape).ravel()
    colors = sample_pages(albedo.pages, page, uv.reshape(-1, 2).astype(np.float32))
    means = colors.reshape(*shape, 3).astype(np.float64).mean(axis=2)
    return means[:, 0] - means[:, 1]
