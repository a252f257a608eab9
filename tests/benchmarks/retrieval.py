"""How the search for partners in the memory grows with the number of views.

usage: python -m tests.benchmarks.retrieval [--views N ...] [--asked N]

Views of 320x240 look at a wall two metres away, of which each sees 1,200 cells. `walk`: they stand
a decimetre apart, so the wall grows with them; `stay`: they share four metres, so each cell is seen
by ever more of them. Prints one JSON line a case: CPU-milliseconds a view to choose shards (in the
driver) and to retrieve (in a worker), as medians over the views asked.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from worldloom.bench import Bench, BenchConfig
from worldloom.cameras import Camera, CameraIntrinsics
from worldloom.depth import RETRIEVE, RetrieveWork
from worldloom.lattice import cells_from_keys, keys_from_cells
from worldloom.memory import (
    FUSED_FILE,
    ROWS_FILE,
    FusedMemory,
    FusedShard,
    GeometricMemory,
    ShardIndex,
    write_fused,
    write_rows,
)
from worldloom.scene import Frame
from worldloom.store import ArtifactKey, artifact_key

CELL_M, SHARD_CELLS = 0.1, 32
WALL_M, REACH_M, HEIGHT_M = 2.0, 2.0, 3.0
STAY_M = 4.0
LENS = CameraIntrinsics(fx=160, fy=160, cx=160, cy=120, width_px=320, height_px=240)


@dataclass(frozen=True, eq=False)
class Bank:
    """Views before a wall, and the memory of it."""

    places_m: np.ndarray
    """Along the wall, ascending."""
    keys: np.ndarray
    """Cells of the wall."""
    shards: tuple[FusedShard, ...]

    def camera(self, view: int) -> Camera:
        """Returns the camera of a view."""
        world_from_cam = np.eye(4)
        world_from_cam[0, 3] = self.places_m[view]
        return Camera(LENS, world_from_cam)

    def cells_of(self, bench: Bench, view: int) -> ArtifactKey:
        """Writes what a view put into the memory."""
        centre_m = (cells_from_keys(self.keys)[:, 0] + 0.5) * CELL_M
        seen = self.keys[np.abs(centre_m - self.places_m[view]) <= REACH_M]
        key = artifact_key("own", 1, view)
        rows = _rows(seen, np.full(len(seen), view))
        bench.store.write(key, ROWS_FILE, write_rows(CELL_M, [rows]))
        return key


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--views", nargs="+", type=int, default=[100, 1000, 10000])
    parser.add_argument("--asked", type=int, default=15)
    options = parser.parse_args()
    for case in ("walk", "stay"):
        for count in options.views:
            with tempfile.TemporaryDirectory() as folder:
                print(json.dumps(_measure(case, count, options.asked, folder)), flush=True)


def _measure(case: str, count: int, asked: int, folder: str) -> dict[str, object]:
    bench = Bench(BenchConfig(folder, 1024))
    spacing_m = 0.1 if case == "walk" else STAY_M / count
    bank = _bank(bench, np.arange(count) * spacing_m)
    index = ShardIndex(bank.shards)
    views = np.linspace(0.1 * count, 0.9 * count, asked).astype(int).tolist()
    choose_ms, retrieve_ms, found, read = [], [], [], []
    for view in views:
        camera = bank.camera(view)
        choose_ms.append(_cpu_ms(lambda camera=camera: index.in_view(camera, 0.5, 4.0)))
        shards = index.in_view(camera, 0.5, 4.0)
        frame = Frame(view, f"{case}/{view}", case, view, camera, artifact_key("image", 1, view))
        own = bank.cells_of(bench, view)
        work = RetrieveWork(frame, own, shards, 0.5, 4.0, 320, 240)
        key = RETRIEVE.key(work)
        retrieve_ms.append(_cpu_ms(lambda key=key, work=work: RETRIEVE.function(bench, key, work)))
        found.append(len(RETRIEVE.function(bench, key, work).covisible))
        read.append(len(shards))
    return {
        "case": case,
        "views": count,
        "shards": len(bank.shards),
        "rows": sum(shard.rows for shard in bank.shards),
        "shards_read": float(np.median(read)),
        "choose_ms": round(float(np.median(choose_ms)), 3),
        "retrieve_ms": round(float(np.median(retrieve_ms)), 1),
        "partners_found": int(np.median(found)),
    }


def _cpu_ms(do: Callable[[], object]) -> float:
    do()
    start = time.process_time()
    for _ in range(3):
        do()
    return (time.process_time() - start) / 3 * 1000


def _bank(bench: Bench, places_m: np.ndarray) -> Bank:
    columns = np.arange(
        int((places_m[0] - REACH_M) / CELL_M), int((places_m[-1] + REACH_M) / CELL_M)
    )
    lines = np.arange(int(-HEIGHT_M / 2 / CELL_M), int(HEIGHT_M / 2 / CELL_M))
    x, y = (axis.ravel() for axis in np.meshgrid(columns, lines, indexing="ij"))
    keys = np.sort(
        keys_from_cells(np.stack([x, y, np.full(len(x), WALL_M / CELL_M)], 1).astype(int))
    )
    shift = 3 * (SHARD_CELLS.bit_length() - 1)
    cuts = np.flatnonzero(np.diff(keys >> shift)) + 1
    shards: list[FusedShard] = []
    for part in np.split(keys, cuts):
        first = int(part[0] >> shift) << shift
        memory = _cells_seen(part, places_m)
        key = artifact_key("bank", 1, first)
        bench.store.write(key, FUSED_FILE, write_fused(memory))
        shards.append(
            FusedShard(first, first + (1 << shift), key, CELL_M, len(part), int(memory.count.sum()))
        )
    return Bank(places_m, keys, tuple(shards))


def _cells_seen(keys: np.ndarray, places_m: np.ndarray) -> FusedMemory:
    """Cells of the wall, each seen by all views within reach along it."""
    centre_m = (cells_from_keys(keys)[:, 0] + 0.5) * CELL_M
    first = np.searchsorted(places_m, centre_m - REACH_M)
    counts = np.maximum(np.searchsorted(places_m, centre_m + REACH_M) - first, 0)
    starts = np.append(0, np.cumsum(counts)).astype(np.int64)
    views = np.arange(starts[-1]) - np.repeat(starts[:-1] - first, counts)
    return _rows(np.repeat(keys, counts), views).fused()


def _rows(cells: np.ndarray, views: np.ndarray) -> GeometricMemory:
    size = len(cells)
    return GeometricMemory(
        CELL_M,
        cells=cells,
        views=views.astype(np.int32),
        offsets=np.full((size, 3), 2**15, np.uint16),
        normals=np.tile(np.array([0, 0, -127], np.int8), (size, 1)),
        colors=np.full((size, 3), 128, np.uint8),
        confidence=np.full(size, 255, np.uint8),
        count=np.ones(size, np.uint16),
    )


if __name__ == "__main__":
    main()
