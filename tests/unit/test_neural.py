"""Fits of a known shape by the implicit surface; its parts are in `test_neural_field`."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.analytic import SphereInBox, ring
from tests.corner import SPEC, corner_frames
from tests.neural import QUICK
from tests.neural import one_thread as one_thread
from tests.stage_run import StageRun
from tests.stored import made, store_depth
from worldloom.bench import Bench, BenchConfig
from worldloom.config import ReconstructionConfig
from worldloom.errors import ConfigError
from worldloom.inline import InlineRunner
from worldloom.memory import CONTRIBUTE, MemoryConfig, contribute_work
from worldloom.merge import load_mesh, merge_chunks
from worldloom.metrics import score_against_mesh
from worldloom.neural import (
    CHECKPOINT_FILE,
    CURVE_FILE,
    FIT_FIELD,
    FitWork,
    NeuralConfig,
    fit_works,
)
from worldloom.pipeline import reconstruct
from worldloom.scene import DepthMap, Mesh
from worldloom.surface import (
    FUSE_CHUNK,
    ChunkFaces,
    FuseChunkWork,
    SurfaceConfig,
    plan_chunks,
)
from worldloom.synthetic import build_scene
from worldloom.texture import TextureConfig

SHAPE = SphereInBox()
VOXEL_M = 0.05
CONFIG = SurfaceConfig(min_component_faces=0)


def merged_mesh(bench: Bench, chunks: list[ChunkFaces]) -> Mesh:
    """The surface of some chunks."""
    faces = CONFIG.min_component_faces
    return load_mesh(bench, merge_chunks(StageRun(bench), bench, chunks, (), VOXEL_M, faces).mesh)


def painted(truth: DepthMap) -> np.ndarray:
    """What a view shows of a pattern in space."""
    lens = truth.camera.intrinsics
    v, u = np.mgrid[0 : lens.height_px, 0 : lens.width_px] + 0.5
    pixels = np.stack([u.ravel(), v.ravel()], axis=1)
    points = truth.camera.unproject(pixels, truth.depth.ravel())
    waves = np.stack([np.sin(9 * points[:, k] + 4 * points[:, k - 1]) for k in range(3)], axis=-1)
    return (128 + 110 * waves).astype(np.uint8).reshape(lens.height_px, lens.width_px, 3)


def works_of(folder: Path, noise_m: float = 0.0) -> tuple[Bench, tuple[FuseChunkWork, ...]]:
    """A ball in a box, seen exactly or with depth that is off in patches."""
    bench = Bench(BenchConfig(str(folder)))
    rng = np.random.default_rng(3)
    depth = {}
    for view, camera in enumerate([*ring(8), *ring(4, 0.8, 1.1)]):
        truth = SHAPE.depth_map(view, camera)
        rough = np.kron(rng.normal(size=(12, 16)), np.ones((6, 6)))[: truth.depth.shape[0]]
        off = (noise_m * rough[:, : truth.depth.shape[1]]).astype(np.float32)
        noisy = replace(truth, depth=np.where(truth.depth > 0, truth.depth + off, 0))
        depth[view] = store_depth(bench, noisy, painted(truth))
    memory = MemoryConfig(min_confidence=0.0)
    contributions = [
        made(CONTRIBUTE, bench, contribute_work(ref, memory, 0.1, VOXEL_M, 4.0))
        for ref in depth.values()
    ]
    return bench, plan_chunks(bench, contributions, depth, VOXEL_M, 3 * VOXEL_M, CONFIG)


def fitted(bench: Bench, works: tuple[FuseChunkWork, ...], config: NeuralConfig) -> Mesh:
    fits = fit_works(works, config, "cpu")
    chunks = [made(FIT_FIELD, bench, fit) for fit in fits]
    return merged_mesh(bench, chunks)


def fused(bench: Bench, works: tuple[FuseChunkWork, ...]) -> Mesh:
    chunks = [made(FUSE_CHUNK, bench, work) for work in works]
    return merged_mesh(bench, chunks)


def off_shape_m(mesh: Mesh) -> float:
    """Mean distance of the vertices from the true surfaces."""
    return float(SHAPE.distance(mesh.vertices_in_world).mean())


@pytest.fixture(scope="module")
def rough(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Bench, tuple[FuseChunkWork, ...]]:
    return works_of(tmp_path_factory.mktemp("rough"), noise_m=0.04)


def test_a_fit_is_nearer_to_the_truth_than_rough_depth_fused(
    rough: tuple[Bench, tuple[FuseChunkWork, ...]],
) -> None:
    before = fused(*rough)
    config = replace(QUICK, steps=100, rays=512, learning_rate=0.02)
    config = replace(config, depth_weight=0.1, normal_weight=0.5)
    after = fitted(*rough, config)
    assert len(after.faces) > 0.95 * len(before.faces)
    assert off_shape_m(after) < 0.9 * off_shape_m(before)
    (fit,) = fit_works(rough[1], config, "cpu")
    curve = rough[0].arrays(FIT_FIELD.key(fit), CURVE_FILE)["color_error"]
    assert len(curve) == 100
    assert curve[-20:].mean() < 0.8 * curve[:5].mean()


def test_chunks_meet_without_a_gap_wherever_they_are_cut(
    rough: tuple[Bench, tuple[FuseChunkWork, ...]],
) -> None:
    config = replace(QUICK, steps=6)
    whole = fitted(*rough, config)
    small = fitted(*rough, replace(config, chunk_blocks=40))
    assert len(fit_works(rough[1], replace(config, chunk_blocks=40), "cpu")) > 3
    # Merging refuses chunks that do not agree on a vertex; and none of them draws less.
    for mesh in (whole, small):
        sides = np.sort(mesh.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
        _, counts = np.unique(sides, axis=0, return_counts=True)
        assert (counts <= 2).all()
    assert abs(len(whole.faces) - len(small.faces)) < 0.01 * len(whole.faces)


class KilledError(Exception):
    """Stands for the end of the process."""


def killed_after(bench: Bench, checkpoints: int) -> Bench:
    """A bench on the same store whose process ends after some checkpoints."""
    other = Bench(bench.config)
    write, seen = other.store.write, [0]

    def counted(key: object, name: str, data: object) -> None:
        write(key, name, data)  # pyright: ignore[reportArgumentType]
        seen[0] += name == CHECKPOINT_FILE
        if seen[0] == checkpoints:
            raise KilledError

    other.store.write = counted  # pyright: ignore[reportAttributeAccessIssue]
    return other


def test_a_killed_fit_goes_on_as_if_nothing_had_been(
    rough: tuple[Bench, tuple[FuseChunkWork, ...]], tmp_path: Path
) -> None:
    bench, works = rough
    (fit,) = fit_works(works, replace(QUICK, learn_exposure=True), "cpu")
    straight = made(FIT_FIELD, bench, fit)
    again_bench, again_works = works_of(tmp_path, noise_m=0.04)
    (again,) = fit_works(again_works, replace(QUICK, learn_exposure=True), "cpu")
    key = FIT_FIELD.key(again)
    assert key == straight.artifact
    with pytest.raises(KilledError):
        FIT_FIELD.function(killed_after(again_bench, 2), key, again)
    assert again_bench.store.result(key, FIT_FIELD.result) is None
    resumed = made(FIT_FIELD, again_bench, again)
    assert resumed == straight
    for name in ("faces.npz", CURVE_FILE):
        one, other = bench.arrays(key, name), again_bench.arrays(key, name)
        for field in one:
            np.testing.assert_array_equal(one[field], other[field])


def test_a_damaged_checkpoint_is_left_aside(
    rough: tuple[Bench, tuple[FuseChunkWork, ...]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench, works = works_of(tmp_path, noise_m=0.04)
    (fit,) = fit_works(works, replace(QUICK, steps=15), "cpu")
    bench.store.write(FIT_FIELD.key(fit), CHECKPOINT_FILE, b"half a file")
    damaged = made(FIT_FIELD, bench, fit)
    assert "starts anew" in caplog.text
    (same,) = fit_works(rough[1], replace(QUICK, steps=15), "cpu")
    assert damaged == made(FIT_FIELD, rough[0], same)


def test_a_chunk_that_no_ray_meets_keeps_what_was_fused(
    rough: tuple[Bench, tuple[FuseChunkWork, ...]],
) -> None:
    bench, (work, *_) = rough
    unseen = replace(work, views=(), exposures=())
    result = made(FIT_FIELD, bench, FitWork(unseen, (), QUICK))
    assert (result.vertices, result.faces) == (0, 0)


def test_the_whole_method_by_name(tmp_path: Path) -> None:
    frames, _ = corner_frames(Bench(BenchConfig(str(tmp_path))))
    config = ReconstructionConfig(
        method="neural",
        depth_estimation=False,
        neural=replace(QUICK, steps=30),
        texture=TextureConfig(textures=False),
    )
    bench = BenchConfig(str(tmp_path))
    runner = InlineRunner(bench, workers=2)
    result = reconstruct(frames, config, runner, Bench(bench), lambda _: None)
    truth = build_scene(SPEC)
    assert score_against_mesh(result.mesh, truth.mesh, truth.trajectory.cameras).fscore > 0.75
    assert "fit-field" in {report.stage for report in result.stages}


@pytest.mark.gpu
def test_a_fit_on_cuda_is_near_that_on_the_cpu(
    rough: tuple[Bench, tuple[FuseChunkWork, ...]],
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    bench, works = rough
    (fit,) = fit_works(works, replace(QUICK, steps=40), "cuda")
    chunk = made(FIT_FIELD, bench, fit)
    mesh = merged_mesh(bench, [chunk])
    (same,) = fit_works(works, replace(QUICK, steps=40), "cpu")
    chunk = made(FIT_FIELD, bench, same)
    other = merged_mesh(bench, [chunk])
    assert off_shape_m(mesh) == pytest.approx(off_shape_m(other), rel=0.02)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("steps", 0), ("samples", 3), ("levels", 11), ("seam_voxels", 17), ("table_log2", 9)),
        *(("learning_rate", 0.0), ("color_weight", -1.0), ("last_sharpness", 2.0)),
    ],
)
def test_settings_that_cannot_work_are_refused(name: str, value: float) -> None:
    told = "first_sharpness" if name == "last_sharpness" else name
    with pytest.raises(ConfigError, match=told):
        replace(NeuralConfig(), **SimpleNamespace(**{name: value}).__dict__)
