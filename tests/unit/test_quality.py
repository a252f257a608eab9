"""Quality without a truth: each measure falls under its damage, and the others hardly move."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh
from scipy.ndimage import map_coordinates

from tests.corner import corner_frames
from tests.damage import blurred, bulged, littered, punctured, roughened, stepped
from worldloom.bench import Bench, BenchConfig
from worldloom.errors import ConfigError, InputError, StoreError
from worldloom.export import Manifest, save_manifest
from worldloom.metrics import QualityReport, QualityScores, pixel_quality, regions_from_chunks
from worldloom.quality import (
    QualityBasis,
    folder_quality,
    load_basis,
    measured_quality,
    save_basis,
)
from worldloom.render import MeshRenderer
from worldloom.response import ViewExposure, exposed
from worldloom.scene import Chunk, DepthMap, DepthRef, Frame, Mesh
from worldloom.store import ArtifactKey
from worldloom.synthetic import SceneSpec, build_scene

SPEC = SceneSpec(layout="corner", frames=5, width_px=160, height_px=120)
VOXEL_M = 0.02


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(BenchConfig(str(tmp_path_factory.mktemp("store"))))


@pytest.fixture(scope="module")
def mesh(bench: Bench, basis: QualityBasis) -> Mesh:
    """The true surface, its colours as fine as the pixels: the mean of the views that see them."""
    truth = build_scene(SPEC).mesh
    points, faces = trimesh.remesh.subdivide_to_size(
        truth.vertices_in_world, truth.faces, max_edge=0.05, max_iter=12
    )
    sums, counts = np.zeros((len(points), 3)), np.zeros((len(points), 1))
    for ref in basis.depth:
        pixels, z = ref.camera.project(points)
        at = np.clip(pixels[:, ::-1] - 0.5, -1, 1e4)
        depth = map_coordinates(bench.depth_map(ref).depth, at.T, order=0)
        image = bench.image(ref.frame, ref.width_px, ref.height_px).astype(np.float64)
        colors = np.stack([map_coordinates(image[..., k], at.T, order=1) for k in range(3)], -1)
        seen = (z > 0) & (np.abs(depth - z) < 0.03 * z)
        sums[seen] += colors[seen]
        counts[seen] += 1
    colors = np.where(counts > 0, sums / np.maximum(counts, 1), 128)
    return Mesh(points, faces.astype(np.int32), np.rint(colors).astype(np.uint8))


@pytest.fixture(scope="module")
def basis(bench: Bench) -> QualityBasis:
    frames, depths = corner_frames(bench, SPEC)
    refs = tuple(_stored(bench, f, d) for f, d in zip(frames, depths, strict=True))
    return QualityBasis(refs[:4], 0.05, (frames[4],), (), VOXEL_M, (), None)


def _stored(bench: Bench, frame: Frame, depth: np.ndarray) -> DepthRef:
    key = ArtifactKey(f"depth/00/{frame.view_id}")
    flat = np.zeros((*depth.shape, 3), np.float32)
    confidence = (depth > 0).astype(np.float32)
    bench.write_arrays(key, "depth.npz", depth=depth, confidence=confidence, normal_in_world=flat)
    return DepthRef(frame, key, depth.shape[1], depth.shape[0])


def measured(bench: Bench, basis: QualityBasis, mesh: Mesh) -> QualityReport:
    return measured_quality(bench, basis, MeshRenderer(mesh))


def series(bench: Bench, basis: QualityBasis, meshes: Sequence[Mesh]) -> dict[str, list[float]]:
    """Each measure over several meshes."""
    reports = [measured(bench, basis, mesh) for mesh in meshes]
    return {
        name: [getattr(report, name) for report in reports]
        for name in QualityScores.__dataclass_fields__
    }


def falls(values: Sequence[float], by: float) -> bool:
    """Strictly, at each step, and by so much in the end."""
    return bool((np.diff(values) < 0).all()) and values[0] - values[-1] > by


def span(values: Sequence[float]) -> float:
    return max(values) - min(values)


def test_the_true_surface_scores_about_one(bench: Bench, basis: QualityBasis, mesh: Mesh) -> None:
    report = measured(bench, basis, mesh)
    seen = [(bench.depth_map(ref).depth > 0).mean() for ref in basis.depth]
    assert report.completeness == pytest.approx(np.mean(seen), abs=1e-4), "all that is there"
    assert report.geometric_consistency == pytest.approx(1, abs=1e-3)
    assert report.texture_quality is not None
    assert report.texture_quality > 0.6
    assert report.view_consistency is not None
    assert report.view_consistency > 0.9
    assert [view.name for view in report.views] == ["corner/0", "corner/1", "corner/2", "corner/3"]
    assert [view.name for view in report.held_out_views] == ["corner/4"]
    assert report.held_out is not None
    assert report.held_out.geometric_consistency is None
    assert report.held_out == report.held_out_views[0].scores
    assert report.held_out.completeness == pytest.approx(np.mean(seen), abs=0.04)


def test_holes_cost_completeness(bench: Bench, basis: QualityBasis, mesh: Mesh) -> None:
    holes = [mesh, *(punctured(mesh, share, 0.08) for share in (0.03, 0.1, 0.2, 0.4))]
    found = series(bench, basis, holes)
    assert falls(found["completeness"], by=0.25)
    assert span(found["geometric_consistency"]) < 0.01
    assert span(found["texture_quality"]) < 0.03
    assert span(found["view_consistency"]) < 0.03


@pytest.mark.parametrize("damage", [roughened, bulged])
def test_wrong_geometry_costs_geometric_consistency(
    bench: Bench, basis: QualityBasis, mesh: Mesh, damage: object
) -> None:
    assert callable(damage)
    found = series(bench, basis, [damage(mesh, size) for size in (0.0, 0.01, 0.02, 0.04)])
    assert falls(found["geometric_consistency"], by=0.2)
    assert span(found["completeness"]) < 0.03
    moved = found["geometric_consistency"][0] - found["geometric_consistency"][-1]
    assert span(found["texture_quality"]) < 0.75 * moved, "what moves is seen elsewhere, or hidden"
    assert span(found["view_consistency"]) < 0.5 * moved


def test_things_that_float_cost_geometric_consistency(
    bench: Bench, basis: QualityBasis, mesh: Mesh
) -> None:
    found = series(bench, basis, [mesh, *(littered(mesh, n, 0.12) for n in (4, 16, 64))])
    assert falls(found["geometric_consistency"], by=0.1)
    assert span(found["completeness"]) < 0.01


def test_blur_costs_texture_quality(bench: Bench, basis: QualityBasis, mesh: Mesh) -> None:
    found = series(bench, basis, [blurred(mesh, rounds) for rounds in (0, 1, 4, 16)])
    assert falls(found["texture_quality"], by=0.15)
    assert span(found["completeness"]) == span(found["geometric_consistency"]) == 0
    assert span(found["view_consistency"]) < 0.08


def test_steps_of_brightness_between_areas_cost_view_consistency(
    bench: Bench, basis: QualityBasis, mesh: Mesh
) -> None:
    found = series(bench, basis, [stepped(mesh, gain) for gain in (1.0, 1.05, 1.15, 1.3)])
    assert falls(found["view_consistency"], by=0.3)
    assert span(found["completeness"]) == span(found["geometric_consistency"]) == 0
    assert span(found["texture_quality"]) < 0.05


def relit(bench: Bench, ref: DepthRef, gain: float) -> DepthRef:
    """The view with another exposure."""
    image = bench.image(ref.frame, ref.width_px, ref.height_px)
    bright = exposed(image, ViewExposure(ref.frame.view_id, "linear", (gain, gain, gain)))
    key = ArtifactKey(f"relit/{ref.frame.view_id}/{gain}")
    png = cv2.imencode(".png", cv2.cvtColor(bright, cv2.COLOR_RGB2BGR))[1]
    bench.store.write(key, "image.png", png.tobytes())
    return replace(ref, frame=replace(ref.frame, image=key))


def test_steps_of_exposure_between_views_cost_view_consistency(
    bench: Bench, basis: QualityBasis, mesh: Mesh
) -> None:
    reports: list[QualityReport] = []
    for gain in (1.0, 1.1, 1.3, 1.7):
        signed = [gain if i % 2 else 1 / gain for i in range(len(basis.depth))]
        depth = tuple(relit(bench, r, g) for r, g in zip(basis.depth, signed, strict=True))
        reports.append(measured(bench, replace(basis, depth=depth), mesh))
        known = tuple(
            ViewExposure(r.frame.view_id, "linear", (g, g, g))
            for r, g in zip(depth, signed, strict=True)
        )
        undone = replace(basis, depth=depth, exposures=known, response="linear")
        score = measured(bench, undone, mesh).view_consistency
        assert score == pytest.approx(reports[0].view_consistency, abs=0.02), (
            "exposures that are known are no inconsistency"
        )
    consistency = [report.view_consistency or 0.0 for report in reports]
    assert falls(consistency, by=0.3)
    assert span([report.texture_quality or 0.0 for report in reports]) < 0.1
    assert len({report.completeness for report in reports}) == 1


def test_held_out_views_are_judged_at_the_gain_that_fits_them(
    bench: Bench, basis: QualityBasis, mesh: Mesh
) -> None:
    plain = measured(bench, basis, mesh).held_out
    ref = DepthRef(basis.held_out[0], ArtifactKey("none"), 160, 120)
    dark = relit(bench, ref, 0.7).frame
    raw = measured(bench, replace(basis, held_out=(dark,)), mesh).held_out
    fitted = measured(bench, replace(basis, held_out=(dark,), response="linear"), mesh).held_out
    assert plain is not None
    assert raw is not None
    assert fitted is not None
    assert plain.view_consistency is not None
    assert raw.view_consistency is not None
    assert raw.view_consistency < plain.view_consistency - 0.2
    assert fitted.view_consistency == pytest.approx(plain.view_consistency, abs=0.03)


def chunks_along_x(mesh: Mesh) -> tuple[Chunk, ...]:
    """Blocks over the whole scene in three slabs."""
    side = 16 * VOXEL_M
    low = np.floor(mesh.vertices_in_world.min(axis=0) / side).astype(int) - 1
    high = np.floor(mesh.vertices_in_world.max(axis=0) / side).astype(int) + 2
    cuts = np.linspace(low[0], high[0], 4).astype(int)
    y, z = range(low[1], high[1]), range(low[2], high[2])
    return tuple(
        Chunk(
            7 + i, tuple((a, b, c) for a in range(cuts[i], cuts[i + 1]) for b in y for c in z), ()
        )
        for i in range(3)
    )


def test_damage_in_one_chunk_is_found_in_that_chunk_and_its_seams(
    bench: Bench, basis: QualityBasis, mesh: Mesh
) -> None:
    chunks = chunks_along_x(mesh)
    split = replace(basis, chunks=chunks)
    edge_m = 16 * VOXEL_M * chunks[1].blocks[0][0]
    end_m = 16 * VOXEL_M * chunks[2].blocks[0][0]
    x = mesh.vertices_in_world[:, 0]
    inside = (x > edge_m) & (x < end_m)
    assert mesh.colors is not None
    dark = replace(mesh, colors=np.where(inside[:, None], mesh.colors // 2, mesh.colors))
    good, bad = measured(bench, split, mesh), measured(bench, split, dark)
    assert [chunk.chunk_id for chunk in good.chunks] == [7, 8, 9]
    assert [seam.chunk_ids for seam in good.seams] == [(7, 8), (8, 9)]
    known = sum(int((bench.depth_map(ref).depth > 0).sum()) for ref in basis.depth)
    assert known <= sum(chunk.pixels for chunk in good.chunks) <= known + 10
    seams = sum(seam.pixels for seam in good.seams)
    assert 0 < seams < 4 * 160 * 120 / 3
    fall = [
        (before.scores.view_consistency or 0) - (after.scores.view_consistency or 0)
        for before, after in zip(good.chunks, bad.chunks, strict=True)
    ]
    assert fall[1] > 0.2
    assert max(fall[0], fall[2]) < 0.25 * fall[1], "colours are compared over windows"
    for before, after in zip(good.seams, bad.seams, strict=True):
        assert (before.scores.view_consistency or 0) - (after.scores.view_consistency or 0) > 0.05
        assert before.scores.completeness == after.scores.completeness == 1


def test_regions_are_those_of_the_blocks() -> None:
    chunks = [Chunk(3, ((0, 0, 0), (0, 1, 0)), ()), Chunk(5, ((1, 0, 0),), ())]
    regions = regions_from_chunks(chunks, voxel_m=0.5)
    assert regions.seams == ((3, 5),)
    places = np.array(
        [
            [4.0, 4, 4],  # the middle of a block of chunk 3
            [7.0, 4, 4],  # two voxels from chunk 5
            [5.9, 4, 4],  # a bit more than four voxels from it
            [9.9, 4, 4],  # in chunk 5, near chunk 3
            [4.0, 7.9, 4],  # near another block of the same chunk
            [7.9, 12, 4],  # near a place without a block
            [-1.0, 4, 4],
            [1e9, 4, 4],
        ]
    )
    assert regions.chunk_of(places).tolist() == [0, 0, 0, 1, 0, 0, -1, -1]
    assert regions.seam_of(places).tolist() == [-1, 0, -1, 0, -1, -1, -1, -1]
    nothing = regions_from_chunks([], voxel_m=0.5)
    assert nothing.chunk_of(places).tolist() == nothing.seam_of(places).tolist() == [-1] * 8


def test_nothing_to_judge_is_none_and_not_one(bench: Bench, basis: QualityBasis) -> None:
    void = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32))
    report = measured(bench, replace(basis, held_out=()), void)
    assert report.scores == QualityScores(0.0, None, None, None)
    assert report.held_out is None
    assert (report.chunks, report.seams) == ((), ())


def test_a_surface_behind_a_hole_does_not_fill_it(basis: QualityBasis, bench: Bench) -> None:
    ref = basis.depth[0]
    depth_map = bench.depth_map(ref)
    rendered = MeshRenderer(build_scene(SPEC).mesh).render(ref.camera)
    image = bench.image(ref.frame, ref.width_px, ref.height_px)
    hole = np.zeros(depth_map.depth.shape, bool)
    hole[40:60, 40:60] = True
    behind = replace(rendered, depth=np.where(hole, 2 * rendered.depth, rendered.depth))
    quality = pixel_quality(behind, depth_map, image)
    np.testing.assert_array_equal(quality.completeness.score == 0, hole | (rendered.depth == 0))
    assert not quality.geometric_consistency.weight[hole].any()
    assert not quality.view_consistency.weight[hole].any()
    unknown = DepthMap(
        0, ref.camera, 0 * depth_map.depth, 0 * depth_map.depth, depth_map.normal_in_world
    )
    explained = pixel_quality(behind, unknown, image).completeness.score
    np.testing.assert_array_equal(explained == 1, rendered.hit)
    with pytest.raises(ConfigError, match="resized to the depth map"):
        pixel_quality(behind, depth_map, image[:50])


def test_the_basis_comes_back_as_it_was(bench: Bench, basis: QualityBasis, mesh: Mesh) -> None:
    full = replace(
        basis,
        chunks=chunks_along_x(mesh),
        exposures=(ViewExposure(0, "filmic", (1.0, 1.1, 0.9)),),
        response="filmic",
    )
    key = save_basis(bench.store, full)
    path = Path(bench.store.uri) / key / "result.json"
    written = path.stat().st_ino
    assert save_basis(bench.store, full) == key
    assert path.stat().st_ino == written, "what is finished is not written again"
    again = load_basis(bench.store, key)
    assert again.chunks == full.chunks
    assert again.exposures == full.exposures
    assert measured(bench, again, mesh) == measured(bench, full, mesh)
    with pytest.raises(StoreError, match="does not hold what the quality"):
        load_basis(bench.store, ArtifactKey("quality-basis/00/none"))
    with pytest.raises(ConfigError, match="judge at least 1"):
        measured_quality(bench, basis, MeshRenderer(mesh), views=0)


def test_a_folder_without_its_evidence_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no finished scene"):
        folder_quality(tmp_path, str(tmp_path))
    save_manifest(Manifest(parameters={}, views=()), tmp_path)
    with pytest.raises(InputError, match="made by an earlier release"):
        folder_quality(tmp_path, str(tmp_path))
    save_manifest(
        Manifest(parameters={}, views=(), evidence={"quality_basis": "quality-basis/00/x"}),
        tmp_path,
    )
    with pytest.raises(StoreError, match="frames and depth maps of the scene are gone"):
        folder_quality(tmp_path, str(tmp_path / "artifacts"))
    assert not (tmp_path / "artifacts").exists()
