"""The viewer without a browser: what is picked, what a running job gives, what goes out."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.corner import corner_frames
from tests.gaussians import gaussians
from tests.shown import CELL_M, SPEC, put_shard, put_view, show_folder, shown_scene, textured
from worldloom.bench import Bench, BenchConfig
from worldloom.cameras import Camera, CameraIntrinsics, CameraTrajectory
from worldloom.depth import CheckResult
from worldloom.errors import ConfigError, InputError
from worldloom.scene import Mesh
from worldloom.viewer import LiveStore, Picker, Viewer, ViewerConfig
from worldloom.viewer._glb import mesh_glb, textured_glb, unlit_glb
from worldloom.viewer._measure import measured_text
from worldloom.viewer._panel import plain_markdown
from worldloom.viewer._things import add_splats, depth_points

LENS = CameraIntrinsics(100.0, 100.0, 32.0, 24.0, 64, 48)
EMPTY = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32))
SQUARE = Mesh(
    np.array([[-1.0, -1, 5], [1, -1, 5], [1, 1, 5], [-1, 1, 5]]),
    np.array([[0, 1, 2], [0, 2, 3]], np.int32),
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(BenchConfig(str(tmp_path / "artifacts")))


@pytest.fixture
def results(bench: Bench) -> list[CheckResult]:
    """Depth maps in the store, none of them whole yet."""
    frames, depths = corner_frames(bench, SPEC)
    return [put_view(bench, frame, depth) for frame, depth in zip(frames, depths, strict=True)]


def commit(bench: Bench, result: CheckResult) -> None:
    bench.store.commit(result.depth.artifact, result)


def test_a_ray_meets_the_mesh_else_the_nearest_point_beside_it():
    far_point = np.array([[0.0, 0.0, 9.0], [3.0, 0.0, 6.0], [3.01, 0.0, 5.0]])
    picker = Picker(SQUARE, far_point)
    origin = np.zeros(3)
    np.testing.assert_allclose(picker.hit(origin, np.array([0.0, 0.0, 2.0])), [0, 0, 5], atol=1e-6)
    np.testing.assert_allclose(picker.hit(origin, np.array([3.0, 0.0, 6.0])), far_point[1])
    np.testing.assert_allclose(picker.hit(origin, np.array([3.01, 0.0, 5.0])), far_point[2])
    assert picker.hit(origin, np.array([0.0, 0.0, -1.0])) is None
    assert picker.hit(origin, np.zeros(3)) is None
    assert Picker(EMPTY, np.zeros((0, 3))).hit(origin, np.array([0.0, 0.0, 1.0])) is None


def test_a_distance_is_told_in_places_of_the_world():
    origin = np.array([100.0, 0.0, 0.0])
    first = measured_text([np.zeros(3)], origin)
    assert "A: 100, 0, 0" in first
    assert "second place" in first
    both = measured_text([np.zeros(3), np.array([3.0, 4.0, 0.0])], origin)
    assert both.startswith("**Distance: 5** world units")
    assert "B: 103, 4, 0" in both


def test_only_whole_artifacts_are_seen_and_each_once(bench: Bench, results: list[CheckResult]):
    live = LiveStore(bench, points=400)
    assert live.poll(10).points == ()
    commit(bench, results[0])
    (points,) = live.poll(10).points
    assert points.name == "view-0"
    assert 50 < len(points.points_in_world) <= 400
    assert points.camera is not None
    assert live.poll(10).points == ()
    commit(bench, results[1])
    assert [p.name for p in live.poll(10).points] == ["view-1"]


def test_a_look_reads_no_more_than_its_budget(bench: Bench, results: list[CheckResult]):
    for result in results:
        commit(bench, result)
    live = LiveStore(bench, points=100)
    seen = [[p.name for p in live.poll(3).points] for _ in range(3)]
    assert [len(names) for names in seen] == [3, 1, 0]
    assert len({name for names in seen for name in names}) == 4


def test_finer_depth_replaces_coarser_and_is_not_replaced(bench: Bench, results: list[CheckResult]):
    frames, depths = corner_frames(bench, SPEC)
    coarse = put_view(bench, frames[0], depths[0][::2, ::2].copy())
    commit(bench, results[0])
    live = LiveStore(bench, points=1000)
    assert [p.name for p in live.poll(10).points] == ["view-0"]
    commit(bench, coarse)
    assert live.poll(10).points == ()


def test_a_finer_memory_makes_the_coarser_one_stale(bench: Bench, results: list[CheckResult]):
    image = bench.image(results[0].depth.frame, SPEC.width_px, SPEC.height_px)
    coarse = put_shard(bench, results[0], image, 4 * CELL_M)
    bench.store.commit(coarse.artifact, coarse)
    live = LiveStore(bench, points=1000)
    # One view saw each cell, so that the cloud of two views is empty, but the shard is there.
    (first,) = live.poll(10).points
    fine = put_shard(bench, results[0], image, CELL_M)
    bench.store.commit(fine.artifact, fine)
    look = live.poll(10)
    (second,) = look.points
    assert look.stale == (first.name,)
    assert second.name != first.name
    assert second.spacing < first.spacing


def test_a_damaged_depth_map_is_passed_over(
    bench: Bench, results: list[CheckResult], caplog: pytest.LogCaptureFixture
):
    bench.store.write(results[0].depth.artifact, "depth.npz", b"PK")
    for result in results[:2]:
        commit(bench, result)
    assert [p.name for p in LiveStore(bench, points=100).poll(10).points] == ["view-1"]
    assert "is passed over" in caplog.text


def test_points_of_a_depth_map_lie_where_the_scene_is(bench: Bench, results: list[CheckResult]):
    ref = results[0].depth
    image = bench.image(ref.frame, ref.width_px, ref.height_px)
    points, colors = depth_points(bench.depth_map(ref), image, 10_000)
    pixels, depth = ref.camera.project(points)
    known = bench.depth_map(ref).depth > 0
    assert len(points) == known.sum()
    np.testing.assert_allclose(depth, bench.depth_map(ref).depth[known], rtol=1e-5)
    column, row = np.floor(pixels).astype(int).T
    np.testing.assert_array_equal(colors, image[row, column])


def document(glb: bytes) -> dict[str, object]:
    magic, version, total = struct.unpack("<4sII", glb[:12])
    assert (magic, version, total) == (b"glTF", 2, len(glb))
    size, kind = struct.unpack("<I4s", glb[12:20])
    assert kind == b"JSON"
    return json.loads(glb[20 : 20 + size])


@pytest.mark.parametrize("both_sides", [True, False])
def test_materials_are_unlit_with_the_sides_wanted(both_sides: bool):
    cameras = CameraTrajectory((Camera(LENS, np.eye(4)),), (0,))
    origin = np.array([0.0, 0.0, 2.0])
    glb = unlit_glb(mesh_glb(SQUARE, cameras, origin), both_sides=both_sides)
    found = document(glb)
    for material in found["materials"]:  # pyright: ignore
        assert material["doubleSided"] is both_sides
        assert "KHR_materials_unlit" in material["extensions"]
    assert found["extensionsUsed"] == ["KHR_materials_unlit"]


def test_a_textured_mesh_has_a_material_for_each_page(bench: Bench):
    scene = textured(shown_scene(corner_frames(bench, SPEC)[0]), pages=3)
    assert scene.unwrapped is not None
    albedo = scene.textures["albedo"]
    found = document(textured_glb(scene.unwrapped, albedo, scene.cameras, np.zeros(3)))
    assert len(found["materials"]) == 3  # pyright: ignore
    assert len(found["images"]) == 3  # pyright: ignore
    count = sum(
        found["accessors"][p["indices"]]["count"]  # pyright: ignore
        for mesh in found["meshes"]  # pyright: ignore
        for p in mesh["primitives"]
    )
    assert count == 3 * len(scene.unwrapped.mesh.faces)


def test_text_of_others_stays_text_in_markdown():
    assert plain_markdown("a_b <img src=x>") == r"a\_b &lt;img src=x&gt;"
    assert plain_markdown("[x](javascript:1)") == r"\[x\]\(javascript:1\)"


class Recorded:
    """Takes what a scene of viser would draw."""

    def add_gaussian_splats(self, path: str, **arrays: np.ndarray) -> None:
        self.path, self.arrays = path, arrays


def test_the_most_opaque_splats_are_shown_as_they_lie():
    splats = gaussians(50, 2)
    scene, origin = Recorded(), np.array([1.0, 2.0, 3.0])
    add_splats(scene, "/splats", splats, origin, ViewerConfig(max_splats=20))
    shown = scene.arrays
    least = np.sort(splats.opacities)[-20]
    kept = splats.select(splats.opacities >= least)
    np.testing.assert_array_equal(shown["opacities"][:, 0], kept.opacities)
    np.testing.assert_allclose(shown["centers"] + origin, kept.means_in_world, atol=1e-6)
    # The spread along each axis of a Gaussian is the square of its scale.
    spreads = np.sort(np.linalg.eigvalsh(shown["covariances"].astype(float)), axis=1)
    np.testing.assert_allclose(spreads[:, 2], np.max(kept.scales_m, axis=1) ** 2, rtol=1e-3)
    turn = Rotation.from_quat(kept.rotations, scalar_first=True).as_matrix()
    along = np.einsum("nji,njk,nki->ni", turn, shown["covariances"], turn)
    np.testing.assert_allclose(along, kept.scales_m**2, rtol=1e-2, atol=1e-6)
    assert shown["rgbs"].min() >= 0
    assert shown["rgbs"].max() <= 1


def test_splats_of_a_folder_have_a_layer(tmp_path: Path):
    show_folder(tmp_path / "a", gaussians(30, 1))
    show_folder(tmp_path / "b")
    for name, has_splats in (("a", True), ("b", False)):
        viewer = Viewer(tmp_path / name, port=18_200)
        try:
            labels = {
                getattr(handle, "label", "")
                for handle in viewer.server.gui._gui_input_handle_from_uuid.values()
            }
            assert ("Splats" in labels) is has_splats
        finally:
            viewer.stop()


def test_what_cannot_be_viewed_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="--live"):
        Viewer(tmp_path)
    with pytest.raises(ConfigError, match="port is 70000"):
        Viewer(tmp_path, port=70_000, live=True)
    with pytest.raises(ConfigError, match="max_points is 0"):
        ViewerConfig(max_points=0)
    with pytest.raises(ConfigError, match="poll_s is 0"):
        ViewerConfig(poll_s=0.0)
    show_folder(tmp_path / "scene")
    (tmp_path / "scene" / "mesh.ply").write_bytes(b"ply")
    with pytest.raises(InputError):
        Viewer(tmp_path / "scene")
