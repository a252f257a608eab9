"""The stage that chooses the view that colours each face."""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64

from worldloom.bench import Bench
from worldloom.scene import Mesh
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey
from worldloom.texture._candidates import Candidates
from worldloom.texture._labelling import LabelProblem, labelled
from worldloom.texture._light import LightMesh, load_light
from worldloom.texture._look import MIN_COSINE, Looked, load_seen
from worldloom.texture._roughness import face_roughness, vertex_roughness
from worldloom.texture._topology import SharedEdges, shared_edges

CHOSEN_FILE = "chosen.npz"
_LABELS = 10
"""Views of a face that are weighed against each other: with fewer, neighbours often have none in
common that could hide a seam."""
_SAME_LEVELS = 20.0
"""Difference of colours at which a seam costs twice that of one nobody sees."""
_LARGEST_DIFFERENCE = 3.0
UNSEEN = 2.0
"""What a face beside a seam adds, in `_SAME_LEVELS`, that the view of the other side does not see:
views pass into each other only where both see."""
_WEIGHTS = (0.25, 4.0)
"""Bounds of the weights of faces by area and of edges by length, over the median."""


@dataclass(frozen=True)
class ChooseWork:
    """What all views see of a light mesh."""

    light: LightMesh
    looked: tuple[Looked, ...]
    """By view id, ascending."""
    seam_smoothness: float
    """See `TextureConfig`."""

    @property
    def subject(self) -> str:
        """For people."""
        return "views of the faces"


@dataclass(frozen=True)
class ChosenViews:
    """The view of each face, and how good the choice is."""

    artifact: ArtifactKey
    """Artifact with `chosen.npz`: the fields of `Chosen`."""
    seen_faces: int
    """Faces that have a view."""
    views: int
    """Views that colour a face."""
    rejected: int
    """Views of faces that were left out because they show another colour than the rest."""
    energy: float
    bound: float
    """Least energy that any choice could have."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """The view of each face."""

    view: Int32[np.ndarray, "f"]
    """View id; -1 where no view sees the face."""
    allowed: Int32[np.ndarray, "f k"]
    """Ids of the views that see it, ascending, then -1."""
    density_px: Float32[np.ndarray, "f"]
    """Pixels along a world unit in the view that resolves the face best; 0 where none sees it."""
    roughness: Float32[np.ndarray, "v"]
    """0 to 1, of each vertex."""


def load_chosen(bench: Bench, chosen: ChosenViews) -> Chosen:
    """Returns the view of each face."""
    return Chosen(**bench.arrays(chosen.artifact, CHOSEN_FILE))


def _choose(bench: Bench, key: ArtifactKey, work: ChooseWork) -> ChosenViews:
    mesh = load_light(bench, work.light).mesh
    candidates = _gathered(bench, len(mesh.faces), work.looked)
    agreeing = candidates.agreeing()
    area_m2 = _areas(mesh)
    problem, labels = _problem(mesh, candidates, agreeing, area_m2, work.seam_smoothness)
    found = labelled(problem)
    view = np.where(
        found.choice >= 0, labels[np.arange(len(labels)), np.maximum(found.choice, 0)], -1
    ).astype(np.int32)
    # Sorted by views, those that count first: rows of ids for look-up.
    allowed = np.where(agreeing, candidates.view, np.int32(2**31 - 1))
    allowed = np.sort(allowed, axis=1)
    allowed[allowed == 2**31 - 1] = -1
    best_px = np.where(agreeing, candidates.area_px, 0).max(axis=1)
    # What a face that is turned away reflects is not what it shows.
    facing = agreeing & (candidates.cosine >= MIN_COSINE)
    roughness = face_roughness(facing, candidates.color, candidates.reflected, candidates.cosine)
    bench.write_arrays(
        key,
        CHOSEN_FILE,
        view=view,
        allowed=allowed.astype(np.int32),
        density_px=np.sqrt(best_px / area_m2).astype(np.float32),
        roughness=vertex_roughness(roughness, mesh.faces, len(mesh.vertices_in_world)),
    )
    return ChosenViews(
        key,
        int((view >= 0).sum()),
        len(np.unique(view[view >= 0])),
        int(((candidates.view >= 0) & ~agreeing).sum()),
        found.energy,
        found.bound,
    )


def _gathered(bench: Bench, faces: int, looked: tuple[Looked, ...]) -> Candidates:
    candidates = Candidates.empty(faces)
    for item in looked:
        seen = load_seen(bench, item)
        start = 0
        for view_id, count in zip(item.view_ids, item.counts, strict=True):
            candidates.add(view_id, seen, slice(start, start + count))
            start += count
    return candidates


def _areas(mesh: Mesh) -> Float64[np.ndarray, "f"]:
    a, b, c = (mesh.vertices_in_world[mesh.faces[:, k]] for k in range(3))
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)


def _problem(
    mesh: Mesh,
    candidates: Candidates,
    agreeing: Bool[np.ndarray, "f k"],
    area_m2: Float64[np.ndarray, "f"],
    smoothness: float,
) -> tuple[LabelProblem, Int32[np.ndarray, "f l"]]:
    """Costs of views of faces, and of different views on the two sides of an edge.

    A view costs what it lacks of the detail of the best one. Seams cost by their length, and by how
    differently their two views show the faces beside them (Lempitsky and Ivanov, CVPR 2007); most
    where one of them does not see a face.
    """
    quality = np.where(agreeing, candidates.quality, -1)
    best_first = np.argsort(-quality, axis=1, kind="stable")[:, :_LABELS]
    rows = np.arange(len(quality))[:, None]
    quality = quality[rows, best_first]
    valid = quality >= 0
    labels = np.where(valid, candidates.view[rows, best_first], -1).astype(np.int32)
    counts = valid.sum(axis=1).astype(np.int32)
    lacks = 1 - quality / np.maximum(quality[:, :1], 1e-12)
    weight = np.clip(area_m2 / np.median(area_m2), *_WEIGHTS)
    shared = shared_edges(mesh.faces)
    usable = (counts[shared.faces] > 0).all(axis=1)
    edges = shared.faces[usable]
    length = _lengths(mesh, shared, usable)
    typical = float(np.median(length)) if len(length) else 1.0
    length = smoothness * np.clip(length / typical, *_WEIGHTS)
    # All views that agree tell whether a seam can be hidden, not only those that are weighed.
    views = np.where(agreeing, candidates.view, -1).astype(np.int32)
    pairwise = seam_costs(edges, labels, counts, views, candidates.color, length.astype(np.float32))
    unary = (lacks * weight[:, None]).astype(np.float32)
    return LabelProblem(counts, unary, edges, pairwise), labels


def _lengths(
    mesh: Mesh, shared: SharedEdges, usable: Bool[np.ndarray, "e"]
) -> Float64[np.ndarray, "_"]:
    ends: Int64[np.ndarray, "_ 2"] = shared.vertices[usable].astype(np.int64)
    span = mesh.vertices_in_world[ends[:, 0]] - mesh.vertices_in_world[ends[:, 1]]
    return np.linalg.norm(span, axis=1)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _difference(views: np.ndarray, colors: np.ndarray, one: int, other: int) -> float:
    """Distance of the colours of a face in two of its views, levels; -1 where it lacks one."""
    own, its = -1, -1
    for k in range(len(views)):
        if views[k] == one:
            own = k
        elif views[k] == other:
            its = k
    if own < 0 or its < 0:
        return -1.0
    apart = 0.0
    for c in range(3):
        apart += (colors[own, c] - colors[its, c]) ** 2
    return np.sqrt(apart / 3.0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def seam_costs(
    edges: np.ndarray,
    labels: np.ndarray,
    counts: np.ndarray,
    views: np.ndarray,
    colors: np.ndarray,
    weight: np.ndarray,
) -> np.ndarray:
    """Returns what the labels of the two faces of each edge cost: e k k.

    Args:
        edges: e 2, faces.
        labels: f k, views that are weighed.
        counts: f, how many of them.
        views: f m, all views that see a face.
        colors: f m 3, what they show there, levels.
        weight: e, of the edges.
    """
    most = labels.shape[1]
    costs = np.zeros((len(edges), most, most), np.float32)
    for e in range(len(edges)):
        s, t = edges[e, 0], edges[e, 1]
        for i in range(counts[s]):
            for j in range(counts[t]):
                one, other = labels[s, i], labels[t, j]
                if one == other:
                    continue
                at_s = _difference(views[s], colors[s], one, other)
                at_t = _difference(views[t], colors[t], other, one)
                known = (at_s >= 0.0) + (at_t >= 0.0)
                apart = _SAME_LEVELS
                if known > 0:
                    apart = (max(at_s, 0.0) + max(at_t, 0.0)) / known
                apart = min(apart / _SAME_LEVELS, _LARGEST_DIFFERENCE) + UNSEEN * (2 - known)
                costs[e, i, j] = weight[e] * 0.5 * (1.0 + apart)
    return costs


CHOOSE = Stage("choose-views", 3, Role.MERGER, ChosenViews, _choose)
"""Chooses the view that colours each face."""
