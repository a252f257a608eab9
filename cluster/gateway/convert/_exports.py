"""Exports."""

from cluster.gateway.convert._values import chosen, inverse, optional_from_pb, wire, within
from cluster.gateway.identifiers import id_of
from cluster.gateway.specs import JobSpec
from cluster.rpc import export_service_pb2 as pb2
from cluster.worker.task import CameraSpec, CloudSpec, JobKind, MeshSpec, SplatSpec
from worldloom.cameras import TrajectoryFormat
from worldloom.export import Axes, CloudFormat, MeshFormat, SplatFormat

_MESHES: dict[int, MeshFormat] = {
    pb2.MESH_FORMAT_OBJ: "obj",
    pb2.MESH_FORMAT_PLY: "ply",
    pb2.MESH_FORMAT_GLTF: "gltf",
    pb2.MESH_FORMAT_GLB: "glb",
    pb2.MESH_FORMAT_FBX: "fbx",
    pb2.MESH_FORMAT_USDA: "usda",
    pb2.MESH_FORMAT_USDC: "usdc",
    pb2.MESH_FORMAT_USDZ: "usdz",
}
_CLOUDS: dict[int, CloudFormat] = {
    pb2.POINT_CLOUD_FORMAT_PLY: "ply",
    pb2.POINT_CLOUD_FORMAT_PCD: "pcd",
    pb2.POINT_CLOUD_FORMAT_PCD_ASCII: "pcd-ascii",
    pb2.POINT_CLOUD_FORMAT_XYZ: "xyz",
    pb2.POINT_CLOUD_FORMAT_LAS: "las",
    pb2.POINT_CLOUD_FORMAT_LAZ: "laz",
    pb2.POINT_CLOUD_FORMAT_E57: "e57",
}
_CAMERAS: dict[int, TrajectoryFormat] = {
    pb2.CAMERA_FORMAT_WORLDSTEREO: TrajectoryFormat.WORLDSTEREO,
    pb2.CAMERA_FORMAT_TRANSFORMS: TrajectoryFormat.TRANSFORMS,
    pb2.CAMERA_FORMAT_COLMAP_BINARY: TrajectoryFormat.COLMAP_BINARY,
    pb2.CAMERA_FORMAT_COLMAP_TEXT: TrajectoryFormat.COLMAP_TEXT,
    pb2.CAMERA_FORMAT_OPENCV: TrajectoryFormat.OPENCV,
    pb2.CAMERA_FORMAT_TUM: TrajectoryFormat.TUM,
}
_SPLATS: dict[int, SplatFormat] = {
    pb2.SPLAT_FORMAT_PLY: "ply",
    pb2.SPLAT_FORMAT_SPZ: "spz",
    pb2.SPLAT_FORMAT_GLB: "glb",
    pb2.SPLAT_FORMAT_USDA: "usda",
    pb2.SPLAT_FORMAT_USDC: "usdc",
    pb2.SPLAT_FORMAT_USDZ: "usdz",
}
_AXES: dict[int, Axes] = {
    pb2.EXPORT_AXES_UNSPECIFIED: "format",
    pb2.EXPORT_AXES_FORMAT: "format",
    pb2.EXPORT_AXES_WORLD: "world",
    pb2.EXPORT_AXES_Y_UP: "y-up",
    pb2.EXPORT_AXES_Z_UP: "z-up",
}


def mesh_from_pb(message: pb2.ExportMeshRequest) -> JobSpec:
    """Returns what a caller wants to have written.

    Raises:
        ConfigError: a field makes no sense; so in all of these functions.
    """
    resolution = optional_from_pb(message, "texture_resolution_px", None)
    if resolution is not None:
        within(resolution, 64, 8192, "texture_resolution_px")
    unit_m = optional_from_pb(message, "unit_m", 1.0)
    within(unit_m, 1e-9, 1e9, "unit_m")
    spec = MeshSpec(
        chosen(message.format, _MESHES, "format"),
        optional_from_pb(message, "include_textures", True),
        resolution,
        chosen(message.axes, _AXES, "axes"),
        unit_m,
    )
    return JobSpec(JobKind.EXPORT_MESH, id_of(message.scene, "scenes", "scene"), mesh=spec)


def cloud_from_pb(message: pb2.ExportPointCloudRequest) -> JobSpec:
    """Returns which point cloud a caller wants."""
    spec = CloudSpec(
        chosen(message.format, _CLOUDS, "format"),
        optional_from_pb(message, "include_colors", True),
        optional_from_pb(message, "include_normals", True),
        chosen(message.axes, _AXES, "axes"),
    )
    scene_id = id_of(message.scene, "scenes", "scene")
    return JobSpec(JobKind.EXPORT_POINT_CLOUD, scene_id, cloud=spec)


def splats_from_pb(message: pb2.ExportSplatsRequest) -> JobSpec:
    """Returns which splats a caller wants."""
    unit_m = optional_from_pb(message, "unit_m", 1.0)
    within(unit_m, 1e-9, 1e9, "unit_m")
    spec = SplatSpec(
        chosen(message.format, _SPLATS, "format"), chosen(message.axes, _AXES, "axes"), unit_m
    )
    return JobSpec(JobKind.EXPORT_SPLATS, id_of(message.scene, "scenes", "scene"), splats=spec)


def cameras_from_pb(message: pb2.ExportCamerasRequest) -> JobSpec:
    """Returns which cameras a caller wants."""
    spec = CameraSpec(
        chosen(message.format, _CAMERAS, "format"), chosen(message.axes, _AXES, "axes")
    )
    return JobSpec(JobKind.EXPORT_CAMERAS, id_of(message.scene, "scenes", "scene"), cameras=spec)


def mesh_request(scene_id: str, spec: MeshSpec) -> pb2.ExportMeshRequest:
    """Returns the request of a mesh."""
    return pb2.ExportMeshRequest(
        scene=f"scenes/{scene_id}",
        format=wire(inverse(_MESHES)[spec.format]),
        include_textures=spec.include_textures,
        texture_resolution_px=spec.texture_resolution_px,
        axes=wire(inverse(_AXES)[spec.axes]),
        unit_m=spec.unit_m,
    )


def cloud_request(scene_id: str, spec: CloudSpec) -> pb2.ExportPointCloudRequest:
    """Returns the request of a point cloud."""
    return pb2.ExportPointCloudRequest(
        scene=f"scenes/{scene_id}",
        format=wire(inverse(_CLOUDS)[spec.format]),
        include_colors=spec.include_colors,
        include_normals=spec.include_normals,
        axes=wire(inverse(_AXES)[spec.axes]),
    )


def camera_request(scene_id: str, spec: CameraSpec) -> pb2.ExportCamerasRequest:
    """Returns the request of cameras."""
    return pb2.ExportCamerasRequest(
        scene=f"scenes/{scene_id}",
        format=wire(inverse(_CAMERAS)[spec.format]),
        axes=wire(inverse(_AXES)[spec.axes]),
    )


def splat_request(scene_id: str, spec: SplatSpec) -> pb2.ExportSplatsRequest:
    """Returns the request of splats."""
    return pb2.ExportSplatsRequest(
        scene=f"scenes/{scene_id}",
        format=wire(inverse(_SPLATS)[spec.format]),
        axes=wire(inverse(_AXES)[spec.axes]),
        unit_m=spec.unit_m,
    )
