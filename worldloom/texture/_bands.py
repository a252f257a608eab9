"""Seams blended in two bands: light and shade over a wide strip, detail over a narrow one.

Burt and Adelson, "A multiresolution spline with application to image mosaics", 1983, with two bands
as Allene, Pons and Keriven use on surfaces ("Seamless image-based texture atlases using multi-band
blending", ICPR 2008): a wide strip of detail would show it twice, a narrow one of light would leave
a step.
"""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Float32, Int32

from worldloom.bench import Bench
from worldloom.texture._atlas import load_atlas
from worldloom.texture._bake import part_colors, part_geometry
from worldloom.texture._choose import load_chosen
from worldloom.texture._inputs import TextureView, view_image, views_by_id
from worldloom.texture._level import load_levels, vertex_colors
from worldloom.texture._light import load_light
from worldloom.texture._method import TextureSet
from worldloom.texture._transition import Levels, passed_levels

_SIGMA_PX = 4.0
"""Detail is what is finer than this in the images."""
_RINGS = 5
"""Further rings of faces over which light passes from one view into the other."""


def blurred(
    image: Float32[np.ndarray, "h w 3"], mask: np.ndarray, sigma_px: float = _SIGMA_PX
) -> Float32[np.ndarray, "h w 3"]:
    """Returns the light and shade of an image: its mean around each pixel, over what holds data."""
    weight = mask.astype(np.float32)
    total = cv2.GaussianBlur(image * weight[..., None], (0, 0), sigma_px)
    share = cv2.GaussianBlur(weight, (0, 0), sigma_px)
    return np.where(
        share[..., None] > 1e-3, total / np.maximum(share, 1e-3)[..., None], image
    ).astype(np.float32)


def blended_page(
    bench: Bench, views: Sequence[TextureView], made: TextureSet, page: int, padding_px: int
) -> Float32[np.ndarray, "h w 3"]:
    """Returns one page of the albedo with its seams blended in two bands, levels.

    Args:
        bench: Store and caches.
        views: What the textures are made from.
        made: The textures.
        page: Which page.
        padding_px: Texels around each chart; what lies further off is 0.
    """
    light, atlas = load_light(bench, made.light), load_atlas(bench, made.atlas)
    chosen = load_chosen(bench, made.chosen)
    narrow = load_levels(bench, made.levelled)
    wide = passed_levels(narrow, light.mesh.faces, chosen.view, chosen.allowed, _RINGS)
    fine = replace(narrow, offset=np.zeros_like(narrow.offset))
    vertices = vertex_colors(light.mesh)
    by_id = views_by_id(views)

    def coarse_image(view: TextureView) -> Float32[np.ndarray, "h w 3"]:
        image = view_image(bench, view)
        return blurred(image, bench.mask(view.frame, image.shape[1], image.shape[0]))

    def fine_image(view: TextureView) -> Float32[np.ndarray, "h w 3"]:
        return view_image(bench, view) - coarse_image(view)

    side = made.atlas.side_px
    values = np.zeros((side, side, 3), np.float32)
    for baked in made.parts:
        if not baked.by_page[page]:
            continue
        whole = part_geometry(light, atlas, baked.part, side, padding_px)
        geometry = replace(whole, texels=whole.texels.taken(whole.texels.page == page))
        used = _views_of(wide, geometry.faces, by_id)
        low = part_colors(coarse_image, geometry, used, chosen, wide, vertices, True)
        high = part_colors(fine_image, geometry, used, chosen, fine, 0 * vertices, True)
        texels = geometry.texels
        values[texels.row, texels.column] = low.levels() + high.levels()
    return values


def _views_of(
    levels: Levels, faces: Int32[np.ndarray, "f 3"], by_id: dict[int, TextureView]
) -> list[TextureView]:
    used = np.zeros(len(levels.vertex_starts) - 1, bool)
    used[faces] = True
    rows = np.repeat(used, np.diff(levels.vertex_starts))
    return [by_id[view] for view in np.unique(levels.view[rows]).tolist() if view >= 0]
