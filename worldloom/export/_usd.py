"""OpenUSD: text (usda), binary (usdc), or one archive with its textures (usdz)."""

# pxr fills its modules from C++ when it is imported, where pyright cannot see it.
# pyright: reportAttributeAccessIssue=false

from pathlib import Path
from typing import Any

import numpy as np

from worldloom.errors import ExportError
from worldloom.export._files import write_pieces
from worldloom.export._model import Model, Skin
from worldloom.export._pages import linear_light
from worldloom.export._usd_cameras import add_cameras
from worldloom.export._usd_material import Maps, add_material


def write_usd(model: Model, path: Path) -> None:
    """Writes a layer, and beside it a PNG a texture.

    The stage states `upAxis` and `metersPerUnit`; below `/World`, which turns the world where it
    has neither y nor z up, everything keeps the frame of the input. Textures are read by a
    UsdPreviewSurface through the primvar `st`, one a page; the pages of a mesh are subsets of its
    faces. (`<UDIM>` in a file name would need one material only, but OpenUSD's own checker cannot
    resolve it.) Without textures the surface reads the primvar `displayColor`.
    """
    _write_stage(model, path)


def write_usdz(model: Model, path: Path) -> None:
    """Writes one archive, +y up: a binary layer and its textures.

    Raises:
        ExportError: the archive cannot be made.
    """
    from pxr import Sdf, UsdUtils

    layer = path.with_suffix(".usdc")
    _write_stage(model, layer)
    if not UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(str(layer)), str(path)):
        raise ExportError(
            f"OpenUSD cannot pack {path.name}; export usdc instead", path=str(path), format="usdz"
        )
    for beside in path.parent.iterdir():
        if beside != path:
            beside.unlink()


def _write_stage(model: Model, path: Path) -> None:
    from pxr import Gf, Kind, Tf, Usd, UsdGeom

    stage = Usd.Stage.CreateNew(str(path))
    up = UsdGeom.Tokens.z if model.placement.up == "z" else UsdGeom.Tokens.y
    UsdGeom.SetStageUpAxis(stage, up)
    UsdGeom.SetStageMetersPerUnit(stage, model.placement.unit_m)
    world = UsdGeom.Xform.Define(stage, "/World")
    stage.SetDefaultPrim(world.GetPrim())
    Usd.ModelAPI(world.GetPrim()).SetKind(Kind.Tokens.component)
    if model.placement.is_turned:
        matrix = np.eye(4)
        # USD multiplies rows from the left.
        matrix[:3, :3] = model.placement.turn.T
        world.AddTransformOp().Set(Gf.Matrix4d(matrix.tolist()))
    mesh = UsdGeom.Mesh.Define(stage, "/World/mesh")
    if model.origin_in_world.any():
        mesh.AddTranslateOp().Set(Gf.Vec3d(*model.origin_in_world.tolist()))
    _add_geometry(model, mesh)
    if model.skin is None:
        maps = Maps(color_primvar="displayColor" if model.mesh.colors is not None else None)
        add_material(stage, mesh.GetPrim(), "surface", maps)
    else:
        _add_skin(stage, mesh, model.skin, path)
    add_cameras(stage, "/World/cameras", model.cameras)
    try:
        stage.GetRootLayer().Save()
    except Tf.ErrorException as error:
        raise ExportError(
            f"OpenUSD cannot write {path.name}: {error}", path=str(path), format="usd"
        ) from error


def _add_geometry(model: Model, mesh: Any) -> None:
    from pxr import UsdGeom, Vt

    source = model.mesh
    points = (source.vertices_in_world - model.origin_in_world).astype(np.float32)
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(points))
    mesh.CreateExtentAttr(Vt.Vec3fArray.FromNumpy(np.stack([points.min(0), points.max(0)])))
    counts = np.full(len(source.faces), 3, np.int32)
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(counts))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(source.faces.ravel()))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateDoubleSidedAttr(True)
    if source.normals_in_world is not None:
        mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(source.normals_in_world))
        mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    if source.colors is not None and model.skin is None:
        colors = mesh.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex)
        colors.Set(Vt.Vec3fArray.FromNumpy(linear_light(source.colors)))


def _add_skin(stage: Any, mesh: Any, skin: Skin, path: Path) -> None:
    from pxr import Sdf, UsdGeom, UsdShade, Vt

    unique, index = np.unique(skin.uv.reshape(-1, 2), axis=0, return_inverse=True)
    primvar = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(
        "st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.faceVarying
    )
    primvar.Set(Vt.Vec2fArray.FromNumpy(unique))
    primvar.SetIndices(Vt.IntArray.FromNumpy(index.ravel().astype(np.int32)))
    used = np.unique(skin.page).tolist()
    binding = UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim())
    for number in used:
        page = skin.pages[number]
        prim = mesh.GetPrim()
        if len(used) > 1:
            faces = np.flatnonzero(skin.page == number).astype(np.int32)
            subset = binding.CreateMaterialBindSubset(
                f"page_{page.tile}", Vt.IntArray.FromNumpy(faces)
            )
            prim = subset.GetPrim()
        files = {kind: f"{path.stem}_{kind}.{page.tile}.png" for kind in page.images}
        for kind, name in files.items():
            write_pieces(path.with_name(name), page.png(kind))
        add_material(stage, prim, f"page_{page.tile}", Maps(files=files))
