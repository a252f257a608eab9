"""The stage that joins neighbouring territories at their borders, a tree of it over the scene.

Only borders are read, never faces, and what lies inside the joined territory is dropped: the root
holds the pieces that reach beyond their chunk, and not the scene.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int32, Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from worldloom.bench import Bench
from worldloom.merge._alignment import Similarity, moved_points
from worldloom.merge._pieces import Border, load_border, require_agreement, write_border
from worldloom.merge._seams import Seam, SeamTable
from worldloom.merge._territory import Territory, blocks_of_edges, crosses_border
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey
from worldloom.surface import vertices_in_world

FAN_IN = 8
"""Territories that one item joins."""
_MOST_CHUNKS_AT_AN_EDGE = 4


@dataclass(frozen=True)
class Placed:
    """Where a chunk begins, and how it was moved."""

    chunk_id: int
    first_block: int
    """First block of its territory, Morton key."""
    world_from_chunk: Similarity | None
    """None: it stays."""


@dataclass(frozen=True)
class Joint:
    """A territory whose chunks are joined."""

    artifact: ArtifactKey
    """Artifact with `border.npz`, see `worldloom.merge._pieces.Border`."""
    territory: Territory
    seams: tuple[Seam, ...]
    """Between chunks of the territory, by their ids."""
    neighbours: tuple[tuple[int, int], ...]
    """Pairs of a chunk and the owner of one of its vertices, ascending."""


@dataclass(frozen=True)
class JoinWork:
    """Territories side by side."""

    parts: tuple[Joint, ...]
    """Ascending."""
    chunks: tuple[Placed, ...]
    """All of the scene, ascending by first block."""
    voxel_m: float
    """Side of a voxel, world unit."""

    @property
    def subject(self) -> str:
        """For people."""
        return f"{len(self.parts)} territories from block {self.parts[0].territory.first}"


def _join(bench: Bench, key: ArtifactKey, work: JoinWork) -> Joint:
    territory = Territory(work.parts[0].territory.first, work.parts[-1].territory.end)
    joined, origins = _concatenated([load_border(bench, part.artifact) for part in work.parts])
    table = SeamTable.of(seam for part in work.parts for seam in part.seams)
    links = _meetings(joined, origins, work, table)
    owners = _owners(joined, work.chunks)
    met = np.stack([joined.chunks.astype(np.int64), owners], axis=1)
    neighbours = {pair for part in work.parts for pair in part.neighbours}
    neighbours.update((a, b) for a, b in np.unique(met, axis=0).tolist() if a != b)
    is_open = crosses_border(joined.edge_keys, territory)
    table.add_one_sided(_rows(joined, ~is_open), owners[~is_open])
    write_border(bench, key, _regrouped(_rows(joined, is_open), links))
    return Joint(key, territory, table.seams(), tuple(sorted(neighbours)))


def _owners(joined: Border, chunks: tuple[Placed, ...]) -> Int64[np.ndarray, "b"]:
    """Returns the id of the chunk on whose ground each vertex lies."""
    starts = np.array([chunk.first_block for chunk in chunks], np.int64)
    rows = np.searchsorted(starts, blocks_of_edges(joined.edge_keys), side="right") - 1
    # The ground before the first block of all belongs to the first chunk.
    return np.array([chunk.chunk_id for chunk in chunks], np.int64)[np.maximum(rows, 0)]


def _concatenated(borders: list[Border]) -> tuple[Border, Int32[np.ndarray, "b"]]:
    """Returns all borders as one, ascending by edge, and which of them each row is from."""
    first_piece = np.cumsum([0, *(len(border.piece_chunks) for border in borders)])
    first_group = np.cumsum([0, *(len(border.group_faces) for border in borders)])
    keys = np.concatenate([border.edge_keys for border in borders])
    order = np.argsort(keys, kind="stable")
    pieces = [b.pieces + start for b, start in zip(borders, first_piece, strict=False)]
    groups = [b.piece_groups + start for b, start in zip(borders, first_group, strict=False)]
    counts = [len(border.edge_keys) for border in borders]
    origins = np.repeat(np.arange(len(borders), dtype=np.int32), counts)
    return Border(
        edge_keys=keys[order],
        shares=np.concatenate([border.shares for border in borders])[order],
        colors=np.concatenate([border.colors for border in borders])[order],
        chunks=np.concatenate([border.chunks for border in borders])[order],
        pieces=np.concatenate(pieces)[order].astype(np.int32),
        piece_chunks=np.concatenate([border.piece_chunks for border in borders]),
        piece_numbers=np.concatenate([border.piece_numbers for border in borders]),
        piece_groups=np.concatenate(groups).astype(np.int32),
        group_faces=np.concatenate([border.group_faces for border in borders]),
    ), origins[order]


def _meetings(
    joined: Border, origins: Int32[np.ndarray, "b"], work: JoinWork, table: SeamTable
) -> Int64[np.ndarray, "m 2"]:
    """Finds the vertices that two parts have, and returns the groups that they connect."""
    links: list[np.ndarray] = []
    transforms = {chunk.chunk_id: chunk.world_from_chunk for chunk in work.chunks}
    for step in range(1, _MOST_CHUNKS_AT_AN_EDGE):
        same = joined.edge_keys[step:] == joined.edge_keys[:-step]
        upper = np.flatnonzero(same & (origins[step:] != origins[:-step])) + step
        lower = upper - step
        require_agreement(
            joined.shares[lower],
            joined.shares[upper],
            joined.colors[lower],
            joined.colors[upper],
        )
        points = vertices_in_world(joined.edge_keys[lower], joined.shares[lower], work.voxel_m)
        ends = [moved_points(points, joined.chunks[rows], transforms) for rows in (lower, upper)]
        gaps_m = np.linalg.norm(ends[0] - ends[1], axis=1)
        levels = joined.colors.astype(np.int16)
        color_steps = np.abs(levels[lower] - levels[upper]).max(axis=1, initial=0)
        table.add_shared(joined.chunks[lower], joined.chunks[upper], gaps_m, color_steps)
        groups = joined.piece_groups[joined.pieces]
        links.append(np.stack([groups[lower], groups[upper]], axis=1))
    return np.concatenate(links).astype(np.int64)


def _rows(border: Border, kept: Bool[np.ndarray, "b"]) -> Border:
    return replace(
        border,
        edge_keys=border.edge_keys[kept],
        shares=border.shares[kept],
        colors=border.colors[kept],
        chunks=border.chunks[kept],
        pieces=border.pieces[kept],
    )


def _regrouped(border: Border, links: Int64[np.ndarray, "m 2"]) -> Border:
    """Returns a border with connected groups made one."""
    count = len(border.group_faces)
    graph = coo_array((np.ones(len(links), np.bool_), (links[:, 0], links[:, 1])), (count,) * 2)
    groups, group_of = connected_components(graph.tocsr(), directed=False)
    faces = np.zeros(groups, np.int64)
    np.add.at(faces, group_of, border.group_faces)
    return replace(
        border, piece_groups=group_of[border.piece_groups].astype(np.int32), group_faces=faces
    )


JOIN = Stage("join-borders", 1, Role.MERGER, Joint, _join)
"""Joins neighbouring territories at their borders."""
