"""Triangle meshes: cleaned, checked, refined and decimated."""

from worldloom.meshes._cleanup import CleanedMesh as CleanedMesh
from worldloom.meshes._cleanup import cleaned_mesh as cleaned_mesh
from worldloom.meshes._cleanup import without_faces as without_faces
from worldloom.meshes._config import RefinementConfig as RefinementConfig
from worldloom.meshes._decimation import collapsed as collapsed
from worldloom.meshes._decimation import decimate as decimate
from worldloom.meshes._manifold import ManifoldMesh as ManifoldMesh
from worldloom.meshes._manifold import manifold_mesh as manifold_mesh
from worldloom.meshes._refinement import refine_mesh as refine_mesh
from worldloom.meshes._report import MeshReport as MeshReport
from worldloom.meshes._report import mesh_report as mesh_report
from worldloom.meshes._soundness import require_sound as require_sound
