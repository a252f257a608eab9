"""Export of the Gaussian splats of a scene."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from worldloom.errors import ConfigError, ExportError
from worldloom.export._axes import Placement, placement
from worldloom.export._files import staged
from worldloom.export._formats import format_of
from worldloom.export._splat_gltf import write_splat_glb
from worldloom.export._splat_ply import write_splat_ply
from worldloom.export._splat_usd import write_splat_usd
from worldloom.export._splat_view import placed_splats
from worldloom.export._spz import write_spz
from worldloom.scene import ReconstructedScene, Splats

SplatFormat = Literal["ply", "spz", "glb", "usda", "usdc", "usdz"]
SPLAT_FORMATS: tuple[SplatFormat, ...] = get_args(SplatFormat)


@dataclass(frozen=True)
class _Format:
    convention: Literal["y", "declared", "world"]
    has_unit: bool
    write: Callable[[Splats, Path, Placement], None]


def _plain(write: Callable[[Splats, Path], None]) -> Callable[[Splats, Path, Placement], None]:
    return lambda splats, path, _: write(splats, path)


def _usd(splats: Splats, path: Path, place: Placement) -> None:
    write_splat_usd(splats, path, place.up, place.unit_m)


_FORMATS: dict[SplatFormat, _Format] = {
    "ply": _Format("world", False, _plain(write_splat_ply)),
    "spz": _Format("y", False, _plain(write_spz)),
    "glb": _Format("y", True, lambda splats, path, at: write_splat_glb(splats, path, at.unit_m)),
    "usda": _Format("declared", True, _usd),
    "usdc": _Format("declared", True, _usd),
    "usdz": _Format("y", True, _usd),
}


def export_splats(
    scene: ReconstructedScene,
    path: str | os.PathLike[str],
    format: str | None = None,  # noqa: A002, the word of the format's users
    *,
    up: str = "auto",
    axes: str = "format",
    unit_m: float = 1.0,
) -> Path:
    """Writes the Gaussian splats of a scene.

    Where the axes of the file are not those of the world, centres, orientations and the directions
    of colours are turned.

    Args:
        scene: What `reconstruct_scene` or `load_scene` returned.
        path: File to write; without a suffix it gets that of `format`.
        format: ply (3DGS), spz, glb, usda, usdc or usdz; None is told by the suffix.
        up: Axis of the world that points up: x, y, z, -x, -y or -z; `auto` asks the cameras.
        axes: `format`: +y up in spz, glb and usdz, as their readers expect; declared in usda and
            usdc; the world in ply. `world`, `y-up` and `z-up` as they say.
        unit_m: Length of the unit of the world, metres, for glb (scaled by it) and USD (stated).

    Returns:
        The file that was written.

    Raises:
        ExportError: the scene has no splats, the format is none of these or does not go with the
            suffix, or the file cannot be written.
        ConfigError: `up`, `axes` or `unit_m` make no sense.
    """
    kind, file = format_of(Path(path), format, SPLAT_FORMATS, "splat")
    splats = scene.splats
    if splats is None or not len(splats):
        raise ExportError(
            "the scene holds no splats: it was reconstructed as a surface; export the mesh or the "
            "point cloud, or reconstruct it with the method splat or hybrid",
            path=str(file),
            format=kind,
        )
    how = _FORMATS[kind]
    if unit_m != 1 and not how.has_unit:
        raise ConfigError(
            f"{kind} holds no unit of length; leave unit_m out, or export glb or usd",
            field="unit_m",
        )
    place = placement(scene.cameras, up, axes, how.convention, unit_m)
    with staged(file) as temporary:
        how.write(placed_splats(splats, place), temporary, place)
    return file
