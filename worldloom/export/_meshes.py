"""Export of the mesh of a scene."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from worldloom.errors import ExportError
from worldloom.export._axes import placement
from worldloom.export._fbx import write_fbx
from worldloom.export._files import staged
from worldloom.export._formats import format_of
from worldloom.export._gltf import write_glb, write_gltf
from worldloom.export._model import Model, textured_model
from worldloom.export._obj import write_obj
from worldloom.export._ply import write_model
from worldloom.export._rebake import with_resolution
from worldloom.export._usd import write_usd, write_usdz
from worldloom.scene import ReconstructedScene

MeshFormat = Literal["obj", "ply", "gltf", "glb", "fbx", "usda", "usdc", "usdz"]
MESH_FORMATS: tuple[MeshFormat, ...] = get_args(MeshFormat)


@dataclass(frozen=True)
class _Writer:
    write: Callable[[Model, Path], None]
    convention: Literal["y", "declared", "world"]
    """What its readers take for up."""


_WRITERS: dict[MeshFormat, _Writer] = {
    "obj": _Writer(write_obj, "y"),
    "ply": _Writer(write_model, "world"),
    "gltf": _Writer(write_gltf, "y"),
    "glb": _Writer(write_glb, "y"),
    "fbx": _Writer(write_fbx, "y"),
    "usda": _Writer(write_usd, "declared"),
    "usdc": _Writer(write_usd, "declared"),
    "usdz": _Writer(write_usdz, "y"),
}


def export_mesh(
    scene: ReconstructedScene,
    path: str | os.PathLike[str],
    format: str | None = None,  # noqa: A002, the word of the format's users
    include_textures: bool = True,
    texture_resolution: int | None = None,
    *,
    up: str = "auto",
    axes: str = "format",
    unit_m: float = 1.0,
    store_uri: str | None = None,
) -> Path:
    """Writes the mesh of a scene: with its textures where it has some, else with vertex colours.

    Files that a format keeps beside it (materials, textures, buffers) are written to the same
    folder, under names that begin with that of the file. All appear when they are complete.

    Args:
        scene: What `reconstruct_scene` or `load_scene` returned.
        path: File to write; without a suffix it gets that of `format`.
        format: obj, ply, gltf, glb, fbx, usda, usdc or usdz; None is told by the suffix.
        include_textures: Write the unwrapped mesh with its textures. False, or a scene without
            textures, writes the full mesh with colours at its vertices.
        texture_resolution: Longer side of each texture, pixels; None keeps that of the bake. For
            more than that the textures are baked anew, which needs the artifact store of the scene.
        up: Axis of the world that points up: x, y, z, -x, -y or -z; `auto` asks the cameras.
        axes: `format` turns the world to what readers of the format expect (+y up in obj, gltf,
            glb, fbx and usdz; usda and usdc say which; ply keeps the world); `world` keeps the
            axes of the input, `y-up` and `z-up` turn it.
        unit_m: Length of the unit of the world in metres: glTF is scaled to metres, USD and FBX
            state it, the others hold no unit.
        store_uri: Where the artifact store of the scene is; None for where it was.

    Returns:
        The file that was written.

    Raises:
        ExportError: the format is none of these or does not go with the suffix, the mesh is empty,
            the resolution is above that of the bake and the store is gone, or a file cannot be
            written.
        ConfigError: `up`, `axes` or `unit_m` make no sense.
    """
    kind, file = format_of(Path(path), format, MESH_FORMATS, "mesh")
    writer = _WRITERS[kind]
    place = placement(scene.cameras, up, axes, writer.convention, unit_m)
    try:
        if include_textures:
            scene = with_resolution(scene, texture_resolution, store_uri)
        model = textured_model(scene, place, include_textures, texture_resolution)
        with staged(file) as temporary:
            writer.write(model, temporary)
    except ExportError as error:
        # Whoever found it does not know what the file is called in the end.
        raise ExportError(
            error.message, **{**error.ids, "path": str(file), "format": kind}
        ) from error
    return file
