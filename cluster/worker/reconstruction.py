"""The job that makes a scene."""

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from cluster.worker.decoder import INPUTS_FOLDER, limits_of
from cluster.worker.events import EventWriter
from cluster.worker.execution import runner_of
from cluster.worker.inspection import inspected_inputs
from cluster.worker.task import Outcome, ReconstructSpec, Task
from worldloom.api import ARTIFACTS_FOLDER, reconstruct_files
from worldloom.bench import Bench
from worldloom.depth import CHECK
from worldloom.display import depth_picture, depth_span, existing_store, finished, shrunk
from worldloom.export import load_manifest
from worldloom.stage import Progress

_PREVIEW_WIDTH_PX = 480
_MOST_DEPTH_PREVIEWS = 3


def reconstruct_job(
    task: Task, spec: ReconstructSpec, folder: Path, events: EventWriter
) -> Outcome:
    """Makes a scene.

    Args:
        task: What to do.
        spec: Its part that tells of the reconstruction.
        folder: Of the job.
        events: Told what happens.

    Raises:
        WorldloomError: it cannot be made.
    """
    inputs_folder = folder / INPUTS_FOLDER
    shutil.rmtree(inputs_folder, ignore_errors=True)
    inputs = inspected_inputs(task, folder)
    out = Path(task.scene_folder)
    store_uri = task.store_uri or str(out / ARTIFACTS_FOLDER)
    reconstruct_files(
        [Path(item.media) for item in inputs],
        out,
        spec.config(),
        trajectories=[Path(item.trajectory) for item in inputs if item.trajectory is not None],
        every=spec.frame_step,
        runner=runner_of(task),
        store_uri=store_uri,
        limits=limits_of(task),
        on_progress=_with_previews(folder, store_uri, events),
    )
    shutil.rmtree(inputs_folder, ignore_errors=True)
    picture = cv2.imread(str(out / "preview.png"), cv2.IMREAD_COLOR_RGB)
    if picture is not None:
        _show(
            folder,
            "scene.jpg",
            "the finished scene",
            shrunk(picture, 2 * _PREVIEW_WIDTH_PX),
            events,
        )
    return Outcome(degraded=load_manifest(out).degraded)


def _with_previews(folder: Path, store_uri: str, events: EventWriter) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        events(progress)
        if progress.stage == CHECK.name and progress.total and progress.done == progress.total:
            bench = existing_store(store_uri)
            if bench is not None:
                _show_depth(folder, bench, events)

    return report


def _show_depth(folder: Path, bench: Bench, events: EventWriter) -> None:
    """Shows some views and their depth, side by side."""
    results = list(finished(bench, CHECK))
    finest = max((result.depth.width_px for result in results), default=0)
    shown = {
        result.depth.frame.view_id: result.depth
        for result in results
        if result.depth.width_px == finest
    }
    views = sorted(shown)[:: max(1, len(shown) // _MOST_DEPTH_PREVIEWS)][:_MOST_DEPTH_PREVIEWS]
    for view in views:
        ref = shown[view]
        depth = bench.depth_map(ref).depth
        image = bench.image(ref.frame, ref.width_px, ref.height_px)
        pair = np.hstack([image, depth_picture(depth, *depth_span([depth]))])
        title = f"{ref.frame.name} and its depth"
        _show(
            folder, f"depth_{view:05}_{finest}.jpg", title, shrunk(pair, _PREVIEW_WIDTH_PX), events
        )


def _show(folder: Path, name: str, title: str, picture: np.ndarray, events: EventWriter) -> None:
    done, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if done:
        (folder / name).write_bytes(data.tobytes())
        events.preview(title, "image/jpeg", name)
