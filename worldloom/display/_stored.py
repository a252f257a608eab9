"""What the artifact store holds of a scene: depth and image of its views."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from worldloom.bench import Bench, BenchConfig
from worldloom.cameras import CameraTrajectory
from worldloom.codec import to_json
from worldloom.depth import CHECK
from worldloom.errors import WorldloomError
from worldloom.scene import DepthRef, Frame
from worldloom.stage import R, Stage
from worldloom.store import ArtifactKey

_logger = logging.getLogger(__name__)
_SAME_POSE = 1e-6


@dataclass(frozen=True)
class StoredView:
    """Where the store has image and confirmed depth of one view; what a manifest says of it."""

    view_id: int
    depth: ArtifactKey
    """Artifact with `depth.npz`."""
    width_px: int
    """Size of the depth map."""
    height_px: int
    image: ArtifactKey
    """Artifact with `image.png`."""
    has_mask: bool


def view_records(depth: Sequence[DepthRef]) -> list[dict[str, Any]]:
    """Returns what a manifest says of stored views, plain JSON values."""
    records = [
        StoredView(
            ref.frame.view_id,
            ref.artifact,
            ref.width_px,
            ref.height_px,
            ref.frame.image,
            ref.frame.has_mask,
        )
        for ref in depth
    ]
    return msgspec.json.decode(to_json(records))


def existing_store(uri: str | Path, cache_mib: int = 64) -> Bench | None:
    """Opens a store; None where it is a folder that is not there, which is not made."""
    if "://" not in str(uri):
        folder = Path(uri).resolve()
        if not folder.is_dir():
            return None
        uri = folder
    return Bench(BenchConfig(str(uri), cache_mib))


def stored_views(
    bench: Bench, cameras: CameraTrajectory, evidence: Mapping[str, Any]
) -> dict[int, DepthRef]:
    """Returns the depth maps of a scene that the store holds, by view id.

    The manifest names them. Where it does not, as in scenes of earlier releases, those of the same
    cameras are taken, the finest of each.

    Args:
        bench: Store of the run.
        cameras: Cameras of the scene, by view id.
        evidence: Of its manifest.
    """
    records = evidence.get("stored_views")
    if records is None:
        return _found_views(bench, cameras)
    named = [msgspec.convert(record, StoredView) for record in records]
    return {
        view.view_id: DepthRef(
            _frame(view, cameras), ArtifactKey(view.depth), view.width_px, view.height_px
        )
        for view in named
        if view.view_id < len(cameras) and bench.store.holds(view.depth, "depth.npz")
    }


def finished(bench: Bench, stage: Stage[Any, R]) -> Iterator[R]:
    """Yields the results of a stage that can be read, in the order of their keys."""
    for key in bench.store.finished(stage.name):
        try:
            result = bench.store.result(key, stage.result)
        except WorldloomError as error:
            _logger.warning("%s is passed over: %s", key, error)
            continue
        if result is not None:
            yield result


def _found_views(bench: Bench, cameras: CameraTrajectory) -> dict[int, DepthRef]:
    poses = cameras.world_from_cams
    found: dict[int, DepthRef] = {}
    for result in finished(bench, CHECK):
        ref = result.depth
        view = ref.frame.view_id
        if view >= len(cameras):
            continue
        same = np.abs(ref.frame.camera.world_from_cam - poses[view]).max() < _SAME_POSE
        if same and (view not in found or ref.width_px > found[view].width_px):
            found[view] = ref
    return found


def _frame(view: StoredView, cameras: CameraTrajectory) -> Frame:
    name = cameras.frame_names[view.view_id] if cameras.frame_names else str(view.view_id)
    trajectory, _, index = name.rpartition("/")
    return Frame(
        view.view_id,
        name,
        trajectory,
        int(index) if index.isdigit() else view.view_id,
        cameras[view.view_id],
        ArtifactKey(view.image),
        view.has_mask,
    )
