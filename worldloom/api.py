"""The public entry: from files to a scene folder."""

import os
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

import msgspec

from worldloom.bench import Bench, BenchConfig
from worldloom.cameras import CameraTrajectory
from worldloom.config import Density, Method, ReconstructionConfig
from worldloom.depth import concrete_backend
from worldloom.errors import InputError
from worldloom.event_log import log_event
from worldloom.export import (
    MANIFEST_FILE,
    Manifest,
    export_scene,
)
from worldloom.ingest import (
    IngestLimits,
    MissingImages,
    Source,
    ingest,
    open_sources,
)
from worldloom.inline import InlineRunner
from worldloom.journal import Journal
from worldloom.observation import Observers, observed_step
from worldloom.pipeline import reconstruct, split_holdout
from worldloom.quality import Appraisal, appraise
from worldloom.reconstruction import Reconstruction
from worldloom.record import appraised, manifest_of
from worldloom.report import add_report
from worldloom.scene import Frame, ReconstructedScene
from worldloom.stage import Progress, ProgressCallback, Runner
from worldloom.timeline import TIMELINE_FILE, Timeline

StrPath = str | os.PathLike[str]
Trajectory = StrPath | CameraTrajectory
RunnerFactory = Callable[[BenchConfig], Runner]
"""Makes a runner on a store: `InlineRunner`, `cluster.ray_runner.RayRunner`, or either with
settings bound by `functools.partial`."""
ARTIFACTS_FOLDER = "artifacts"
Make = Callable[
    [Sequence[Frame], ReconstructionConfig, Runner, Bench, ProgressCallback], Reconstruction
]
"""A method: `reconstruct`, or one with the same face."""
T = TypeVar("T")


def silent(_progress: Progress) -> None:
    """Takes no notice of progress."""


def reconstruct_scene(
    video_path: StrPath | Sequence[StrPath],
    camera_trajectory: Trajectory | Sequence[Trajectory] | None = None,
    output_path: StrPath = "out",
    method: Method = "mvs",
    resolution: int = 640,
    depth_estimation: bool = True,
    point_cloud_density: Density = "medium",
    runner: RunnerFactory | None = None,
    on_progress: ProgressCallback = silent,
) -> ReconstructedScene:
    """Reconstructs a 3D scene from video with a known camera trajectory.

    Finished work is kept below the output folder: run again to resume.

    Args:
        video_path: Video, image folder or scene folder; or several in one world frame.
        camera_trajectory: Trajectory of each video, a file or an object; None where the input
            holds its own (`camera.json`, `transforms.json`, a COLMAP model).
        output_path: Folder for the scene; made where it does not exist.
        method: How chunks are reconstructed.
        resolution: Longer image side used for depth, pixels; with it the size of a voxel.
        depth_estimation: Refine depth with the geometric memories.
        point_cloud_density: Spacing of the point cloud.
        runner: What executes the stages; None for this process, on all its cores.
        on_progress: Called after each work item.

    Returns:
        The scene: mesh, point cloud, textures, cameras and metadata, as written.

    Raises:
        InputError: the input cannot be read or does not make sense.
        PlanError: no two views can be triangulated.
        ReconstructionError: nothing could be made.
    """
    config = ReconstructionConfig(
        method=method,
        resolution=resolution,
        depth_estimation=depth_estimation,
        point_cloud_density=point_cloud_density,
    )
    return reconstruct_files(
        _several(video_path),
        output_path,
        config,
        trajectories=() if camera_trajectory is None else _several(camera_trajectory),
        runner=runner,
        on_progress=on_progress,
    )


def reconstruct_files(
    inputs: Sequence[StrPath],
    output_path: StrPath,
    config: ReconstructionConfig,
    *,
    trajectories: Sequence[Trajectory] = (),
    every: int = 1,
    missing_images: MissingImages = "skip",
    runner: RunnerFactory | None = None,
    store_uri: str | None = None,
    limits: IngestLimits | None = None,
    cache_mib: int = 256,
    report: bool = True,
    on_progress: ProgressCallback = silent,
) -> ReconstructedScene:
    """Reconstructs a scene with every setting at hand; see `reconstruct_scene`.

    Args:
        inputs: Videos, image folders or scene folders in one world frame.
        output_path: Folder for the scene.
        config: Settings; with the input they decide the result.
        trajectories: One for each input, or none where the inputs hold their own.
        every: Every n-th frame of each source is used.
        missing_images: `skip` leaves out images that a trajectory file lists and that are not
            there, with a warning in the manifest; `error` refuses them.
        runner: What executes the stages; None for this process, on all its cores.
        store_uri: Root of the artifact store; None for `artifacts` in the output folder.
        limits: Caps on the input; None for the usual ones.
        cache_mib: Decoded images and arrays kept in each process, MiB.
        report: Write `report.html` too, a page that shows the scene; some seconds.
        on_progress: Called after each work item.
    """
    caps = limits or IngestLimits()
    opened = partial(
        open_sources,
        [Path(path) for path in inputs],
        [item if isinstance(item, CameraTrajectory) else Path(item) for item in trajectories],
        limits=caps,
        missing_images=missing_images,
    )
    return reconstruct_sources(
        opened,
        output_path,
        config,
        title=Path(inputs[0]).resolve().stem if inputs else "",
        every=every,
        runner=runner,
        store_uri=store_uri,
        limits=caps,
        cache_mib=cache_mib,
        report=report,
        on_progress=on_progress,
    )


def reconstruct_sources(
    opened: Callable[[], Sequence[Source]],
    output_path: StrPath,
    config: ReconstructionConfig,
    *,
    title: str,
    make: Make = reconstruct,
    need_parallax: bool = True,
    parameters: Mapping[str, object] | None = None,
    every: int = 1,
    runner: RunnerFactory | None = None,
    store_uri: str | None = None,
    limits: IngestLimits | None = None,
    cache_mib: int = 256,
    report: bool = True,
    on_progress: ProgressCallback = silent,
) -> ReconstructedScene:
    """Reconstructs a scene from sources; what `reconstruct_files` and panoramas share.

    Args:
        opened: Opens the sources; called once, with its warnings kept for the manifest.
        output_path: Folder for the scene.
        config: Settings; with the input they decide the result.
        title: Name of the scene where it has several sources; one source names it.
        make: The method.
        need_parallax: False where depth does not come from the views.
        parameters: Further settings for the manifest, plain or dataclasses.
        every: See `reconstruct_files`, as with what follows.
        runner: What executes the stages.
        store_uri: Root of the artifact store.
        limits: Caps on the input.
        cache_mib: Decoded images and arrays kept in each process, MiB.
        report: Write `report.html` too.
        on_progress: Called after each work item.
    """
    output = Path(output_path).resolve()
    _make_folder(output)
    bench_config = BenchConfig(store_uri or str(output / ARTIFACTS_FOLDER), cache_mib)
    bench = Bench(bench_config)
    observers = Observers()
    observers.add(log_event)
    with (
        Timeline(output / TIMELINE_FILE, output.name) as timeline,
        Journal(observers) as journal,
        ThreadPoolExecutor(1, thread_name_prefix="appraise") as aside,
    ):
        observers.add(timeline)
        sources = opened()
        factory = runner or partial(InlineRunner, workers=_cores())
        with _opened(factory, bench_config) as at_work:
            at_work.watch(observers)
            # A scene that is here is likely to be found finished: then no worker is needed.
            start = None if (output / MANIFEST_FILE).exists() else at_work.start
            read = partial(
                ingest,
                *(sources, bench.store),
                every=every,
                limits=limits or IngestLimits(),
                workers=_cores(),
                need_parallax=need_parallax,
            )
            with journal.timed("ingest", sum(len(source) for source in sources)):
                all_frames = _read(read, on_progress, start)
            frames, held_out = split_holdout(all_frames, config.holdout)
            config = _with_concrete_backends(config, at_work)
            made = make(frames, config, at_work, bench, on_progress)
            name = sources[0].name if len(sources) == 1 else title
            judge = partial(appraise, bench, made, held_out, title=name)
            # Workers take a while to end, which the next step does not have to wait for.
            judging = aside.submit(_timed, journal, "appraise", len(frames), judge)
        appraisal = judging.result()
        manifest = manifest_of(config, sources, all_frames, made, journal, parameters or {})
        manifest = appraised(bench, manifest, made, appraisal, held_out)
        with observed_step(observers, "export", len(frames)):
            scene = _exported(output, made, manifest, appraisal)
        return _reported(scene, output, bench_config, observers) if report else scene


def _with_concrete_backends(config: ReconstructionConfig, runner: Runner) -> ReconstructionConfig:
    return replace(
        config,
        sweep=replace(
            config.sweep, backend=concrete_backend(config.sweep.backend, runner.has_cuda)
        ),
        refine=replace(
            config.refine, backend=concrete_backend(config.refine.backend, runner.has_cuda)
        ),
    )


def _exported(
    output: Path, made: Reconstruction, manifest: Manifest, appraisal: Appraisal
) -> ReconstructedScene:
    scene = ReconstructedScene(
        made.mesh, made.point_cloud, _cameras(made.frames), made.unwrapped, made.textures
    )
    scene = replace(scene, splats=made.splats)
    written = export_scene(scene, output, manifest, appraisal.preview)
    return replace(scene, metadata=cast("dict[str, object]", msgspec.to_builtins(written)))


def _reported(
    scene: ReconstructedScene, output: Path, bench: BenchConfig, observers: Observers
) -> ReconstructedScene:
    with observed_step(observers, "report", len(scene.cameras)):
        return add_report(scene, output, bench.store_uri)


def _several(value: T | Sequence[T]) -> Sequence[T]:
    if isinstance(value, (str, os.PathLike, CameraTrajectory)):
        return (cast("T", value),)
    return cast("Sequence[T]", value)


def _cores() -> int:
    return len(os.sched_getaffinity(0))


@contextmanager
def _opened(factory: RunnerFactory, bench: BenchConfig) -> Generator[Runner]:
    """A runner that is closed in the end."""
    runner = factory(bench)
    try:
        yield runner
    finally:
        runner.close()


def _read(
    read: Callable[..., tuple[Frame, ...]],
    on_progress: ProgressCallback,
    start: Callable[[], None] | None,
) -> tuple[Frame, ...]:
    """Reads the frames, in a thread where a runner starts meanwhile in this one.

    Not the other way about: what Ray starts dies with the thread that started it.
    """
    if start is None:
        return read(on_progress=on_progress)
    leaving = threading.Event()

    def report(progress: Progress) -> None:
        if leaving.is_set():
            raise CancelledError
        on_progress(progress)

    with ThreadPoolExecutor(1, thread_name_prefix="read") as aside:
        reading = aside.submit(read, on_progress=report)
        try:
            start()
            return reading.result()
        except BaseException:
            leaving.set()
            raise


def _timed(journal: Journal, step: str, items: int, work: Callable[[], T]) -> T:
    with journal.timed(step, items):
        return work()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the output folder {folder}: {error.strerror}; choose another --out",
            path=str(folder),
        ) from error


def _cameras(frames: Sequence[Frame]) -> CameraTrajectory:
    return CameraTrajectory(
        tuple(frame.camera for frame in frames),
        tuple(frame.view_id for frame in frames),
        tuple(frame.name for frame in frames),
        name="scene",
    )
