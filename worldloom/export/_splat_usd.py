"""Splats in OpenUSD 26: the schema ParticleField3DGaussianSplat."""

# pxr fills its modules from C++ when it is imported, where pyright cannot see it.
# pyright: reportAttributeAccessIssue=false

from pathlib import Path

import numpy as np

from worldloom.errors import ExportError, InputError
from worldloom.export._splat_view import extent_of, flat_colors
from worldloom.scene import Splats

_PRIM = "/World/splats"


def write_splat_usd(splats: Splats, path: Path, up: str, unit_m: float) -> None:
    """Writes a layer with one field of Gaussians; usda, usdc or usdz by the name of the file.

    Coefficients stand Gaussian by Gaussian, in the order of 3DGS; viewers without the schema can
    draw the primvars `displayColor` and `displayOpacity`.

    Args:
        splats: Gaussians, in axes of which `up` points up.
        path: The file.
        up: y or z.
        unit_m: Length of their unit, metres.

    Raises:
        ExportError: OpenUSD cannot write it.
    """
    from pxr import Sdf, Tf, UsdUtils

    layer = path.with_suffix(".usdc") if path.suffix.lower() == ".usdz" else path
    try:
        _write_layer(splats, layer, up, unit_m)
    except Tf.ErrorException as error:
        raise ExportError(
            f"OpenUSD cannot write {path.name}: {error}", path=str(path), format="usd"
        ) from error
    if layer == path:
        return
    if not UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(str(layer)), str(path)):
        raise ExportError(
            f"OpenUSD cannot pack {path.name}; export usdc instead", path=str(path), format="usdz"
        )
    layer.unlink()


def read_splat_usd(path: Path) -> Splats:
    """Reads the Gaussians that `write_splat_usd` wrote, in the axes and the unit of the file.

    Raises:
        InputError: the file cannot be read, or holds no such field.
    """
    from pxr import Tf, Usd, UsdVol

    try:
        stage = Usd.Stage.Open(str(path))
    except Tf.ErrorException as error:
        raise InputError(f"cannot read {path}: {error}", path=str(path)) from error
    field = UsdVol.ParticleField3DGaussianSplat(stage.GetPrimAtPath(_PRIM))
    if not field:
        raise InputError(
            f"cannot read {path}: it has no ParticleField3DGaussianSplat at {_PRIM}",
            path=str(path),
        )
    turns = [(turn.GetReal(), *turn.GetImaginary()) for turn in field.GetOrientationsAttr().Get()]
    degree = int(field.GetRadianceSphericalHarmonicsDegreeAttr().Get())
    sh = np.array(field.GetRadianceSphericalHarmonicsCoefficientsAttr().Get(), np.float32)
    return Splats(
        np.array(field.GetPositionsAttr().Get(), np.float32),
        np.array(field.GetScalesAttr().Get(), np.float32),
        np.array(turns, np.float32),
        np.array(field.GetOpacitiesAttr().Get(), np.float32),
        sh.reshape(len(turns), (degree + 1) ** 2, 3),
    )


def _write_layer(splats: Splats, path: Path, up: str, unit_m: float) -> None:
    from pxr import Kind, Usd, UsdGeom, UsdVol, Vt

    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z if up == "z" else UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, unit_m)
    world = UsdGeom.Xform.Define(stage, "/World")
    stage.SetDefaultPrim(world.GetPrim())
    Usd.ModelAPI(world.GetPrim()).SetKind(Kind.Tokens.component)
    field = UsdVol.ParticleField3DGaussianSplat.Define(stage, _PRIM)
    field.CreatePositionsAttr(Vt.Vec3fArray.FromNumpy(splats.means_in_world))
    field.CreateScalesAttr(Vt.Vec3fArray.FromNumpy(splats.scales_m))
    # The buffer of a quatf holds the imaginary part first.
    xyzw = np.ascontiguousarray(np.roll(splats.rotations, -1, axis=1))
    field.CreateOrientationsAttr(Vt.QuatfArray.FromNumpy(xyzw))
    field.CreateOpacitiesAttr(Vt.FloatArray.FromNumpy(splats.opacities))
    field.CreateRadianceSphericalHarmonicsDegreeAttr(splats.sh_degree)
    coefficients = np.ascontiguousarray(splats.sh.reshape(-1, 3))
    field.CreateRadianceSphericalHarmonicsCoefficientsAttr(Vt.Vec3fArray.FromNumpy(coefficients))
    field.CreateExtentAttr(Vt.Vec3fArray.FromNumpy(extent_of(splats)))
    color = field.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex)
    color.Set(Vt.Vec3fArray.FromNumpy(flat_colors(splats)))
    opacity = field.CreateDisplayOpacityPrimvar(UsdGeom.Tokens.vertex)
    opacity.Set(Vt.FloatArray.FromNumpy(splats.opacities))
    stage.GetRootLayer().Save()
