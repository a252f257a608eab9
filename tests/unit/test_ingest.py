import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from jaxtyping import UInt8

import worldloom.ingest._frames
import worldloom.ingest._pictures
from tests.ingest_media import (
    HEIGHT_PX,
    WIDTH_PX,
    coded_folder,
    coded_image,
    coded_scene,
    coded_video,
    hole_image,
    number_shown,
    write_camera_json,
    write_image,
    write_transforms_json,
    write_video,
)
from worldloom.bench import Bench, BenchConfig
from worldloom.cameras import undistortion
from worldloom.errors import ConfigError, InputError, VideoError
from worldloom.ingest import IngestLimits, Source, ingest, open_sources
from worldloom.scene import Frame
from worldloom.stage import Progress
from worldloom.store import Store

LIMITS = IngestLimits()


class Ingester:
    """Ingests into one store and remembers the last progress."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(str(folder))
        self.bench = Bench(BenchConfig(str(folder)))
        self.progress: list[Progress] = []

    def __call__(
        self, *inputs: Path, every: int = 1, workers: int = 2, sources: Sequence[Source] = ()
    ) -> tuple[Frame, ...]:
        self.progress = []
        return ingest(
            sources or open_sources(inputs, limits=LIMITS),
            self.store,
            every=every,
            limits=LIMITS,
            on_progress=self.progress.append,
            workers=workers,
        )

    def image(self, frame: Frame) -> UInt8[np.ndarray, "h w 3"]:
        lens = frame.camera.intrinsics
        return self.bench.image(frame, lens.width_px, lens.height_px)

    def mask(self, frame: Frame) -> UInt8[np.ndarray, "h w"]:
        data = np.frombuffer(self.store.read(frame.image, "mask.png"), np.uint8)
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), np.uint8)


@pytest.fixture
def ingester(tmp_path: Path) -> Ingester:
    return Ingester(tmp_path / "store")


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_options: object) -> Iterator[None]:
        raise AssertionError("nothing may be decoded")

    monkeypatch.setattr(worldloom.ingest._frames, "decode_frames", refuse)
    monkeypatch.setattr(worldloom.ingest._frames, "decode_picture", refuse)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_frames_of_several_trajectories_in_canonical_order(
    tmp_path: Path, ingester: Ingester
) -> None:
    coded_scene(tmp_path / "scene" / "b10", 5)
    coded_scene(tmp_path / "scene" / "b9", 7, start=3.0)
    frames = ingester(tmp_path / "scene", every=3)
    assert [frame.view_id for frame in frames] == list(range(5))
    assert [frame.name for frame in frames] == [
        "b9/0000",
        "b9/0003",
        "b9/0006",
        "b10/0000",
        "b10/0003",
    ]
    assert [(frame.trajectory, frame.index) for frame in frames] == [
        ("b9", 0),
        ("b9", 3),
        ("b9", 6),
        ("b10", 0),
        ("b10", 3),
    ]
    assert [number_shown(ingester.image(frame)) for frame in frames] == [0, 3, 6, 0, 3]
    x = [float(frame.camera.centre_in_world[0]) for frame in frames]
    assert x == pytest.approx([3.0, 3.3, 3.6, 0.0, 0.3])
    for frame in frames:
        lens = frame.camera.intrinsics
        assert (lens.width_px, lens.height_px, lens.fx) == (WIDTH_PX, HEIGHT_PX, 60.0)
        assert not frame.has_mask


def test_images_keep_their_colours(tmp_path: Path, ingester: Ingester) -> None:
    coded_folder(tmp_path / "images", 3)
    write_camera_json(tmp_path / "camera.json", 3)
    for number, frame in enumerate(ingester(tmp_path)):
        assert np.array_equal(ingester.image(frame), coded_image(number))
    lossy = Ingester(tmp_path / "other")
    frame = lossy(coded_scene(tmp_path / "video", 2))[0]
    assert np.abs(lossy.image(frame)[-8:].astype(int) - (200, 40, 40)).max() < 12


def test_progress_counts_every_frame_once(tmp_path: Path, ingester: Ingester) -> None:
    path = coded_scene(tmp_path / "traj0", 6)
    ingester(path, every=2)
    states = [(p.stage, p.done, p.total, p.reused, p.failed) for p in ingester.progress]
    assert states == [("ingest", done, 3, 0, 0) for done in range(4)]
    ingester(path)
    assert [(p.done, p.reused) for p in ingester.progress][-1] == (6, 3)


@pytest.mark.usefixtures("no_decoding")
@pytest.mark.parametrize("kind", ["video", "images"])
def test_a_second_run_decodes_nothing(
    tmp_path: Path, ingester: Ingester, kind: str, request: pytest.FixtureRequest
) -> None:
    scene = tmp_path / "scene"
    if kind == "video":
        write_video(scene / "render.mp4", [coded_image(number) for number in range(6)])
        write_video(scene / "render_mask.mp4", [hole_image(0, 8)] * 6)
    else:
        coded_folder(scene / "images", 6)
    write_camera_json(scene / "camera.json", 6)
    with pytest.MonkeyPatch.context() as patch:
        from worldloom.ingest import _pictures, _video

        patch.setattr(worldloom.ingest._frames, "decode_frames", _video.decode_frames)
        patch.setattr(worldloom.ingest._frames, "decode_picture", _pictures.decode_picture)
        first = ingester(scene)
    before = files_of(tmp_path / "store")
    # Neither another place, nor other poses, nor a part of the frames makes anything anew.
    moved = tmp_path / "moved" / "scene"
    shutil.copytree(scene, moved)
    write_camera_json(moved / "camera.json", 6, start=7.0)
    again = ingester(moved, every=2)
    assert [frame.image for frame in again] == [frame.image for frame in first[::2]]
    assert [frame.has_mask for frame in again] == [kind == "video"] * 3
    assert ingester.progress[-1].reused == 3
    assert again[0].camera.centre_in_world[0] == 7.0
    assert files_of(tmp_path / "store") == before


def test_a_run_that_was_cut_off_makes_only_what_is_missing(
    tmp_path: Path, ingester: Ingester
) -> None:
    scene = coded_scene(tmp_path / "traj0", 6)
    frames = ingester(scene)
    before = files_of(tmp_path / "store")
    result = tmp_path / "store" / frames[3].image / "result.json"
    result.unlink()
    (tmp_path / "store" / frames[4].image / "result.json").unlink()
    (tmp_path / "store" / frames[4].image / "image.png").write_bytes(b"half a file")
    assert [frame.image for frame in ingester(scene)] == [frame.image for frame in frames]
    assert ingester.progress[-1].reused == 4
    assert files_of(tmp_path / "store") == before


def test_the_result_does_not_depend_on_threads_or_the_order_of_inputs(tmp_path: Path) -> None:
    scene = tmp_path / "scene"
    coded_scene(scene / "a", 20)
    coded_folder(scene / "b" / "images", 9)
    write_camera_json(scene / "b" / "camera.json", 9, start=2.0)
    stores = []
    for workers in (1, 2, 5):
        ingester = Ingester(tmp_path / f"store{workers}")
        frames = ingester(scene, workers=workers)
        assert [number_shown(ingester.image(f)) for f in frames] == [*range(20), *range(9)]
        stores.append((files_of(tmp_path / f"store{workers}"), [f.image for f in frames]))
    assert stores[0] == stores[1] == stores[2]
    ingester = Ingester(tmp_path / "store_reversed")
    ingester(scene / "b", scene / "a")
    assert files_of(tmp_path / "store_reversed") == stores[0][0]


def test_white_in_the_mask_video_is_no_data(tmp_path: Path, ingester: Ingester) -> None:
    scene = tmp_path / "scene"
    write_video(scene / "render.mp4", [coded_image(number) for number in range(4)])
    holes = [(16, 32), (0, 0), (0, 64), (40, 41)]
    write_video(scene / "render_mask.mp4", [hole_image(*hole) for hole in holes])
    write_camera_json(scene / "camera.json", 4)
    frames = ingester(scene)
    assert [frame.has_mask for frame in frames] == [True, False, True, True]
    mask = ingester.mask(frames[0])
    assert mask.shape == (HEIGHT_PX, WIDTH_PX)
    assert set(np.unique(mask)) == {0, 255}
    # One pixel around a hole is taken for bled, so it counts as hole too.
    assert not mask[:, 15:33].any()
    assert mask[:, :13].all()
    assert mask[:, 35:].all()
    assert not ingester.mask(frames[2]).any()
    assert not ingester.store.holds(frames[1].image, "mask.png")
    assert np.array_equal(ingester.bench.mask(frames[0], WIDTH_PX, HEIGHT_PX), mask == 255)
    assert ingester.bench.mask(frames[1], WIDTH_PX, HEIGHT_PX).all()


def test_another_mask_makes_another_image(tmp_path: Path, ingester: Ingester) -> None:
    scene = tmp_path / "scene"
    write_video(scene / "render.mp4", [coded_image(number) for number in range(3)])
    write_camera_json(scene / "camera.json", 3)
    plain = ingester(scene)
    write_video(scene / "render_mask.mp4", [hole_image(16, 32)] * 3)
    masked = ingester(scene)
    assert ingester.progress[-1].reused == 0
    assert not {frame.image for frame in plain} & {frame.image for frame in masked}
    assert not any(frame.has_mask for frame in plain)
    assert all(frame.has_mask for frame in masked)


def test_transparent_pixels_are_no_data(tmp_path: Path, ingester: Ingester) -> None:
    alpha = np.full((HEIGHT_PX, WIDTH_PX, 1), 255, np.uint8)
    opaque = np.concatenate([coded_image(1), alpha], axis=-1)
    alpha = alpha.copy()
    alpha[:, :10] = 127
    alpha[:, 10:20] = 128
    cut = np.concatenate([coded_image(2), alpha], axis=-1)
    write_image(tmp_path / "images" / "0.png", opaque)
    write_image(tmp_path / "images" / "1.png", cut)
    write_camera_json(tmp_path / "camera.json", 2)
    first, second = ingester(tmp_path)
    assert not first.has_mask
    assert np.array_equal(ingester.image(first), coded_image(1))
    assert np.array_equal(ingester.mask(second) == 0, alpha[..., 0] < 128)


def test_a_distorted_lens_is_undone(tmp_path: Path, ingester: Ingester) -> None:
    images = coded_folder(tmp_path / "images", 2)
    listed = [f"images/frame{number}.png" for number in range(2)]
    write_transforms_json(tmp_path / "transforms.json", listed, k1=-0.2, k2=0.02, p1=0.001)
    frames = ingester(images)
    lens = open_sources([tmp_path], limits=LIMITS)[0].trajectory.cameras[0].intrinsics
    assert lens.is_distorted
    expected = undistortion(lens)
    for number, frame in enumerate(frames):
        assert frame.camera.intrinsics == expected.intrinsics
        assert not frame.camera.intrinsics.is_distorted
        assert frame.has_mask == (not expected.valid.all())
        assert np.array_equal(ingester.image(frame), expected.apply(coded_image(number)))
    write_transforms_json(tmp_path / "transforms.json", listed, k1=-0.1)
    other = ingester(images)
    assert ingester.progress[-1].reused == 0
    assert not {frame.image for frame in frames} & {frame.image for frame in other}


def test_a_mask_is_undistorted_with_its_image(tmp_path: Path, ingester: Ingester) -> None:
    scene = tmp_path / "scene"
    write_video(scene / "render.mp4", [hole_image(24, 40)] * 2)
    write_video(scene / "render_mask.mp4", [hole_image(24, 40)] * 2)
    write_camera_json(scene / "camera.json", 2)
    (source,) = open_sources([scene], limits=LIMITS)
    cameras = [
        replace(camera, intrinsics=replace(camera.intrinsics, k1=-0.3))
        for camera in source.trajectory.cameras
    ]
    bent = replace(source, trajectory=replace(source.trajectory, cameras=tuple(cameras)))
    frame = ingester(sources=[bent])[0]
    bright = ingester.image(frame).mean(axis=-1) > 128
    hole = ingester.mask(frame) == 0
    assert hole[bright].all()
    # The hole is wider by the ring of one pixel that counts as bled, times the zoom of the lens.
    wider = cv2.dilate(bright.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    assert wider[hole].all()


def test_equal_images_are_stored_once(tmp_path: Path, ingester: Ingester) -> None:
    for number in range(3):
        write_image(tmp_path / "images" / f"{number}.png", coded_image(5))
    write_camera_json(tmp_path / "camera.json", 3)
    frames = ingester(tmp_path)
    assert len({frame.image for frame in frames}) == 1
    assert [frame.view_id for frame in frames] == [0, 1, 2]


def test_frames_stream_a_few_at_a_time(
    tmp_path: Path, ingester: Ingester, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead: list[int] = []
    decode = worldloom.ingest._frames.decode_frames

    def watched(*args: object, **options: object) -> Iterator[object]:
        for frame in decode(*args, **options):  # type: ignore[arg-type]
            done = ingester.progress[-1].done
            ahead.append(frame.index - done)
            yield frame

    monkeypatch.setattr(worldloom.ingest._frames, "decode_frames", watched)
    ingester(coded_scene(tmp_path / "traj0", 60), workers=3)
    assert len(ahead) == 60
    assert max(ahead) <= 6


def test_a_video_that_breaks_off_fails_in_every_run(tmp_path: Path, ingester: Ingester) -> None:
    scene = coded_scene(tmp_path / "traj0", 6)
    (source,) = open_sources([scene], limits=LIMITS)
    coded_video(scene / "video.mp4", 5)
    for _ in range(2):
        with pytest.raises(VideoError, match=r"video\.mp4 at frame 5: 5 frames decode, 6 were"):
            ingester(sources=[source], every=2)
    # Every kept frame is there, but the end was never reached.
    assert ingester.progress[-1].reused == 3


def test_damage_in_the_middle_names_the_frame_and_keeps_what_is_finished(
    tmp_path: Path, ingester: Ingester
) -> None:
    scene = tmp_path / "traj0"
    coded_video(scene / "video.mp4", 40, options={"crf": "0", "g": "10"})
    write_camera_json(scene / "camera.json", 40)
    content = bytearray((scene / "video.mp4").read_bytes())
    middle = (content.find(b"mdat") + len(content)) // 2
    noise = np.random.default_rng(1).integers(0, 256, 300, np.uint8)
    content[middle : middle + 300] = noise.tobytes()
    (scene / "video.mp4").write_bytes(content)
    with pytest.raises(VideoError, match=r"video\.mp4 at frame \d+: .*copy or encode") as caught:
        ingester(scene)
    damaged = int(str(caught.value.ids["frame"]))
    assert damaged > 0
    assert (ingester.progress[-1].done, ingester.progress[-1].reused) == (damaged, 0)
    with pytest.raises(VideoError, match=f"frame {damaged}:"):
        ingester(scene)
    assert (ingester.progress[-1].done, ingester.progress[-1].reused) == (damaged, damaged)


def test_an_image_with_a_whole_header_and_damaged_pixels(
    tmp_path: Path, ingester: Ingester
) -> None:
    coded_folder(tmp_path / "images", 3)
    write_camera_json(tmp_path / "camera.json", 3)
    path = tmp_path / "images" / "frame1.png"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(VideoError, match=r"frame1\.png cannot be decoded as an image"):
        ingester(tmp_path)


@pytest.mark.parametrize("change", ["remove", "replace"])
def test_an_image_that_changes_between_opening_and_reading(
    tmp_path: Path, ingester: Ingester, change: str
) -> None:
    coded_folder(tmp_path / "images", 3)
    write_camera_json(tmp_path / "camera.json", 3)
    sources = open_sources([tmp_path], limits=LIMITS)
    path = tmp_path / "images" / "frame1.png"
    if change == "remove":
        path.unlink()
    else:
        write_image(path, coded_image(0, 96, 72))
    with pytest.raises(InputError, match=r"frame1\.png (cannot be read|changed while)"):
        ingester(sources=sources)


def test_settings_that_make_no_sense(tmp_path: Path, ingester: Ingester) -> None:
    scene = coded_scene(tmp_path / "traj0", 6)
    with pytest.raises(ConfigError, match="every must be at least 1, got 0"):
        ingester(scene, every=0)
    with pytest.raises(ConfigError, match="workers must be at least 1, got 0"):
        ingester(scene, workers=0)
    with pytest.raises(InputError, match="no parallax: all 1 cameras"):
        ingester(scene, every=6)
    (source,) = open_sources([scene], limits=LIMITS)
    late = replace(source.trajectory.subset([1, 3]))
    with pytest.raises(InputError, match="every=5 keeps no frame"):
        ingester(sources=[replace(source, trajectory=late)], every=5)
