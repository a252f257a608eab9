"""The other method, for one panorama whose depth is given or guessed: a mesh of two layers."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from worldloom.bench import Bench
from worldloom.config import CLOUD_SPACING_PX, ReconstructionConfig
from worldloom.errors import ConfigError, InputError, ReconstructionError
from worldloom.ingest import Panorama, decode_picture, read_content
from worldloom.job import Job
from worldloom.learned import PREDICT, ModelCard, PredictWork, read_model_card
from worldloom.panorama import (
    COLOR_FILE,
    DISTANCE_FILE,
    JOIN,
    LAYERS,
    VIEW_DEPTH,
    DepthSource,
    DistancePanorama,
    JoinResult,
    JoinWork,
    LayerConfig,
    LayerResult,
    LayerWork,
    ViewDepthResult,
    ViewDepthWork,
    content_digest,
    grid_height,
    load_layers,
    reduced_image,
    resampled,
)
from worldloom.reconstruction import Reconstruction, ViewReport
from worldloom.scene import Frame
from worldloom.stage import ProgressCallback, Runner
from worldloom.store import ArtifactKey, artifact_key

_logger = logging.getLogger(__name__)
_VERSION = 1


@dataclass(frozen=True, eq=False)
class LayeringInput:
    """One panorama, and where its depth comes from."""

    panorama: Panorama
    depth: DepthSource | None
    """None where the depth model of the settings guesses it."""
    layers: LayerConfig


@dataclass(frozen=True)
class _Stored:
    """An artifact made in the driver, from files that only it can read."""

    height_px: int


def reconstruct_layers(
    frames: Sequence[Frame],
    config: ReconstructionConfig,
    runner: Runner,
    bench: Bench,
    on_progress: ProgressCallback,
    *,
    given: LayeringInput,
) -> Reconstruction:
    """Makes a layered mesh and a cloud from one panorama with depth.

    Args:
        frames: Its views; view ids are their positions.
        config: Settings; `resolution`, `point_cloud_density` and `learned` count.
        runner: Executes the stages; the result does not depend on it.
        bench: Store and caches of this process, on the same store as the runner's.
        on_progress: Called after each work item.
        given: The panorama and its depth.

    Raises:
        ConfigError: there is neither depth nor a depth model, or the model cannot be used.
        InputError: the panorama or its depth cannot be read.
        ReconstructionError: nothing could be made.
    """
    job = Job(runner, bench, config, on_progress)
    model = None
    if given.depth is None:
        if config.learned.depth_model is None:
            raise ConfigError(no_depth(str(given.panorama.picture.path)), field="depth")
        model = read_model_card(config.learned)
    picture = given.panorama.picture
    height_px = grid_height(picture.height_px, np.pi * _focal_px(frames[0], config.resolution))
    colors = _stored_colors(bench, given.panorama, height_px)
    joined = None
    if given.depth is not None:
        distance = _stored_distance(bench, given, height_px)
    else:
        assert model is not None  # read right above
        joined = _guessed(job, frames, given.panorama, model, height_px)
        distance = joined.artifact
    step = int(CLOUD_SPACING_PX[config.point_cloud_density])
    pose = given.panorama.world_from_pano
    name = frames[0].trajectory
    work = LayerWork(name, colors, distance, pose, given.layers, step)
    (made,) = job.run(LAYERS, [work])
    assert made is not None  # a stage whose only item fails has raised
    views = _view_depths(job, frames, distance, given.panorama)
    return _reconstruction(job, frames, made, views, joined, model, height_px)


def no_depth(path: str) -> str:
    """Returns what to tell whoever gives one panorama and nothing else."""
    return (
        f"one panorama ({path}) shows no depth: all its rays start at one place; add its depth "
        "(--depth FILE, depth=), or a depth model (--depth-model FOLDER, depth_model=), or give "
        "panoramas from other places too, with their poses (--trajectory FILE)"
    )


def _focal_px(frame: Frame, resolution: int) -> float:
    """Focal length of a view at the resolution for depth: pixels a radian."""
    return float(frame.camera.resized(*frame.size_within(resolution)).intrinsics.fx)


def _stored_colors(bench: Bench, panorama: Panorama, height_px: int) -> ArtifactKey:
    """Writes the colours of a panorama at the size of the grid."""
    content = read_content(panorama.picture.path)
    key = artifact_key(
        "panorama_colors", _VERSION, (hashlib.sha256(content).hexdigest(), height_px)
    )
    if bench.store.result(key, _Stored) is None:
        decoded = decode_picture(panorama.picture, content)
        data = np.ones((height_px, 2 * height_px), bool)
        if decoded.data is not None:
            levels = np.repeat(np.where(decoded.data, np.uint8(255), np.uint8(0))[..., None], 3, 2)
            data = reduced_image(levels, height_px)[..., 0] == 255
        bench.write_arrays(key, COLOR_FILE, rgb=reduced_image(decoded.rgb, height_px), data=data)
        bench.store.commit(key, _Stored(height_px))
    return key


def _stored_distance(bench: Bench, given: LayeringInput, height_px: int) -> ArtifactKey:
    """Writes the distances that were given, at the size of the grid."""
    assert given.depth is not None  # the caller has looked
    picture = given.panorama.picture
    distance = given.depth.read(picture.width_px, picture.height_px)
    key = artifact_key("panorama_distance", _VERSION, (content_digest(distance), height_px))
    if bench.store.result(key, _Stored) is None:
        ones: Float32[np.ndarray, "h w"] = (distance > 0).astype(np.float32)
        small = resampled(DistancePanorama(distance, ones), height_px)
        bench.write_arrays(key, DISTANCE_FILE, distance=small.distance, confidence=small.confidence)
        bench.store.commit(key, _Stored(height_px))
    return key


def _guessed(
    job: Job, frames: Sequence[Frame], panorama: Panorama, model: ModelCard, height_px: int
) -> JoinResult:
    """What a trained model says of each view, joined to one panorama."""
    _logger.info("depth model %s, licence %s", model.name, model.licence)
    size = frames[0].size_within(job.config.resolution)
    works = [PredictWork(frame, model.ref, *size) for frame in frames]
    predicted = [result for result in job.run(PREDICT, works) if result is not None]
    if len(predicted) < len(frames):
        raise ReconstructionError(
            f"the depth model failed in {len(frames) - len(predicted)} of {len(frames)} views, and "
            f"a panorama needs all of them; the first: {job.failures[0].message}",
            stage=PREDICT.name,
            failed=len(frames) - len(predicted),
            total=len(frames),
        )
    pose, name = panorama.world_from_pano, frames[0].trajectory
    work = JoinWork(name, tuple(predicted), model.ref.quantity, *size, pose, height_px)
    (joined,) = job.run(JOIN, [work])
    assert joined is not None  # a stage whose only item fails has raised
    return joined


def _view_depths(
    job: Job, frames: Sequence[Frame], distance: ArtifactKey, panorama: Panorama
) -> list[ViewDepthResult | None]:
    works = [
        ViewDepthWork(
            frame, distance, panorama.world_from_pano, *frame.size_within(job.config.resolution)
        )
        for frame in frames
    ]
    return job.run(VIEW_DEPTH, works)


def _reconstruction(
    job: Job,
    frames: Sequence[Frame],
    made: LayerResult,
    views: Sequence[ViewDepthResult | None],
    joined: JoinResult | None,
    model: ModelCard | None,
    height_px: int,
) -> Reconstruction:
    mesh, cloud = load_layers(job.bench, made)
    if not len(cloud):
        raise InputError(
            "the point cloud is empty: the panorama has too few pixels with depth for its spacing; "
            "give --density high"
        )
    centre = frames[0].camera.centre_in_world
    reach = float(np.median(np.linalg.norm(mesh.vertices_in_world - centre, axis=1)))
    footprint = reach * np.pi / height_px
    return Reconstruction(
        frames=tuple(frames),
        depth=tuple(view.depth for view in views if view is not None),
        # All of the depth is in the mesh, as it is: there are no signed distances.
        min_confidence=0.0,
        point_cloud=cloud,
        mesh=mesh,
        chunks=(),
        voxel_m=footprint,
        truncation_m=0.0,
        cell_m=CLOUD_SPACING_PX[job.config.point_cloud_density] * footprint,
        balance=None,
        views=tuple(_report(frame, view) for frame, view in zip(frames, views, strict=True)),
        stages=tuple(job.stages),
        failures=tuple(job.failures),
        models=() if model is None else (model,),
        depth_note="given with the panorama" if model is None else "guessed by a depth model",
        evidence={
            "layers": {
                "grid_px": [2 * height_px, height_px],
                "shown_vertices": made.shown_vertices,
                "filled_vertices": made.vertices - made.shown_vertices,
                "shown_faces": made.shown_faces,
                "filled_faces": made.faces - made.shown_faces,
                "alignments": () if joined is None else joined.alignments,
            }
        },
    )


def _report(frame: Frame, view: ViewDepthResult | None) -> ViewReport:
    return ViewReport(
        view_id=frame.view_id,
        name=frame.name,
        near=0.0 if view is None else view.near,
        far=0.0 if view is None else view.far,
        range_points=0,
        range_source="own",
        residual_px=None,
        reprojection_residual_px=None,
        partners=(),
        angles_deg=(),
        kept_share=None if view is None else view.kept_share,
        learned=None,
        gain_rgb=None,
        correction=None,
    )
