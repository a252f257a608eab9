import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class QualityScores(_message.Message):
    __slots__ = ("completeness", "geometric_consistency", "texture_quality", "view_consistency")
    COMPLETENESS_FIELD_NUMBER: _ClassVar[int]
    GEOMETRIC_CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    TEXTURE_QUALITY_FIELD_NUMBER: _ClassVar[int]
    VIEW_CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    completeness: float
    geometric_consistency: float
    texture_quality: float
    view_consistency: float
    def __init__(self, completeness: _Optional[float] = ..., geometric_consistency: _Optional[float] = ..., texture_quality: _Optional[float] = ..., view_consistency: _Optional[float] = ...) -> None: ...

class GetSceneMetricsRequest(_message.Message):
    __slots__ = ("scene",)
    SCENE_FIELD_NUMBER: _ClassVar[int]
    scene: str
    def __init__(self, scene: _Optional[str] = ...) -> None: ...

class SceneMetrics(_message.Message):
    __slots__ = ("scene", "scores", "measurements")
    class MeasurementsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    SCENE_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    MEASUREMENTS_FIELD_NUMBER: _ClassVar[int]
    scene: str
    scores: QualityScores
    measurements: _containers.ScalarMap[str, float]
    def __init__(self, scene: _Optional[str] = ..., scores: _Optional[_Union[QualityScores, _Mapping]] = ..., measurements: _Optional[_Mapping[str, float]] = ...) -> None: ...

class GetClusterMetricsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ClusterNode(_message.Message):
    __slots__ = ("node_id", "alive", "cpu_count", "gpu_count", "memory_bytes")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    CPU_COUNT_FIELD_NUMBER: _ClassVar[int]
    GPU_COUNT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    alive: bool
    cpu_count: float
    gpu_count: float
    memory_bytes: int
    def __init__(self, node_id: _Optional[str] = ..., alive: _Optional[bool] = ..., cpu_count: _Optional[float] = ..., gpu_count: _Optional[float] = ..., memory_bytes: _Optional[int] = ...) -> None: ...

class ClusterMetrics(_message.Message):
    __slots__ = ("sample_time", "nodes", "queued_jobs", "running_jobs", "succeeded_last_hour", "failed_last_hour", "watchers", "oldest_wait")
    SAMPLE_TIME_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    QUEUED_JOBS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_JOBS_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_LAST_HOUR_FIELD_NUMBER: _ClassVar[int]
    FAILED_LAST_HOUR_FIELD_NUMBER: _ClassVar[int]
    WATCHERS_FIELD_NUMBER: _ClassVar[int]
    OLDEST_WAIT_FIELD_NUMBER: _ClassVar[int]
    sample_time: _timestamp_pb2.Timestamp
    nodes: _containers.RepeatedCompositeFieldContainer[ClusterNode]
    queued_jobs: int
    running_jobs: int
    succeeded_last_hour: int
    failed_last_hour: int
    watchers: int
    oldest_wait: _duration_pb2.Duration
    def __init__(self, sample_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., nodes: _Optional[_Iterable[_Union[ClusterNode, _Mapping]]] = ..., queued_jobs: _Optional[int] = ..., running_jobs: _Optional[int] = ..., succeeded_last_hour: _Optional[int] = ..., failed_last_hour: _Optional[int] = ..., watchers: _Optional[int] = ..., oldest_wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WatchClusterMetricsRequest(_message.Message):
    __slots__ = ("interval",)
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    interval: _duration_pb2.Duration
    def __init__(self, interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WatchClusterMetricsResponse(_message.Message):
    __slots__ = ("metrics",)
    METRICS_FIELD_NUMBER: _ClassVar[int]
    metrics: ClusterMetrics
    def __init__(self, metrics: _Optional[_Union[ClusterMetrics, _Mapping]] = ...) -> None: ...
