"""Synthetic scenes: exact truth, repeatable pixels, files as recorded ones come."""

import dataclasses
import itertools
import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from worldloom.errors import ConfigError, ExportError
from worldloom.synthetic import SceneSpec, SyntheticScene, build_scene, write_scene

TINY = SceneSpec(layout="corner", frames=8, width_px=64, height_px=48)


@pytest.fixture(scope="module")
def scene() -> SyntheticScene:
    return build_scene(TINY)


def test_points_of_depth_lie_on_the_truth_mesh(scene: SyntheticScene) -> None:
    view = scene.frame(3)
    rows, columns = np.nonzero(view.hit)
    points = view.camera.unproject(np.stack([columns, rows], -1) + 0.5, view.depth[rows, columns])
    floor = np.abs(points[:, 1])
    wall_z, wall_x = np.abs(points[:, 2] + 1.5), np.abs(points[:, 0] + 1.5)
    outside = (floor < 1e-3) | (wall_z < 1e-3) | (wall_x < 1e-3)
    assert outside.mean() > 0.5
    ball = np.abs(np.linalg.norm(points - [0.45, 0.32, 0.1], axis=-1) - 0.32) < 0.02
    assert ball.sum() > 20
    normals = view.normal_in_world[rows, columns]
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-5)
    assert ((view.camera.centre_in_world - points) * normals).sum(-1).min() > 0


def test_depth_of_one_view_predicts_the_other(scene: SyntheticScene) -> None:
    first, second = scene.frame(0), scene.frame(1)
    rows, columns = np.nonzero(first.hit)
    points = first.camera.unproject(np.stack([columns, rows], -1) + 0.5, first.depth[rows, columns])
    pixels, depth = second.camera.project(points)
    x, y = np.floor(pixels).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < 64) & (y < 48)
    seen = second.depth[y[inside], x[inside]]
    agree = np.abs(seen - depth[inside]) < 0.05 * depth[inside]
    assert inside.mean() > 0.7
    assert agree.mean() > 0.9
    colour_a = first.image[rows[inside], columns[inside]][agree].astype(float)
    colour_b = second.image[y[inside], x[inside]][agree].astype(float)
    assert np.corrcoef(colour_a.mean(-1), colour_b.mean(-1))[0, 1] > 0.85


def test_parallax_between_neighbours_is_of_the_order_of_pixels(scene: SyntheticScene) -> None:
    first, second = scene.trajectory.cameras[:2]
    baseline = np.linalg.norm(first.centre_in_world - second.centre_in_world)
    assert 3 < baseline * first.intrinsics.fx / 2.5 < 30


def test_same_spec_same_pixels_and_another_seed_another_look(scene: SyntheticScene) -> None:
    again = build_scene(TINY)
    np.testing.assert_array_equal(again.frame(5).image, scene.frame(5).image)
    np.testing.assert_array_equal(again.mesh.vertices_in_world, scene.mesh.vertices_in_world)
    other = build_scene(dataclasses.replace(TINY, seed=7))
    assert (other.frame(5).image != scene.frame(5).image).mean() > 0.5


def test_frames_do_not_depend_on_the_order_of_rendering(scene: SyntheticScene) -> None:
    noisy = dataclasses.replace(
        scene, spec=dataclasses.replace(TINY, noise_levels=3.0, exposure_drift=0.2)
    )
    in_order = [view.image for view in noisy.frames()]
    np.testing.assert_array_equal(noisy.frame(6).image, in_order[6])
    assert len(in_order) == TINY.frames
    clean = np.stack([view.image for view in scene.frames()]).astype(float)
    gains = (np.stack(in_order).mean(axis=(1, 2, 3)) + 1) / (clean.mean(axis=(1, 2, 3)) + 1)
    assert np.ptp(gains) > 0.01
    assert np.abs(gains - 1).max() > 0.03
    residual = in_order[0].astype(float) - noisy.render(scene.trajectory.cameras[0]).image
    assert 2 < residual.std() < 15


def test_images_have_detail_almost_everywhere(scene: SyntheticScene) -> None:
    """Plane sweeps with 7x7 windows need contrast in them, or stereo tests nothing."""
    view = scene.frame(4)
    gray = cv2.cvtColor(view.image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    mean = cv2.boxFilter(gray, -1, (7, 7))
    deviation = np.sqrt(np.maximum(cv2.boxFilter(gray**2, -1, (7, 7)) - mean**2, 0))
    assert np.percentile(deviation[view.hit], 5) > 3


@pytest.mark.parametrize("path", ["orbit", "walk", "laps"])
def test_paths_are_smooth_and_stay_in_the_room(path: str) -> None:
    from worldloom.synthetic import _layouts
    from worldloom.synthetic._scene import _trajectory

    spec = SceneSpec(path=path, frames=250)  # type: ignore[arg-type]
    cameras = _trajectory(spec, _layouts.room(0.2, 0)).cameras
    centres = np.array([camera.centre_in_world for camera in cameras])
    assert (np.abs(centres) < [2.6, 2.4, 2.3]).all()
    assert (centres[:, 1] > 0.9).all()
    steps = np.linalg.norm(np.diff(centres, axis=0), axis=-1)
    assert steps.min() > 0.005
    assert steps.max() < 0.12
    turns = [float(a.forward_in_world @ b.forward_in_world) for a, b in itertools.pairwise(cameras)]
    assert np.degrees(np.arccos(min(turns))) < 4
    for camera in cameras[::50]:
        rotation = camera.world_from_cam[:3, :3]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)
        assert rotation[1, 1] < 0, "the y axis of a camera points down"


def test_longer_laps_continue_shorter_ones() -> None:
    from worldloom.synthetic import _layouts
    from worldloom.synthetic._paths import laps

    layout = _layouts.room(0.3, 0)
    short, long = laps(layout, 40, 240), laps(layout, 400, 240)
    np.testing.assert_array_equal(np.array(short), np.array(long[:40]))


def test_written_scene_reads_back(scene: SyntheticScene, tmp_path: Path) -> None:
    write_scene(scene, tmp_path / "scene", every_depth=3)
    folder = tmp_path / "scene"
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    assert names == [
        "camera.json",
        "depth/0000.png",
        "depth/0003.png",
        "depth/0006.png",
        "gt_mesh.ply",
        "video.mp4",
    ]
    cameras = json.loads((folder / "camera.json").read_text())
    np.testing.assert_allclose(
        cameras["extrinsic"][2], scene.trajectory.cameras[2].cam_from_world, atol=1e-12
    )
    np.testing.assert_allclose(cameras["intrinsic"][2], TINY.intrinsics.matrix)
    depth = cv2.imread(str(folder / "depth/0003.png"), cv2.IMREAD_UNCHANGED)
    assert depth.dtype == np.uint16
    np.testing.assert_allclose(depth / 1000, scene.frame(3).depth, atol=0.00051)
    with av.open(str(folder / "video.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        images = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(images) == TINY.frames
    error = images[3].astype(float) - scene.frame(3).image
    assert np.sqrt((error**2).mean()) < 8


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"frames": 0}, "frames"),
        ({"fov_deg": 170.0}, "fov_deg"),
        ({"exposure_drift": 1.5}, "exposure_drift"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_specs_are_refused_by_name(change: dict[str, float], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        dataclasses.replace(TINY, **change)  # type: ignore[arg-type]


def test_writing_refuses_what_cannot_be_written(scene: SyntheticScene, tmp_path: Path) -> None:
    odd = dataclasses.replace(scene, spec=dataclasses.replace(TINY, width_px=63))
    with pytest.raises(ConfigError, match="even sides, got 63x48"):
        write_scene(odd, tmp_path)
    with pytest.raises(ConfigError, match="every_depth"):
        write_scene(scene, tmp_path, every_depth=0)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ExportError, match="file"):
        write_scene(scene, tmp_path / "file")
