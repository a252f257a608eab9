"""Stages of a panorama with depth: predictions to one panorama, that to a mesh and to views."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from worldloom.bench import Bench
from worldloom.learned import Prediction, PredictResult, Quantity
from worldloom.panorama._alignment import ViewAlignment, align_views
from worldloom.panorama._blend import blended_distance
from worldloom.panorama._config import LayerConfig
from worldloom.panorama._distance import DistancePanorama, sampled_distance, sampled_nearest
from worldloom.panorama._image import panorama_from_view, view_rays
from worldloom.panorama._layers import layered_surface
from worldloom.panorama._normals import normals_from_distance
from worldloom.panorama._predictions import PredictedView
from worldloom.scene import DepthRef, Frame, Mesh, PointCloud
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey

DISTANCE_FILE = "distance.npz"
COLOR_FILE = "colors.npz"


@dataclass(frozen=True, eq=False)
class JoinWork:
    """Predictions of the views of one panorama, to be joined."""

    name: str
    """Name of the panorama."""
    predictions: tuple[PredictResult, ...]
    quantity: Quantity
    width_px: int
    """Width and height of the predictions."""
    height_px: int
    world_from_pano: Float64[np.ndarray, "4 4"]
    panorama_height_px: int
    """Height of the panorama of distances to make."""

    @property
    def subject(self) -> str:
        """What the item is about, for people."""
        return f"panorama {self.name}"


@dataclass(frozen=True)
class JoinResult:
    """Artifact with `distance.npz`: distance (h w), 0 = unknown, and confidence (h w)."""

    artifact: ArtifactKey
    alignments: tuple[ViewAlignment, ...]
    """Of each prediction."""


def _join(bench: Bench, key: ArtifactKey, work: JoinWork) -> JoinResult:
    views: list[PredictedView] = []
    for result in work.predictions:
        found = bench.arrays(result.artifact, "prediction.npz")
        camera = result.frame.camera.resized(work.width_px, work.height_px)
        rotation = panorama_from_view(camera, work.world_from_pano)
        views.append(PredictedView(camera, rotation, Prediction(found["values"], found["known"])))
    alignments = align_views(views, work.quantity)
    joined = blended_distance(views, alignments, work.quantity, work.panorama_height_px)
    bench.write_arrays(key, DISTANCE_FILE, distance=joined.distance, confidence=joined.confidence)
    return JoinResult(key, alignments)


@dataclass(frozen=True, eq=False)
class LayerWork:
    """A panorama with distances, to be triangulated."""

    name: str
    colors: ArtifactKey
    """Artifact with `colors.npz`: rgb (h w 3), data (h w)."""
    distance: ArtifactKey
    """Artifact with `distance.npz`, of the same size."""
    world_from_pano: Float64[np.ndarray, "4 4"]
    config: LayerConfig
    cloud_step: int
    """Every so many-th vertex, both ways, becomes a point."""

    @property
    def subject(self) -> str:
        """What the item is about, for people."""
        return f"panorama {self.name}"


@dataclass(frozen=True)
class LayerResult:
    """Artifact with `mesh.npz` and `cloud.npz`: the array fields of `Mesh` and `PointCloud`."""

    artifact: ArtifactKey
    shown_vertices: int
    """Vertices of what the panorama shows; those filled in behind come after them."""
    shown_faces: int
    vertices: int
    faces: int


def _layers(bench: Bench, key: ArtifactKey, work: LayerWork) -> LayerResult:
    colors = bench.arrays(work.colors, COLOR_FILE)
    found = bench.arrays(work.distance, DISTANCE_FILE)
    distance = np.where(colors["data"], found["distance"], np.float32(0))
    panorama = DistancePanorama(distance, found["confidence"])
    made = layered_surface(
        colors["rgb"], panorama, work.world_from_pano, work.config, work.cloud_step
    )
    mesh, cloud = made.mesh, made.cloud
    assert mesh.colors is not None  # a layered mesh has both
    assert mesh.normals_in_world is not None
    bench.write_arrays(
        key,
        "mesh.npz",
        vertices_in_world=mesh.vertices_in_world,
        faces=mesh.faces,
        colors=mesh.colors,
        normals_in_world=mesh.normals_in_world,
    )
    bench.write_arrays(
        key,
        "cloud.npz",
        points_in_world=cloud.points_in_world,
        normals_in_world=cloud.normals_in_world,
        colors=cloud.colors,
        confidence=cloud.confidence,
        count=cloud.count,
    )
    size = len(mesh.vertices_in_world), len(mesh.faces)
    return LayerResult(key, made.shown_vertices, made.shown_faces, *size)


def load_layers(bench: Bench, result: LayerResult) -> tuple[Mesh, PointCloud]:
    """Reads the mesh and the cloud of a layered panorama."""
    mesh = Mesh(**bench.arrays(result.artifact, "mesh.npz"))
    return mesh, PointCloud(**bench.arrays(result.artifact, "cloud.npz"))


@dataclass(frozen=True, eq=False)
class ViewDepthWork:
    """A view of a panorama whose depth is wanted."""

    frame: Frame
    distance: ArtifactKey
    """Artifact with `distance.npz`."""
    world_from_pano: Float64[np.ndarray, "4 4"]
    width_px: int
    height_px: int

    @property
    def subject(self) -> str:
        """What the item is about, for people."""
        return f"view {self.frame.view_id} ({self.frame.name})"


@dataclass(frozen=True, eq=False)
class ViewDepthResult:
    """Artifact with `depth.npz`: the array fields of `DepthMap`."""

    depth: DepthRef
    near: float
    """Depth along +z, world unit; 0 where nothing is known."""
    far: float
    kept_share: float
    """Share of pixels with a depth."""


def _view_depth(bench: Bench, key: ArtifactKey, work: ViewDepthWork) -> ViewDepthResult:
    found = bench.arrays(work.distance, DISTANCE_FILE)
    camera = work.frame.camera.resized(work.width_px, work.height_px)
    rays = view_rays(camera) @ panorama_from_view(camera, work.world_from_pano).T
    length = np.linalg.norm(rays, axis=-1)
    depth = sampled_distance(found["distance"], rays) / length
    depth = np.where(bench.mask(work.frame, work.width_px, work.height_px), depth, 0)
    confidence = np.where(depth > 0, sampled_nearest(found["confidence"], rays), 0)
    normals = normals_from_distance(found["distance"], rays / length[..., None])
    bench.write_arrays(
        key,
        "depth.npz",
        depth=depth.astype(np.float32),
        confidence=confidence.astype(np.float32),
        normal_in_world=np.where(
            (depth > 0)[..., None], normals @ work.world_from_pano[:3, :3].T, 0
        ).astype(np.float32),
    )
    known = depth[depth > 0]
    near, far = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    ref = DepthRef(work.frame, key, work.width_px, work.height_px)
    return ViewDepthResult(ref, near, far, float((depth > 0).mean()))


JOIN = Stage("panorama_join", 1, Role.MERGER, JoinResult, _join)
"""Work: `JoinWork`."""

LAYERS = Stage("panorama_layers", 1, Role.MERGER, LayerResult, _layers)
"""Work: `LayerWork`."""

VIEW_DEPTH = Stage("panorama_depth", 1, Role.DEPTH, ViewDepthResult, _view_depth)
"""Work: `ViewDepthWork`."""
