"""Jobs and operations."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cluster.gateway.convert._values import (
    chosen,
    duration_from_pb,
    duration_to_pb,
    inverse,
    optional_from_pb,
    time_from_pb,
    time_to_pb,
    wire,
    within,
)
from cluster.gateway.identifiers import checked_request_id, checked_title, id_of
from cluster.gateway.records import JobFault, JobRecord, Priority, State, encoded
from cluster.gateway.specs import JobSpec, spec_from_text
from cluster.rpc import job_pb2, operation_service_pb2, reconstruction_service_pb2
from cluster.worker.events import StageMark
from cluster.worker.task import InputSpec, JobKind, ReconstructSpec
from worldloom.config import Density, Method
from worldloom.errors import ConfigError, InputError

_MOST_INPUTS = 100

STATES: dict[int, State] = {
    job_pb2.JOB_STATE_QUEUED: State.QUEUED,
    job_pb2.JOB_STATE_RUNNING: State.RUNNING,
    job_pb2.JOB_STATE_CANCELLING: State.CANCELLING,
    job_pb2.JOB_STATE_SUCCEEDED: State.SUCCEEDED,
    job_pb2.JOB_STATE_FAILED: State.FAILED,
    job_pb2.JOB_STATE_CANCELLED: State.CANCELLED,
}
_STATE_NUMBERS = inverse(STATES)
_PRIORITIES: dict[int, Priority] = {
    job_pb2.JOB_PRIORITY_UNSPECIFIED: Priority.NORMAL,
    job_pb2.JOB_PRIORITY_LOW: Priority.LOW,
    job_pb2.JOB_PRIORITY_NORMAL: Priority.NORMAL,
    job_pb2.JOB_PRIORITY_HIGH: Priority.HIGH,
}
_PRIORITY_NUMBERS = inverse(_PRIORITIES)
_DENSITIES: dict[int, Density] = {
    reconstruction_service_pb2.POINT_DENSITY_UNSPECIFIED: "medium",
    reconstruction_service_pb2.POINT_DENSITY_LOW: "low",
    reconstruction_service_pb2.POINT_DENSITY_MEDIUM: "medium",
    reconstruction_service_pb2.POINT_DENSITY_HIGH: "high",
}
_DENSITY_NUMBERS = inverse(_DENSITIES)
_METHODS: dict[int, Method] = {
    reconstruction_service_pb2.RECONSTRUCTION_METHOD_UNSPECIFIED: "mvs",
    reconstruction_service_pb2.RECONSTRUCTION_METHOD_MVS: "mvs",
    reconstruction_service_pb2.RECONSTRUCTION_METHOD_SPLAT: "splat",
    reconstruction_service_pb2.RECONSTRUCTION_METHOD_HYBRID: "hybrid",
    reconstruction_service_pb2.RECONSTRUCTION_METHOD_NEURAL: "neural",
}
_KINDS: dict[int, JobKind] = {
    operation_service_pb2.OPERATION_KIND_EXPORT_MESH: JobKind.EXPORT_MESH,
    operation_service_pb2.OPERATION_KIND_EXPORT_POINT_CLOUD: JobKind.EXPORT_POINT_CLOUD,
    operation_service_pb2.OPERATION_KIND_EXPORT_SPLATS: JobKind.EXPORT_SPLATS,
    operation_service_pb2.OPERATION_KIND_EXPORT_CAMERAS: JobKind.EXPORT_CAMERAS,
    operation_service_pb2.OPERATION_KIND_REFINE_MESH: JobKind.REFINE_MESH,
    operation_service_pb2.OPERATION_KIND_OPTIMIZE_TEXTURES: JobKind.OPTIMIZE_TEXTURES,
    operation_service_pb2.OPERATION_KIND_RENDER_VIEWS: JobKind.RENDER_VIEWS,
}
_KIND_NUMBERS = inverse(_KINDS)


def state_to_pb(state: State) -> Any:
    """Returns a state as its number."""
    return wire(_STATE_NUMBERS[state])


def state_from_pb(value: int, field: str = "state") -> State | None:
    """Returns a state; None for the unspecified one.

    Raises:
        ConfigError: there is no such state.
    """
    return None if value == 0 else chosen(value, STATES, field)


def priority_from_pb(value: int, field: str = "priority") -> Priority:
    """Returns a priority.

    Raises:
        ConfigError: there is no such priority.
    """
    return chosen(value, _PRIORITIES, field)


def fault_to_pb(fault: JobFault) -> job_pb2.JobError:
    """Returns why a job failed as a message."""
    return job_pb2.JobError(
        code=fault.code, reason=fault.reason, message=fault.message, metadata=fault.ids
    )


def fault_from_pb(message: job_pb2.JobError) -> JobFault:
    """Returns why a job failed."""
    return JobFault(message.code, message.reason, message.message, dict(message.metadata))


def mark_to_pb(mark: StageMark) -> job_pb2.StageProgress:
    """Returns progress as a message."""
    return job_pb2.StageProgress(
        stage=mark.stage,
        done_count=mark.done,
        total_count=mark.total,
        reused_count=mark.reused,
        failed_count=mark.failed,
        remaining=duration_to_pb(mark.remaining_s),
    )


def mark_from_pb(message: job_pb2.StageProgress) -> StageMark:
    """Returns progress."""
    return StageMark(
        message.stage,
        message.done_count,
        message.total_count,
        message.reused_count,
        message.failed_count,
        duration_from_pb(message, "remaining"),
    )


def spec_from_pb(message: reconstruction_service_pb2.ReconstructionJob) -> ReconstructSpec:
    """Returns what a caller wants to have reconstructed.

    Raises:
        ConfigError: a field makes no sense; its id `field` names it.
    """
    field = "reconstruction_job.{}".format
    if not 1 <= len(message.inputs) <= _MOST_INPUTS:
        raise ConfigError(
            f"inputs must be 1 to {_MOST_INPUTS}, got {len(message.inputs)}", field=field("inputs")
        )
    inputs = tuple(
        InputSpec(
            id_of(item.media_asset, "assets", field(f"inputs[{n}].media_asset")),
            id_of(item.trajectory_asset, "assets", field(f"inputs[{n}].trajectory_asset"))
            if item.trajectory_asset
            else None,
        )
        for n, item in enumerate(message.inputs)
    )
    with_cameras = sum(item.trajectory is not None for item in inputs)
    if with_cameras not in (0, len(inputs)):
        raise ConfigError(
            f"{with_cameras} of {len(inputs)} inputs have a trajectory; give each one, or none",
            field=field("inputs"),
        )
    settings = message.settings
    plain = ReconstructSpec(inputs)
    spec = ReconstructSpec(
        inputs=inputs,
        method=chosen(settings.method, _METHODS, field("settings.method")),
        title=checked_title(message.display_name, field("display_name")),
        resolution_px=optional_from_pb(settings, "resolution_px", plain.resolution_px),
        point_density=chosen(settings.point_density, _DENSITIES, field("settings.point_density")),
        refine_depth=optional_from_pb(settings, "refine_depth", plain.refine_depth),
        refine_poses=optional_from_pb(settings, "refine_poses", plain.refine_poses),
        holdout_views=optional_from_pb(settings, "holdout_views", plain.holdout_views),
        voxel_m=optional_from_pb(settings, "voxel_m", None),
        frame_step=optional_from_pb(settings, "frame_step", plain.frame_step),
        textures=optional_from_pb(settings, "textures", plain.textures),
        texture_resolution_px=optional_from_pb(
            settings, "texture_resolution_px", plain.texture_resolution_px
        ),
        max_texture_faces=optional_from_pb(settings, "max_texture_faces", plain.max_texture_faces),
    )
    _check(spec, field)
    return spec


def _check(spec: ReconstructSpec, field: Callable[[str], str]) -> None:
    within(spec.resolution_px, 64, 8192, field("settings.resolution_px"))
    within(spec.frame_step, 1, 1_000_000, field("settings.frame_step"))
    within(spec.holdout_views, 0, 1_000_000, field("settings.holdout_views"))
    within(spec.max_texture_faces, 4, 100_000_000, field("settings.max_texture_faces"))
    if spec.voxel_m is not None:
        within(spec.voxel_m, 1e-9, 1e9, field("settings.voxel_m"))
    try:
        spec.config()
    except ConfigError as error:
        named = _WIRE_NAMES.get(str(error.ids.get("field")), "settings")
        raise ConfigError(error.message, field=field(named)) from error


_WIRE_NAMES = {
    "resolution": "settings.resolution_px",
    "holdout": "settings.holdout_views",
    "voxel_m": "settings.voxel_m",
    "texture_resolution": "settings.texture_resolution_px",
    "max_texture_faces": "settings.max_texture_faces",
}


def spec_to_pb(
    spec: ReconstructSpec, priority: Priority
) -> reconstruction_service_pb2.ReconstructionJob:
    """Returns what is wanted as a message."""
    settings = reconstruction_service_pb2.ReconstructionSettings(
        method=wire(inverse(_METHODS)[spec.method]),
        resolution_px=spec.resolution_px,
        point_density=wire(_DENSITY_NUMBERS[spec.point_density]),
        refine_depth=spec.refine_depth,
        refine_poses=spec.refine_poses,
        holdout_views=spec.holdout_views,
        voxel_m=spec.voxel_m,
        frame_step=spec.frame_step,
        textures=spec.textures,
        texture_resolution_px=spec.texture_resolution_px,
        max_texture_faces=spec.max_texture_faces,
    )
    inputs = [
        reconstruction_service_pb2.ReconstructionInput(
            media_asset=f"assets/{item.media}",
            trajectory_asset="" if item.trajectory is None else f"assets/{item.trajectory}",
        )
        for item in spec.inputs
    ]
    return reconstruction_service_pb2.ReconstructionJob(
        display_name=spec.title,
        inputs=inputs,
        settings=settings,
        priority=wire(_PRIORITY_NUMBERS[priority]),
    )


def _wanted(job: JobRecord) -> reconstruction_service_pb2.ReconstructionJob:
    """What a job was asked to do; of one that another version kept, its name alone."""
    try:
        spec = spec_from_text(job.spec).reconstruct
    except InputError:
        return reconstruction_service_pb2.ReconstructionJob(
            display_name=job.display_name, priority=wire(_PRIORITY_NUMBERS[job.priority])
        )
    if spec is None:
        raise ValueError(f"job {job.id} is no reconstruction")
    return spec_to_pb(spec, job.priority)


def job_to_pb(
    job: JobRecord, *, is_created: bool = True
) -> reconstruction_service_pb2.ReconstructionJob:
    """Returns a reconstruction as a message.

    Args:
        job: The record.
        is_created: False for the answer to a dry run, which has no name.
    """
    message = _wanted(job)
    message.state = state_to_pb(job.state)
    message.degraded = job.degraded
    message.attempt_count = job.attempts
    message.last_sequence = job.last_sequence
    message.gpu_time.CopyFrom(duration_to_pb(job.gpu_s))  # pyright: ignore[reportArgumentType]
    if is_created:
        message.name = f"reconstructionJobs/{job.id}"
    if job.progress is not None:
        message.progress.CopyFrom(mark_to_pb(job.progress))
    if job.fault is not None:
        message.error.CopyFrom(fault_to_pb(job.fault))
    if job.scene_id is not None:
        message.scene = f"scenes/{job.scene_id}"
    for name, seconds in (
        ("create_time", job.create_s),
        ("start_time", job.start_s),
        ("end_time", job.end_s),
    ):
        time = time_to_pb(seconds)
        if time is not None:
            getattr(message, name).CopyFrom(time)
    return message


def job_from_pb(message: reconstruction_service_pb2.ReconstructionJob) -> JobRecord:
    """Returns a reconstruction as its caller sees it."""
    spec = spec_from_pb(message)
    return JobRecord(
        id=message.name.partition("/")[2],
        kind=JobKind.RECONSTRUCT,
        principal="",
        display_name=message.display_name,
        state=chosen(message.state, STATES, "state"),
        priority=priority_from_pb(message.priority),
        spec=encoded(JobSpec(JobKind.RECONSTRUCT, reconstruct=spec)),
        create_s=time_from_pb(message, "create_time") or 0.0,
        start_s=time_from_pb(message, "start_time"),
        end_s=time_from_pb(message, "end_time"),
        attempts=message.attempt_count,
        gpu_s=duration_from_pb(message, "gpu_time") or 0.0,
        scene_id=message.scene.partition("/")[2] or None,
        asset_id=None,
        degraded=message.degraded,
        fault=fault_from_pb(message.error) if message.HasField("error") else None,
        progress=mark_from_pb(message.progress) if message.HasField("progress") else None,
        last_sequence=message.last_sequence,
    )


def operation_to_pb(job: JobRecord, *, is_created: bool = True) -> operation_service_pb2.Operation:
    """Returns an operation as a message; see `job_to_pb`."""
    return operation_service_pb2.Operation(
        name=f"operations/{job.id}" if is_created else "",
        kind=wire(_KIND_NUMBERS[job.kind]),
        scene=f"scenes/{job.scene_id}",
        state=state_to_pb(job.state),
        progress=None if job.progress is None else mark_to_pb(job.progress),
        error=None if job.fault is None else fault_to_pb(job.fault),
        asset="" if job.asset_id is None else f"assets/{job.asset_id}",
        create_time=time_to_pb(job.create_s),
        start_time=time_to_pb(job.start_s),
        end_time=time_to_pb(job.end_s),
        last_sequence=job.last_sequence,
    )


def operation_from_pb(message: operation_service_pb2.Operation) -> JobRecord:
    """Returns an operation as its caller sees it."""
    kind = chosen(message.kind, _KINDS, "kind")
    scene_id = message.scene.partition("/")[2]
    return JobRecord(
        id=message.name.partition("/")[2],
        kind=kind,
        principal="",
        display_name="",
        state=chosen(message.state, STATES, "state"),
        priority=Priority.NORMAL,
        spec=encoded(JobSpec(kind, scene_id=scene_id)),
        create_s=time_from_pb(message, "create_time") or 0.0,
        start_s=time_from_pb(message, "start_time"),
        end_s=time_from_pb(message, "end_time"),
        attempts=0,
        gpu_s=0.0,
        scene_id=scene_id,
        asset_id=message.asset.partition("/")[2] or None,
        degraded=False,
        fault=fault_from_pb(message.error) if message.HasField("error") else None,
        progress=mark_from_pb(message.progress) if message.HasField("progress") else None,
        last_sequence=message.last_sequence,
    )


@dataclass(frozen=True)
class OperationWish:
    """How a caller wants an operation to be made."""

    request_id: str | None
    validate_only: bool
    priority: Priority


def wish_from_pb(message: operation_service_pb2.OperationOptions) -> OperationWish:
    """Returns how an operation shall be made.

    Raises:
        ConfigError: a field makes no sense.
    """
    return OperationWish(
        checked_request_id(message.request_id, "options.request_id"),
        message.validate_only,
        priority_from_pb(message.priority, "options.priority"),
    )
