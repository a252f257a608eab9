"""The stage that fuses the blocks of one chunk into faces."""

from dataclasses import dataclass

import numpy as np

from worldloom.bench import Bench
from worldloom.lattice import keys_from_cells
from worldloom.memory import check_depth_map
from worldloom.response import ViewExposure, corrected
from worldloom.scene import Chunk, DepthRef
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey
from worldloom.surface._colors import VertexColors
from worldloom.surface._polygons import polygons, vertices_in_world
from worldloom.surface._view import SurfaceView, surface_view, visible_blocks
from worldloom.surface._volume import Volume

FACES_FILE = "faces.npz"


@dataclass(frozen=True, eq=False)
class FuseChunkWork:
    """A chunk, and the depth maps that say something about it."""

    chunk: Chunk
    views: tuple[DepthRef, ...]
    """By view id, ascending."""
    voxel_m: float
    """Side of a voxel, world unit."""
    truncation_m: float
    """Distance at which the signed distance saturates, world unit."""
    carve_weight: float
    """See `SurfaceConfig`."""
    min_views: int
    """See `SurfaceConfig`."""
    min_confidence: float
    """See `SurfaceConfig`."""
    exposures: tuple[ViewExposure | None, ...]
    """Of the views, in their order: undone before colours are averaged; None takes them as they
    are."""

    @property
    def subject(self) -> str:
        """For people."""
        return f"chunk {self.chunk.chunk_id}"


@dataclass(frozen=True)
class ChunkFaces:
    """The faces of one chunk."""

    chunk_id: int
    artifact: ArtifactKey
    """Artifact with `faces.npz`: `block_keys` (n, ascending), `face_counts` (n), `edge_keys` (v),
    `shares` (v), `colors` (v 3), `faces` (f 3), as in `BlockMesh`."""
    vertices: int
    faces: int
    first_block: int
    """Least Morton key of its blocks."""
    last_block: int
    """Greatest Morton key of its blocks."""


def _view(bench: Bench, ref: DepthRef, work: FuseChunkWork) -> SurfaceView:
    depth_map = bench.depth_map(ref)
    check_depth_map(depth_map)
    return surface_view(depth_map, work.voxel_m, work.truncation_m, work.min_confidence)


def _fuse_chunk(bench: Bench, key: ArtifactKey, work: FuseChunkWork) -> ChunkFaces:
    keys = np.sort(keys_from_cells(np.array(work.chunk.blocks, np.int64).reshape(-1, 3)))
    volume = Volume.empty(keys, work.voxel_m)
    for ref in work.views:
        volume.integrate(_view(bench, ref, work), work.truncation_m, work.carve_weight)
    return write_faces(bench, key, work, volume)


def write_faces(bench: Bench, key: ArtifactKey, work: FuseChunkWork, volume: Volume) -> ChunkFaces:
    """Cuts the surface of a chunk into faces, colours them and writes them.

    Args:
        bench: Store and caches.
        key: Artifact to write to.
        work: The chunk and its views.
        volume: Its blocks, by key, ascending.
    """
    keys = volume.block_keys
    mesh = polygons(volume, work.min_views)
    points = vertices_in_world(mesh.edge_keys, mesh.shares, work.voxel_m)
    colors = VertexColors(points, work.voxel_m, work.truncation_m)
    for ref, exposure in zip(work.views, work.exposures, strict=True) if len(points) else ():
        view = _view(bench, ref, work)
        candidates = np.repeat(visible_blocks(view, keys, work.voxel_m), mesh.vertex_counts)
        image = bench.image(ref.frame, ref.width_px, ref.height_px)
        colors.add(view, image if exposure is None else corrected(image, exposure), candidates)
    bench.write_arrays(
        key,
        FACES_FILE,
        block_keys=keys,
        face_counts=mesh.face_counts,
        edge_keys=mesh.edge_keys,
        shares=mesh.shares,
        colors=colors.colors(),
        faces=mesh.faces,
    )
    return ChunkFaces(
        work.chunk.chunk_id,
        key,
        len(mesh.edge_keys),
        len(mesh.faces),
        first_block=int(keys[0]),
        last_block=int(keys[-1]),
    )


FUSE_CHUNK = Stage("fuse-chunk", 3, Role.CHUNK, ChunkFaces, _fuse_chunk)
"""Fuses depth maps into the faces of one chunk."""
