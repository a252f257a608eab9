import datetime

from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from cluster.rpc import operation_service_pb2 as _operation_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RefinedMeshFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REFINED_MESH_FORMAT_UNSPECIFIED: _ClassVar[RefinedMeshFormat]
    REFINED_MESH_FORMAT_GLB: _ClassVar[RefinedMeshFormat]
    REFINED_MESH_FORMAT_PLY: _ClassVar[RefinedMeshFormat]
REFINED_MESH_FORMAT_UNSPECIFIED: RefinedMeshFormat
REFINED_MESH_FORMAT_GLB: RefinedMeshFormat
REFINED_MESH_FORMAT_PLY: RefinedMeshFormat

class SceneFile(_message.Message):
    __slots__ = ("path", "kind", "size_bytes", "sha256")
    PATH_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    path: str
    kind: str
    size_bytes: int
    sha256: bytes
    def __init__(self, path: _Optional[str] = ..., kind: _Optional[str] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[bytes] = ...) -> None: ...

class Scene(_message.Message):
    __slots__ = ("name", "display_name", "reconstruction_job", "view_count", "point_count", "face_count", "degraded", "warnings", "files", "create_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    RECONSTRUCTION_JOB_FIELD_NUMBER: _ClassVar[int]
    VIEW_COUNT_FIELD_NUMBER: _ClassVar[int]
    POINT_COUNT_FIELD_NUMBER: _ClassVar[int]
    FACE_COUNT_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    reconstruction_job: str
    view_count: int
    point_count: int
    face_count: int
    degraded: bool
    warnings: _containers.RepeatedScalarFieldContainer[str]
    files: _containers.RepeatedCompositeFieldContainer[SceneFile]
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., reconstruction_job: _Optional[str] = ..., view_count: _Optional[int] = ..., point_count: _Optional[int] = ..., face_count: _Optional[int] = ..., degraded: _Optional[bool] = ..., warnings: _Optional[_Iterable[str]] = ..., files: _Optional[_Iterable[_Union[SceneFile, _Mapping]]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetSceneRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListScenesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListScenesResponse(_message.Message):
    __slots__ = ("scenes", "next_page_token")
    SCENES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    scenes: _containers.RepeatedCompositeFieldContainer[Scene]
    next_page_token: str
    def __init__(self, scenes: _Optional[_Iterable[_Union[Scene, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteSceneRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DownloadSceneFileRequest(_message.Message):
    __slots__ = ("name", "path", "offset_bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    OFFSET_BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    path: str
    offset_bytes: int
    def __init__(self, name: _Optional[str] = ..., path: _Optional[str] = ..., offset_bytes: _Optional[int] = ...) -> None: ...

class DownloadSceneFileResponse(_message.Message):
    __slots__ = ("offset_bytes", "data", "crc32c")
    OFFSET_BYTES_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    CRC32C_FIELD_NUMBER: _ClassVar[int]
    offset_bytes: int
    data: bytes
    crc32c: int
    def __init__(self, offset_bytes: _Optional[int] = ..., data: _Optional[bytes] = ..., crc32c: _Optional[int] = ...) -> None: ...

class RefineMeshRequest(_message.Message):
    __slots__ = ("scene", "remove_outliers", "smooth", "fill_holes", "simplify_share", "format", "options")
    SCENE_FIELD_NUMBER: _ClassVar[int]
    REMOVE_OUTLIERS_FIELD_NUMBER: _ClassVar[int]
    SMOOTH_FIELD_NUMBER: _ClassVar[int]
    FILL_HOLES_FIELD_NUMBER: _ClassVar[int]
    SIMPLIFY_SHARE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    scene: str
    remove_outliers: bool
    smooth: bool
    fill_holes: bool
    simplify_share: float
    format: RefinedMeshFormat
    options: _operation_service_pb2.OperationOptions
    def __init__(self, scene: _Optional[str] = ..., remove_outliers: _Optional[bool] = ..., smooth: _Optional[bool] = ..., fill_holes: _Optional[bool] = ..., simplify_share: _Optional[float] = ..., format: _Optional[_Union[RefinedMeshFormat, str]] = ..., options: _Optional[_Union[_operation_service_pb2.OperationOptions, _Mapping]] = ...) -> None: ...

class OptimizeTexturesRequest(_message.Message):
    __slots__ = ("scene", "iterations", "options")
    SCENE_FIELD_NUMBER: _ClassVar[int]
    ITERATIONS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    scene: str
    iterations: int
    options: _operation_service_pb2.OperationOptions
    def __init__(self, scene: _Optional[str] = ..., iterations: _Optional[int] = ..., options: _Optional[_Union[_operation_service_pb2.OperationOptions, _Mapping]] = ...) -> None: ...

class RenderViewsRequest(_message.Message):
    __slots__ = ("scene", "view_indices", "resolution_px", "include_textures", "options")
    SCENE_FIELD_NUMBER: _ClassVar[int]
    VIEW_INDICES_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_PX_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_TEXTURES_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    scene: str
    view_indices: _containers.RepeatedScalarFieldContainer[int]
    resolution_px: int
    include_textures: bool
    options: _operation_service_pb2.OperationOptions
    def __init__(self, scene: _Optional[str] = ..., view_indices: _Optional[_Iterable[int]] = ..., resolution_px: _Optional[int] = ..., include_textures: _Optional[bool] = ..., options: _Optional[_Union[_operation_service_pb2.OperationOptions, _Mapping]] = ...) -> None: ...
