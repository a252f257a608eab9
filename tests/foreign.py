"""Readers that are not the writers, as far as pip brings them: trimesh, OpenUSD, Assimp."""

import ctypes
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from PIL import Image

from tests.painting import colored, painted
from worldloom.export._assimp import library


def looked_at_by_trimesh(path: Path) -> np.ndarray:
    """Places and colours as trimesh reads an obj, ply, gltf or glb.

    It drops vertex colours of glTF where there is a material, and all textures of a ply but one.
    """
    loaded: Any = trimesh.load(path, process=False)
    geometries = loaded.dump() if isinstance(loaded, trimesh.Scene) else [loaded]
    rows = []
    for geometry in geometries:
        corners = geometry.vertices[geometry.faces]
        material = getattr(geometry.visual, "material", None)
        image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
        if image is not None:
            uv = geometry.visual.uv[geometry.faces]
            picture = np.asarray(image.convert("RGB"))
            rows.append(painted(corners, uv, [picture], np.zeros(len(uv), int)))
        else:
            colors = np.asarray(geometry.visual.vertex_colors, float)[:, :3] / 255
            rows.append(colored(corners, colors[geometry.faces]))
    return np.concatenate(rows)


def looked_at_by_usd(path: Path) -> np.ndarray:
    """Places and colours as OpenUSD reads a usda, usdc or usdz, in the axes of the stage."""
    from pxr import Usd, UsdGeom, UsdShade

    stage = Usd.Stage.Open(str(path))
    mesh = UsdGeom.Mesh(stage.GetPrimAtPath("/World/mesh"))
    matrix = np.array(UsdGeom.XformCache().GetLocalToWorldTransform(mesh.GetPrim()))
    points = np.array(mesh.GetPointsAttr().Get(), float)
    points = points @ matrix[:3, :3] + matrix[3, :3]
    faces = np.array(mesh.GetFaceVertexIndicesAttr().Get()).reshape(-1, 3)
    primvars = UsdGeom.PrimvarsAPI(mesh)
    st = primvars.GetPrimvar("st")
    if not st:
        linear = np.array(primvars.GetPrimvar("displayColor").Get())
        return colored(points[faces], _srgb(linear)[faces])
    uv = np.array(st.ComputeFlattened()).reshape(-1, 3, 2)
    bound = [mesh.GetPrim()]
    faces_of = [np.arange(len(faces))]
    subsets = UsdShade.MaterialBindingAPI(mesh.GetPrim()).GetMaterialBindSubsets()
    if subsets:
        bound = [subset.GetPrim() for subset in subsets]
        faces_of = [np.array(subset.GetIndicesAttr().Get()) for subset in subsets]
    images, image_of_face = [], np.full(len(faces), -1)
    for number, (prim, own) in enumerate(zip(bound, faces_of, strict=True)):
        material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()
        surface, *_ = material.ComputeSurfaceSource()
        source = surface.GetInput("diffuseColor").GetConnectedSources()[0][0].source
        asset = UsdShade.Shader(source).GetInput("file").Get()
        images.append(_picture(asset.resolvedPath))
        image_of_face[own] = number
    assert (image_of_face >= 0).all()
    return painted(points[faces], uv, images, image_of_face)


def looked_at_by_assimp(path: Path, textured: bool) -> np.ndarray:
    """Places and colours as Assimp reads an fbx: it is turned into a glb or obj for trimesh."""
    loaded = library()
    loaded.aiImportFile.restype = ctypes.c_void_p
    scene = loaded.aiImportFile(str(path).encode(), 0)
    assert scene, loaded.aiGetErrorString()
    with tempfile.TemporaryDirectory() as folder:
        kind = "glb2" if textured else "objnomtl"
        place = Path(folder) / f"scene.{kind[:3]}"
        # A function of its own: the argument types of the other are those of the writer.
        export = loaded["aiExportScene"]
        export.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint)
        code = export(scene, kind.encode(), str(place).encode(), 0)
        assert code == 0, loaded.aiGetErrorString()
        return looked_at_by_trimesh(place)


def _picture(path: str) -> np.ndarray:
    from pxr import Ar

    with Ar.GetResolver().OpenAsset(Ar.ResolvedPath(path)) as asset:
        data = bytes(asset.GetBuffer())
    with tempfile.TemporaryFile() as file:
        file.write(data)
        return np.asarray(Image.open(file).convert("RGB"))


def _srgb(linear: np.ndarray) -> np.ndarray:
    curved = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, curved)
