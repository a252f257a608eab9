"""One chunk: its field fitted, its surface cut."""

import numpy as np
import torch
from jaxtyping import Int64

from worldloom.bench import Bench
from worldloom.lattice import keys_from_cells
from worldloom.memory import BLOCK_VOXELS, check_depth_map
from worldloom.neural._config import NeuralConfig
from worldloom.neural._field import DistanceField
from worldloom.neural._fit import CHECKPOINT_FILE, CURVE_FILE
from worldloom.neural._rays import chunk_rays
from worldloom.neural._seed import Seed, seed_from
from worldloom.neural._trainer import Trainer
from worldloom.store import ArtifactKey
from worldloom.surface import ChunkFaces, FuseChunkWork, Volume, surface_view, write_faces

_PLACES = 100_000
"""Samples that are looked up at a time."""


def fitted_chunk(
    bench: Bench,
    key: ArtifactKey,
    fuse: FuseChunkWork,
    halo: tuple[tuple[int, int, int], ...],
    config: NeuralConfig,
    device: str,
) -> ChunkFaces:
    """Fits the field of a chunk and writes the faces of its surface; arguments as in `FitWork`."""
    # Results must not depend on the number of cores; chunks are what runs side by side.
    torch.set_num_threads(1)
    own = np.sort(keys_from_cells(np.array(fuse.chunk.blocks, np.int64).reshape(-1, 3)))
    around = keys_from_cells(np.array(halo, np.int64).reshape(-1, 3))
    volume = _fused(bench, fuse, np.sort(np.concatenate([own, around])))
    rows = np.searchsorted(volume.block_keys, own)
    inner = Volume(
        volume.voxel_m, own, volume.distances[rows], volume.weights[rows], volume.seen[rows]
    )
    seed = seed_from(volume, own, fuse.truncation_m, config.seam_voxels)
    rays = chunk_rays(bench, fuse, inner, seed.low, config.image_scale, config.max_rays)
    if len(rays):
        trainer = Trainer(seed, rays, config, fuse.chunk.chunk_id, device)
        if bench.store.holds(key, CHECKPOINT_FILE):
            trainer.resume(bench.store.read(key, CHECKPOINT_FILE).to_pybytes())
        trainer.run(lambda data: bench.store.write(key, CHECKPOINT_FILE, data))
        bench.write_arrays(key, CURVE_FILE, color_error=np.array(trainer.curve))
        _correct(inner, seed, trainer.field, config, torch.device(device))
    return write_faces(bench, key, fuse, inner)


def _fused(bench: Bench, work: FuseChunkWork, keys: Int64[np.ndarray, "n"]) -> Volume:
    volume = Volume.empty(keys, work.voxel_m)
    for ref in work.views:
        depth_map = bench.depth_map(ref)
        check_depth_map(depth_map)
        view = surface_view(depth_map, work.voxel_m, work.truncation_m, work.min_confidence)
        volume.integrate(view, work.truncation_m, work.carve_weight)
    return volume


def _correct(
    volume: Volume, seed: Seed, field: DistanceField, config: NeuralConfig, device: torch.device
) -> None:
    """Puts the distance of the field into a volume, where it is free and near the surface.

    Samples that another chunk has too are not touched, so that both keep the same values.
    """
    share = seed.distance[seed.own]
    near = np.abs(share) < seed.truncation * 0.999
    free = (seed.freedom[seed.own] > 0) & (volume.weights > 0) & near
    block, i, j, k = np.nonzero(free)
    corner = seed.blocks[seed.own][block] * BLOCK_VOXELS - seed.low
    places = (corner + np.stack([i, j, k], axis=1)).astype(np.float32)
    distance = np.empty(len(places), np.float32)
    with torch.no_grad():
        for first in range(0, len(places), _PLACES):
            some = torch.from_numpy(places[first : first + _PLACES]).to(device)
            parts = field.parts(some, float(config.levels))
            distance[first : first + _PLACES] = parts.correction.cpu().numpy()
    fitted = (share[free] + distance) / np.float32(seed.truncation)
    volume.distances[free] = volume.weights[free] * np.clip(fitted, -1, 1)
