import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from cluster.rpc import job_pb2 as _job_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReconstructionMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RECONSTRUCTION_METHOD_UNSPECIFIED: _ClassVar[ReconstructionMethod]
    RECONSTRUCTION_METHOD_MVS: _ClassVar[ReconstructionMethod]
    RECONSTRUCTION_METHOD_SPLAT: _ClassVar[ReconstructionMethod]
    RECONSTRUCTION_METHOD_HYBRID: _ClassVar[ReconstructionMethod]
    RECONSTRUCTION_METHOD_NEURAL: _ClassVar[ReconstructionMethod]

class PointDensity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POINT_DENSITY_UNSPECIFIED: _ClassVar[PointDensity]
    POINT_DENSITY_LOW: _ClassVar[PointDensity]
    POINT_DENSITY_MEDIUM: _ClassVar[PointDensity]
    POINT_DENSITY_HIGH: _ClassVar[PointDensity]
RECONSTRUCTION_METHOD_UNSPECIFIED: ReconstructionMethod
RECONSTRUCTION_METHOD_MVS: ReconstructionMethod
RECONSTRUCTION_METHOD_SPLAT: ReconstructionMethod
RECONSTRUCTION_METHOD_HYBRID: ReconstructionMethod
RECONSTRUCTION_METHOD_NEURAL: ReconstructionMethod
POINT_DENSITY_UNSPECIFIED: PointDensity
POINT_DENSITY_LOW: PointDensity
POINT_DENSITY_MEDIUM: PointDensity
POINT_DENSITY_HIGH: PointDensity

class ReconstructionInput(_message.Message):
    __slots__ = ("media_asset", "trajectory_asset")
    MEDIA_ASSET_FIELD_NUMBER: _ClassVar[int]
    TRAJECTORY_ASSET_FIELD_NUMBER: _ClassVar[int]
    media_asset: str
    trajectory_asset: str
    def __init__(self, media_asset: _Optional[str] = ..., trajectory_asset: _Optional[str] = ...) -> None: ...

class ReconstructionSettings(_message.Message):
    __slots__ = ("method", "resolution_px", "point_density", "refine_depth", "refine_poses", "holdout_views", "voxel_m", "frame_step", "textures", "texture_resolution_px", "max_texture_faces")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_PX_FIELD_NUMBER: _ClassVar[int]
    POINT_DENSITY_FIELD_NUMBER: _ClassVar[int]
    REFINE_DEPTH_FIELD_NUMBER: _ClassVar[int]
    REFINE_POSES_FIELD_NUMBER: _ClassVar[int]
    HOLDOUT_VIEWS_FIELD_NUMBER: _ClassVar[int]
    VOXEL_M_FIELD_NUMBER: _ClassVar[int]
    FRAME_STEP_FIELD_NUMBER: _ClassVar[int]
    TEXTURES_FIELD_NUMBER: _ClassVar[int]
    TEXTURE_RESOLUTION_PX_FIELD_NUMBER: _ClassVar[int]
    MAX_TEXTURE_FACES_FIELD_NUMBER: _ClassVar[int]
    method: ReconstructionMethod
    resolution_px: int
    point_density: PointDensity
    refine_depth: bool
    refine_poses: bool
    holdout_views: int
    voxel_m: float
    frame_step: int
    textures: bool
    texture_resolution_px: int
    max_texture_faces: int
    def __init__(self, method: _Optional[_Union[ReconstructionMethod, str]] = ..., resolution_px: _Optional[int] = ..., point_density: _Optional[_Union[PointDensity, str]] = ..., refine_depth: _Optional[bool] = ..., refine_poses: _Optional[bool] = ..., holdout_views: _Optional[int] = ..., voxel_m: _Optional[float] = ..., frame_step: _Optional[int] = ..., textures: _Optional[bool] = ..., texture_resolution_px: _Optional[int] = ..., max_texture_faces: _Optional[int] = ...) -> None: ...

class ReconstructionJob(_message.Message):
    __slots__ = ("name", "display_name", "inputs", "settings", "priority", "state", "progress", "error", "scene", "degraded", "create_time", "start_time", "end_time", "attempt_count", "gpu_time", "last_sequence")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SCENE_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_COUNT_FIELD_NUMBER: _ClassVar[int]
    GPU_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    inputs: _containers.RepeatedCompositeFieldContainer[ReconstructionInput]
    settings: ReconstructionSettings
    priority: _job_pb2.JobPriority
    state: _job_pb2.JobState
    progress: _job_pb2.StageProgress
    error: _job_pb2.JobError
    scene: str
    degraded: bool
    create_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    attempt_count: int
    gpu_time: _duration_pb2.Duration
    last_sequence: int
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[ReconstructionInput, _Mapping]]] = ..., settings: _Optional[_Union[ReconstructionSettings, _Mapping]] = ..., priority: _Optional[_Union[_job_pb2.JobPriority, str]] = ..., state: _Optional[_Union[_job_pb2.JobState, str]] = ..., progress: _Optional[_Union[_job_pb2.StageProgress, _Mapping]] = ..., error: _Optional[_Union[_job_pb2.JobError, _Mapping]] = ..., scene: _Optional[str] = ..., degraded: _Optional[bool] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., attempt_count: _Optional[int] = ..., gpu_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., last_sequence: _Optional[int] = ...) -> None: ...

class CreateReconstructionJobRequest(_message.Message):
    __slots__ = ("reconstruction_job", "request_id", "validate_only")
    RECONSTRUCTION_JOB_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    reconstruction_job: ReconstructionJob
    request_id: str
    validate_only: bool
    def __init__(self, reconstruction_job: _Optional[_Union[ReconstructionJob, _Mapping]] = ..., request_id: _Optional[str] = ..., validate_only: _Optional[bool] = ...) -> None: ...

class GetReconstructionJobRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListReconstructionJobsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "state")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    state: _job_pb2.JobState
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., state: _Optional[_Union[_job_pb2.JobState, str]] = ...) -> None: ...

class ListReconstructionJobsResponse(_message.Message):
    __slots__ = ("reconstruction_jobs", "next_page_token")
    RECONSTRUCTION_JOBS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    reconstruction_jobs: _containers.RepeatedCompositeFieldContainer[ReconstructionJob]
    next_page_token: str
    def __init__(self, reconstruction_jobs: _Optional[_Iterable[_Union[ReconstructionJob, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CancelReconstructionJobRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteReconstructionJobRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class WatchReconstructionJobRequest(_message.Message):
    __slots__ = ("name", "after_sequence", "include_previews")
    NAME_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_PREVIEWS_FIELD_NUMBER: _ClassVar[int]
    name: str
    after_sequence: int
    include_previews: bool
    def __init__(self, name: _Optional[str] = ..., after_sequence: _Optional[int] = ..., include_previews: _Optional[bool] = ...) -> None: ...

class WatchReconstructionJobResponse(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: _job_pb2.JobEvent
    def __init__(self, event: _Optional[_Union[_job_pb2.JobEvent, _Mapping]] = ...) -> None: ...
