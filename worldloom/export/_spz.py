"""SPZ, Niantic's compressed splats: a tenth of the PLY, at 8 to 24 bits a value.

The format is published at https://github.com/nianticlabs/spz (README and load-spz.cc); version 3
is written, 2 and 3 are read.
"""

import gzip
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from worldloom.errors import ExportError, InputError
from worldloom.export._files import write_pieces
from worldloom.scene import Splats

_MAGIC, _VERSION = 0x5053474E, 3
_HEADER = struct.Struct("<IIIBBBB")
_MOST_BITS = 16
"""Bits behind the point of a position: 15 millionths of a unit; more would be below its noise."""
_COLOR = 0.15
"""Slope of the stored base colour, so that coefficients up to 3.3 have a place."""
_BUCKETS = {1: 8, 2: 16, 3: 16}
"""Coefficients are rounded to whole buckets of their 8 bits, by degree, as the reference does by
default; zip takes advantage of it."""
_MAGNITUDE = 511
"""Largest value of the 9 bits of a component of a rotation, which is at most sqrt(1/2)."""


def write_spz(splats: Splats, path: Path) -> None:
    """Writes Gaussians at the precision of SPZ; coefficients beyond -1 and 1 are cut.

    Raises:
        ExportError: a centre lies too far from the origin for 24 bits.
    """
    data = b"".join(_packed(splats))
    # No time in the file: the same splats, the same bytes.
    write_pieces(path, gzip.compress(data, compresslevel=6, mtime=0))


def read_spz(path: Path) -> Splats:
    """Reads Gaussians.

    Raises:
        InputError: the file cannot be read, is damaged, or of another version.
    """
    try:
        data = zlib.decompress(path.read_bytes(), 16 + zlib.MAX_WBITS)
        magic, version, count, degree, bits, flags, _ = _HEADER.unpack_from(data)
    except (OSError, zlib.error, struct.error) as error:
        raise _unreadable(path, str(error)) from error
    if magic != _MAGIC or version not in (2, 3) or degree > 3 or bits > 24:
        raise _unreadable(path, f"it is no SPZ of version 2 or 3 and degree 0 to 3 ({version=})")
    if flags & 2:
        raise _unreadable(path, "it has extensions of a vendor, which are not understood")
    rest = (degree + 1) ** 2 - 1
    widths = (9, 1, 3, 3, 4 if version == 3 else 3, 3 * rest)
    if len(data) != _HEADER.size + count * sum(widths):
        raise _unreadable(path, "its length is not that of its header")
    start, columns = _HEADER.size, list[np.ndarray]()
    for width in widths:
        column = np.frombuffer(data, np.uint8, count * width, start)
        columns.append(column.reshape(count, width))
        start += count * width
    positions, alphas, colors, scales, rotations, sh = columns
    base = (colors.astype(np.float32) / 255 - 0.5) / _COLOR
    others = (sh.astype(np.float32) - 128) / 128
    return Splats(
        _from_24_bits(positions) / np.float32(2**bits),
        np.exp(scales.astype(np.float32) / 16 - 10),
        (_from_three if version == 3 else _from_xyz)(rotations),
        alphas[:, 0].astype(np.float32) / 255,
        np.concatenate([base[:, None], others.reshape(count, rest, 3)], axis=1),
    )


def _packed(splats: Splats) -> Iterator[bytes]:
    reach = float(np.abs(splats.means_in_world).max(initial=0))
    bits = _MOST_BITS
    while bits and reach * 2**bits >= 2**23 - 1:
        bits -= 1
    if reach * 2**bits >= 2**23 - 1:
        raise ExportError(
            f"a splat lies {reach:.6g} from the origin, beyond the 24 bits of spz; export ply",
            format="spz",
        )
    yield _HEADER.pack(_MAGIC, _VERSION, len(splats), splats.sh_degree, bits, 0, 0)
    fixed = np.rint(splats.means_in_world.astype(np.float64) * 2**bits).astype("<i4")
    yield fixed.reshape(-1, 1).view(np.uint8)[:, :3].tobytes()
    yield _bytes(splats.opacities * 255)
    yield _bytes(splats.sh[:, 0] * (_COLOR * 255) + 127.5)
    yield _bytes((np.log(splats.scales_m) + 10) * 16)
    yield _smallest_three(splats.rotations)
    levels = np.rint(splats.sh[:, 1:] * 128) + 128
    for degree in range(1, splats.sh_degree + 1):
        band, bucket = slice(degree**2 - 1, (degree + 1) ** 2 - 1), _BUCKETS[degree]
        levels[:, band] = np.floor((levels[:, band] + bucket // 2) / bucket) * bucket
    yield _bytes(levels)


def _bytes(values: Float[np.ndarray, "..."]) -> bytes:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8).tobytes()


def _smallest_three(rotations: Float[np.ndarray, "n 4"]) -> bytes:
    """Two bits that name the largest component, and sign and magnitude of the three others."""
    xyzw = np.roll(rotations.astype(np.float64), -1, axis=1)
    xyzw /= np.linalg.norm(xyzw, axis=1, keepdims=True)
    rows = np.arange(len(xyzw))
    largest = np.abs(xyzw).argmax(axis=1)
    # A rotation and its negative are the same; the largest is taken as positive.
    xyzw *= np.where(xyzw[rows, largest] < 0, -1, 1)[:, None]
    packed = largest.astype(np.uint32)
    for component in range(4):
        value = xyzw[:, component]
        magnitude = np.minimum(np.rint(np.abs(value) * np.sqrt(2) * _MAGNITUDE), _MAGNITUDE)
        code = magnitude.astype(np.uint32) | ((value < 0).astype(np.uint32) << np.uint32(9))
        shifted = (packed << np.uint32(10)) | code
        packed = np.where(largest == component, packed, shifted)
    return packed.astype("<u4").tobytes()


def _from_three(rotations: UInt8[np.ndarray, "n 4"]) -> np.ndarray:
    packed = np.ascontiguousarray(rotations).view("<u4")[:, 0].copy()
    largest = packed >> 30
    xyzw = np.zeros((len(packed), 4))
    for component in (3, 2, 1, 0):
        here = largest != component
        magnitude = (packed & 511) / (_MAGNITUDE * np.sqrt(2))
        value = np.where(packed & 512, -magnitude, magnitude)
        xyzw[here, component] = value[here]
        packed = np.where(here, packed >> np.uint32(10), packed)
    left = np.sqrt(np.maximum(1 - (xyzw**2).sum(axis=1), 0))
    xyzw[np.arange(len(xyzw)), largest] = left
    return _unit_wxyz(xyzw)


def _from_xyz(rotations: UInt8[np.ndarray, "n 3"]) -> np.ndarray:
    xyz = rotations.astype(np.float64) / 127.5 - 1
    w = np.sqrt(np.maximum(1 - (xyz**2).sum(axis=1, keepdims=True), 0))
    return _unit_wxyz(np.concatenate([xyz, w], axis=1))


def _unit_wxyz(xyzw: np.ndarray) -> np.ndarray:
    unit = xyzw / np.linalg.norm(xyzw, axis=1, keepdims=True)
    return np.roll(unit, 1, axis=1).astype(np.float32)


def _from_24_bits(positions: UInt8[np.ndarray, "n 9"]) -> np.ndarray:
    parts = positions.reshape(-1, 3, 3).astype(np.int32)
    value = parts[..., 0] | (parts[..., 1] << 8) | (parts[..., 2] << 16)
    return np.where(value >= 2**23, value - 2**24, value).astype(np.float32)


def _unreadable(path: Path, reason: str) -> InputError:
    return InputError(f"cannot read {path}: {reason}; export the splats again", path=str(path))
