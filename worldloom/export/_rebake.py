"""Textures larger than those of the scene: baked again, not blown up."""

from dataclasses import replace

from worldloom.errors import ExportError, InputError
from worldloom.scene import ReconstructedScene
from worldloom.texture import OPTIMIZATION, bake_textures, texture_config

_MOST_TEXELS_PER_PIXEL = 4.0


def with_resolution(
    scene: ReconstructedScene, resolution_px: int | None, store_uri: str | None
) -> ReconstructedScene:
    """Returns a scene whose textures have at least the resolution that is asked for.

    Those that have it already are kept; others are baked anew, with texels as much smaller as
    their pages are larger, from the frames and the surface in the artifact store.

    Args:
        scene: The scene.
        resolution_px: Longer side of each page; None keeps what there is.
        store_uri: Where the artifact store of the scene is; None for where it was.

    Raises:
        ExportError: larger textures cannot be baked: the store is gone, or the textures are the
            work of `optimize_textures`.
        ConfigError: pages of this size are not made.
    """
    sizes = [max(page.shape[:2]) for item in scene.textures.values() for page in item.pages]
    baked = max(sizes, default=0)
    if resolution_px is None or not baked or resolution_px <= baked:
        return scene
    if OPTIMIZATION in scene.metadata:
        raise ExportError(
            f"the textures were optimised at {baked} px, and baking them at {resolution_px} px "
            f"would lose that; ask for at most {baked}, or bake with "
            f"bake_textures(scene, TextureConfig(texture_resolution={resolution_px})) and "
            "optimise again"
        )
    try:
        config = texture_config(scene)
        density = config.texels_per_pixel * resolution_px / baked
        larger = replace(
            config,
            texture_resolution=resolution_px,
            texels_per_pixel=min(density, max(_MOST_TEXELS_PER_PIXEL, config.texels_per_pixel)),
        )
        return bake_textures(scene, larger, store_uri=store_uri)
    except InputError as error:
        raise ExportError(
            f"the textures were baked at {baked} px; {resolution_px} px need them to be baked "
            f"anew, but {error.message}. Or ask for at most {baked} px and enlarge the pictures "
            "with any image program, which adds no detail"
        ) from error
