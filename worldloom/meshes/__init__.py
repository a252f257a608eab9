"""Triangle meshes: cleaned, checked and decimated."""

from worldloom.meshes._cleanup import CleanedMesh as CleanedMesh
from worldloom.meshes._cleanup import cleaned_mesh as cleaned_mesh
from worldloom.meshes._cleanup import without_faces as without_faces
from worldloom.meshes._decimation import decimate as decimate
from worldloom.meshes._report import MeshReport as MeshReport
from worldloom.meshes._report import mesh_report as mesh_report
from worldloom.meshes._soundness import require_sound as require_sound
