"""The scenes: a furnished room, and a small corner for quick tests. Metres, y up, floor at 0."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from worldloom.synthetic import _furnishings as furnishing
from worldloom.synthetic import _materials as material
from worldloom.synthetic._lighting import AreaLight, Lighting
from worldloom.synthetic._patches import Number, Patch, ball_profile, box, plane, revolution

Point = tuple[Number, Number, Number]


@dataclass(frozen=True)
class Orbit:
    """An elliptic arc around a target, level with the floor."""

    target: Point
    radius_x_m: float
    radius_z_m: float
    height_m: float
    start_deg: float
    """Where it starts: 0 at +z, 90 at +x."""
    arc_deg: float


@dataclass(frozen=True, eq=False)
class Layout:
    """What stands where, how it is lit, and where a camera can go."""

    patches: tuple[Patch, ...]
    lighting: Lighting
    orbit: Orbit
    waypoints: tuple[Point, ...]
    """Way of a walk, closed."""
    sights: tuple[Point, ...]
    """What a walk looks at, one a waypoint."""


def corner(spacing_m: float, seed: int) -> Layout:
    """Returns two walls, a floor, a crate and a ball: little to trace, all of it textured."""
    patches = [
        plane((-1.5, 0, -1.5), (0, 0, 3), (3, 0, 0), material.tiles, spacing_m),
        plane((-1.5, 0, -1.5), (3, 0, 0), (0, 2.2, 0), material.bricks, spacing_m),
        plane((-1.5, 0, 1.5), (0, 0, -3), (0, 2.2, 0), material.plaster, spacing_m),
        *box((-0.5, 0, -0.4), (0.7, 0.6, 0.6), material.planks, spacing_m, yaw_deg=25),
        revolution((0.45, 0, 0.1), ball_profile(0.32), material.stone, spacing_m),
        *_picture((-1.5, 1.3, 0.3), (0, 0, -0.9), 0.7, spacing_m),
    ]
    lamp = AreaLight((0.2, 2.8, 0.2), (1.2, 0, 0), (0, 0, 1.2), (8.0, 7.6, 7.0))
    return Layout(
        patches=tuple(patches),
        lighting=Lighting((lamp,), ambient=(0.5, 0.5, 0.53)),
        orbit=Orbit((-0.2, 0.55, -0.2), 2.6, 2.6, 1.3, start_deg=15.0, arc_deg=60.0),
        waypoints=((0.6, 1.3, 2.2), (1.5, 1.2, 1.8), (2.2, 1.4, 0.7), (1.6, 1.6, 1.7)),
        sights=((-0.3, 0.5, -0.4), (-0.6, 0.7, -0.2), (-0.4, 0.5, -0.5), (-0.2, 0.6, -0.2)),
    )


def room(spacing_m: float, seed: int) -> Layout:
    """Returns a furnished living room of 7 x 2.9 x 6 metres."""
    patches = [
        *_shell(spacing_m),
        *_table(spacing_m, seed),
        *_bookshelf(spacing_m),
        *_sofa(spacing_m),
        *_window_side(spacing_m, seed),
        *_brick_side(spacing_m, seed),
    ]
    ceiling = AreaLight((-0.9, 2.52, -0.6), (1.8, 0, 0), (0, 0, 1.2), (9.0, 8.3, 7.0))
    window = AreaLight((0.95, 1.0, 2.9), (-1.9, 0, 0), (0, 1.3, 0), (5.6, 6.0, 6.6))
    return Layout(
        patches=tuple(patches),
        lighting=Lighting((ceiling, window), ambient=(0.60, 0.58, 0.58)),
        orbit=Orbit((0.0, 0.78, 0.0), 2.3, 2.05, 1.5, start_deg=-15.0, arc_deg=250.0),
        waypoints=(
            (1.9, 1.5, 1.9),
            (2.0, 1.35, -0.2),
            (1.8, 1.6, -1.9),
            (0.0, 1.4, -2.0),
            (-1.9, 1.55, -1.8),
            (-2.3, 1.4, 0.2),
            (-1.7, 1.6, 2.0),
            (0.2, 1.45, 1.8),
        ),
        sights=(
            (-0.8, 1.0, -1.2),
            (-1.2, 0.9, -0.6),
            (-1.2, 1.1, 1.2),
            (0.6, 0.9, 1.4),
            (1.2, 0.9, 0.7),
            (1.6, 1.1, 0.0),
            (0.8, 1.0, -1.4),
            (-0.4, 0.9, -1.5),
        ),
    )


def _shell(spacing_m: float) -> list[Patch]:
    walnut = partial(material.planks, color=(0.42, 0.27, 0.16), width_m=0.22)
    beam = partial(material.planks, color=(0.36, 0.24, 0.15), width_m=0.3, length_m=7.0)
    ochre = partial(material.plaster, color=(0.80, 0.66, 0.47))
    sage = partial(material.plaster, color=(0.55, 0.62, 0.54))
    lamp = partial(material.plaster, color=(0.98, 0.95, 0.88), contrast=0.03)
    ceiling = partial(material.planks, color=(0.74, 0.62, 0.46), width_m=0.18, length_m=2.2)
    parts = [
        plane((-3.5, 0, -3), (0, 0, 6), (7, 0, 0), material.planks, spacing_m),
        plane((-3.5, 2.9, -3), (7, 0, 0), (0, 0, 6), ceiling, spacing_m),
        plane((-3.5, 0, -3), (7, 0, 0), (0, 2.9, 0), ochre, spacing_m),
        plane((3.5, 0, 3), (-7, 0, 0), (0, 2.9, 0), material.plaster, spacing_m),
        plane((-3.5, 0, 3), (0, 0, -6), (0, 2.9, 0), material.bricks, spacing_m),
        plane((3.5, 0, -3), (0, 0, 6), (0, 2.9, 0), sage, spacing_m),
        plane((-0.9, 2.55, -0.6), (1.8, 0, 0), (0, 0, 1.2), lamp, spacing_m, emission=0.9),
        *box((0, 2.555, 0), (1.84, 0.06, 1.24), walnut, spacing_m),
    ]
    for z in (-2.0, 2.0):
        parts += box((0, 2.7, z), (7, 0.2, 0.16), beam, spacing_m)
    for base, size in (
        ((0, 0, -2.985), (7, 0.12, 0.03)),
        ((0, 0, 2.985), (7, 0.12, 0.03)),
        ((-3.485, 0, 0), (0.03, 0.12, 6)),
        ((3.485, 0, 0), (0.03, 0.12, 6)),
    ):
        parts += box(base, size, walnut, spacing_m)
    return parts


def _table(spacing_m: float, seed: int) -> list[Patch]:
    oak = partial(material.planks, color=(0.62, 0.43, 0.25), width_m=0.16, length_m=1.6)
    fine = spacing_m / 2
    parts = [
        *box((0, 0, 0), (3.2, 0.02, 2.3), furnishing.rug, spacing_m),
        *box((0, 0.70, 0), (1.6, 0.05, 1.0), oak, fine),
    ]
    for x in (-0.7, 0.7):
        for z in (-0.4, 0.4):
            parts += box((x, 0.02, z), (0.08, 0.68, 0.08), oak, spacing_m)
    vase = np.array(
        [
            [0, 0],
            [0.08, 0.0],
            [0.13, 0.07],
            [0.15, 0.15],
            [0.12, 0.25],
            [0.06, 0.31],
            [0.05, 0.36],
            [0.075, 0.40],
        ]
    )
    bowl = np.array(
        [[0, 0], [0.07, 0.0], [0.15, 0.05], [0.20, 0.11], [0.185, 0.11], [0.12, 0.06], [0, 0.03]]
    )
    terracotta = partial(material.stone, color=(0.72, 0.42, 0.28), vein=0.2)
    orange = partial(material.stone, color=(0.86, 0.50, 0.15), vein=0.3)
    parts += [
        revolution((-0.45, 0.75, -0.12), vase, material.glaze, fine),
        revolution((0.34, 0.75, -0.18), ball_profile(0.17), material.stone, fine, 0.05, seed),
        revolution((-0.05, 0.75, 0.22), bowl, terracotta, fine),
        revolution((-0.09, 0.785, 0.20), ball_profile(0.05), orange, fine),
        revolution((0.00, 0.785, 0.25), ball_profile(0.048), orange, fine),
        revolution((0.00, 0.785, 0.16), ball_profile(0.045), terracotta, fine),
    ]
    height = 0.75
    covers = ((0.20, 0.34, 0.42), (0.74, 0.30, 0.20), (0.85, 0.74, 0.48))
    for k, cover in enumerate(covers):
        book = partial(material.stone, color=cover, vein=0.25)
        size = (0.30 - 0.03 * k, 0.045, 0.22 - 0.02 * k)
        parts += box((0.55, height, 0.22), size, book, fine, yaw_deg=20 - 23 * k)
        height += 0.045
    return parts


def _bookshelf(spacing_m: float) -> list[Patch]:
    wood = partial(material.planks, color=(0.40, 0.25, 0.15), width_m=0.2, length_m=2.4)
    left, right, back = -2.7, -0.5, -2.99
    middle, width = (left + right) / 2, right - left
    parts = [
        *box((left, 0, back + 0.17), (0.05, 2.1, 0.34), wood, spacing_m),
        *box((right, 0, back + 0.17), (0.05, 2.1, 0.34), wood, spacing_m),
        *box((middle, 0, back + 0.01), (width, 2.1, 0.02), wood, spacing_m),
    ]
    rows = ((-0.06, 1.0), (0.12, 0.72), (-0.14, 0.8), (0.0, 0.95), (0.2, 0.6))
    for k, (shift, share) in enumerate(rows):
        level = 0.06 + 0.42 * k
        parts += box((middle, level - 0.04, back + 0.17), (width, 0.04, 0.34), wood, spacing_m)
        books = (share * (width - 0.1), 0.28 + 0.03 * (k % 3), 0.22)
        if k < 4:
            shelf = box(
                (middle + shift * 0.8, level, back + 0.15), books, furnishing.spines, spacing_m
            )
            parts += shelf
    parts += box((middle, 2.06, back + 0.17), (width + 0.1, 0.05, 0.36), wood, spacing_m)
    pot = np.array([[0, 0], [0.10, 0], [0.14, 0.18], [0.12, 0.19], [0, 0.17]])
    parts += [
        revolution((-2.2, 2.11, -2.8), pot, material.glaze, spacing_m / 2),
        revolution((-1.0, 2.11, -2.8), ball_profile(0.13), material.stone, spacing_m / 2),
        *_picture((0.35, 1.05, -3.0), (1.7, 0, 0), 1.15, spacing_m),
        *_picture((2.45, 1.2, -3.0), (0.7, 0, 0), 0.9, spacing_m),
    ]
    cabinet = partial(material.planks, color=(0.58, 0.50, 0.40), width_m=0.2)
    parts += box((1.5, 0, -2.75), (1.9, 0.62, 0.45), cabinet, spacing_m)
    return parts


def _sofa(spacing_m: float) -> list[Patch]:
    cloth = furnishing.fabric
    warm = partial(furnishing.fabric, color=(0.74, 0.38, 0.20), accent=(0.88, 0.78, 0.62))
    parts = [
        *box((3.02, 0, 0.1), (0.9, 0.42, 2.2), cloth, spacing_m),
        *box((3.36, 0.42, 0.1), (0.24, 0.45, 2.2), cloth, spacing_m),
        *box((3.02, 0, 1.3), (0.92, 0.62, 0.22), cloth, spacing_m),
        *box((3.02, 0, -1.1), (0.92, 0.62, 0.22), cloth, spacing_m),
        *box((3.1, 0.43, 0.75), (0.16, 0.40, 0.42), warm, spacing_m, yaw_deg=22),
        *box((3.1, 0.43, -0.6), (0.16, 0.38, 0.40), warm, spacing_m, yaw_deg=-18),
        *_picture((3.5, 1.25, -1.2), (0, 0, 1.1), 1.0, spacing_m),
        *_picture((3.5, 1.25, 0.3), (0, 0, 1.1), 1.0, spacing_m),
    ]
    shaft = np.array([[0.22, 0], [0.22, 0.12], [0.15, 0.2], [0.15, 2.5], [0.22, 2.62], [0.22, 2.9]])
    return [*parts, revolution((3.1, 0, -2.6), shaft, material.stone, spacing_m)]


def _window_side(spacing_m: float, seed: int) -> list[Patch]:
    white = partial(material.planks, color=(0.82, 0.80, 0.75), width_m=0.1, length_m=3.0)
    crate = partial(material.planks, color=(0.63, 0.48, 0.30), width_m=0.09, length_m=2.0)
    pot = np.array([[0, 0], [0.17, 0], [0.24, 0.36], [0.21, 0.37], [0, 0.33]])
    crown = ball_profile(0.42, flattening=1.25)
    stem = np.array([[0.035, 0], [0.025, 0.5]])
    bark = partial(material.planks, color=(0.3, 0.22, 0.15))
    parts = [
        plane(
            (0.95, 1.0, 2.97),
            (-1.9, 0, 0),
            (0, 1.3, 0),
            furnishing.outdoors,
            spacing_m,
            emission=0.75,
        ),
        *box((0, 0.93, 2.90), (2.1, 0.07, 0.2), white, spacing_m),
        *box((0, 2.30, 2.95), (2.06, 0.08, 0.1), white, spacing_m),
        revolution((2.75, 0, 2.35), pot, material.glaze, spacing_m),
        revolution((2.75, 0.33, 2.35), stem, bark, spacing_m),
        revolution((2.75, 0.72, 2.35), crown, furnishing.foliage, spacing_m, 0.10, seed + 1),
        *box((-2.75, 0, 2.45), (0.7, 0.5, 0.6), crate, spacing_m, yaw_deg=8),
        *box((-2.80, 0.5, 2.48), (0.5, 0.42, 0.5), crate, spacing_m, yaw_deg=-14),
        *_picture((-1.3, 1.3, 3.0), (-0.9, 0, 0), 0.75, spacing_m),
    ]
    for x in (-0.99, 0.0, 0.99):
        parts += box((x, 1.0, 2.95), (0.07, 1.3, 0.1), white, spacing_m)
    return parts


def _brick_side(spacing_m: float, seed: int) -> list[Patch]:
    oak = partial(material.planks, color=(0.52, 0.35, 0.20), width_m=0.24, length_m=1.4)
    jar = np.array([[0, 0], [0.1, 0], [0.18, 0.12], [0.17, 0.28], [0.09, 0.36], [0.11, 0.42]])
    slate = partial(material.stone, color=(0.40, 0.42, 0.46))
    return [
        *box((-3.22, 0, -0.4), (0.5, 0.82, 1.7), oak, spacing_m),
        revolution((-3.2, 0.82, -0.95), jar, material.glaze, spacing_m / 2),
        revolution((-3.2, 0.82, 0.1), ball_profile(0.2), slate, spacing_m / 2, 0.06, seed + 2),
        *_picture((-3.5, 1.35, 0.25), (0, 0, -1.3), 0.95, spacing_m),
        *_picture((-3.5, 1.3, 1.9), (0, 0, -0.8), 1.0, spacing_m),
    ]


def _picture(low: Point, along: Point, height_m: float, spacing_m: float) -> list[Patch]:
    """Returns a framed print on a wall: `low` and `along` give its lower edge, seen from inside."""
    edge = np.asarray(along, np.float64)
    up = np.array([0.0, height_m, 0.0])
    inwards = np.cross(edge, up) / (np.linalg.norm(edge) * height_m) * 0.03
    start = np.asarray(low, np.float64)
    frame = partial(material.planks, color=(0.22, 0.16, 0.12), width_m=0.05)
    return [
        plane(start + inwards, edge, up, furnishing.poster, spacing_m),
        plane(start, edge, inwards, frame, spacing_m),
        plane(start + up + inwards, edge, -inwards, frame, spacing_m),
        plane(start, inwards, up, frame, spacing_m),
        plane(start + edge + inwards, -inwards, up, frame, spacing_m),
    ]
