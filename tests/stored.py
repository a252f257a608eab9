"""Depth maps and their images as artifacts, for tests of stages."""

import cv2
import numpy as np

from worldloom.bench import Bench
from worldloom.scene import DepthMap, DepthRef, Frame
from worldloom.stage import R, Stage, W, execute
from worldloom.store import ArtifactKey


def store_depth(bench: Bench, depth_map: DepthMap, colors: np.ndarray) -> DepthRef:
    """Puts a depth map and an image into the store of a bench."""
    view = depth_map.view_id
    image, depth = ArtifactKey(f"frame/{view}"), ArtifactKey(f"depth/{view}")
    bgr = cv2.cvtColor(colors, cv2.COLOR_RGB2BGR)
    bench.store.write(image, "image.png", cv2.imencode(".png", bgr)[1].tobytes())
    bench.write_arrays(
        depth,
        "depth.npz",
        depth=depth_map.depth,
        confidence=depth_map.confidence,
        normal_in_world=depth_map.normal_in_world,
    )
    frame = Frame(view, f"ring/{view}", "ring", view, depth_map.camera, image)
    height, width = depth_map.depth.shape
    return DepthRef(frame, depth, width, height)


def made(stage: Stage[W, R], bench: Bench, work: W) -> R:
    """The result of a work item that must succeed."""
    outcome = execute(stage, bench, work)
    assert outcome.value is not None, outcome.failure
    return outcome.value
