"""Scenes and work on them."""

from collections.abc import Sequence

from cluster.gateway.convert._values import (
    chosen,
    optional_from_pb,
    time_from_pb,
    time_to_pb,
    within,
)
from cluster.gateway.identifiers import id_of
from cluster.gateway.records import SceneRecord
from cluster.gateway.specs import JobSpec
from cluster.rpc import scene_service_pb2 as pb2
from cluster.worker.task import JobKind, OptimizeSpec, RefineSpec, RenderSpec
from worldloom.errors import ConfigError
from worldloom.export import FileRecord, MeshFormat

_MOST_VIEWS = 1000
_FORMATS: dict[int, MeshFormat] = {
    pb2.REFINED_MESH_FORMAT_UNSPECIFIED: "glb",
    pb2.REFINED_MESH_FORMAT_GLB: "glb",
    pb2.REFINED_MESH_FORMAT_PLY: "ply",
}


def scene_to_pb(
    scene: SceneRecord, files: Sequence[FileRecord] = (), warnings: Sequence[str] = ()
) -> pb2.Scene:
    """Returns a scene as a message."""
    return pb2.Scene(
        name=f"scenes/{scene.id}",
        display_name=scene.display_name,
        reconstruction_job=f"reconstructionJobs/{scene.job_id}",
        view_count=scene.views,
        point_count=scene.points,
        face_count=scene.faces,
        degraded=scene.degraded,
        warnings=warnings,
        files=[
            pb2.SceneFile(
                path=file.path,
                kind=file.kind,
                size_bytes=file.bytes,
                sha256=bytes.fromhex(file.sha256),
            )
            for file in files
        ],
        create_time=time_to_pb(scene.create_s),
    )


def scene_from_pb(message: pb2.Scene) -> SceneRecord:
    """Returns a scene; its files stay in the message."""
    return SceneRecord(
        message.name.partition("/")[2],
        message.display_name,
        message.reconstruction_job.partition("/")[2],
        time_from_pb(message, "create_time") or 0.0,
        message.view_count,
        message.point_count,
        message.face_count,
        message.degraded,
    )


def refine_from_pb(message: pb2.RefineMeshRequest) -> JobSpec:
    """Returns how a caller wants a mesh refined.

    Raises:
        ConfigError: a field makes no sense; so in all of these functions.
    """
    share = optional_from_pb(message, "simplify_share", None)
    if share is not None and not 0 < share <= 1:
        raise ConfigError(
            f"simplify_share must be above 0 and at most 1, got {share:g}", field="simplify_share"
        )
    spec = RefineSpec(
        chosen(message.format, _FORMATS, "format"),
        optional_from_pb(message, "remove_outliers", True),
        optional_from_pb(message, "smooth", True),
        optional_from_pb(message, "fill_holes", True),
        share,
    )
    return JobSpec(JobKind.REFINE_MESH, id_of(message.scene, "scenes", "scene"), refine=spec)


def optimize_from_pb(message: pb2.OptimizeTexturesRequest) -> JobSpec:
    """Returns how a caller wants textures optimised."""
    iterations = optional_from_pb(message, "iterations", OptimizeSpec().iterations)
    within(iterations, 1, 1000, "iterations")
    scene_id = id_of(message.scene, "scenes", "scene")
    return JobSpec(JobKind.OPTIMIZE_TEXTURES, scene_id, optimize=OptimizeSpec(iterations))


def render_from_pb(message: pb2.RenderViewsRequest) -> JobSpec:
    """Returns which views a caller wants."""
    views = tuple(dict.fromkeys(message.view_indices))
    if len(views) > _MOST_VIEWS or any(view < 0 for view in views):
        raise ConfigError(
            f"view_indices must be at most {_MOST_VIEWS}, each 0 or more", field="view_indices"
        )
    side_px = optional_from_pb(message, "resolution_px", None)
    if side_px is not None:
        within(side_px, 16, 4096, "resolution_px")
    spec = RenderSpec(views, side_px, optional_from_pb(message, "include_textures", True))
    return JobSpec(JobKind.RENDER_VIEWS, id_of(message.scene, "scenes", "scene"), render=spec)


def refine_request(scene_id: str, spec: RefineSpec) -> pb2.RefineMeshRequest:
    """Returns the request of a refinement."""
    formats = {"glb": pb2.REFINED_MESH_FORMAT_GLB, "ply": pb2.REFINED_MESH_FORMAT_PLY}
    return pb2.RefineMeshRequest(
        scene=f"scenes/{scene_id}",
        remove_outliers=spec.remove_outliers,
        smooth=spec.smooth,
        fill_holes=spec.fill_holes,
        simplify_share=spec.simplify_share,
        format=formats[spec.format],
    )


def optimize_request(scene_id: str, spec: OptimizeSpec) -> pb2.OptimizeTexturesRequest:
    """Returns the request of better textures."""
    return pb2.OptimizeTexturesRequest(scene=f"scenes/{scene_id}", iterations=spec.iterations)


def render_request(scene_id: str, spec: RenderSpec) -> pb2.RenderViewsRequest:
    """Returns the request of views."""
    return pb2.RenderViewsRequest(
        scene=f"scenes/{scene_id}",
        view_indices=spec.view_indices,
        resolution_px=spec.resolution_px,
        include_textures=spec.include_textures,
    )
