"""What undoing the exposure of views does to colours: the same scene with and without.

usage: python -m tests.benchmarks.exposure SCENE [--resolution PX] [--holdout N] [--out DIR]

SCENE is an image folder or scene folder with its cameras. Depth and geometry are the same in both
runs and made once. Meshes are rendered into 12 input views and into the views kept out, and scored
in the same three ways: `as_is`; `own`, the rendering with the exposure estimated for the view (only
where there is one); `fitted`, with the gains that fit the image best, which asks for the same
colours everywhere and not for their level. Medians. The picture shows input, mesh without, mesh
with.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from worldloom.bench import Bench, BenchConfig
from worldloom.config import ReconstructionConfig
from worldloom.export import pick_views
from worldloom.exposure import Balance, ExposureConfig
from worldloom.ingest import IngestLimits, ingest, open_sources
from worldloom.inline import InlineRunner
from worldloom.pipeline import reconstruct, split_holdout
from worldloom.quality import JUDGED_VIEWS, _Pair, _pair
from worldloom.reconstruction import Reconstruction
from worldloom.render import MeshRenderer
from worldloom.response import Response, ViewExposure
from worldloom.scene import Frame
from worldloom.stage import Progress
from worldloom.texture import TextureConfig

SHOWN = 5


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scene", type=Path)
    parser.add_argument("--resolution", type=int, default=512)
    parser.add_argument("--holdout", type=int, default=8)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks/exposure"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    where = BenchConfig(str((options.out / "artifacts").resolve()))
    bench = Bench(where)
    limits = IngestLimits()
    sources = open_sources([options.scene], [], limits=limits, missing_images="skip")
    everything = ingest(
        sources, bench.store, every=options.every, limits=limits, on_progress=_silent, workers=1
    )
    frames, held_out = split_holdout(everything, options.holdout)
    config = ReconstructionConfig(
        resolution=options.resolution, texture=TextureConfig(textures=False)
    )
    without = replace(config, exposure=ExposureConfig(estimate=False))
    runner = InlineRunner(where, options.workers)
    made = {
        name: reconstruct(frames, settings, runner, bench, _silent)
        for name, settings in (("without", without), ("with", config))
    }
    balance = made["with"].balance
    assert balance is not None
    report: dict[str, Any] = {"scene": str(options.scene), "resolution": options.resolution}
    report |= _summary(balance)
    pictures: dict[str, list[np.ndarray]] = {}
    for name, result in made.items():
        pairs = _pairs(bench, result, held_out)
        exposures = {e.view_id: e for e in result.balance.exposures} if result.balance else {}
        for kind, some in pairs.items():
            own = exposures if kind == "input" else {}
            report[f"{name}_{kind}"] = _scores(some, own, balance.response)
        shown = [pairs["input"][i] for i in pick_views(len(pairs["input"]), SHOWN)]
        pictures.setdefault("image", [pair.image for pair in shown])
        pictures[name] = [pair.rendered.image for pair in shown]
    print(json.dumps(report, indent=1))
    (options.out / "exposure.json").write_text(json.dumps(report, indent=1))
    rows = [np.hstack(pictures[name]) for name in ("image", "without", "with")]
    bgr = cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(options.out / "exposure.png"), bgr)


def _summary(balance: Balance) -> dict[str, Any]:
    gains = np.array([exposure.gain_rgb for exposure in balance.exposures])
    tints = gains.max(axis=1) / gains.min(axis=1)
    return {
        "response": balance.response,
        "spread_levels": [round(balance.spread_before_levels, 2), round(balance.spread_levels, 2)],
        "gains": [round(float(gains.min()), 2), round(float(gains.max()), 2)],
        "largest_tint": round(float(tints.max()), 2),
    }


def _silent(_progress: Progress) -> None:
    pass


def _pairs(
    bench: Bench, result: Reconstruction, held_out: Sequence[Frame]
) -> dict[str, list[_Pair]]:
    renderer = MeshRenderer(result.mesh)
    judged = [result.depth[i] for i in pick_views(len(result.depth), JUDGED_VIEWS)]
    size = judged[0].width_px, judged[0].height_px
    inputs = [_pair(bench, renderer, r.frame, r.width_px, r.height_px) for r in judged]
    kept_out = [_pair(bench, renderer, frame, *size) for frame in held_out]
    return {"input": [p for p in inputs if p], "holdout": [p for p in kept_out if p]}


def _scores(
    pairs: Sequence[_Pair], exposures: dict[int, ViewExposure], response: Response
) -> dict[str, list[float]]:
    ways = {
        "as_is": [pair.score(None) for pair in pairs],
        "own": [pair.score(e) for pair in pairs if (e := exposures.get(pair.frame.view_id))],
        "fitted": [pair.fitted(response) for pair in pairs],
    }
    return {
        way: [
            round(float(np.median([s.psnr_db for s in scores])), 2),
            round(float(np.median([s.ssim for s in scores])), 4),
        ]
        for way, scores in ways.items()
        if scores
    }


if __name__ == "__main__":
    main()
