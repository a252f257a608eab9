"""The PLY of 3DGS, which nearly every viewer and editor of splats reads."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from worldloom.errors import ExportError, InputError
from worldloom.export._files import write_atomically, write_pieces
from worldloom.export._ply_reader import read_tables
from worldloom.export._splat_view import ROWS
from worldloom.scene import Splats

_CLOSEST = 1e-7
"""Opacities are kept this far from 0 and 1, where the logit has no value."""
_MEANS, _DC = ("x", "y", "z"), ("f_dc_0", "f_dc_1", "f_dc_2")
_SCALES = ("scale_0", "scale_1", "scale_2")
_ROTATION = ("rot_0", "rot_1", "rot_2", "rot_3")


def write_splats(splats: Splats, path: Path) -> None:
    """Writes Gaussians in the world of the input, whole or not at all.

    Raises:
        ExportError: there are none, or the file cannot be written.
    """
    if not len(splats):
        raise ExportError("there are no splats; there is nothing to write", format="ply")
    write_atomically(path, _pieces(splats))


def write_splat_ply(splats: Splats, path: Path) -> None:
    """Writes Gaussians: logarithms of scales, logits of opacities, coefficients by channel.

    Columns and their order are those of the reference implementation (Kerbl et al. 2023); normals
    are columns of zeros there too.
    """
    write_pieces(path, _pieces(splats))


def read_splat_ply(path: Path) -> Splats:
    """Reads Gaussians from a PLY of 3DGS, from any program.

    Values come back to single precision: scales and opacities have been through a logarithm.

    Raises:
        InputError: the file cannot be read, or is damaged, or holds no Gaussians.
    """
    table, _ = read_tables(path)
    names = set(table.dtype.names or ())
    rest = 0
    while f"f_rest_{rest}" in names:
        rest += 1
    needed = (*_MEANS, *_DC, *_SCALES, *_ROTATION, "opacity")
    if missing := [name for name in needed if name not in names]:
        raise InputError(
            f"cannot read {path}: it has no {', '.join(missing)}, so it is no PLY of splats",
            path=str(path),
        )
    if rest not in (0, 9, 24, 45):
        raise InputError(
            f"cannot read {path}: {rest} columns f_rest belong to no degree from 0 to 3",
            path=str(path),
        )
    quaternions = _stack(table, _ROTATION)
    length = np.linalg.norm(quaternions, axis=1, keepdims=True)
    base = _stack(table, _DC)[:, None]
    others = _stack(table, tuple(f"f_rest_{k}" for k in range(rest)))
    others = others.reshape(len(table), 3, rest // 3).transpose(0, 2, 1)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return Splats(
            _stack(table, _MEANS),
            np.exp(_stack(table, _SCALES)),
            (quaternions / length).astype(np.float32),
            (1 / (1 + np.exp(-table["opacity"].astype(np.float64)))).astype(np.float32),
            np.concatenate([base, others], axis=1),
        )


def _stack(table: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    columns = np.empty((len(table), len(names)), np.float32)
    for column, name in enumerate(names):
        columns[:, column] = table[name]
    return columns


def _pieces(splats: Splats) -> Iterator[bytes]:
    rest = 3 * (splats.sh.shape[1] - 1)
    names = (
        *(*_MEANS, "nx", "ny", "nz", *_DC),
        *(f"f_rest_{k}" for k in range(rest)),
        *("opacity", *_SCALES, *_ROTATION),
    )
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        "comment Worldloom",
        f"element vertex {len(splats)}",
        *(f"property float {name}" for name in names),
        "end_header",
    ]
    yield "\n".join(lines).encode() + b"\n"
    for first in range(0, len(splats), ROWS):
        part = splats.select(slice(first, first + ROWS))
        opacities = np.clip(part.opacities.astype(np.float64), _CLOSEST, 1 - _CLOSEST)
        columns = (
            part.means_in_world,
            np.zeros((len(part), 3)),
            part.sh[:, 0],
            part.sh[:, 1:].transpose(0, 2, 1).reshape(len(part), rest),
            np.log(opacities / (1 - opacities))[:, None],
            np.log(part.scales_m),
            part.rotations,
        )
        yield np.concatenate(columns, axis=1, dtype="<f4", casting="same_kind").tobytes()
