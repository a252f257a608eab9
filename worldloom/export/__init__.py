"""Writers of the products, the manifest of a scene, and readers that load a scene back."""

from worldloom.export._files import sha256_of as sha256_of
from worldloom.export._files import write_atomically as write_atomically
from worldloom.export._gltf import mesh_glb as mesh_glb
from worldloom.export._manifest import Conventions as Conventions
from worldloom.export._manifest import FileRecord as FileRecord
from worldloom.export._manifest import InputRecord as InputRecord
from worldloom.export._manifest import Manifest as Manifest
from worldloom.export._manifest import ViewRecord as ViewRecord
from worldloom.export._manifest import load_manifest as load_manifest
from worldloom.export._manifest import save_manifest as save_manifest
from worldloom.export._manifest import software_versions as software_versions
from worldloom.export._obj import mesh_obj as mesh_obj
from worldloom.export._ply import cloud_ply as cloud_ply
from worldloom.export._ply import mesh_ply as mesh_ply
from worldloom.export._ply import read_cloud_ply as read_cloud_ply
from worldloom.export._ply import read_mesh_ply as read_mesh_ply
from worldloom.export._preview import PreviewView as PreviewView
from worldloom.export._preview import contact_sheet as contact_sheet
from worldloom.export._preview import pick_views as pick_views
from worldloom.export._scene import MeshFormat as MeshFormat
from worldloom.export._scene import export_scene as export_scene
from worldloom.export._scene import load_scene as load_scene
from worldloom.export._scene import write_cloud as write_cloud
from worldloom.export._scene import write_mesh as write_mesh
