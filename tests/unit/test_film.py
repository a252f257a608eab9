"""Films of a scene: their paths, what is seen on them, and the files."""

import dataclasses
import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest

from cluster.cli import _main as cli
from tests.analytic import camera_at
from tests.gaussians import gaussians
from tests.shown import SPEC, show_folder, shown_scene, surface_splats, textured
from worldloom.cameras import Camera, CameraIntrinsics, CameraTrajectory, save_trajectory
from worldloom.display import surroundings
from worldloom.errors import ConfigError, ExportError, InputError
from worldloom.film import FilmConfig, fly_through, orbit, render_scene, resampled
from worldloom.film._paths import with_size
from worldloom.render import MeshRenderer, RenderedView, TexturedRenderer
from worldloom.scene import Frame, Mesh, ReconstructedScene
from worldloom.store import ArtifactKey
from worldloom.synthetic import build_scene

LENS = CameraIntrinsics(100.0, 100.0, 32.0, 24.0, 64, 48)
BALL = Mesh(np.array([[-1.0, -1, -1], [1, 1, 1], [1, -1, 0]]), np.array([[0, 1, 2]], np.int32))


@pytest.fixture(scope="module")
def scene() -> ReconstructedScene:
    trajectory = build_scene(SPEC).trajectory
    frames = [
        Frame(k, f"corner/{k:04d}", "corner", k, camera, ArtifactKey("a"))
        for k, camera in enumerate(trajectory)
    ]
    return shown_scene(frames)


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def ring(count: int, radius: float, height: float) -> CameraTrajectory:
    """Cameras round the origin that look at it, with -y up."""
    views = [
        camera_at((radius * np.cos(angle), -height, radius * np.sin(angle)), (0.0, 0.0, 0.0))
        for angle in 2 * np.pi * np.arange(count) / count
    ]
    return CameraTrajectory(tuple(views), tuple(range(count)), name="ring")


def test_recorded_cameras_film_what_they_would_see(
    scene: ReconstructedScene, tmp_path: Path
) -> None:
    film = render_scene(scene, tmp_path / "out", scene.cameras, FilmConfig(samples=1))
    files = sorted((tmp_path / "out").iterdir())
    assert (film.frames, len(files)) == (len(scene.cameras),) * 2
    assert [file.name for file in files[:2]] == ["000000.png", "000001.png"]
    renderer = MeshRenderer(scene.mesh, (226, 229, 233))
    for camera, file in zip(scene.cameras, files, strict=True):
        picture = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
        np.testing.assert_array_equal(picture, renderer.render(camera).image)


def test_a_video_shows_the_same_and_states_its_time(
    scene: ReconstructedScene, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    config = FilmConfig(fps=12.5, seconds=0.8, samples=1, crf=1)
    film = render_scene(
        scene, tmp_path / "a.mp4", "orbit", config, lambda done, of: told.append((done, of))
    )
    assert told == [(k + 1, 10) for k in range(10)]
    images = decoded(film.path)
    assert (len(images), images[0].shape) == (10, (film.height_px, film.width_px, 3))
    with av.open(str(film.path)) as container:
        (stream,) = container.streams
        assert stream.average_rate == 12.5
        assert stream.codec_context.name == "h264"
    render_scene(scene, tmp_path / "out", "orbit", config)
    first = cv2.cvtColor(cv2.imread(str(tmp_path / "out" / "000000.png")), cv2.COLOR_BGR2RGB)
    assert np.abs(images[0].astype(int) - first).mean() < 4
    again = render_scene(scene, tmp_path / "b.mp4", "orbit", config)
    assert again.path.read_bytes() == film.path.read_bytes()


def test_textures_are_filmed_where_there_are_some(
    scene: ReconstructedScene, tmp_path: Path
) -> None:
    dressed = textured(scene)
    path = scene.cameras.subset([0])
    film = render_scene(dressed, tmp_path / "out", path, FilmConfig(samples=1))
    assert film.source == "textured mesh"
    assert dressed.unwrapped is not None
    renderer = TexturedRenderer(dressed.unwrapped, dressed.textures["albedo"], (226, 229, 233))
    picture = cv2.cvtColor(cv2.imread(str(film.path / "000000.png")), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(picture, renderer.render(path[0]).image)


def test_an_orbit_keeps_the_distance_and_the_focus() -> None:
    cameras = ring(9, 4.0, 1.5)
    path = orbit(cameras, surroundings(BALL, cameras), 16)
    places = path.centres_in_world
    np.testing.assert_allclose(np.linalg.norm(places[:, [0, 2]], axis=1), 4.0, rtol=0.01)
    np.testing.assert_allclose(places[:, 1], -1.5, atol=0.02)
    towards = -places / np.linalg.norm(places, axis=1, keepdims=True)
    assert ((path.world_from_cams[:, :3, 2] * towards).sum(axis=1) > 0.999).all()
    steps = np.linalg.norm(np.diff(places, axis=0, append=places[:1]), axis=1)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)


def test_an_orbit_where_cameras_look_about_stays_in_what_was_filmed() -> None:
    inwards = ring(9, 1.0, 0.0)
    views = [
        Camera(LENS, camera.world_from_cam @ np.diag([-1.0, 1.0, -1.0, 1.0])) for camera in inwards
    ]
    cameras = CameraTrajectory(tuple(views), tuple(range(9)), name="out")
    room = dataclasses.replace(BALL, vertices_in_world=BALL.vertices_in_world * 5)
    around = surroundings(room, cameras)
    path = orbit(cameras, around, 8)
    middle = cameras[4]
    assert np.linalg.norm(path.centres_in_world - middle.centre_in_world, axis=1).max() < (
        0.1 * around.radius
    )
    assert ((path.world_from_cams[:, :3, 2] @ middle.forward_in_world) > 0.98).all()


def test_a_flight_goes_along_the_longest_recording_without_its_shake() -> None:
    rng = np.random.default_rng(0)
    poses = np.tile(np.eye(4), (60, 1, 1))
    poses[:, 0, 3] = np.arange(60) * 0.1
    poses[:, :3, 3] += rng.normal(scale=0.02, size=(60, 3))
    views = [Camera(LENS, pose) for pose in poses] + [Camera(LENS, np.eye(4))] * 5
    names = tuple(f"walk/{k:04d}" for k in range(60)) + tuple(f"other/{k}" for k in range(5))
    cameras = CameraTrajectory(tuple(views), tuple(range(65)), names, name="scene")
    path = fly_through(cameras, 120)
    x = path.centres_in_world[:, 0]
    assert len(path) == 120
    assert (np.diff(x) > 0).all()
    assert x[0] < 0.2
    assert x[-1] > 5.7
    jerk = np.abs(np.diff(path.centres_in_world, n=3, axis=0)).max()
    assert jerk < np.abs(np.diff(poses[:, :3, 3], n=3, axis=0)).max() / 50


def test_one_camera_is_path_enough() -> None:
    one = CameraTrajectory((Camera(LENS, np.eye(4)),), (0,), name="one")
    for path in (fly_through(one, 3), resampled(one, 3)):
        np.testing.assert_array_equal(path.world_from_cams, np.tile(np.eye(4), (3, 1, 1)))
    assert len(orbit(one, surroundings(BALL, one), 3)) == 3


def test_another_size_keeps_the_vertical_field_of_view() -> None:
    lens = dataclasses.replace(LENS, cx=30.0, cy=25.0)
    path = CameraTrajectory((Camera(lens, np.eye(4)),), (0,), name="a")
    (wide,) = with_size(path, 200, 96)
    assert wide.intrinsics == CameraIntrinsics(200.0, 200.0, 96.0, 50.0, 200, 96)
    assert with_size(path, 128, 0)[0].intrinsics == lens.resized(128, 96)
    assert with_size(path, 0, 24)[0].intrinsics == lens.resized(32, 24)
    assert with_size(path, 0, 0)[0].intrinsics == lens


def test_splats_are_filmed_before_the_mesh(
    scene: ReconstructedScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a stand-in for their rasteriser, which paints all red."""
    splats = gaussians(3, 0)

    class Red:
        def __init__(self, shown: object, threads: int) -> None:
            assert shown is splats
            assert threads == 1

        def render(self, camera: Camera) -> RenderedView:
            size = (camera.intrinsics.height_px, camera.intrinsics.width_px)
            image = np.full((*size, 3), (200, 10, 20), np.uint8)
            none = np.zeros((*size, 3), np.float32)
            return RenderedView(camera, image, none[..., 0], none)

    monkeypatch.setitem(sys.modules, "worldloom.splat", SimpleNamespace(SplatRenderer=Red))
    own = dataclasses.replace(scene, splats=splats)
    film = render_scene(own, tmp_path / "out", scene.cameras.subset([0]))
    assert film.source == "splats"
    picture = cv2.imread(str(film.path / "000000.png"))
    np.testing.assert_array_equal(picture[5, 5], [20, 10, 200])
    mesh = render_scene(own, tmp_path / "m", scene.cameras.subset([0]), FilmConfig(source="mesh"))
    assert mesh.source == "mesh"


def _has_rasteriser() -> bool:
    if importlib.util.find_spec("worldloom.splat") is None:
        return False
    return hasattr(importlib.import_module("worldloom.splat"), "SplatRenderer")


@pytest.mark.skipif(not _has_rasteriser(), reason="this build has no rasteriser of splats")
def test_splats_on_a_surface_look_like_it(scene: ReconstructedScene, tmp_path: Path) -> None:
    """Round splats on the vertices of a mesh show its colours, if less sharply."""
    own = dataclasses.replace(scene, splats=surface_splats(scene.mesh))
    camera = scene.cameras.subset([0])
    seen = {
        source: render_scene(own, tmp_path / source, camera, FilmConfig(source=source)).path
        for source in ("mesh", "splats")
    }
    pictures = [cv2.imread(str(path / "000000.png")).astype(np.float32) for path in seen.values()]
    surface = (pictures[0] != (233, 229, 226)).any(axis=2)
    difference = np.abs(pictures[0] - pictures[1]).mean(axis=2)
    assert surface.mean() > 0.8
    assert np.median(difference[surface]) < 15
    assert np.median(np.abs(pictures[0] - pictures[1][:, ::-1]).mean(axis=2)) > 20


def test_what_makes_no_film_is_refused(scene: ReconstructedScene, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ends in"):
        render_scene(scene, tmp_path / "a.avi")
    with pytest.raises(InputError, match="no splats"):
        render_scene(scene, tmp_path / "a.mp4", config=FilmConfig(source="splats"))
    with pytest.raises(ConfigError, match="is no path"):
        render_scene(scene, tmp_path / "a.mp4", "spiral")
    with pytest.raises(ConfigError, match="0 frames"):
        render_scene(scene, tmp_path / "a.mp4", config=FilmConfig(seconds=0.001))
    empty = dataclasses.replace(scene, mesh=Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32)))
    with pytest.raises(InputError, match="no faces"):
        render_scene(empty, tmp_path / "a.mp4")
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="cannot write"):
        render_scene(scene, tmp_path / "file" / "a.mp4", config=FilmConfig(seconds=0.1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
    for name, value in (("fps", 0.0), ("samples", 9), ("crf", 60), ("width_px", 1)):
        with pytest.raises(ConfigError, match=name):
            FilmConfig(**{name: value})  # pyright: ignore[reportArgumentType]


def test_the_command_films_along_a_file_or_a_preset(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    show_folder(tmp_path / "scene")
    save_trajectory(build_scene(SPEC).trajectory, tmp_path / "camera.json")
    words = ["render", str(tmp_path / "scene"), "--samples", "1"]
    path = ["--trajectory", str(tmp_path / "camera.json"), "--out", str(tmp_path / "a.mp4")]
    assert cli.run([*words, *path, "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert (said["source"], said["frames"], said["width_px"]) == (
        *("mesh", len(build_scene(SPEC).trajectory)),
        SPEC.width_px,
    )
    assert len(decoded(tmp_path / "a.mp4")) == said["frames"]
    preset = ["--preset", "orbit", "--seconds", "0.5", "--fps", "4", "--out", str(tmp_path / "o")]
    assert cli.run([*words, *preset]) == 0
    captured = capfd.readouterr()
    assert "mesh, 2 frames" in captured.out
    assert "render: 2/2" in captured.err
    assert len(list((tmp_path / "o").iterdir())) == 2
    assert cli.run([*words, *path, "--preset", "orbit"]) == 2
    assert "not both" in capfd.readouterr().err
