"""Panoramas end to end: files in, scene folder out."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.balls import BallRoom, turned
from tests.models import save_tiny_model
from worldloom import InlineRunner, reconstruct_from_panorama
from worldloom.bench import BenchConfig
from worldloom.cameras import Camera, CameraIntrinsics, CameraTrajectory, load_poses
from worldloom.config import ReconstructionConfig
from worldloom.errors import (
    ConfigError,
    FrameCountError,
    InputError,
    ReconstructionError,
    TrajectoryError,
)
from worldloom.export import load_scene
from worldloom.ingest import IngestLimits, open_panoramas
from worldloom.learned import ModelCard, ModelRef, Prediction
from worldloom.metrics import ScoreSettings, score_against_mesh
from worldloom.panorama import DepthSource, SphereSampling
from worldloom.panorama._image import view_rays
from worldloom.panoramas import reconstruct_panoramas
from worldloom.plan import PlanConfig, depth_ranges, plan_views
from worldloom.synthetic import SceneSpec, build_scene, render_panorama

ROOM = BallRoom()
HEIGHT = 128
UPRIGHT = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Panorama axes (y down) in the world of the synthetic room (y up)."""


def inline(bench: BenchConfig) -> InlineRunner:
    return InlineRunner(bench, workers=1)


def save_image(path: Path, image: np.ndarray) -> Path:
    cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return path


def save_poses(path: Path, poses: list[np.ndarray], names: list[str] | None = None) -> Path:
    frames = []
    for number, pose in enumerate(poses):
        frame: dict[str, object] = {
            "transform_matrix": (pose @ np.diag([1.0, -1.0, -1.0, 1.0])).tolist()
        }
        frame["file_path"] = names[number] if names else f"{number:03d}.png"
        frames.append(frame)
    path.write_text(json.dumps({"camera_model": "EQUIRECTANGULAR", "frames": frames}))
    return path


@pytest.fixture(scope="module")
def panorama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image with its distances beside it."""
    folder = tmp_path_factory.mktemp("panorama")
    image, distance = ROOM.panorama(HEIGHT, np.eye(4))
    np.save(folder / "depth.npy", distance)
    return save_image(folder / "room.png", image)


def test_one_panorama_with_depth_becomes_a_scene(panorama: Path, tmp_path: Path) -> None:
    pose = turned(25, 0, (4.0, 5.0, 6.0))
    lens = CameraIntrinsics(1, 1, 1, 1, 2, 2)
    trajectory = CameraTrajectory((Camera(lens, pose),), (0,))
    out = tmp_path / "out"
    scene = reconstruct_from_panorama(
        panorama, trajectory, out, panorama.with_name("depth.npy"), resolution=96, runner=inline
    )
    in_panorama = (scene.mesh.vertices_in_world - pose[:3, 3]) @ pose[:3, :3]
    layers = scene.metadata["evidence"]["layers"]  # type: ignore[index]
    shown = in_panorama[: layers["shown_vertices"]]
    footprint = np.linalg.norm(shown, axis=1) * np.pi / HEIGHT
    off = ROOM.off_surface(shown) / footprint
    assert np.percentile(off, 99) < 0.05, "a fraction of what a pixel sees"
    assert off.max() < 1
    assert layers["filled_vertices"] > 0
    assert len(scene.cameras) == 6
    np.testing.assert_allclose(scene.cameras.centres_in_world, np.tile(pose[:3, 3], (6, 1)))
    metrics = scene.metadata["metrics"]
    assert metrics["completeness"] > 0.98  # type: ignore[index]
    assert metrics["input_psnr_db"] > 35  # type: ignore[index]
    assert scene.metadata["parameters"]["panorama"]["sampling"] == "cube"  # type: ignore[index]
    again = load_scene(out)
    np.testing.assert_allclose(
        again.mesh.vertices_in_world, scene.mesh.vertices_in_world, rtol=1e-6
    )
    assert (out / "preview.png").is_file()
    once_more = reconstruct_from_panorama(
        panorama, trajectory, out, panorama.with_name("depth.npy"), resolution=96, runner=inline
    )
    stages = once_more.metadata["timings"]
    assert all(s["reused"] == s["items"] for s in stages if s["stage"].startswith("panorama"))  # type: ignore[attr-defined, index]


def test_resolution_is_that_of_the_mesh_and_no_finer_than_the_panorama(
    panorama: Path, tmp_path: Path
) -> None:
    depth = DepthSource(np.load(panorama.with_name("depth.npy")))
    sizes = [
        reconstruct_panoramas(
            [panorama], tmp_path / str(px), ReconstructionConfig(resolution=px),
            sampling=SphereSampling("icosahedron"), depth=depth, runner=inline,
        ).metadata["evidence"]["layers"]["grid_px"]  # type: ignore[index]
        for px in (64, 2048)
    ]  # fmt: skip
    # 64 pixels over 90 degrees: a focal length of 32, hence 101 rows, in steps of 32.
    assert sizes == [[192, 96], [256, 128]]


def test_transparent_pixels_are_left_out(panorama: Path, tmp_path: Path) -> None:
    image = cv2.imread(str(panorama))
    alpha = np.full((*image.shape[:2], 1), 255, np.uint8)
    alpha[-16:] = 0
    path = tmp_path / "holed.png"
    cv2.imwrite(str(path), np.concatenate([image, alpha], axis=2))
    depth = np.load(panorama.with_name("depth.npy"))
    scene = reconstruct_from_panorama(
        path, None, tmp_path / "out", depth, resolution=64, runner=inline
    )
    rays = scene.mesh.vertices_in_world
    latitude = np.degrees(np.arcsin(rays[:, 1] / np.linalg.norm(rays, axis=1)))
    assert latitude.max() < 90 - 180 * 14 / HEIGHT
    assert latitude.min() == pytest.approx(-90, abs=1)


class Oracle:
    """Knows the inverse depth of the views of the room, in the order in which they come."""

    def __init__(self, ref: ModelRef, sampling: SphereSampling) -> None:
        self.card = ModelCard(ref, "oracle", "none")
        self._views = iter(sampling.cameras(2 * HEIGHT, np.eye(4)))

    def predict(self, image: np.ndarray) -> Prediction:
        camera = next(self._views).resized(image.shape[1], image.shape[0])
        rays = view_rays(camera) @ camera.world_from_cam[:3, :3].T
        length = np.linalg.norm(rays, axis=-1)
        inverse = length / ROOM.distance(rays / length[..., None], np.zeros(3))
        scale = 1 + abs(float(camera.forward_in_world[0]))
        return Prediction((scale * inverse - 0.1).astype(np.float32), np.ones(length.shape, bool))


def test_a_depth_model_makes_a_scene_and_is_recorded(
    panorama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save_tiny_model(tmp_path / "tiny")

    loaded: list[Oracle] = []

    def load(_bench: object, ref: ModelRef) -> Oracle:
        loaded[:] = loaded or [Oracle(ref, SphereSampling())]
        return loaded[0]

    monkeypatch.setattr("worldloom.learned._predict.load_estimator", load)
    scene = reconstruct_from_panorama(
        panorama, None, tmp_path / "out", depth_model=model, resolution=96, runner=inline
    )
    evidence = scene.metadata["evidence"]
    assert [m["licence"] for m in evidence["models"]] == ["apache-2.0"]  # type: ignore[index]
    assert len(evidence["layers"]["alignments"]) == 6  # type: ignore[index]
    assert scene.point_cloud.confidence.max() <= 0.5
    shown = scene.mesh.vertices_in_world[: evidence["layers"]["shown_vertices"]]  # type: ignore[index]
    distance = np.linalg.norm(shown, axis=1)
    truth = ROOM.distance(shown / distance[:, None], np.zeros(3))
    ratio = distance / truth
    # The unit of inverse depth is unknown: the median distance is 1.
    assert np.percentile(np.abs(ratio / np.median(ratio) - 1), 95) < 0.02


def test_a_model_that_contradicts_itself_is_refused(panorama: Path, tmp_path: Path) -> None:
    """Random weights: no scales bring the views together."""
    model = save_tiny_model(tmp_path / "tiny")
    with pytest.raises(ReconstructionError, match="contradict each other"):
        reconstruct_from_panorama(
            panorama, None, tmp_path / "out", depth_model=model, resolution=64, runner=inline
        )


@pytest.mark.slow
def test_several_panoramas_of_a_room_give_its_surface(tmp_path: Path) -> None:
    room = build_scene(SceneSpec(frames=1, supersampling=2))
    poses: list[np.ndarray] = []
    for number in range(4):
        angle = np.pi / 2 * number
        turn = turned(70.0 * number, 0, (0, 0, 0))
        pose = UPRIGHT @ turn
        pose[:3, 3] = (0.9 * np.cos(angle), 1.45 + 0.1 * (number % 2), 0.8 * np.sin(angle))
        poses.append(pose)
        rendered = render_panorama(room, pose, 192)
        save_image(tmp_path / f"{number:03d}.png", rendered.image)
    save_poses(tmp_path / "transforms.json", poses)
    scene = reconstruct_from_panorama(
        tmp_path, output_path=tmp_path / "out", resolution=128, runner=inline
    )
    scores = [
        score_against_mesh(
            scene.mesh, room.mesh, scene.cameras.cameras, ScoreSettings((limit,), 0.03, 0.2)
        )
        for limit in (0.05, 0.1)
    ]
    # Measured: 0.69 and 0.83.
    assert scores[0].fscore > 0.62
    assert scores[1].fscore > 0.78
    assert scores[1].precision > 0.92
    views = scene.metadata["evidence"]["views"]  # type: ignore[index]
    for view in views:
        mates = {other["view_id"] for other in views if other["name"][:3] == view["name"][:3]}
        assert not mates & set(view["partners"]), "no parallax inside of a panorama"


def test_views_of_one_panorama_never_partner_each_other() -> None:
    sampling = SphereSampling("icosahedron")
    centres = [(0.0, 0.0, 0.0), (0.3, 0.0, 0.1), (-0.2, 0.1, 0.2)]
    cameras, owner = [], []
    for number, centre in enumerate(centres):
        cameras += sampling.cameras(256, turned(13.0 * number, 3, centre))
        owner += [number] * 12
    rng = np.random.default_rng(0)
    rays = rng.normal(size=(4000, 3))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    points = ROOM.wall_distance(rays, np.zeros(3))[:, None] * rays
    config = PlanConfig()
    ranges = depth_ranges(cameras, [points] * len(cameras), config)
    plans = plan_views(cameras, ranges, [points] * len(cameras), config)
    for plan in plans:
        others = {owner[view] for view in (*plan.partners, *plan.witnesses)}
        assert plan.partners
        assert owner[plan.view_id] not in others


def test_one_panorama_alone_says_what_to_add(panorama: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        reconstruct_from_panorama(panorama, output_path=tmp_path)
    for word in ("--depth FILE", "--depth-model", "--trajectory", "from other places"):
        assert word in str(caught.value)


def test_what_is_no_panorama_is_refused(tmp_path: Path) -> None:
    depth = np.ones((64, 128))
    for name, shape, said in (
        ("square.png", (64, 64, 3), "twice as wide as high"),
        ("nearly.png", (64, 127, 3), "twice as wide as high"),
        ("pixel.png", (1, 1, 3), "twice as wide as high"),
        ("tiny.png", (1, 2, 3), "too few to see"),
    ):
        path = save_image(tmp_path / name, np.zeros(shape, np.uint8))
        with pytest.raises(InputError, match=said):
            reconstruct_from_panorama(path, output_path=tmp_path / "out", depth=depth)
    with pytest.raises(InputError, match="does not exist"):
        reconstruct_from_panorama(tmp_path / "no.png", output_path=tmp_path / "out", depth=depth)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no images"):
        reconstruct_from_panorama(tmp_path / "empty", output_path=tmp_path / "out", depth=depth)
    video = tmp_path / "a.mp4"
    video.write_bytes(b"x")
    with pytest.raises(InputError, match="is no image"):
        reconstruct_from_panorama(video, output_path=tmp_path / "out", depth=depth)


def test_settings_that_do_not_go_together_are_refused(panorama: Path, tmp_path: Path) -> None:
    depth = np.load(panorama.with_name("depth.npy"))
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="leave one of the two out"):
        reconstruct_from_panorama(panorama, None, out, depth, depth_model=tmp_path)
    two = [panorama, save_image(tmp_path / "two.png", np.zeros((64, 128, 3), np.uint8))]
    with pytest.raises(ConfigError, match="there are 2"):
        reconstruct_from_panorama(two, None, out, depth)
    with pytest.raises(InputError, match="2 panoramas without poses"):
        reconstruct_from_panorama(two, None, out)
    with pytest.raises(ConfigError, match="share one centre"):
        reconstruct_panoramas(two, out, ReconstructionConfig(refine_poses=True))
    with pytest.raises(ConfigError, match="holdout"):
        reconstruct_panoramas(
            [panorama], out, ReconstructionConfig(holdout=4), depth=DepthSource(depth)
        )


def test_poses_go_by_name_or_by_order(tmp_path: Path) -> None:
    paths = [
        save_image(tmp_path / f"{name}.png", np.zeros((64, 128, 3), np.uint8)) for name in "ba"
    ]
    poses = [turned(10, 0, (1, 0, 0)), turned(20, 0, (2, 0, 0))]
    named = save_poses(tmp_path / "named.json", poses, ["a.png", "b.png"])
    limits = IngestLimits()
    sources = open_panoramas(paths, named, SphereSampling(), limits=limits)
    assert [source.name for source in sources] == ["b", "a"]
    assert [source.trajectory.centres_in_world[0, 0] for source in sources] == [2, 1]
    tum = tmp_path / "poses.txt"
    tum.write_text("0 5 0 0 0 0 0 1\n1 6 0 0 0 0 0 1\n")
    sources = open_panoramas(paths, tum, SphereSampling(), limits=limits)
    assert [source.trajectory.centres_in_world[0, 0] for source in sources] == [5, 6]
    tum.write_text("0 5 0 0 0 0 0 1\n")
    with pytest.raises(FrameCountError, match=r"2 panoramas, but the trajectory .* has 1 poses"):
        open_panoramas(paths, tum, SphereSampling(), limits=limits)


def test_poses_are_read_without_a_lens(tmp_path: Path) -> None:
    pose = turned(10, 20, (1, 2, 3))
    bare = {"extrinsic": [np.linalg.inv(pose).tolist()]}
    (tmp_path / "camera.json").write_text(json.dumps(bare))
    (tmp_path / "bank.json").write_text(json.dumps({"0000": {"extrinsic": bare["extrinsic"][0]}}))
    matrices = [{"camera_id": "0", "matrix": pose.tolist()}]
    (tmp_path / "prior.json").write_text(json.dumps({"extrinsics": matrices}))
    save_poses(tmp_path / "transforms.json", [pose])
    for name in ("camera.json", "bank.json", "prior.json", "transforms.json"):
        found = load_poses(tmp_path / name)
        np.testing.assert_allclose(found[0].world_from_cam, pose, atol=1e-12)
    with pytest.raises(TrajectoryError, match="does not exist"):
        load_poses(tmp_path / "none.json")


def test_a_worldstereo_scene_is_reconstructed_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = tmp_path / "subway"
    (scene / "pano_bank").mkdir(parents=True)
    asked: list[object] = []
    switches: dict[str, object] = {}

    def reconstruct_files(*arguments: object, **options: object) -> None:
        asked.extend(arguments)
        switches.update(options)
        raise InterruptedError

    monkeypatch.setattr("worldloom.panoramas.reconstruct_files", reconstruct_files)
    config = ReconstructionConfig(refine_poses=True)
    with pytest.raises(InterruptedError):
        reconstruct_panoramas(
            [scene], tmp_path / "out", config, sampling=SphereSampling(), every=3, report=False
        )
    assert asked == [[scene], tmp_path / "out", config]
    assert (switches["every"], switches["report"]) == (3, False)
    with pytest.raises(ConfigError, match="leave depth out"):
        reconstruct_from_panorama(scene, None, tmp_path / "out", np.ones((4, 8)))
    with pytest.raises(ConfigError, match="leave sampling out"):
        reconstruct_panoramas([scene], tmp_path, config, sampling=SphereSampling("icosahedron"))
    other = save_image(tmp_path / "a.png", np.zeros((64, 128, 3), np.uint8))
    with pytest.raises(ConfigError, match="panoramas are no video"):
        reconstruct_panoramas([other], tmp_path, ReconstructionConfig(), every=2)
    with pytest.raises(InputError, match="one kind at a time"):
        reconstruct_from_panorama([scene, other], None, tmp_path / "out")


def test_no_input_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one panorama"):
        reconstruct_panoramas([], tmp_path, ReconstructionConfig())
