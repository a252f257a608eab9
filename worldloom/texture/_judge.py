"""How well a texture shows views that it was not made from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from worldloom.bench import Bench
from worldloom.metrics import score_view
from worldloom.render import TexturedRenderer
from worldloom.response import ViewExposure, exposed
from worldloom.scene import Frame, Texture, UnwrappedMesh

_SAMPLES = 2


@dataclass(frozen=True)
class HeldOutScore:
    """Medians over views, over covered pixels; None where nothing is covered."""

    psnr_db: float | None
    ssim: float | None


def held_out_score(
    bench: Bench,
    unwrapped: UnwrappedMesh,
    albedo: Texture,
    frames: Sequence[tuple[Frame, ViewExposure | None]],
) -> HeldOutScore:
    """Scores a texture on some views, at their full size.

    Args:
        bench: Where the images are.
        unwrapped: The mesh and its UV set.
        albedo: Its colours.
        frames: Views, with their exposure where it is known: the rendering gets it first.
    """
    renderer = TexturedRenderer(unwrapped, albedo)
    psnr, ssim = list[float](), list[float]()
    for frame, exposure in frames:
        lens = frame.camera.intrinsics
        mask = bench.mask(frame, lens.width_px, lens.height_px)
        if not mask.any():
            continue
        rendered = renderer.render(frame.camera, _SAMPLES)
        if exposure is not None:
            rendered = replace(rendered, image=exposed(rendered.image, exposure))
        score = score_view(rendered, bench.image(frame, lens.width_px, lens.height_px), mask)
        psnr += [] if score.psnr_db is None else [score.psnr_db]
        ssim += [] if score.ssim is None else [score.ssim]
    return HeldOutScore(
        float(np.median(psnr)) if psnr else None, float(np.median(ssim)) if ssim else None
    )
