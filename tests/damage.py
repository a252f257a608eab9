"""Ways in which a mesh of a scene goes bad, each at any strength; 0 leaves it as it is."""

from dataclasses import replace

import numpy as np
from scipy.sparse import coo_array
from scipy.spatial import KDTree

from tests.solids import ball
from worldloom.scene import Mesh
from worldloom.surface import vertex_normals


def punctured(mesh: Mesh, share: float, radius_m: float, seed: int = 0) -> Mesh:
    """Without about a share of its faces, in round holes."""
    rng = np.random.default_rng(seed)
    centres = mesh.vertices_in_world[mesh.faces].mean(axis=1)
    tree = KDTree(centres)
    kept = np.ones(len(centres), bool)
    while kept.mean() > 1 - share:
        kept[tree.query_ball_point(centres[rng.integers(len(centres))], radius_m)] = False
    return replace(mesh, faces=np.ascontiguousarray(mesh.faces[kept]))


def cropped(mesh: Mesh, share: float) -> Mesh:
    """Without a share of its faces, all at one end."""
    along = mesh.vertices_in_world[mesh.faces].mean(axis=1) @ np.array([0.8, 0.0, 0.6])
    return replace(mesh, faces=np.ascontiguousarray(mesh.faces[along >= np.quantile(along, share)]))


def roughened(mesh: Mesh, deviation_m: float, seed: int = 0) -> Mesh:
    """With noise along its normals, independent from vertex to vertex."""
    rng = np.random.default_rng(seed)
    normals = vertex_normals(mesh.vertices_in_world, mesh.faces)
    noise = deviation_m * rng.normal(size=(len(normals), 1))
    return replace(mesh, vertices_in_world=mesh.vertices_in_world + noise * normals)


def bulged(mesh: Mesh, height_m: float) -> Mesh:
    """With long waves of its surface."""
    normals = vertex_normals(mesh.vertices_in_world, mesh.faces)
    wave = np.sin(mesh.vertices_in_world @ np.array([[9.0], [4.0], [2.0]]))
    return replace(mesh, vertices_in_world=mesh.vertices_in_world + height_m * wave * normals)


def littered(mesh: Mesh, count: int, radius_m: float, seed: int = 0) -> Mesh:
    """With balls that float in the box around it."""
    rng = np.random.default_rng(seed)
    low, high = mesh.vertices_in_world.min(axis=0), mesh.vertices_in_world.max(axis=0)
    parts = [mesh]
    for _ in range(count):
        litter = ball(2, radius_m)
        parts.append(
            replace(litter, vertices_in_world=litter.vertices_in_world + rng.uniform(low, high))
        )
    starts = np.cumsum([0, *(len(part.vertices_in_world) for part in parts)])
    colors = [np.zeros((0, 3), np.uint8) if p.colors is None else p.colors for p in parts]
    return Mesh(
        np.concatenate([part.vertices_in_world for part in parts]),
        np.concatenate(
            [part.faces + np.int32(start) for part, start in zip(parts, starts, strict=False)]
        ),
        np.concatenate(colors),
    )


def blurred(mesh: Mesh, rounds: int) -> Mesh:
    """With colours averaged over neighbours, again and again."""
    assert mesh.colors is not None
    ends = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    ends = np.concatenate([ends, ends[:, ::-1]])
    count = len(mesh.vertices_in_world)
    links = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (count,) * 2).tocsr()
    degree = np.maximum(np.asarray(links.sum(axis=1)).reshape(-1, 1), 1)
    colors = mesh.colors.astype(np.float64)
    for _ in range(rounds):
        colors = 0.5 * colors + 0.5 * (links @ colors) / degree
    return replace(mesh, colors=np.rint(colors).astype(np.uint8))


def stepped(mesh: Mesh, gain: float) -> Mesh:
    """One half brighter by a gain, the other darker by it."""
    assert mesh.colors is not None
    x = mesh.vertices_in_world[:, :1]
    gains = np.where(x > np.median(x), gain, 1 / gain)
    return replace(mesh, colors=np.clip(np.rint(mesh.colors * gains), 0, 255).astype(np.uint8))
