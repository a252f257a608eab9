"""How good textures are on a recorded scene, and what they cost.

usage: python -m tests.benchmarks.textures DATA/atrium/traj0 --every 2 --holdout 8

Reconstructs the scene without every n-th view, textures it, and renders the views that were kept
out: with the textures, and with the colours of the vertices alone. Prints these scores over covered
pixels, the contrast of seams with levelling and without, the seconds of each step, and what came
out. Steps that are finished in the output folder are found again and take no time: for timings give
a fresh folder.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from worldloom.api import reconstruct_files
from worldloom.bench import Bench
from worldloom.config import ReconstructionConfig
from worldloom.inline import InlineRunner
from worldloom.metrics import ViewScore, score_view
from worldloom.render import MeshRenderer, RenderedView, TexturedRenderer
from worldloom.scene import Frame, ReconstructedScene
from worldloom.texture import (
    SeamContrast,
    StageRun,
    TexelReading,
    TextureConfig,
    TextureInputs,
    bench_of,
    load_chosen,
    load_inputs,
    load_maps,
    load_unwrapped,
    optimize_textures,
    seam_contrast,
    texture_surface,
    views_by_id,
)

STEPS = ("lighten", "unwrap", "look", "choose-views", "pack", "level", "bake", "texture-page")

_MOVED = (0.5, 0.9)
"""Quantiles of the pixels of a view that are told."""
_DETAIL_LEVELS = 4.0
"""Gradient that tells where a pixel lies, levels a pixel."""


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scene", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--holdout", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks/textures"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--texture-resolution", type=int, default=4096)
    parser.add_argument("--max-texture-faces", type=int, default=200_000)
    parser.add_argument("--texels-per-pixel", type=float, default=TextureConfig().texels_per_pixel)
    parser.add_argument("--optimize", action="store_true", help="run optimize_textures as well")
    parser.add_argument("--pictures", action="store_true", help="write what is rendered as PNG")
    options = parser.parse_args()
    config = ReconstructionConfig(
        holdout=options.holdout,
        texture=TextureConfig(
            texture_resolution=options.texture_resolution,
            max_texture_faces=options.max_texture_faces,
            texels_per_pixel=options.texels_per_pixel,
        ),
    )
    runner = partial(InlineRunner, workers=options.workers)
    scene = reconstruct_files(
        [options.scene], options.out, config, every=options.every, runner=runner
    )
    bench_config = bench_of(scene, None)
    bench = Bench(bench_config)
    inputs = load_inputs(bench, scene)
    row = {
        "scene": str(options.scene),
        **_scores(bench, scene, inputs.held_out, options.out if options.pictures else None),
        **_seams(bench, scene, inputs, config.texture, StageRun(runner(bench_config))),
        "seconds": _seconds(scene),
        "summary": scene.metadata["evidence"]["textures"]["summary"],  # pyright: ignore
    }
    if options.optimize:
        better = optimize_textures(scene)
        row["optimized"] = _scores(bench, better, inputs.held_out, None)
        row["steps"] = better.metadata["texture_optimization"]
    print(json.dumps(row, indent=1))


def _scores(
    bench: Bench, scene: ReconstructedScene, frames: Sequence[Frame], pictures: Path | None
) -> dict[str, Any]:
    """Medians over the views that were kept out."""
    assert scene.unwrapped is not None
    textured = TexturedRenderer(scene.unwrapped, scene.textures["albedo"])
    plain, fine = MeshRenderer(scene.unwrapped.mesh), MeshRenderer(scene.mesh)
    scores: dict[str, list[ViewScore]] = {"texture": [], "vertex_colors": [], "fine_mesh": []}
    moved: list[np.ndarray] = []
    for frame in frames:
        lens = frame.camera.intrinsics
        image = bench.image(frame, lens.width_px, lens.height_px)
        mask = bench.mask(frame, lens.width_px, lens.height_px)
        views = [
            textured.render(frame.camera, 2),
            plain.render(frame.camera, 2),
            fine.render(frame.camera),
        ]
        for name, view in zip(scores, views, strict=True):
            scores[name].append(score_view(view, image, mask))
        moved.append(_moved_px(views[0], image, mask))
        if pictures is not None:
            row = np.concatenate([image, *(view.image for view in views)], axis=1)
            name = f"heldout_{frame.name.replace('/', '_')}.png"
            cv2.imwrite(str(pictures / name), cv2.cvtColor(row, cv2.COLOR_RGB2BGR))
    return {
        "holdout_views": len(frames),
        "holdout_coverage": float(np.median([score.coverage for score in scores["texture"]])),
        **{
            f"holdout_psnr_db_{name}": float(np.median([s.psnr_db for s in of if s.psnr_db]))
            for name, of in scores.items()
        },
        **{
            f"holdout_ssim_{name}": float(np.median([s.ssim for s in of if s.ssim]))
            for name, of in scores.items()
        },
        "holdout_moved_px": [
            float(np.median([np.quantile(px, q) for px in moved])) for q in _MOVED
        ],
    }


def _moved_px(view: RenderedView, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """By how much details of an image lie elsewhere in a rendering of it (DIS optical flow)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    rendered = cv2.cvtColor(np.where(view.hit[..., None], view.image, image), cv2.COLOR_RGB2GRAY)
    flow = np.zeros((*grey.shape, 2), np.float32)
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = finder.calc(grey, rendered, flow)
    slope = [cv2.Scharr(grey, cv2.CV_32F, *axis, scale=1 / 32) for axis in ((1, 0), (0, 1))]
    detailed = view.hit & mask & (np.hypot(*slope) > _DETAIL_LEVELS)
    return np.linalg.norm(flow, axis=2)[detailed]


def _seams(
    bench: Bench,
    scene: ReconstructedScene,
    inputs: TextureInputs,
    config: TextureConfig,
    run: StageRun,
) -> dict[str, Any]:
    """The contrast of the seams with levelling, with offsets alone, and without any.

    Once with texels on the faces that own them, and once in the plane of the face that is read.
    """
    contrasts: dict[TexelReading, dict[str, SeamContrast]] = {"owner": {}, "plane": {}}
    for levelling in ("full", "global", "none"):
        made = texture_surface(run, inputs, replace(config, levelling=levelling))
        assert made is not None
        albedo, unwrapped = load_maps(bench, made)["albedo"], load_unwrapped(bench, made)
        chosen, views = load_chosen(bench, made.chosen), views_by_id(inputs.views)
        for reading, of in contrasts.items():
            of[levelling] = seam_contrast(bench, unwrapped, albedo, chosen, views, reading)
    return {f"seams_{reading}": _left(of) for reading, of in contrasts.items()}


def _left(contrasts: dict[str, SeamContrast]) -> dict[str, Any]:
    """The contrasts, and the shares that levelling leaves."""
    full, shifted, plain = contrasts["full"], contrasts["global"], contrasts["none"]
    return {
        **{name: asdict(value) for name, value in contrasts.items()},
        "ratio": _ratio(full.levels, plain.levels),
        "ratio_global": _ratio(shifted.levels, plain.levels),
        "ratio_all_views": _ratio(full.all_views_levels, plain.all_views_levels),
    }


def _ratio(levelled: float, plain: float) -> float:
    return levelled / max(plain, 1e-9)


def _seconds(scene: ReconstructedScene) -> dict[str, float]:
    timings = scene.metadata["timings"]
    assert isinstance(timings, (list, tuple))
    steps = {item["stage"]: round(item["seconds"], 2) for item in timings if item["stage"] in STEPS}
    return {**steps, "texturing": round(sum(steps.values()), 2)}


if __name__ == "__main__":
    main()
