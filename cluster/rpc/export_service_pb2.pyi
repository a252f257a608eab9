from cluster.rpc import operation_service_pb2 as _operation_service_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MeshFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MESH_FORMAT_UNSPECIFIED: _ClassVar[MeshFormat]
    MESH_FORMAT_OBJ: _ClassVar[MeshFormat]
    MESH_FORMAT_PLY: _ClassVar[MeshFormat]
    MESH_FORMAT_GLTF: _ClassVar[MeshFormat]
    MESH_FORMAT_GLB: _ClassVar[MeshFormat]
    MESH_FORMAT_FBX: _ClassVar[MeshFormat]
    MESH_FORMAT_USDA: _ClassVar[MeshFormat]
    MESH_FORMAT_USDC: _ClassVar[MeshFormat]
    MESH_FORMAT_USDZ: _ClassVar[MeshFormat]

class PointCloudFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POINT_CLOUD_FORMAT_UNSPECIFIED: _ClassVar[PointCloudFormat]
    POINT_CLOUD_FORMAT_PLY: _ClassVar[PointCloudFormat]
    POINT_CLOUD_FORMAT_PCD: _ClassVar[PointCloudFormat]
    POINT_CLOUD_FORMAT_PCD_ASCII: _ClassVar[PointCloudFormat]
    POINT_CLOUD_FORMAT_XYZ: _ClassVar[PointCloudFormat]
    POINT_CLOUD_FORMAT_LAS: _ClassVar[PointCloudFormat]
    POINT_CLOUD_FORMAT_LAZ: _ClassVar[PointCloudFormat]
    POINT_CLOUD_FORMAT_E57: _ClassVar[PointCloudFormat]

class CameraFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CAMERA_FORMAT_UNSPECIFIED: _ClassVar[CameraFormat]
    CAMERA_FORMAT_WORLDSTEREO: _ClassVar[CameraFormat]
    CAMERA_FORMAT_TRANSFORMS: _ClassVar[CameraFormat]
    CAMERA_FORMAT_COLMAP_BINARY: _ClassVar[CameraFormat]
    CAMERA_FORMAT_COLMAP_TEXT: _ClassVar[CameraFormat]
    CAMERA_FORMAT_OPENCV: _ClassVar[CameraFormat]
    CAMERA_FORMAT_TUM: _ClassVar[CameraFormat]

class SplatFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SPLAT_FORMAT_UNSPECIFIED: _ClassVar[SplatFormat]
    SPLAT_FORMAT_PLY: _ClassVar[SplatFormat]
    SPLAT_FORMAT_SPZ: _ClassVar[SplatFormat]
    SPLAT_FORMAT_GLB: _ClassVar[SplatFormat]
    SPLAT_FORMAT_USDA: _ClassVar[SplatFormat]
    SPLAT_FORMAT_USDC: _ClassVar[SplatFormat]
    SPLAT_FORMAT_USDZ: _ClassVar[SplatFormat]

class ExportAxes(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXPORT_AXES_UNSPECIFIED: _ClassVar[ExportAxes]
    EXPORT_AXES_FORMAT: _ClassVar[ExportAxes]
    EXPORT_AXES_WORLD: _ClassVar[ExportAxes]
    EXPORT_AXES_Y_UP: _ClassVar[ExportAxes]
    EXPORT_AXES_Z_UP: _ClassVar[ExportAxes]
MESH_FORMAT_UNSPECIFIED: MeshFormat
MESH_FORMAT_OBJ: MeshFormat
MESH_FORMAT_PLY: MeshFormat
MESH_FORMAT_GLTF: MeshFormat
MESH_FORMAT_GLB: MeshFormat
MESH_FORMAT_FBX: MeshFormat
MESH_FORMAT_USDA: MeshFormat
MESH_FORMAT_USDC: MeshFormat
MESH_FORMAT_USDZ: MeshFormat
POINT_CLOUD_FORMAT_UNSPECIFIED: PointCloudFormat
POINT_CLOUD_FORMAT_PLY: PointCloudFormat
POINT_CLOUD_FORMAT_PCD: PointCloudFormat
POINT_CLOUD_FORMAT_PCD_ASCII: PointCloudFormat
POINT_CLOUD_FORMAT_XYZ: PointCloudFormat
POINT_CLOUD_FORMAT_LAS: PointCloudFormat
POINT_CLOUD_FORMAT_LAZ: PointCloudFormat
POINT_CLOUD_FORMAT_E57: PointCloudFormat
CAMERA_FORMAT_UNSPECIFIED: CameraFormat
CAMERA_FORMAT_WORLDSTEREO: CameraFormat
CAMERA_FORMAT_TRANSFORMS: CameraFormat
CAMERA_FORMAT_COLMAP_BINARY: CameraFormat
CAMERA_FORMAT_COLMAP_TEXT: CameraFormat
CAMERA_FORMAT_OPENCV: CameraFormat
CAMERA_FORMAT_TUM: CameraFormat
SPLAT_FORMAT_UNSPECIFIED: SplatFormat
SPLAT_FORMAT_PLY: SplatFormat
SPLAT_FORMAT_SPZ: SplatFormat
SPLAT_FORMAT_GLB: SplatFormat
SPLAT_FORMAT_USDA: SplatFormat
SPLAT_FORMAT_USDC: SplatFormat
SPLAT_FORMAT_USDZ: SplatFormat
EXPORT_AXES_UNSPECIFIED: ExportAxes
EXPORT_AXES_FORMAT: ExportAxes
EXPORT_AXES_WORLD: ExportAxes
EXPORT_AXES_Y_UP: ExportAxes
EXPORT_AXES_Z_UP: ExportAxes

class ExportMeshRequest(_message.Message):
    __slots__ = ("scene", "format", "include_textures", "texture_resolution_px", "axes", "unit_m", "options")
    SCENE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_TEXTURES_FIELD_NUMBER: _ClassVar[int]
    TEXTURE_RESOLUTION_PX_FIELD_NUMBER: _ClassVar[int]
    AXES_FIELD_NUMBER: _ClassVar[int]
    UNIT_M_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    scene: str
    format: MeshFormat
    include_textures: bool
    texture_resolution_px: int
    axes: ExportAxes
    unit_m: float
    options: _operation_service_pb2.OperationOptions
    def __init__(self, scene: _Optional[str] = ..., format: _Optional[_Union[MeshFormat, str]] = ..., include_textures: _Optional[bool] = ..., texture_resolution_px: _Optional[int] = ..., axes: _Optional[_Union[ExportAxes, str]] = ..., unit_m: _Optional[float] = ..., options: _Optional[_Union[_operation_service_pb2.OperationOptions, _Mapping]] = ...) -> None: ...

class ExportPointCloudRequest(_message.Message):
    __slots__ = ("scene", "format", "include_colors", "include_normals", "axes", "options")
    SCENE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_COLORS_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_NORMALS_FIELD_NUMBER: _ClassVar[int]
    AXES_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    scene: str
    format: PointCloudFormat
    include_colors: bool
    include_normals: bool
    axes: ExportAxes
    options: _operation_service_pb2.OperationOptions
    def __init__(self, scene: _Optional[str] = ..., format: _Optional[_Union[PointCloudFormat, str]] = ..., include_colors: _Optional[bool] = ..., include_normals: _Optional[bool] = ..., axes: _Optional[_Union[ExportAxes, str]] = ..., options: _Optional[_Union[_operation_service_pb2.OperationOptions, _Mapping]] = ...) -> None: ...

class ExportSplatsRequest(_message.Message):
    __slots__ = ("scene", "format", "options", "axes", "unit_m")
    SCENE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    AXES_FIELD_NUMBER: _ClassVar[int]
    UNIT_M_FIELD_NUMBER: _ClassVar[int]
    scene: str
    format: SplatFormat
    options: _operation_service_pb2.OperationOptions
    axes: ExportAxes
    unit_m: float
    def __init__(self, scene: _Optional[str] = ..., format: _Optional[_Union[SplatFormat, str]] = ..., options: _Optional[_Union[_operation_service_pb2.OperationOptions, _Mapping]] = ..., axes: _Optional[_Union[ExportAxes, str]] = ..., unit_m: _Optional[float] = ...) -> None: ...

class ExportCamerasRequest(_message.Message):
    __slots__ = ("scene", "format", "axes", "options")
    SCENE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    AXES_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    scene: str
    format: CameraFormat
    axes: ExportAxes
    options: _operation_service_pb2.OperationOptions
    def __init__(self, scene: _Optional[str] = ..., format: _Optional[_Union[CameraFormat, str]] = ..., axes: _Optional[_Union[ExportAxes, str]] = ..., options: _Optional[_Union[_operation_service_pb2.OperationOptions, _Mapping]] = ...) -> None: ...
