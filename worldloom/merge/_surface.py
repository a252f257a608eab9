"""One mesh of many chunks, with no worker that holds all of it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from worldloom.bench import Bench
from worldloom.errors import ReconstructionError
from worldloom.memory import FusedShard, shards_in_box
from worldloom.merge._alignment import ALIGN_CHUNK, AlignWork, ChunkAlignment, Similarity
from worldloom.merge._config import AlignmentConfig
from worldloom.merge._join import FAN_IN, JOIN, Joint, JoinWork, Placed
from worldloom.merge._parts import MAKE_PART, PART_FILE, MeshPart, PartWork
from worldloom.merge._pieces import FIND_PIECES, Pieces, PiecesWork, load_border
from worldloom.merge._seams import Seam
from worldloom.merge._territory import territories
from worldloom.scene import Mesh
from worldloom.stage import RunsStages
from worldloom.surface import ChunkFaces


@dataclass(frozen=True)
class MergedMesh:
    """The mesh of a scene, in parts."""

    parts: tuple[MeshPart, ...]
    """By chunk id, ascending."""
    vertices: int
    faces: int
    components: int
    """Connected pieces kept."""
    removed_components: int
    """Pieces removed because they were small."""
    removed_faces: int


@dataclass(frozen=True)
class Merge:
    """What became of the chunks."""

    mesh: MergedMesh
    seams: tuple[Seam, ...]
    """By the ids of the chunks that meet."""
    alignments: tuple[ChunkAlignment, ...]
    """By chunk id; chunks without a surface are missing."""


def merge_chunks(
    run: RunsStages,
    bench: Bench,
    chunks: Sequence[ChunkFaces],
    shards: Sequence[FusedShard],
    voxel_m: float,
    min_component_faces: int,
    alignment: AlignmentConfig | None = None,
) -> Merge:
    """Makes one mesh of chunks of one lattice.

    Every place has one owner, shared vertices are the same vertex, small pieces are found across
    all chunks. The mesh does not depend on how the lattice was cut, to the last bit.

    Args:
        run: Runs a stage.
        bench: Where the chunks are.
        chunks: Of one plan; the order does not matter.
        shards: The geometric memory.
        voxel_m: Side of a voxel, world unit.
        min_component_faces: Connected pieces with fewer faces are left out, but for the largest.
        alignment: How chunks are held against the memory; None for the usual way.

    Raises:
        ReconstructionError: no chunk has a surface.
        StageError: the chunks overlap, or do not agree on the vertices that they share.
    """
    present = sorted((c for c in chunks if c.faces), key=lambda chunk: chunk.chunk_id)
    if not present:
        raise ReconstructionError(
            f"none of the {len(chunks)} chunks has a surface; check the poses and the overlap "
            "of the views, or lower min_views",
            stage=FIND_PIECES.name,
            failed=len(chunks),
            total=len(chunks),
        )
    grounds = territories(present)
    works = [PiecesWork(c, ground) for c, ground in zip(present, grounds, strict=True)]
    pieces = [found for found in run(FIND_PIECES, works) if found is not None]
    aligned = _align(run, pieces, shards, voxel_m, alignment or AlignmentConfig())
    root = _join(run, pieces, aligned, voxel_m)
    groups = load_border(bench, root.artifact)
    inner = max((chunk.largest_inner for chunk in pieces), default=0)
    largest = max(inner, int(groups.group_faces.max(initial=0)))
    min_faces = max(min(min_component_faces, largest), 1)
    parts = _parts(run, pieces, aligned, root, min_faces, voxel_m)
    kept_groups = int((groups.group_faces >= min_faces).sum())
    mesh = MergedMesh(
        parts,
        vertices=sum(part.vertices for part in parts),
        faces=sum(part.faces for part in parts),
        components=kept_groups + sum(part.kept_pieces for part in parts),
        removed_components=len(groups.group_faces)
        - kept_groups
        + sum(part.removed_pieces for part in parts),
        removed_faces=sum(part.removed_faces for part in parts),
    )
    return Merge(mesh, root.seams, tuple(aligned.values()))


def _align(
    run: RunsStages,
    pieces: Sequence[Pieces],
    shards: Sequence[FusedShard],
    voxel_m: float,
    config: AlignmentConfig,
) -> dict[int, ChunkAlignment]:
    """Returns how the chunks lie in the memory, by id."""
    works: list[AlignWork] = []
    for chunk in pieces:
        lower, upper = np.array(chunk.lower) * voxel_m, np.array(chunk.upper) * voxel_m
        works.append(AlignWork(chunk, shards_in_box(shards, lower, upper), voxel_m, config))
    found = [item for item in run(ALIGN_CHUNK, works) if item is not None]
    return {item.chunk_id: item for item in found}


def _join(
    run: RunsStages,
    pieces: Sequence[Pieces],
    aligned: Mapping[int, ChunkAlignment],
    voxel_m: float,
) -> Joint:
    """Joins the borders level by level until one territory is left."""
    placed = tuple(
        Placed(chunk.chunk_id, chunk.territory.first, _moved(aligned, chunk)) for chunk in pieces
    )
    level = [Joint(chunk.artifact, chunk.territory, (), ()) for chunk in pieces]
    while len(level) > 1:
        works = [
            JoinWork(tuple(level[i : i + FAN_IN]), placed, voxel_m)
            for i in range(0, len(level), FAN_IN)
        ]
        joined = run(JOIN, works)
        level = [joint for joint in joined if joint is not None]
        if len(level) < len(works):
            raise ReconstructionError(
                f"the borders of {len(works) - len(level)} of {len(works)} groups of chunks could "
                "not be joined; see the failures of the job",
                stage=JOIN.name,
                failed=len(works) - len(level),
                total=len(works),
            )
    return level[0]


def _moved(aligned: Mapping[int, ChunkAlignment], chunk: Pieces) -> Similarity | None:
    found = aligned.get(chunk.chunk_id)
    return None if found is None else found.world_from_chunk


def _parts(
    run: RunsStages,
    pieces: Sequence[Pieces],
    aligned: Mapping[int, ChunkAlignment],
    root: Joint,
    min_faces: int,
    voxel_m: float,
) -> tuple[MeshPart, ...]:
    by_id = {chunk.chunk_id: chunk for chunk in pieces}
    guests: dict[int, set[int]] = defaultdict(set)
    for guest, owner in root.neighbours:
        guests[owner].add(guest)
    works = [
        PartWork(
            chunk,
            tuple(by_id[guest] for guest in sorted(guests[chunk.chunk_id])),
            root.artifact,
            min_faces,
            voxel_m,
            _moved(aligned, chunk),
        )
        for chunk in pieces
    ]
    return tuple(part for part in run(MAKE_PART, works) if part is not None)


def mesh_parts(bench: Bench, merged: MergedMesh) -> Iterator[Mesh]:
    """Yields the mesh of a scene part by part; faces name vertices by their row in the whole.

    A part is small where the scene is not. Faces at the edge of a part that could not be made are
    left out.
    """
    keys = [_arrays(bench, part)["edge_keys"] for part in merged.parts]
    all_keys = np.concatenate(keys) if keys else np.empty(0, np.int64)
    for part in merged.parts:
        arrays = _arrays(bench, part)
        rows = np.searchsorted(all_keys, arrays["corner_keys"])
        found = all_keys[np.minimum(rows, len(all_keys) - 1)] == arrays["corner_keys"]
        faces = arrays["faces"][found[arrays["faces"]].all(axis=1)]
        yield Mesh(
            arrays["vertices_in_world"],
            rows[faces].astype(np.int32).reshape(-1, 3),
            arrays["colors"],
            arrays["normals_in_world"],
        )


def load_mesh(bench: Bench, merged: MergedMesh) -> Mesh:
    """Returns the whole mesh of a scene, cached."""

    def load() -> tuple[np.ndarray, ...]:
        parts = list(mesh_parts(bench, merged))
        return (
            np.concatenate([part.vertices_in_world for part in parts]),
            np.concatenate([part.faces for part in parts]),
            np.concatenate([part.colors for part in parts if part.colors is not None]),
            np.concatenate(
                [part.normals_in_world for part in parts if part.normals_in_world is not None]
            ),
        )

    key = ("mesh", *(part.artifact for part in merged.parts))
    return Mesh(*bench.cache.get(key, load))


def _arrays(bench: Bench, part: MeshPart) -> dict[str, np.ndarray]:
    return bench.arrays(part.artifact, PART_FILE)
