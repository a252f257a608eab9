"""Surface patches: parametrised grids with a material, from which scenes are put together."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int32

from worldloom.synthetic._materials import Material

Number = int | float
Vector = Float[np.ndarray, "3"] | tuple[Number, Number, Number]


@dataclass(frozen=True, eq=False)
class Patch:
    """A grid of points over one surface, with texture coordinates in metres."""

    points_in_world: Float64[np.ndarray, "rows columns 3"]
    inner_in_world: Float64[np.ndarray, "rows columns 3"]
    """The same points, those on the rim moved slightly inwards: where light is gathered."""
    uv_m: Float64[np.ndarray, "rows columns 2"]
    size_m: tuple[float, float]
    """Extent of the texture along u and v."""
    material: Material
    emission: float = 0.0
    """Light that the surface sends out by itself, as a share of its colour."""

    def faces(self) -> Int32[np.ndarray, "f 3"]:
        """Returns the triangles of the grid, counter-clockwise seen from along du x dv."""
        rows, columns = self.points_in_world.shape[:2]
        corner = np.arange(rows * columns).reshape(rows, columns)
        a, b = corner[:-1, :-1].ravel(), corner[:-1, 1:].ravel()
        c, d = corner[1:, 1:].ravel(), corner[1:, :-1].ravel()
        faces = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)])
        corners = self.points_in_world.reshape(-1, 3)[faces]
        area = np.linalg.norm(
            np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=-1
        )
        return faces[area > 1e-12].astype(np.int32)


def plane(
    origin: Vector,
    edge_u: Vector,
    edge_v: Vector,
    material: Material,
    spacing_m: float,
    emission: float = 0.0,
) -> Patch:
    """Returns a rectangle from one corner and two edges; it faces edge_u x edge_v."""
    start, along_u, along_v = (np.asarray(x, np.float64) for x in (origin, edge_u, edge_v))
    size = float(np.linalg.norm(along_u)), float(np.linalg.norm(along_v))
    s = np.linspace(0, 1, max(2, math.ceil(size[0] / spacing_m) + 1))
    t = np.linspace(0, 1, max(2, math.ceil(size[1] / spacing_m) + 1))
    grid_s, grid_t = np.meshgrid(s, t)
    rim = 0.2 * spacing_m
    inner_s = np.clip(grid_s, min(0.5, rim / size[0]), max(0.5, 1 - rim / size[0]))
    inner_t = np.clip(grid_t, min(0.5, rim / size[1]), max(0.5, 1 - rim / size[1]))

    def at(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return start + u[..., None] * along_u + v[..., None] * along_v

    uv = np.stack([grid_s * size[0], grid_t * size[1]], axis=-1)
    return Patch(at(grid_s, grid_t), at(inner_s, inner_t), uv, size, material, emission)


def box(
    base: Vector,
    size: Vector,
    material: Material,
    spacing_m: float,
    yaw_deg: Number = 0,
    front: Material | None = None,
) -> list[Patch]:
    """Returns the six sides of an upright box.

    Args:
        base: Centre of its bottom.
        size: Extent along its x, y (up) and z.
        material: Material of its sides.
        spacing_m: Distance of grid points.
        yaw_deg: Turn about y.
        front: Material of its +z side where it differs.
    """
    x, y, z = np.diag(np.asarray(size, np.float64)) @ _yaw(yaw_deg).T
    low = np.asarray(base, np.float64) - (x + z) / 2
    return [
        plane(low + z, x, y, front or material, spacing_m),
        plane(low + x, -x, y, material, spacing_m),
        plane(low + x + z, -z, y, material, spacing_m),
        plane(low, z, y, material, spacing_m),
        plane(low + y + z, x, -z, material, spacing_m),
        plane(low, x, z, material, spacing_m),
    ]


def revolution(
    base: Vector,
    profile: Float[np.ndarray, "k 2"],
    material: Material,
    spacing_m: float,
    bumps_m: float = 0.0,
    seed: int = 0,
) -> Patch:
    """Returns a surface of revolution about the vertical through `base`.

    Args:
        base: Origin of the profile.
        profile: (radius, height) from the bottom up, metres; it is smoothed by resampling.
        material: Its material; u goes round, v along the profile.
        spacing_m: Distance of grid points.
        bumps_m: Depth of smooth bumps, for rocks and crowns of trees.
        seed: Seed of the bumps.
    """
    steps = np.linalg.norm(np.diff(profile, axis=0), axis=1)
    length = np.concatenate([[0.0], np.cumsum(steps)])
    girth = 2 * math.pi * float(profile[:, 0].max())
    rows = max(4, math.ceil(length[-1] / spacing_m) + 1)
    columns = max(12, math.ceil(girth / spacing_m)) + 1
    along, round_ = np.meshgrid(
        np.linspace(0, length[-1], rows), np.linspace(0, 2 * math.pi, columns), indexing="ij"
    )
    radius = np.interp(along, length, profile[:, 0])
    height = np.interp(along, length, profile[:, 1])
    unit = np.stack([np.cos(round_), np.zeros_like(round_), -np.sin(round_)], axis=-1)
    unit[:, -1] = unit[:, 0]
    points = radius[..., None] * unit + height[..., None] * np.array([0.0, 1.0, 0.0])
    if bumps_m:
        points = _bumped(points, bumps_m, seed)
    points = points + np.asarray(base, np.float64)
    uv = np.stack([round_ / (2 * math.pi) * girth, along], axis=-1)
    return Patch(points, points, uv, (girth, float(length[-1])), material)


def ball_profile(radius_m: float, points: int = 24, flattening: float = 1.0) -> np.ndarray:
    """Returns the profile of a ball that stands on its base."""
    angle = np.linspace(-math.pi / 2, math.pi / 2, points)
    profile = np.stack([np.cos(angle), (np.sin(angle) + 1) * flattening], axis=-1) * radius_m
    profile[[0, -1], 0] = 0
    return profile


def _bumped(points: np.ndarray, bumps_m: float, seed: int) -> np.ndarray:
    """Moves points away from, or towards, their centre by a smooth random field of space."""
    rng = np.random.default_rng((seed, 77))
    centre = np.array([0.0, float(points[..., 1].mean()), 0.0])
    extent = float(np.abs(points - centre).max())
    field = np.zeros(points.shape[:-1])
    for octave in range(3):
        waves = rng.normal(size=(6, 3)) * (2.2 * 1.9**octave / extent)
        phases = rng.uniform(0, 2 * math.pi, 6)
        field += 0.55**octave * np.sin(points @ waves.T + phases).mean(-1)
    outwards = points - centre
    outwards /= np.maximum(np.linalg.norm(outwards, axis=-1, keepdims=True), 1e-9)
    return points + 2.2 * bumps_m * field[..., None] * outwards


def _yaw(degrees: Number) -> Float64[np.ndarray, "3 3"]:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
