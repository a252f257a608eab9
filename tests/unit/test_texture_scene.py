"""Textures of scenes that exist already, and what all views together make of them."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from tests.textured import (
    bench_at,
    cameras,
    in_pieces,
    picture,
    places_of_texels,
    plane,
    plane_inputs,
    psnr_db,
    store_image,
)
from worldloom.bench import Bench
from worldloom.cameras import CameraTrajectory
from worldloom.errors import ConfigError, ExportError, InputError, ReconstructionError
from worldloom.export import export_mesh
from worldloom.render import TexturedRenderer
from worldloom.scene import Mesh, PointCloud, ReconstructedScene
from worldloom.stage import Progress
from worldloom.texture import (
    OPTIMIZATION,
    RECORD,
    TextureConfig,
    TextureInputs,
    bake_textures,
    optimize_textures,
    plain_record,
    record_textures,
)

CONFIG = TextureConfig(texels_per_pixel=1.0)


def fine(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A pattern that one view hardly resolves: four pixels a wave."""
    wave = 128 + 60 * np.sin(78 * x + 1) * np.cos(70 * y)
    return np.stack([wave, 255 - wave, 0.5 * wave], axis=-1)


def scene_of(bench: Bench, inputs: TextureInputs) -> ReconstructedScene:
    """A scene without textures that knows what they are made from."""
    nothing = np.zeros((0, 3))
    cloud = PointCloud(
        nothing,
        nothing.astype(np.float32),
        nothing.astype(np.uint8),
        np.zeros(0, np.float32),
        np.zeros(0, np.int32),
    )
    views = CameraTrajectory(
        tuple(view.frame.camera for view in inputs.views), tuple(range(len(inputs.views)))
    )
    record: dict[str, Any] = plain_record(record_textures(bench, inputs, None))
    metadata: dict[str, object] = {
        "parameters": {"texture": asdict(replace(CONFIG, textures=False))},
        "evidence": {RECORD: record, "voxel_m": 0.02},
    }
    return ReconstructedScene(plane(), cloud, views, metadata=metadata)


def test_textures_can_be_made_later_and_at_another_resolution(tmp_path: Path) -> None:
    bench = bench_at(tmp_path)
    scene = scene_of(bench, plane_inputs(bench))
    found = bake_textures(scene)
    assert found.unwrapped is not None
    assert set(found.textures) == {"albedo", "normal", "roughness"}
    evidence: Any = found.metadata["evidence"]
    assert evidence["voxel_m"] == 0.02
    assert evidence[RECORD]["summary"]["seen_share"] > 0.9
    assert scene.textures == {}
    finer = bake_textures(found, replace(CONFIG, texels_per_pixel=2.0))
    sides = [made.textures["albedo"].pages[0].shape[0] for made in (found, finer)]
    assert sides[1] == 2 * sides[0]
    parameters: Any = finer.metadata["parameters"]
    assert parameters["texture"]["texels_per_pixel"] == 2.0


def test_an_export_above_the_resolution_of_the_bake_bakes_again(tmp_path: Path) -> None:
    bench = bench_at(tmp_path / "here")
    baked = bake_textures(scene_of(bench, plane_inputs(bench)))
    side = baked.textures["albedo"].pages[0].shape[0]
    path = export_mesh(baked, tmp_path / "large.glb", texture_resolution=2 * side)
    material = trimesh.load(path, process=False).dump()[0].visual.material
    assert material.baseColorTexture.size == (2 * side, 2 * side)
    assert material.normalTexture.size == (2 * side, 2 * side)
    (tmp_path / "here").rename(tmp_path / "there")
    with pytest.raises(ExportError, match=f"baked at {side} px.*store_uri=.*enlarge the pictures"):
        export_mesh(baked, tmp_path / "gone.glb", texture_resolution=2 * side)
    there = str(tmp_path / "there")
    export_mesh(baked, tmp_path / "b.glb", texture_resolution=2 * side, store_uri=there)
    assert (tmp_path / "b.glb").read_bytes() == path.read_bytes()
    improved = replace(baked, metadata={**baked.metadata, OPTIMIZATION: []})
    with pytest.raises(ExportError, match="would lose that"):
        export_mesh(improved, tmp_path / "c.glb", texture_resolution=2 * side, store_uri=there)


def test_a_scene_without_record_or_store_says_what_to_do(tmp_path: Path) -> None:
    bench = bench_at(tmp_path / "here")
    scene = scene_of(bench, plane_inputs(bench))
    with pytest.raises(InputError, match="reconstruct it again"):
        bake_textures(replace(scene, metadata={}))
    (tmp_path / "here").rename(tmp_path / "there")
    with pytest.raises(InputError, match="store_uri"):
        bake_textures(scene)
    moved = bake_textures(scene, store_uri=str(tmp_path / "there"))
    assert moved.unwrapped is not None
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="does not hold"):
        bake_textures(scene, store_uri=str(tmp_path / "empty"))


def _fine_scene(tmp_path: Path, mesh: Mesh | None = None) -> tuple[Bench, ReconstructedScene]:
    bench = bench_at(tmp_path)
    seen = cameras()
    images = [picture(camera, fine) for camera in seen[:4]]
    inputs = plane_inputs(bench, images=images, mesh=mesh)
    judge = store_image(bench, 90, seen[4], picture(seen[4], fine))
    return bench, scene_of(bench, replace(inputs, held_out=(judge,)))


def _truth(scene: ReconstructedScene) -> float:
    assert scene.unwrapped is not None
    page = scene.textures["albedo"].pages[0]
    row, column, points = places_of_texels(scene.unwrapped, page.shape[0])
    inner = (np.abs(points[:, :2]) < 0.9).all(axis=1)
    return psnr_db(page[row[inner], column[inner]], fine(points[inner, 0], points[inner, 1]))


def test_all_views_together_resolve_more_than_one(tmp_path: Path) -> None:
    _, scene = _fine_scene(tmp_path)
    baked = bake_textures(scene)
    better = optimize_textures(baked, iterations=12)
    assert _truth(better) > _truth(baked) + 3
    steps: Any = better.metadata["texture_optimization"]
    names = [step["step"] for step in steps]
    assert names == ["baked", "seam_blending", "super_resolution", "detail_enhancement"]
    scores = {step["step"]: step["held_out_psnr_db"] for step in steps}
    assert scores["super_resolution"] > scores["baked"] + 2
    assert scores["detail_enhancement"] > scores["baked"] + 2
    before, after = (made.textures["albedo"].pages[0].shape[0] for made in (baked, better))
    assert after == 2 * before
    assert better.textures["albedo"].covered[0].shape == (after, after)
    assert baked.unwrapped is not None
    assert better.unwrapped is not None
    np.testing.assert_array_equal(better.unwrapped.uv, baked.unwrapped.uv)
    assert better.textures["normal"].pages[0].shape[0] == before


def test_steps_can_be_left_out_and_detail_stays_within_what_views_show(tmp_path: Path) -> None:
    _, scene = _fine_scene(tmp_path)
    baked = bake_textures(scene)
    sharp = optimize_textures(baked, super_resolution=False, seam_blending=False)
    steps: Any = sharp.metadata["texture_optimization"]
    assert [step["step"] for step in steps] == ["baked", "detail_enhancement"]
    assert steps[1]["amount"] > 0
    assert sharp.textures["albedo"].pages[0].shape == baked.textures["albedo"].pages[0].shape
    inside = sharp.textures["albedo"].covered[0]
    values = sharp.textures["albedo"].pages[0][inside]
    images = np.concatenate([picture(c, fine).reshape(-1, 3) for c in cameras()[:4]])
    lit = images[images.sum(axis=1) > 0]
    assert (values.max(axis=0) <= lit.max(axis=0) + 3).all()
    none = optimize_textures(
        baked, super_resolution=False, seam_blending=False, detail_enhancement=False
    )
    np.testing.assert_array_equal(
        none.textures["albedo"].pages[0], baked.textures["albedo"].pages[0]
    )


def test_optimising_the_same_twice_gives_the_same(tmp_path: Path) -> None:
    _, scene = _fine_scene(tmp_path)
    made = [optimize_textures(bake_textures(scene), iterations=2) for _ in range(2)]
    pages = [each.textures["albedo"].pages[0] for each in made]
    np.testing.assert_array_equal(pages[0], pages[1])


def test_pages_are_work_of_their_own_and_are_found_again(tmp_path: Path) -> None:
    bench, scene = _fine_scene(tmp_path, in_pieces(plane()))
    config = replace(CONFIG, texture_resolution=96, max_texture_pages=4)
    baked = bake_textures(scene, config)
    assert len(baked.textures["albedo"].pages) > 1
    said = list[Progress]()
    better = optimize_textures(baked, iterations=12, on_progress=said.append)
    assert [page.shape for page in better.textures["albedo"].pages] == [
        (192, 192, 3) for _ in baked.textures["albedo"].pages
    ]
    ends = {item.stage: item for item in said if item.done == item.total}
    assert ends["better-page"].total == len(baked.textures["albedo"].pages)
    assert ends["better-page"].reused == 0
    steps: Any = better.metadata[OPTIMIZATION]
    scores = {step["step"]: step["held_out_psnr_db"] for step in steps}
    assert scores["super_resolution"] > scores["baked"] + 2
    said.clear()
    again = optimize_textures(baked, iterations=12, on_progress=said.append)
    assert all(item.reused == item.total for item in said if item.done == item.total)
    for before, after in zip(
        better.textures["albedo"].pages, again.textures["albedo"].pages, strict=True
    ):
        np.testing.assert_array_equal(before, after)
    for path in Path(bench.config.store_uri).rglob("texture-page/*/*/albedo.png"):
        path.write_bytes(b"nothing")
    with pytest.raises(ReconstructionError, match=r"better-page of page 0: .*damaged"):
        optimize_textures(baked, iterations=3)


def test_a_smooth_plane_keeps_its_colours(tmp_path: Path) -> None:
    """Where nothing is to be gained nothing is invented."""
    bench = bench_at(tmp_path)
    baked = bake_textures(scene_of(bench, plane_inputs(bench)))
    better = optimize_textures(baked, holdout=3)
    assert baked.unwrapped is not None
    for camera in cameras():
        image = picture(camera)
        views = [
            TexturedRenderer(baked.unwrapped, made.textures["albedo"]).render(camera, 2)
            for made in (baked, better)
        ]
        inner = np.zeros(image.shape[:2], bool)
        inner[30:90, 40:120] = True
        scores = [psnr_db(view.image[inner], image[inner]) for view in views]
        assert scores[1] > scores[0] - 0.5


def test_settings_that_cannot_work_are_refused(tmp_path: Path) -> None:
    _, scene = _fine_scene(tmp_path)
    with pytest.raises(ConfigError, match="iterations"):
        optimize_textures(scene, iterations=0)
    baked = bake_textures(scene)
    assert baked.unwrapped is not None
    other = replace(baked.unwrapped, uv=baked.unwrapped.uv * np.float32(0.5))
    with pytest.raises(InputError, match="bake"):
        optimize_textures(replace(baked, unwrapped=other))
