"""A small exact scene in a store, for tests of planning, depth and the whole pipeline."""

import cv2
import numpy as np

from worldloom.bench import Bench
from worldloom.scene import Frame
from worldloom.stage import R, Stage, W, execute
from worldloom.store import artifact_key
from worldloom.synthetic import SceneSpec, build_scene

SPEC = SceneSpec(layout="corner", frames=6, width_px=160, height_px=120)


def corner_frames(bench: Bench, spec: SceneSpec = SPEC) -> tuple[list[Frame], list[np.ndarray]]:
    """Renders a corner scene into the store; returns its frames and their exact depth."""
    scene = build_scene(spec)
    frames: list[Frame] = []
    depths: list[np.ndarray] = []
    for view, camera in enumerate(scene.trajectory.cameras):
        rendered = scene.frame(view)
        key = artifact_key("frame", 0, (spec, view))
        bgr = cv2.cvtColor(rendered.image, cv2.COLOR_RGB2BGR)
        bench.store.write(key, "image.png", cv2.imencode(".png", bgr)[1].tobytes())
        frames.append(Frame(view, f"corner/{view}", "corner", view, camera, key))
        depths.append(rendered.depth)
    return frames, depths


def made(stage: Stage[W, R], bench: Bench, work: W) -> R:
    """Executes one work item that must succeed."""
    outcome = execute(stage, bench, work)
    assert outcome.failure is None, outcome.failure
    assert outcome.value is not None
    return outcome.value


def share_within(depth: np.ndarray, truth: np.ndarray, ratio: float) -> float:
    """Share of the pixels with a true depth that are known and within a relative error."""
    if depth.shape != truth.shape:
        truth = cv2.resize(truth, depth.shape[::-1], interpolation=cv2.INTER_NEAREST)
    judged = truth > 0
    near = (depth > 0) & (np.abs(depth - truth) <= ratio * truth)
    return float(near[judged].mean())
