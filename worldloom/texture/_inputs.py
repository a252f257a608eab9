"""What textures are made from: the fine surface and the views of it."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from worldloom.bench import Bench
from worldloom.merge import MergedMesh
from worldloom.response import ViewExposure, corrected
from worldloom.scene import DepthRef, Frame


@dataclass(frozen=True, eq=False)
class TextureView:
    """One view of the surface."""

    frame: Frame
    exposure: ViewExposure | None
    """Undone in the colours; None takes them as they are."""
    depth: DepthRef | None
    """Confirmed depth: where it contradicts the surface the view is not used; None without."""


@dataclass(frozen=True, eq=False)
class TextureInputs:
    """All that textures depend on, besides their settings."""

    surface: MergedMesh
    views: tuple[TextureView, ...]
    """By view id, ascending."""
    voxel_m: float
    """Side of a voxel of the surface, world unit: the size of its finest detail."""
    held_out: tuple[Frame, ...] = ()
    """Views that nothing is made from; they only tell how good the textures are."""


def texture_inputs(
    surface: MergedMesh,
    frames: Sequence[Frame],
    depth: Sequence[DepthRef | None],
    exposures: Mapping[int, ViewExposure],
    voxel_m: float,
    unusable: Set[int] = frozenset(),
) -> TextureInputs:
    """Returns what textures are made from.

    Args:
        surface: The fine surface.
        frames: All views; view ids are their positions.
        depth: Confirmed depth of each view, None where it has none.
        exposures: By view id; colours of views without one are taken as they are.
        voxel_m: Side of a voxel of the surface, world unit.
        unusable: Views whose image cannot be read.
    """
    return TextureInputs(
        surface,
        tuple(
            TextureView(frame, exposures.get(frame.view_id), ref)
            for frame, ref in zip(frames, depth, strict=True)
            if frame.view_id not in unusable
        ),
        voxel_m,
    )


def view_image(bench: Bench, view: TextureView) -> Float32[np.ndarray, "h w 3"]:
    """Returns the image of a view at its full size with its exposure undone, sRGB levels."""
    lens = view.frame.camera.intrinsics
    image = bench.image(view.frame, lens.width_px, lens.height_px)
    if view.exposure is None:
        return image.astype(np.float32)
    return corrected(image, view.exposure)


def views_by_id(views: Sequence[TextureView]) -> dict[int, TextureView]:
    """Returns the views by their ids."""
    return {view.frame.view_id: view for view in views}
