"""The surface: depth maps fused on one lattice, cut into faces chunk by chunk, merged exactly."""

from worldloom.surface._chunk import FACES_FILE as FACES_FILE
from worldloom.surface._chunk import FUSE_CHUNK as FUSE_CHUNK
from worldloom.surface._chunk import ChunkFaces as ChunkFaces
from worldloom.surface._chunk import FuseChunkWork as FuseChunkWork
from worldloom.surface._chunk import write_faces as write_faces
from worldloom.surface._config import SurfaceConfig as SurfaceConfig
from worldloom.surface._normals import vertex_normals as vertex_normals
from worldloom.surface._plan import active_blocks as active_blocks
from worldloom.surface._plan import plan_chunks as plan_chunks
from worldloom.surface._polygons import BlockMesh as BlockMesh
from worldloom.surface._polygons import polygons as polygons
from worldloom.surface._polygons import vertices_in_world as vertices_in_world
from worldloom.surface._view import SurfaceView as SurfaceView
from worldloom.surface._view import surface_view as surface_view
from worldloom.surface._volume import Volume as Volume
