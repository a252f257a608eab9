"""The public entry for panoramas: from equirectangular pictures to a scene folder."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TypedDict, cast

import numpy as np

from worldloom.api import (
    RunnerFactory,
    StrPath,
    Trajectory,
    reconstruct_files,
    reconstruct_sources,
    silent,
)
from worldloom.cameras import CameraTrajectory
from worldloom.config import Density, Method, ReconstructionConfig
from worldloom.errors import ConfigError, InputError
from worldloom.ingest import IngestLimits, Panorama, Source, list_panoramas, open_panoramas
from worldloom.layering import LayeringInput, no_depth, reconstruct_layers
from worldloom.learned import LearnedConfig
from worldloom.panorama import DepthKind, DepthSource, LayerConfig, Sampling, SphereSampling
from worldloom.scene import ReconstructedScene
from worldloom.stage import ProgressCallback

BANK_FOLDER = "pano_bank"
"""What a WorldStereo panorama scene keeps the crops of its panorama in."""
_USUAL = SphereSampling()


class _Switches(TypedDict):
    """What all ways to a scene take; see `reconstruct_files`."""

    runner: RunnerFactory | None
    store_uri: str | None
    limits: IngestLimits
    cache_mib: int
    report: bool
    on_progress: ProgressCallback


def reconstruct_from_panorama(
    panorama_path: StrPath | Sequence[StrPath],
    camera_trajectory: Trajectory | None = None,
    output_path: StrPath = "out",
    depth: StrPath | np.ndarray | None = None,
    depth_model: StrPath | None = None,
    method: Method = "mvs",
    resolution: int = 640,
    sampling: Sampling = "cube",
    point_cloud_density: Density = "medium",
    depth_kind: DepthKind = "ray",
    depth_scale: float | None = None,
    runner: RunnerFactory | None = None,
    on_progress: ProgressCallback = silent,
) -> ReconstructedScene:
    """Reconstructs a 3D scene from panoramas.

    Three ways: several panoramas from different places, with their poses, are cut into perspective
    views and reconstructed as any views are; one panorama with its depth, or with a depth model,
    becomes a mesh of two layers; the folder of a WorldStereo panorama scene (`pano_bank` and
    trajectories) is reconstructed as a whole. See `docs/panoramas.md`.

    Args:
        panorama_path: Equirectangular pictures (twice as wide as high), a folder of them, or a
            WorldStereo panorama scene.
        camera_trajectory: One pose a panorama, a file or an object: of the panorama's frame (OpenCV
            axes, the middle column looks along +z); intrinsics do not count. None where a file
            lies with the panoramas, or where there is one only: its frame is the world then.
        output_path: Folder for the scene; made where it does not exist.
        depth: Depth of one panorama, of the same size: a file (.npy, .npz, 16-bit .png, .tif) or an
            array (h w); 0 = unknown.
        depth_model: Folder of a monocular depth model, see `docs/learned-depth.md`; it guesses the
            depth of one panorama, and helps with several.
        method: How views are reconstructed.
        resolution: Longer side of the views used for depth, pixels; a layered mesh gets the same
            angular resolution.
        sampling: How the sphere is cut into views: cube or icosahedron.
        point_cloud_density: Spacing of the point cloud.
        depth_kind: ray: distance along the ray; face-z: depth along the axis of the cube face.
        depth_scale: World units that 1 in the depth file stands for; None: 0.001 for whole numbers,
            1 for floats.
        runner: What executes the stages; None for this process, on all its cores.
        on_progress: Called after each work item.

    Returns:
        The scene: mesh, point cloud, cameras and metadata, as written.

    Raises:
        ConfigError: one panorama without depth or model, or settings that do not go together.
        InputError: the input cannot be read or does not make sense.
        PlanError: no two views can be triangulated.
        ReconstructionError: nothing could be made.
    """
    config = ReconstructionConfig(
        method=method,
        resolution=resolution,
        point_cloud_density=point_cloud_density,
        learned=LearnedConfig(depth_model=None if depth_model is None else str(depth_model)),
    )
    several = isinstance(panorama_path, Sequence) and not isinstance(panorama_path, str)
    source = None
    if depth is not None:
        content = depth if isinstance(depth, np.ndarray) else Path(depth)
        source = DepthSource(content, depth_kind, depth_scale)
    return reconstruct_panoramas(
        cast("Sequence[StrPath]", panorama_path if several else (panorama_path,)),
        output_path,
        config,
        trajectory=camera_trajectory,
        sampling=SphereSampling(sampling),
        depth=source,
        runner=runner,
        on_progress=on_progress,
    )


def reconstruct_panoramas(
    inputs: Sequence[StrPath],
    output_path: StrPath,
    config: ReconstructionConfig,
    *,
    trajectory: Trajectory | None = None,
    sampling: SphereSampling | None = None,
    depth: DepthSource | None = None,
    layers: LayerConfig | None = None,
    every: int = 1,
    runner: RunnerFactory | None = None,
    store_uri: str | None = None,
    limits: IngestLimits | None = None,
    cache_mib: int = 256,
    report: bool = True,
    on_progress: ProgressCallback = silent,
) -> ReconstructedScene:
    """Reconstructs panoramas with every setting at hand; see `reconstruct_from_panorama`.

    Args:
        inputs: Panoramas, folders of them, or WorldStereo panorama scenes (not both).
        output_path: Folder for the scene.
        config: Settings; with the input they decide the result.
        trajectory: One pose a panorama.
        sampling: How panoramas are cut into views; None for a cube.
        depth: Depth of one panorama.
        layers: How a layered mesh is made; None for the usual way.
        every: Every n-th frame of each trajectory of WorldStereo scenes is used; 1 for others.
        runner: What executes the stages; None for this process, on all its cores.
        store_uri: Root of the artifact store; None for `artifacts` in the output folder.
        limits: Caps on the input; None for the usual ones.
        cache_mib: Decoded images and arrays kept in each process, MiB.
        report: Write `report.html` too, a page that shows the scene; some seconds.
        on_progress: Called after each work item.
    """
    paths = [Path(path) for path in inputs]
    if not paths:
        raise InputError("no input; give at least one panorama")
    scenes = [path for path in paths if (path / BANK_FOLDER).is_dir()]
    caps = limits or IngestLimits()
    switches = _Switches(
        runner=runner,
        store_uri=store_uri,
        limits=caps,
        cache_mib=cache_mib,
        report=report,
        on_progress=on_progress,
    )
    if scenes:
        _require_scenes_alone(paths, scenes, trajectory, depth, sampling)
        return reconstruct_files(paths, output_path, config, every=every, **switches)
    _require_workable(config, every)
    cut = sampling or SphereSampling()
    given = trajectory if isinstance(trajectory, CameraTrajectory | None) else Path(trajectory)
    opened = partial(open_panoramas, paths, given, cut, limits=caps)
    count = len(list_panoramas(paths))
    if count > 1:
        _require_no_depth(count, depth)
        title = paths[0].resolve().stem
        more = {"panorama": cut}
        return reconstruct_sources(
            opened, output_path, config, title=title, parameters=more, **switches
        )
    _require_one(paths[0], config, depth)
    return _layered(opened(), output_path, config, cut, depth, layers or LayerConfig(), switches)


def _layered(
    sources: Sequence[Source],
    output_path: StrPath,
    config: ReconstructionConfig,
    cut: SphereSampling,
    depth: DepthSource | None,
    layers: LayerConfig,
    switches: _Switches,
) -> ReconstructedScene:
    """One panorama, with its depth or a guess of it."""
    return reconstruct_sources(
        lambda: sources,
        output_path,
        config,
        title=sources[0].name,
        make=partial(reconstruct_layers, given=LayeringInput(_panorama(sources[0]), depth, layers)),
        need_parallax=False,
        parameters={"panorama": cut, "layers": layers, "depth": _described(depth)},
        **switches,
    )


def _described(depth: DepthSource | None) -> dict[str, object] | None:
    """What the manifest tells of a depth."""
    if depth is None:
        return None
    return {"path": depth.name, "kind": depth.kind, "scale": depth.scale}


def _require_workable(config: ReconstructionConfig, every: int) -> None:
    if every != 1:
        raise ConfigError(
            f"every is {every}, but panoramas are no video; leave every out, and give the "
            "panoramas that are to be used",
            field="every",
        )
    if config.refine_poses:
        raise ConfigError(
            "refine_poses would move each view by itself, but the views of a panorama share one "
            "centre; leave it out",
            field="refine_poses",
        )


def _require_no_depth(count: int, depth: DepthSource | None) -> None:
    if depth is not None:
        raise ConfigError(
            f"depth is given for one panorama, but there are {count}; several are reconstructed "
            "from what they see from different places: leave the depth out, or give one panorama",
            field="depth",
        )


def _panorama(source: Source) -> Panorama:
    assert isinstance(source.media, Panorama)  # open_panoramas makes no other
    return source.media


def _require_one(path: Path, config: ReconstructionConfig, depth: DepthSource | None) -> None:
    """Checks the settings for one panorama."""
    if depth is None and config.learned.depth_model is None:
        raise ConfigError(no_depth(os.fspath(path)), field="depth")
    if depth is not None and config.learned.depth_model is not None:
        raise ConfigError(
            "a depth and a depth model are given; leave one of the two out", field="depth_model"
        )
    if config.holdout:
        raise ConfigError(
            "holdout keeps views out, but the views of one panorama are all made from it; leave it "
            "out",
            field="holdout",
        )


def _require_scenes_alone(
    paths: Sequence[Path],
    scenes: Sequence[Path],
    trajectory: Trajectory | None,
    depth: DepthSource | None,
    sampling: SphereSampling | None,
) -> None:
    """Checks that nothing is asked of WorldStereo scenes that is for equirectangular pictures."""
    others = [path for path in paths if path not in scenes]
    if others:
        raise InputError(
            f"{scenes[0]} is a WorldStereo panorama scene, {others[0]} is none; give one kind at a "
            "time",
            path=str(others[0]),
        )
    for name, value in (("trajectory", trajectory), ("depth", depth), ("sampling", sampling)):
        if value is not None and not (isinstance(value, SphereSampling) and value == _USUAL):
            raise ConfigError(
                f"{scenes[0]} is a WorldStereo panorama scene, which holds its cameras and views; "
                f"leave {name} out",
                field=name,
            )
