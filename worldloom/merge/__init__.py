"""The merge: chunks held against the memory, joined at their borders, one owner for every place."""

from worldloom.merge._alignment import ALIGN_CHUNK as ALIGN_CHUNK
from worldloom.merge._alignment import AlignWork as AlignWork
from worldloom.merge._alignment import ChunkAlignment as ChunkAlignment
from worldloom.merge._alignment import Similarity as Similarity
from worldloom.merge._config import AlignmentConfig as AlignmentConfig
from worldloom.merge._join import JOIN as JOIN
from worldloom.merge._parts import MAKE_PART as MAKE_PART
from worldloom.merge._parts import PART_FILE as PART_FILE
from worldloom.merge._parts import MeshPart as MeshPart
from worldloom.merge._pieces import FIND_PIECES as FIND_PIECES
from worldloom.merge._seams import Seam as Seam
from worldloom.merge._surface import Merge as Merge
from worldloom.merge._surface import MergedMesh as MergedMesh
from worldloom.merge._surface import load_mesh as load_mesh
from worldloom.merge._surface import merge_chunks as merge_chunks
from worldloom.merge._surface import mesh_parts as mesh_parts
