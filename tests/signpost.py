"""A small scene that tells up from down, left from right, and one side of a picture from the other.

A post stands on the ground; near its top an arm points east. Each side of both carries an F on a
ground of its own colour, upright and readable from outside. So an export that lies down, is a
mirror image, has its normals inward or its pictures upside down is found by numbers or by looking.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from worldloom.cameras import Camera, CameraIntrinsics, CameraTrajectory
from worldloom.export import Axis
from worldloom.scene import (
    Mesh,
    PointCloud,
    ReconstructedScene,
    Texture,
    TextureKind,
    UnwrappedMesh,
)

HEIGHT = 3.0
"""Height of the post, from 0."""
REACH = 1.5
"""How far the arm points east, from the middle of the post."""
CELL_PX = 64
_COLUMNS = 4
_ROWS = 3
_COLORS = (
    (200, 60, 60),
    (60, 160, 60),
    (60, 80, 200),
    (200, 170, 40),
    (150, 60, 180),
    (50, 170, 180),
)
# Right and up of the six sides of a box as one looks at them from outside; their cross product
# points out. East is x, north is y, up is z.
_SIDES = (
    ((0, 1, 0), (0, 0, 1)),
    ((0, -1, 0), (0, 0, 1)),
    ((-1, 0, 0), (0, 0, 1)),
    ((1, 0, 0), (0, 0, 1)),
    ((1, 0, 0), (0, 1, 0)),
    ((1, 0, 0), (0, -1, 0)),
)
_WORLD_FROM_EAST_NORTH_UP: dict[Axis, tuple[tuple[int, int, int], ...]] = {
    "z": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "y": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "-y": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "-z": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
    "x": ((0, 0, 1), (1, 0, 0), (0, 1, 0)),
    "-x": ((0, 0, -1), (1, 0, 0), (0, -1, 0)),
}


@dataclass(frozen=True)
class Box:
    """Middle and half sides, in east, north and up."""

    middle: tuple[float, float, float]
    half: tuple[float, float, float]


POST = Box((0, 0, HEIGHT / 2), (0.3, 0.2, HEIGHT / 2))
ARM = Box((0.9, 0, 2.6), (REACH - 0.9, 0.15, 0.2))


def world_from_east_north_up(up: Axis) -> np.ndarray:
    """Returns the rotation that brings up to an axis of the world."""
    return np.array(_WORLD_FROM_EAST_NORTH_UP[up], float)


def signpost(
    up: Axis = "z",
    textured: bool = True,
    pages: int = 1,
    far: tuple[float, float, float] = (0, 0, 0),
) -> ReconstructedScene:
    """Makes the scene.

    Args:
        up: Axis of the world that points up.
        textured: With unwrapped mesh and textures; both meshes are the same here.
        pages: 1 puts both boxes on one page, 2 gives each its own.
        far: What the foot of the post is moved by, in the world.
    """
    turn = world_from_east_north_up(up)
    mesh, uv, page = _geometry(pages)
    mesh = Mesh(
        mesh.vertices_in_world @ turn.T + np.array(far),
        mesh.faces,
        mesh.colors,
        (mesh.normals_in_world @ turn.T).astype(np.float32),
    )
    return ReconstructedScene(
        mesh,
        _cloud(mesh),
        _cameras(turn, np.array(far)),
        UnwrappedMesh(mesh, uv, page) if textured else None,
        _textures(pages) if textured else {},
    )


def _geometry(pages: int) -> tuple[Mesh, np.ndarray, np.ndarray]:
    vertices, normals, colors, faces, uv, page = [], [], [], [], [], []
    for box_number, box in enumerate((POST, ARM)):
        for side, (right, up) in enumerate(_SIDES):
            right, up = np.array(right, float), np.array(up, float)
            out = np.cross(right, up)
            half = np.array(box.half)
            corners = [
                np.array(box.middle) + half * (out + a * right + b * up)
                for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))
            ]
            base = len(vertices)
            vertices += corners
            normals += [out] * 4
            colors += [_COLORS[side]] * 4
            faces += [(base, base + 1, base + 2), (base, base + 2, base + 3)]
            cell = side if pages == 2 else side + 6 * box_number
            uv += [
                [_in_cell(cell, *c) for c in t]
                for t in (((0, 0), (1, 0), (1, 1)), ((0, 0), (1, 1), (0, 1)))
            ]
            page += [box_number if pages == 2 else 0] * 2
    mesh = Mesh(
        np.array(vertices),
        np.array(faces, np.int32),
        np.array(colors, np.uint8),
        np.array(normals, np.float32),
    )
    return mesh, np.array(uv, np.float32), np.array(page, np.int32)


def _in_cell(cell: int, a: float, b: float) -> tuple[float, float]:
    """A place in the picture of one side, in texture coordinates from the bottom left."""
    row, column = divmod(cell, _COLUMNS)
    return (column + a) / _COLUMNS, 1 - (row + 1 - b) / _ROWS


def _textures(pages: int) -> dict[TextureKind, Texture]:
    albedo, normal, roughness = [], [], []
    shape = (_ROWS * CELL_PX, _COLUMNS * CELL_PX)
    for number in range(pages):
        image = np.zeros((*shape, 3), np.uint8)
        rough = np.full((*shape, 1), 230, np.uint8)
        for cell in range(_COLUMNS * _ROWS):
            row, column = divmod(cell, _COLUMNS)
            tile = np.empty((CELL_PX, CELL_PX, 3), np.uint8)
            tile[:] = np.array(_COLORS[cell % 6]) // (1 + number)
            white, bold, size = (255, 255, 255), 6, 1.8
            cv2.putText(tile, "F", (14, 52), cv2.FONT_HERSHEY_SIMPLEX, size, white, bold)
            place = np.s_[
                row * CELL_PX : (row + 1) * CELL_PX, column * CELL_PX : (column + 1) * CELL_PX
            ]
            image[place] = tile
            rough[place] = 60 + 15 * cell
        albedo.append(image)
        roughness.append(rough)
        flat = np.empty((*shape, 3), np.uint8)
        flat[:] = (128, 128, 255)
        normal.append(flat)
    covered = tuple(np.ones(shape, bool) for _ in range(pages))
    return {
        "albedo": Texture("albedo", tuple(albedo), covered),
        "normal": Texture("normal", tuple(normal), covered),
        "roughness": Texture("roughness", tuple(roughness), covered),
    }


def _cloud(mesh: Mesh) -> PointCloud:
    """A few hundred points on the faces, with the colours and normals of their corners."""
    rng = np.random.default_rng(5)
    face = np.repeat(np.arange(len(mesh.faces)), 12)
    weights = rng.dirichlet(np.ones(3), len(face))
    corners = mesh.vertices_in_world[mesh.faces[face]]
    first = mesh.faces[face, 0]
    return PointCloud(
        np.einsum("nk,nkc->nc", weights, corners),
        mesh.normals_in_world[first],
        mesh.colors[first],
        rng.random(len(face), np.float32),
        rng.integers(2, 9, len(face)).astype(np.int32),
    )


def _cameras(turn: np.ndarray, far: np.ndarray) -> CameraTrajectory:
    """Five cameras on an arc south of the post, held upright, looking slightly down."""
    cameras = []
    for angle in np.radians([-130, -110, -90, -70, -50]):
        centre = np.array([5 * np.cos(angle), 5 * np.sin(angle), 2.5])
        forward = np.array([0, 0, 1.5]) - centre
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0, 0, 1])
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, :3] = turn @ np.stack([right, np.cross(forward, right), forward], axis=1)
        pose[:3, 3] = turn @ centre + far
        cameras.append(Camera(CameraIntrinsics(300.0, 310.0, 158.0, 121.5, 320, 240), pose))
    names = tuple(f"arc/{k:04d}" for k in range(len(cameras)))
    return CameraTrajectory(tuple(cameras), tuple(range(len(cameras))), names, name="scene")
