"""Normals of the fine surface in the tangent space of the light one.

Tangents are those of MikkTSpace (Mikkelsen, "Simulation of wrinkled surfaces revisited", 2008),
which glTF, Blender and most engines expect: the derivative of the place by u, made orthogonal to
the normal, averaged by angle over the faces of a chart around a vertex; a renderer mixes normal and
tangent between the corners and takes the bitangent as their cross product, times the sign.
"""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64, UInt8

from worldloom.render import RayCaster
from worldloom.scene import Mesh
from worldloom.texture._texels import Texels

_CHUNK = 1_000_000
_LEAST_COSINE = 0.1
"""A fine normal that leans further is of the back of something thin, or of noise."""


@dataclass(frozen=True, eq=False)
class TangentSpace:
    """Normals and tangents at the corners of faces."""

    normal: Float32[np.ndarray, "f 3 3"]
    tangent: Float32[np.ndarray, "f 3 3"]
    sign: Float32[np.ndarray, "f"]
    """1, or -1 where the chart is mirrored: bitangent = sign * normal x tangent."""


def tangent_space(
    corners_in_world: Float64[np.ndarray, "f 3 3"],
    normals: Float32[np.ndarray, "f 3 3"],
    uv: Float64[np.ndarray, "f 3 2"],
    groups: Int64[np.ndarray, "f 3"],
) -> TangentSpace:
    """Returns the tangent space of faces.

    Args:
        corners_in_world: Corners.
        normals: Unit normals at the corners.
        uv: Texture coordinates.
        groups: The same number for corners that share a vertex and a chart.
    """
    p, q = (corners_in_world[:, k] - corners_in_world[:, 0] for k in (1, 2))
    s, t = (uv[:, k] - uv[:, 0] for k in (1, 2))
    area = s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]
    along = (p * t[:, 1:] - q * s[:, 1:]) * np.sign(area)[:, None]
    flat = along[:, None] - (along[:, None] * normals).sum(axis=-1, keepdims=True) * normals
    flat /= np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), 1e-20)
    weighted = flat * _angles(corners_in_world)[..., None]
    summed = np.stack(
        [np.bincount(groups.ravel(), weighted[..., c].ravel()) for c in range(3)], axis=1
    )
    tangent = summed[groups]
    tangent -= (tangent * normals).sum(axis=-1, keepdims=True) * normals
    tangent /= np.maximum(np.linalg.norm(tangent, axis=-1, keepdims=True), 1e-20)
    return TangentSpace(
        normals, tangent.astype(np.float32), np.where(area < 0, -1, 1).astype(np.float32)
    )


def _angles(corners: Float64[np.ndarray, "f 3 3"]) -> Float64[np.ndarray, "f 3"]:
    before = np.roll(corners, 1, axis=1) - corners
    after = np.roll(corners, -1, axis=1) - corners
    lengths = np.linalg.norm(before, axis=-1) * np.linalg.norm(after, axis=-1)
    return np.arccos(np.clip((before * after).sum(axis=-1) / np.maximum(lengths, 1e-300), -1, 1))


def around(mesh: Mesh, points_in_world: Float64[np.ndarray, "n 3"], reach_m: float) -> Mesh:
    """Returns the faces of a mesh that may lie within `reach_m` of some points."""
    vertices = mesh.vertices_in_world
    low, high = points_in_world.min(axis=0) - reach_m, points_in_world.max(axis=0) + reach_m
    near = ((vertices >= low) & (vertices <= high)).all(axis=1)
    faces = mesh.faces[near[mesh.faces].any(axis=1)]
    used = np.zeros(len(vertices), bool)
    used[faces] = True
    assert mesh.normals_in_world is not None  # the surface stage writes them
    return Mesh(
        vertices[used],
        (np.cumsum(used) - 1)[faces].astype(np.int32).reshape(-1, 3),
        None,
        mesh.normals_in_world[used],
    )


def normal_map(
    texels: Texels,
    corners_in_world: Float64[np.ndarray, "f 3 3"],
    space: TangentSpace,
    fine: Mesh,
    reach_m: float,
) -> UInt8[np.ndarray, "n 3"]:
    """Returns the normals of the fine surface at texels, tangent space, +Y up, 128 = 0.

    A ray along the normal of the light surface, from `reach_m` before it to as far behind it, finds
    the fine one; where it finds none the map is flat.

    Args:
        texels: Where.
        corners_in_world: Corners of the faces of the light surface.
        space: Its tangent space.
        fine: The fine surface there, with normals.
        reach_m: Greatest distance between the two.
    """
    encoded = np.empty((len(texels), 3), np.uint8)
    origin = corners_in_world.reshape(-1, 3).mean(axis=0)
    assert fine.normals_in_world is not None  # the surface stage writes them
    caster = RayCaster(fine.vertices_in_world - origin, fine.faces)
    for start in range(0, len(texels), _CHUNK):
        rows = slice(start, start + _CHUNK)
        face, mix = texels.face[rows], texels.barycentric[rows]
        starts, directions = _rays(face, mix, corners_in_world - origin, space.normal, reach_m)
        hits = caster.cast(starts, directions)
        fine_normals = _mixed(hits.face, hits.barycentric, fine.faces, fine.normals_in_world)
        encoded[rows] = _encoded(
            face,
            mix,
            space.normal,
            space.tangent,
            space.sign,
            fine_normals,
            (hits.face >= 0) & (hits.distance <= 1),
        )
    return encoded


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _mix_of(bary: np.ndarray, out: np.ndarray) -> None:
    total = 0.0
    for k in range(3):
        out[k] = max(np.float64(bary[k]), 0.0)
        total += out[k]
    for k in range(3):
        out[k] /= total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _blended(values: np.ndarray, mix: np.ndarray, out: np.ndarray) -> None:
    """Mean of three vectors, of unit length."""
    length = 0.0
    for c in range(3):
        out[c] = mix[0] * values[0, c] + mix[1] * values[1, c] + mix[2] * values[2, c]
        length += out[c] ** 2
    for c in range(3):
        out[c] /= max(np.sqrt(length), 1e-20)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _rays(
    face: np.ndarray, bary: np.ndarray, corners: np.ndarray, normals: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rays through texels; a hit counts within two reaches, the length of the direction."""
    starts = np.empty((len(face), 3), np.float32)
    directions = np.empty((len(face), 3), np.float32)
    mix, normal = np.empty(3), np.empty(3)
    for n in range(len(face)):
        f = face[n]
        _mix_of(bary[n], mix)
        _blended(normals[f], mix, normal)
        for c in range(3):
            place = (
                mix[0] * corners[f, 0, c] + mix[1] * corners[f, 1, c] + mix[2] * corners[f, 2, c]
            )
            starts[n, c] = place + reach * normal[c]
            directions[n, c] = -2.0 * reach * normal[c]
    return starts, directions


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _mixed(
    face: np.ndarray, bary: np.ndarray, faces: np.ndarray, normals: np.ndarray
) -> np.ndarray:
    out = np.zeros((len(face), 3), np.float32)
    for n in range(len(face)):
        if face[n] < 0:
            continue
        for c in range(3):
            for k in range(3):
                out[n, c] += bary[n, k] * normals[faces[face[n], k], c]
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _encoded(
    face: np.ndarray,
    bary: np.ndarray,
    normals: np.ndarray,
    tangents: np.ndarray,
    sign: np.ndarray,
    fine: np.ndarray,
    found: np.ndarray,
) -> np.ndarray:
    out = np.empty((len(face), 3), np.uint8)
    mix, normal, tangent = np.empty(3), np.empty(3), np.empty(3)
    for n in range(len(face)):
        f = face[n]
        _mix_of(bary[n], mix)
        _blended(normals[f], mix, normal)
        _blended(tangents[f], mix, tangent)
        length = np.sqrt((fine[n].astype(np.float64) ** 2).sum())
        x, y, z = 0.0, 0.0, 1.0
        if found[n] and length > 0.0:
            bx = sign[f] * (normal[1] * tangent[2] - normal[2] * tangent[1])
            by = sign[f] * (normal[2] * tangent[0] - normal[0] * tangent[2])
            bz = sign[f] * (normal[0] * tangent[1] - normal[1] * tangent[0])
            gx = (
                fine[n, 0] * tangent[0] + fine[n, 1] * tangent[1] + fine[n, 2] * tangent[2]
            ) / length
            gy = (fine[n, 0] * bx + fine[n, 1] * by + fine[n, 2] * bz) / length
            gz = (fine[n, 0] * normal[0] + fine[n, 1] * normal[1] + fine[n, 2] * normal[2]) / length
            if gz >= _LEAST_COSINE:
                x, y, z = gx, gy, gz
        out[n, 0] = np.uint8(min(max(np.rint(127.5 + 127.5 * x), 0.0), 255.0))
        out[n, 1] = np.uint8(min(max(np.rint(127.5 + 127.5 * y), 0.0), 255.0))
        out[n, 2] = np.uint8(min(max(np.rint(127.5 + 127.5 * z), 0.0), 255.0))
    return out


def corner_groups(
    faces: Int32[np.ndarray, "f 3"], chart: Int32[np.ndarray, "f"]
) -> Int64[np.ndarray, "f 3"]:
    """Numbers corners so that those of one vertex and one chart have the same."""
    span = int(chart.max(initial=0)) + 1
    keys = faces.astype(np.int64) * span + chart[:, None]
    return np.unique(keys, return_inverse=True)[1].reshape(-1, 3).astype(np.int64)
