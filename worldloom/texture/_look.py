"""The stage that finds which faces some views see, how well, and in which colours."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int32

from worldloom.bench import Bench
from worldloom.cameras import Camera
from worldloom.render import RayCaster
from worldloom.scene import Mesh
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey
from worldloom.texture import _look_kernels as kernels
from worldloom.texture._inputs import TextureView, view_image
from worldloom.texture._light import LightMesh, load_light

SEEN_FILE = "seen.npz"
VIEWS_IN_A_LOOK = 8
"""Views that share one tree of rays."""
MIN_COSINE = 0.15
"""Surface that a view sees flatter than by 81 degrees is left to others."""
_LEAST_COSINE = -0.5
"""Of a single face, where the surface around it is not seen that flat: small faces of a rough
surface are tilted by its noise, and a face that a view lacks makes three seams."""
_SMOOTHING_ROUNDS = 2
_REACH_PX = 2.0
"""What lies less than this before a face, in pixel footprints, is the face itself."""
_INWARD = 0.85
_LEAST_FREE = 0.7
"""Share of the tested points of a face that a view has to see."""
_CONTRADICTION = 0.02
"""Difference of a view's own depth, as a share of the depth, that says it sees something else."""


@dataclass(frozen=True, eq=False)
class LookWork:
    """Some views of a light mesh."""

    light: LightMesh
    views: tuple[TextureView, ...]

    @property
    def subject(self) -> str:
        """For people."""
        names = [view.frame.name for view in self.views]
        return f"views {names[0]} to {names[-1]}" if len(names) > 1 else f"view {names[0]}"


@dataclass(frozen=True)
class Looked:
    """What some views see."""

    artifact: ArtifactKey
    """Artifact with `seen.npz`: the fields of `Seen`."""
    view_ids: tuple[int, ...]
    counts: tuple[int, ...]
    """Faces that each view sees."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Faces as views see them; one row a face and view, view by view, faces ascending."""

    face: Int32[np.ndarray, "n"]
    area_px: Float32[np.ndarray, "n"]
    """Area of the face in the view, square pixels."""
    quality: Float32[np.ndarray, "n"]
    """Detail that the view has of the face: the gradient of its grey levels over its area, what is
    hidden left out (after Waechter et al., ECCV 2014, equation 3)."""
    color: Float32[np.ndarray, "n 3"]
    """Mean colour, exposure undone, sRGB levels."""
    reflected: Float32[np.ndarray, "n 3"]
    """Unit direction in which the face reflects the line of sight, world."""
    cosine: Float32[np.ndarray, "n"]
    """Of the angle between the line of sight and the normal."""


def load_seen(bench: Bench, looked: Looked) -> Seen:
    """Returns what some views see."""
    return Seen(**bench.arrays(looked.artifact, SEEN_FILE))


def _look(bench: Bench, key: ArtifactKey, work: LookWork) -> Looked:
    mesh = load_light(bench, work.light).mesh
    origin = mesh.vertices_in_world.mean(axis=0)
    caster = RayCaster(mesh.vertices_in_world - origin, mesh.faces)
    around = normals_around(mesh)
    found = [_seen_by(bench, view, mesh, around, caster, origin) for view in work.views]
    fields = {
        name: np.concatenate([getattr(seen, name) for seen in found]) for name in vars(found[0])
    }
    bench.write_arrays(key, SEEN_FILE, **fields)
    ids = tuple(view.frame.view_id for view in work.views)
    return Looked(key, ids, tuple(len(seen.face) for seen in found))


def normals_around(mesh: Mesh) -> Float64[np.ndarray, "f 3"]:
    """Returns the unit normal of the surface around each face: the mean over three rings.

    Args:
        mesh: With normals.
    """
    assert mesh.normals_in_world is not None  # the stage of the light mesh writes them
    corners, vertices = mesh.faces.ravel(), len(mesh.vertices_in_world)
    of_faces = _unit(mesh.normals_in_world.astype(np.float64)[mesh.faces].sum(axis=1))
    for _ in range(_SMOOTHING_ROUNDS - 1):
        spread = np.repeat(of_faces, 3, axis=0)
        sums = [np.bincount(corners, spread[:, axis], vertices) for axis in range(3)]
        of_faces = _unit(_unit(np.stack(sums, axis=1))[mesh.faces].sum(axis=1))
    return of_faces


def _unit(vectors: Float64[np.ndarray, "n 3"]) -> Float64[np.ndarray, "n 3"]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-300)


def _seen_by(
    bench: Bench,
    view: TextureView,
    mesh: Mesh,
    around: Float64[np.ndarray, "f 3"],
    caster: RayCaster,
    origin: Float64[np.ndarray, "3"],
) -> Seen:
    camera = view.frame.camera
    lens = camera.intrinsics
    pixels, depth = camera.project(mesh.vertices_in_world)
    posed = kernels.posed(
        mesh.vertices_in_world,
        mesh.faces,
        pixels,
        depth,
        camera.centre_in_world,
        np.array([lens.width_px, lens.height_px], np.float64),
        around,
        MIN_COSINE,
        _LEAST_COSINE,
    )
    face = np.flatnonzero(posed.area_px > 0).astype(np.int32)
    free = _free_share(mesh, face, camera, caster, origin, posed.cosine)
    face, free = face[free >= _LEAST_FREE], free[free >= _LEAST_FREE]
    image = view_image(bench, view)
    sampled = kernels.sampled(
        face,
        mesh.faces,
        pixels,
        depth,
        posed.area_px,
        image,
        kernels.gradient_of(image),
        bench.mask(view.frame, lens.width_px, lens.height_px),
        _own_depth(bench, view),
        _CONTRADICTION,
    )
    kept = sampled.usable
    face = face[kept]
    area = posed.area_px[face]
    return Seen(
        face,
        area,
        (area * free[kept] ** 2 * sampled.gradient[kept]).astype(np.float32),
        sampled.color[kept],
        posed.reflected[face],
        posed.cosine[face],
    )


def _free_share(
    mesh: Mesh,
    face: Int32[np.ndarray, "n"],
    camera: Camera,
    caster: RayCaster,
    origin: Float64[np.ndarray, "3"],
    cosine: Float32[np.ndarray, "f"],
) -> Float32[np.ndarray, "n"]:
    """Share of the points of each face, its middle and near its corners, that nothing hides."""
    if not len(face):
        return np.zeros(0, np.float32)
    corners = mesh.vertices_in_world[mesh.faces[face]]
    middle = corners.mean(axis=1, keepdims=True)
    points = np.concatenate([middle, middle + _INWARD * (corners - middle)], axis=1)
    sight = points - camera.centre_in_world
    distance = np.linalg.norm(sight, axis=2, keepdims=True)
    footprint = distance / camera.intrinsics.fx
    slack = _REACH_PX * footprint / np.maximum(cosine[face], MIN_COSINE)[:, None, None]
    rays = (sight * np.maximum(1 - slack / distance, 0)).reshape(-1, 3)
    start = np.broadcast_to(camera.centre_in_world - origin, rays.shape)
    hidden = caster.occluded(start, rays, 1.0)
    return (~hidden).reshape(len(face), 4).mean(axis=1).astype(np.float32)


def _own_depth(bench: Bench, view: TextureView) -> Float32[np.ndarray, "h w"]:
    if view.depth is None:
        return np.zeros((1, 1), np.float32)
    return bench.depth_map(view.depth).depth


LOOK = Stage("look", 2, Role.DEPTH, Looked, _look)
"""Finds which faces views see, and how."""
