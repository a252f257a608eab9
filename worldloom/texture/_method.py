"""Texturing, top-down: from the fine surface and its views to a light mesh with maps."""

import logging
from dataclasses import dataclass

from worldloom.bench import Bench
from worldloom.scene import Texture, TextureKind, UnwrappedMesh
from worldloom.stage import RunsStages
from worldloom.texture._atlas import PACK, Atlas, PackWork, load_atlas
from worldloom.texture._bake import BAKE, BakedPart, BakeWork
from worldloom.texture._choose import CHOOSE, ChooseWork, ChosenViews
from worldloom.texture._config import TextureConfig
from worldloom.texture._inputs import TextureInputs, TextureView, views_by_id
from worldloom.texture._level import LEVEL, Levelled, LevelWork
from worldloom.texture._light import LIGHTEN, LightenWork, LightMesh, load_light
from worldloom.texture._look import LOOK, VIEWS_IN_A_LOOK, LookWork
from worldloom.texture._pages import ASSEMBLE, BakedPage, PageWork, load_textures
from worldloom.texture._unwrap import UNWRAP, UnwrapWork

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TextureSet:
    """References to a light mesh, its UV set and its maps."""

    light: LightMesh
    chosen: ChosenViews
    levelled: Levelled
    atlas: Atlas
    parts: tuple[BakedPart, ...]
    pages: tuple[BakedPage, ...]


def texture_surface(
    run: RunsStages, inputs: TextureInputs, config: TextureConfig
) -> TextureSet | None:
    """Makes textures of a surface.

    Args:
        run: Runs the stages.
        inputs: The surface and its views.
        config: Settings.

    Returns:
        References to what was made; None where a step failed that the others rest on. Parts that
        could not be baked are missing: their texels are those of their neighbours.
    """
    faces = config.faces_of(inputs.surface.faces)
    (light,) = run(LIGHTEN, [LightenWork(inputs.surface, faces)])
    if light is None:
        return None
    unwrapped = run(UNWRAP, [UnwrapWork(light, part) for part in range(light.parts)])
    parts = [part for part in unwrapped if part is not None]
    if len(parts) < light.parts:
        _logger.warning("%d parts could not be unwrapped", light.parts - len(parts))
        return None
    chosen = _choose(run, light, inputs.views, config)
    if chosen is None:
        return None
    (atlas,) = run(
        PACK,
        [
            PackWork(
                light,
                tuple(parts),
                chosen,
                config.texture_resolution,
                config.max_texture_pages,
                config.texels_per_pixel,
                config.texture_padding_px,
            )
        ],
    )
    shift = config.levelling != "none"
    rings = config.seam_rings if config.levelling == "full" else 0
    (levelled,) = run(LEVEL, [LevelWork(light, chosen, inputs.views, shift, rings)])
    if atlas is None or levelled is None:
        return None
    return _baked(run, inputs, config, light, chosen, levelled, atlas)


def _choose(
    run: RunsStages, light: LightMesh, views: tuple[TextureView, ...], config: TextureConfig
) -> ChosenViews | None:
    works = [
        LookWork(light, views[i : i + VIEWS_IN_A_LOOK])
        for i in range(0, len(views), VIEWS_IN_A_LOOK)
    ]
    looked = tuple(item for item in run(LOOK, works) if item is not None)
    return run(CHOOSE, [ChooseWork(light, looked, config.seam_smoothness)])[0]


def _baked(
    run: RunsStages,
    inputs: TextureInputs,
    config: TextureConfig,
    light: LightMesh,
    chosen: ChosenViews,
    levelled: Levelled,
    atlas: Atlas,
) -> TextureSet | None:
    by_id = views_by_id(inputs.views)
    works = [
        BakeWork(
            inputs.surface,
            light,
            chosen,
            levelled,
            atlas,
            part,
            tuple(by_id[view] for view in needed),
            inputs.voxel_m,
            config.texture_padding_px,
            config.levelling == "full",
        )
        for part, needed in enumerate(levelled.part_views)
    ]
    baked = tuple(part for part in run(BAKE, works) if part is not None)
    pages = run(
        ASSEMBLE,
        [
            PageWork(page, atlas.side_px, tuple(part for part in baked if part.by_page[page]))
            for page in range(atlas.pages)
        ],
    )
    made = tuple(page for page in pages if page is not None)
    if len(made) < atlas.pages:
        return None
    return TextureSet(light, chosen, levelled, atlas, baked, made)


def load_unwrapped(bench: Bench, made: TextureSet) -> UnwrappedMesh:
    """Returns the light mesh and its UV set."""
    atlas = load_atlas(bench, made.atlas)
    return UnwrappedMesh(load_light(bench, made.light).mesh, atlas.uv, atlas.page)


def load_maps(bench: Bench, made: TextureSet) -> dict[TextureKind, Texture]:
    """Returns the maps, by kind."""
    return load_textures(bench, made.pages)
