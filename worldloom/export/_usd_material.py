"""A UsdPreviewSurface and what it reads (UsdPreviewSurface specification 2.6)."""

# pxr fills its modules from C++ when it is imported, where pyright cannot see it.
# pyright: reportAttributeAccessIssue=false

from dataclasses import dataclass, field
from typing import Any

from worldloom.scene import TextureKind

_LOOKS = "/World/looks"


@dataclass(frozen=True)
class Maps:
    """Where the colours and the other properties of a surface come from."""

    files: dict[TextureKind, str] = field(default_factory=dict[TextureKind, str])
    """Image of each kind, beside the layer."""
    color_primvar: str | None = None
    """Primvar that holds the colour where there is no image of it."""


def add_material(stage: Any, prim: Any, name: str, maps: Maps) -> None:
    """Adds a material below `/World/looks` and binds a prim to it."""
    from pxr import Gf, Sdf, UsdGeom, UsdShade

    UsdGeom.Scope.Define(stage, _LOOKS)
    material = UsdShade.Material.Define(stage, f"{_LOOKS}/{name}")
    surface = _shader(stage, material, "surface", "UsdPreviewSurface")
    surface.CreateInput("metallic", Sdf.ValueTypeNames.Float).Set(0.0)
    color = surface.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f)
    roughness = surface.CreateInput("roughness", Sdf.ValueTypeNames.Float)
    color.Set(Gf.Vec3f(0.18))
    roughness.Set(1.0)
    if maps.files:
        coordinates = _shader(stage, material, "st", "UsdPrimvarReader_float2")
        coordinates.CreateInput("varname", Sdf.ValueTypeNames.String).Set("st")
        st = coordinates.CreateOutput("result", Sdf.ValueTypeNames.Float2)
        if "albedo" in maps.files:
            image = _texture(stage, material, "albedo", maps.files, st)
            image.CreateInput("sourceColorSpace", Sdf.ValueTypeNames.Token).Set("sRGB")
            color.ConnectToSource(image.CreateOutput("rgb", Sdf.ValueTypeNames.Float3))
        if "roughness" in maps.files:
            image = _texture(stage, material, "roughness", maps.files, st)
            image.CreateInput("sourceColorSpace", Sdf.ValueTypeNames.Token).Set("raw")
            roughness.ConnectToSource(image.CreateOutput("r", Sdf.ValueTypeNames.Float))
        if "normal" in maps.files:
            image = _texture(stage, material, "normal", maps.files, st)
            image.CreateInput("sourceColorSpace", Sdf.ValueTypeNames.Token).Set("raw")
            # From 0..1 to -1..1, as the specification asks of 8-bit images.
            image.CreateInput("scale", Sdf.ValueTypeNames.Float4).Set(Gf.Vec4f(2, 2, 2, 1))
            image.CreateInput("bias", Sdf.ValueTypeNames.Float4).Set(Gf.Vec4f(-1, -1, -1, 0))
            normal = surface.CreateInput("normal", Sdf.ValueTypeNames.Normal3f)
            normal.ConnectToSource(image.CreateOutput("rgb", Sdf.ValueTypeNames.Float3))
    elif maps.color_primvar is not None:
        reader = _shader(stage, material, "color", "UsdPrimvarReader_float3")
        reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set(maps.color_primvar)
        color.ConnectToSource(reader.CreateOutput("result", Sdf.ValueTypeNames.Float3))
    material.CreateSurfaceOutput().ConnectToSource(
        surface.CreateOutput("surface", Sdf.ValueTypeNames.Token)
    )
    UsdShade.MaterialBindingAPI.Apply(prim).Bind(material)


def _shader(stage: Any, material: Any, name: str, kind: str) -> Any:
    from pxr import UsdShade

    shader = UsdShade.Shader.Define(stage, material.GetPath().AppendChild(name))
    shader.CreateIdAttr(kind)
    return shader


def _texture(
    stage: Any, material: Any, kind: TextureKind, files: dict[TextureKind, str], st: Any
) -> Any:
    from pxr import Sdf

    image = _shader(stage, material, kind, "UsdUVTexture")
    image.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(Sdf.AssetPath(f"./{files[kind]}"))
    image.CreateInput("st", Sdf.ValueTypeNames.Float2).ConnectToSource(st)
    for side in ("wrapS", "wrapT"):
        image.CreateInput(side, Sdf.ValueTypeNames.Token).Set("clamp")
    return image
